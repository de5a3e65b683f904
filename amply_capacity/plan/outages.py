"""What failures of nodes cost a month: minutes without Redis, and sessions that are gone.

Expected, not simulated: the failure rate times what one failure costs (`model.availability`). The uncertainty
is in what nobody knows (failure rate, recovery, costs), and that is drawn by world.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from amply_capacity.interval import Interval
from amply_capacity.model.availability import (
    Hazards,
    Month,
    Recovery,
    Setup,
    Stake,
    expected_month,
    setup_of,
)
from amply_capacity.model.failure_priors import PRIORS, REFILL_SPREAD, SNAPSHOT_HOURS
from amply_capacity.model.refill import refill_seconds
from amply_capacity.plan.demand import Demand, Failures
from amply_capacity.plan.workload import CACHED_TTL_S, Workload
from amply_capacity.plan.worlds import Floats, Worlds

__all__ = [
    "WRITES_OF",
    "Draws",
    "Medians",
    "Money",
    "avoided_usd_per_month",
    "cached_reads_per_key",
    "hazards_of",
    "money_of",
    "month_of",
    "outage_usd_per_month",
    "recovery_of",
    "refill_of",
    "stake_of",
    "usd_of",
]

WRITES_OF = {"create": 2.0, "touch": 1.0, "log_out": 2.0, "log_out_everywhere": 2.0, "check": 1.0,
             "store_result": 1.0}
"""Acknowledged writes of an operation, each key's its own (amply_capacity.traffic). The fills of the cache
are left out: whoever misses one computes it again."""
_OF_SESSIONS = ("create", "log_out")
_MINUTE_S, _HOUR_S, _DAY_S = 60.0, 3_600.0, 86_400.0


class Draws(Protocol):
    """Where the values of uncertain numbers come from."""

    def draw(self, name: str, interval: Interval, at_least: float = 0.0) -> Floats:
        """By name, shape (worlds,)."""


class Medians:
    """One world, in which every number is its median."""

    def draw(self, name: str, interval: Interval, at_least: float = 0.0) -> Floats:
        return np.array([max(interval.mid, at_least)])


@dataclass(frozen=True, slots=True)
class Money:
    """What it costs, USD, (worlds, 1) each."""

    downtime_minute: Floats
    slow_minute: Floats
    lost_session: Floats


def outage_usd_per_month(demand: Demand, load: Workload, worlds: Worlds, replicas: int) -> Floats:
    """Expected cost of primaries that fail, shape (worlds, months); the same for any number of shards.

    Each of s shards fails as often as a single node would, and takes 1/s of the users and sessions with it.
    With replicas it is Multi-AZ.
    """
    return usd_of(month_of(setup_of(replicas), demand, load, worlds), money_of(demand, worlds))


def avoided_usd_per_month(demand: Demand, load: Workload, worlds: Worlds) -> Floats:
    """What the first replica avoids, shape (worlds, months)."""
    return (outage_usd_per_month(demand, load, worlds, 0)
            - outage_usd_per_month(demand, load, worlds, 1))


def month_of(setup: Setup, demand: Demand, load: Workload, worlds: Worlds) -> Month:
    """What a set-up's failures and maintenance come to, (worlds, months) each."""
    return expected_month(setup, hazards_of(demand, worlds), recovery_of(demand, worlds),
                          stake_of(demand, load, worlds))


def usd_of(month: Month, money: Money) -> Floats:
    """What that costs, USD; a lost write of which nobody loses a session costs nothing."""
    return np.asarray(month.downtime_minutes * money.downtime_minute + month.slow_minutes * money.slow_minute
                      + month.lost_sessions * money.lost_session)


def money_of(demand: Demand, draws: Draws) -> Money:
    """As the demand says."""
    def drawn(name: str) -> Floats:
        return draws.draw(f"money.{name}", getattr(demand.money, name))[:, None]

    return Money(drawn("usd_per_downtime_minute"), drawn("usd_per_breached_slo_minute"),
                 drawn("usd_per_lost_session"))


def hazards_of(demand: Demand, draws: Draws) -> Hazards:
    """How often what happens, (worlds, 1) each."""
    def drawn(name: str) -> Floats:
        return _drawn(demand.failures, draws, name)

    return Hazards(drawn("per_node_year"), drawn("zone_share"), drawn("maintenance_per_year"))


def recovery_of(demand: Demand, draws: Draws) -> Recovery:
    """How long what takes, (worlds, 1) each."""
    failures = demand.failures

    def drawn(name: str) -> Floats:
        return _drawn(failures, draws, name)

    refill = draws.draw("failures.refill_seconds", refill_of(demand))[:, None]
    single = drawn("minutes_single")
    return Recovery(
        single_minutes=single,
        restore_minutes=drawn("minutes_restore"),
        failover_minutes=_failover_minutes(failures, draws),
        maintenance_minutes=drawn("maintenance_seconds") / _MINUTE_S,
        refill_minutes=refill / _MINUTE_S,
        lag_seconds=drawn("replication_lag_seconds"),
        # It fails anywhere between two snapshots.
        snapshot_age_seconds=np.full_like(single, SNAPSHOT_HOURS.value.mid * _HOUR_S / 2.0))


def stake_of(demand: Demand, load: Workload, worlds: Worlds) -> Stake:
    """What there is to be lost, (worlds, months) each."""
    def writes(*operations: str) -> Floats:
        return np.asarray(sum(WRITES_OF[name] * load.operations_per_second(name, peak=False)
                              for name in operations))

    short_lived = load.counters + load.results
    return Stake(
        sessions=load.sessions,
        logins_per_second=load.operations_per_second("create", peak=False),
        writes_per_second=writes(*WRITES_OF),
        session_writes_per_second=writes(*_OF_SESSIONS),
        standing_writes=2.0 * load.sessions + short_lived,
        short_lived_writes=short_lived)


def refill_of(demand: Demand) -> Interval:
    """Seconds until an emptied cache is warm: the demand's, or by the law of expiry at its medians."""
    if demand.failures.refill_seconds is not None:
        return demand.failures.refill_seconds
    reads = cached_reads_per_key(demand)
    return REFILL_SPREAD.value.scaled(refill_seconds(reads, CACHED_TTL_S) if reads > 0.0 else 0.0)


def cached_reads_per_key(demand: Demand) -> float:
    """Cached reads of one organisation a second, mean over the week, at the medians."""
    activity = demand.activity
    return (demand.organisations.users_per_organisation.mid * activity.requests_per_user_hour.mid / _HOUR_S
            * activity.cached_reads_per_request.mid)


def _failover_minutes(failures: Failures, draws: Draws) -> Floats:
    """All of it, the clients' part exchanged for what is known of that."""
    whole = _drawn(failures, draws, "minutes_replica")
    known = failures.reconnect_seconds
    if known is None:
        return whole
    name = "failures.reconnect_seconds"
    believed, clients = (draws.draw(name, one)[:, None] for one in (PRIORS["reconnect_seconds"].value, known))
    return np.maximum(whole * _MINUTE_S - believed, 0.0) / _MINUTE_S + clients / _MINUTE_S


def _drawn(failures: Failures, draws: Draws, name: str) -> Floats:
    return draws.draw(f"failures.{name}", getattr(failures, name))[:, None]
