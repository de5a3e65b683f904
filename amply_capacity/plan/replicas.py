"""Does a replica pay? Its price against the expected cost of the outages and lost sessions that it avoids.

What an outage costs is in `outages`. The uncertainty is in what nobody knows (failure rate, recovery, costs),
so the verdict comes with the break-even of each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from amply_capacity.plan.demand import Demand
from amply_capacity.plan.outages import Medians, recovery_of
from amply_capacity.plan.worlds import Floats

__all__ = ["Medial", "ReplicaDecision", "break_even", "decide", "medial", "verdict_of"]

ADD_FROM = 0.8
LEAVE_UP_TO = 0.2
_NOTHING_BESIDE: Mapping[str, Any] = MappingProxyType({
    "setups": [], "learned": [], "drills": [], "refill": None, "after_failover": None, "read_scaling": None,
    "cluster_mode": [], "sensitivity": [], "map": None})


@dataclass(frozen=True, slots=True)
class Medial:
    """The numbers of the break-evens, each at its median, with what was learned of it."""

    failures_per_year: float
    minutes_single: float
    minutes_replica: float
    """Until clients are back."""
    refill_minutes: float
    usd_per_downtime_minute: float
    usd_per_breached_slo_minute: float
    usd_per_lost_session: float
    users: float
    sessions_per_user: float
    logins_per_user_day: float
    replication_lag_seconds: float

    @property
    def user_usd(self) -> float:
        """What each registered user's sessions cost that a replica saves in one failure."""
        lost_with_replica = self.logins_per_user_day / 86_400.0 * self.replication_lag_seconds
        return max(self.sessions_per_user - lost_with_replica, 0.0) * self.usd_per_lost_session

    def as_json(self) -> dict[str, float]:
        return {name: float(f"{getattr(self, name):.10g}") for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class ReplicaDecision:
    """`probability` is the share of worlds in which the first month's replica avoids more than it costs."""

    verdict: str
    probability: float
    replicas: int
    usd_per_month: float
    """Price of one replica of the chosen type."""
    avoided_low_usd: float
    avoided_mid_usd: float
    avoided_high_usd: float
    avoided_expected_usd: float
    """The mean of the worlds; `avoided_mid_usd` is the median one, and less where few worlds are dear."""
    break_even: dict[str, float | None]
    notes: dict[str, str]
    months: tuple[tuple[str, float], ...]
    """Month and probability, with the node type that each world then has."""
    medians: Medial
    beside: Mapping[str, Any] = field(default_factory=dict)
    """What stands beside the verdict, as JSON (`replica_case`); empty in a draft."""

    @property
    def flips_in(self) -> str | None:
        """The first month whose verdict is another one than the first month's."""
        verdicts = [(month, verdict_of(share)) for month, share in self.months]
        return next((month for month, verdict in verdicts if verdict != verdicts[0][1]), None)

    def as_json(self) -> dict[str, Any]:
        months = [{"month": month, "probability": round(share, 4), "verdict": verdict_of(share)}
                  for month, share in self.months]
        return {
            "verdict": self.verdict,
            "probability": round(self.probability, 4),
            "break_even": {name: None if value is None else float(f"{value:.4g}")
                           for name, value in self.break_even.items()},
            "break_even_notes": self.notes,
            "medians": self.medians.as_json(),
            "replicas": self.replicas,
            "usd_per_month": self.usd_per_month,
            "avoided_usd_per_month": {
                "low": round(self.avoided_low_usd, 2),
                "mid": round(self.avoided_mid_usd, 2),
                "high": round(self.avoided_high_usd, 2),
                "expected": round(self.avoided_expected_usd, 2),
            },
            "add_from": next((row["month"] for row in months if row["verdict"] == "add"), None),
            "flips_in": self.flips_in,
            "months": months,
            **_NOTHING_BESIDE, **self.beside,
        }


def verdict_of(probability: float) -> str:
    """`add` from 0.8, `do not add` up to 0.2, `undecided` between."""
    if probability >= ADD_FROM:
        return "add"
    return "do not add" if probability <= LEAVE_UP_TO else "undecided"


def medial(demand: Demand) -> Medial:
    """Of a demand with what was learned."""
    failures, money, users = demand.failures, demand.money, demand.users
    recovery = recovery_of(demand, Medians())
    return Medial(
        failures_per_year=failures.per_node_year.mid,
        minutes_single=float(recovery.single_minutes[0, 0]),
        minutes_replica=float(recovery.failover_minutes[0, 0]),
        refill_minutes=float(recovery.refill_minutes[0, 0]),
        usd_per_downtime_minute=money.usd_per_downtime_minute.mid,
        usd_per_breached_slo_minute=money.usd_per_breached_slo_minute.mid,
        usd_per_lost_session=money.usd_per_lost_session.mid,
        users=users.registered.mid, sessions_per_user=users.sessions_per_user.mid,
        logins_per_user_day=demand.activity.logins_per_user_day.mid,
        replication_lag_seconds=failures.replication_lag_seconds.mid)


def break_even(demand: Demand, usd_per_month: float) -> tuple[dict[str, float | None], dict[str, str]]:
    """From which failure rate, cost of a minute and number of users a replica pays, all else at its median.

    Closed forms of what the first replica avoids (`outages`) = price, but for failures of all nodes at once.
    None, with the reason in the second mapping, where it never does.
    """
    at = medial(demand)
    per_month, minutes = at.failures_per_year / 12.0, at.minutes_single - at.minutes_replica
    refill_usd = at.refill_minutes * at.usd_per_breached_slo_minute
    sessions_usd, downtime_usd = at.users * at.user_usd, minutes * at.usd_per_downtime_minute
    per_failure_usd = sessions_usd + downtime_usd + refill_usd
    values: dict[str, float | None] = dict.fromkeys(("failures_per_year", "usd_per_downtime_minute", "users"))
    notes: dict[str, str] = {}
    if per_failure_usd > 0.0:
        values["failures_per_year"] = 12.0 * usd_per_month / per_failure_usd
    else:
        notes["failures_per_year"] = "never: a failure costs no more without a replica than with one"
    # What a failure must cost to repay the replica; not to be had where nothing fails.
    wanted_usd = usd_per_month / per_month if per_month > 0.0 else None
    for name, rest_usd, each_usd, costless in (
        ("usd_per_downtime_minute", sessions_usd + refill_usd, minutes, "a replica saves no minute"),
        ("users", downtime_usd + refill_usd, at.user_usd, "a lost session costs nothing"),
    ):
        if wanted_usd is None:
            notes[name] = "never: no failures are expected"
        elif rest_usd >= wanted_usd:
            values[name] = 0.0
            notes[name] = "always: the rest of what it avoids repays it alone"
        elif each_usd > 0.0:
            values[name] = (wanted_usd - rest_usd) / each_usd
        else:
            notes[name] = f"never: {costless}"
    return values, notes


def decide(demand: Demand, usd_per_month: float, avoided_usd: Floats,
           months: Sequence[tuple[str, float]]) -> ReplicaDecision:
    """The verdict for the first month from what is avoided in each world (`avoided_usd`, shape (worlds,)).

    Undecided keeps today's count of replicas, and the note `verdict` says so. No verdict lifts the demand's
    limit: where it asks for more, the note `allowed` says so.
    """
    probability = float(np.mean(avoided_usd > usd_per_month))
    verdict = verdict_of(probability)
    today, most = demand.cluster.replicas, demand.allowed.replicas
    asked = {"add": max(today, 1), "do not add": 0}.get(verdict, today)
    replicas = min(asked, most)
    values, notes = break_even(demand, usd_per_month)
    if verdict == "undecided":
        notes["verdict"] = (f"a probability between {LEAVE_UP_TO} and {ADD_FROM} decides nothing: today's "
                            f"number of replicas, {today}, {'is' if replicas == today else 'would be'} kept")
    if replicas < asked:
        limit = f"{most} replica{'s' * (most > 1)} at most" if most else "no replica"
        run = f", and {today} of each shard {'run' if today > 1 else 'runs'} today" if today else ""
        notes["allowed"] = f"the demand allows {limit}{run}"
    low, mid, high = np.quantile(avoided_usd, [0.05, 0.5, 0.95])
    return ReplicaDecision(verdict, probability, replicas, usd_per_month, float(low), float(mid), float(high),
                           float(avoided_usd.mean()), values, notes, tuple(months), medial(demand))
