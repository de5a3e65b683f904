"""Does a replica pay? Its price against the expected cost of the outages and lost sessions that it avoids.

What an outage costs is in `outages`. The uncertainty is in what nobody knows (failure rate, recovery, costs),
so the verdict comes with the break-even of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from amply_capacity.plan.demand import Demand
from amply_capacity.plan.worlds import Floats

__all__ = ["ReplicaDecision", "break_even", "decide", "verdict_of"]

ADD_FROM = 0.8
LEAVE_UP_TO = 0.2


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
    break_even: dict[str, float | None]
    notes: dict[str, str]
    months: tuple[tuple[str, float], ...]
    """Month and probability, with the node type that each world then has."""

    def as_json(self) -> dict[str, Any]:
        months = [{"month": month, "probability": round(share, 4), "verdict": verdict_of(share)}
                  for month, share in self.months]
        return {
            "verdict": self.verdict,
            "probability": round(self.probability, 4),
            "break_even": {name: None if value is None else float(f"{value:.4g}")
                           for name, value in self.break_even.items()},
            "break_even_notes": self.notes,
            "replicas": self.replicas,
            "usd_per_month": self.usd_per_month,
            "avoided_usd_per_month": {
                "low": round(self.avoided_low_usd, 2),
                "mid": round(self.avoided_mid_usd, 2),
                "high": round(self.avoided_high_usd, 2),
            },
            "add_from": next((row["month"] for row in months if row["verdict"] == "add"), None),
            "months": months,
        }


def verdict_of(probability: float) -> str:
    """`add` from 0.8, `do not add` up to 0.2, `undecided` between."""
    if probability >= ADD_FROM:
        return "add"
    return "do not add" if probability <= LEAVE_UP_TO else "undecided"


def break_even(demand: Demand, usd_per_month: float) -> tuple[dict[str, float | None], dict[str, str]]:
    """From which failure rate, cost of a minute and number of users a replica pays, all else at its median.

    Closed forms of what the first replica avoids (`outages`) = price. None, with the reason in the second
    mapping, where it never does.
    """
    failures, money, users = demand.failures, demand.money, demand.users
    per_month = failures.per_node_year.mid / 12.0
    minutes = failures.minutes_single.mid - failures.minutes_replica.mid
    logins_per_second = demand.activity.logins_per_user_day.mid / 86_400.0
    lost_with_replica = logins_per_second * failures.replication_lag_seconds.mid
    user_usd = max(users.sessions_per_user.mid - lost_with_replica, 0.0) * money.usd_per_lost_session.mid
    sessions_usd, downtime_usd = users.registered.mid * user_usd, minutes * money.usd_per_downtime_minute.mid
    per_failure_usd = sessions_usd + downtime_usd
    values: dict[str, float | None] = dict.fromkeys(("failures_per_year", "usd_per_downtime_minute", "users"))
    notes: dict[str, str] = {}
    if per_failure_usd > 0.0:
        values["failures_per_year"] = 12.0 * usd_per_month / per_failure_usd
    else:
        notes["failures_per_year"] = "never: a failure costs no more without a replica than with one"
    # What a failure must cost to repay the replica; not to be had where nothing fails.
    wanted_usd = usd_per_month / per_month if per_month > 0.0 else None
    for name, rest_usd, each_usd, costless in (
        ("usd_per_downtime_minute", sessions_usd, minutes, "a replica saves no minute"),
        ("users", downtime_usd, user_usd, "a lost session costs nothing"),
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

    Undecided keeps today's count of replicas, and the note `verdict` says so.
    """
    probability = float(np.mean(avoided_usd > usd_per_month))
    verdict = verdict_of(probability)
    today = demand.cluster.replicas
    replicas = {"add": max(today, 1), "do not add": 0}.get(verdict, today)
    values, notes = break_even(demand, usd_per_month)
    if verdict == "undecided":
        notes["verdict"] = (f"a probability between {LEAVE_UP_TO} and {ADD_FROM} decides nothing: "
                            f"today's number of replicas, {today}, is kept")
    low, mid, high = np.quantile(avoided_usd, [0.05, 0.5, 0.95])
    return ReplicaDecision(verdict, probability, replicas, usd_per_month, float(low), float(mid), float(high),
                           values, notes, tuple(months))
