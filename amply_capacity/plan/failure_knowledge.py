"""What a history of failures, and drills, make of the demand's [failures]: posteriors in the priors' places.

A drill narrows what transfers from it (`model.drilled`): how soon clients are back, and how fast a cache
refills, which goes by reads of a key and not by seconds. A drill of a real ElastiCache group narrows the
whole failover. Whoever states a number without bounds knows it, and no drill changes it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from amply_capacity.interval import Interval
from amply_capacity.model.belief import narrowed, rate_after
from amply_capacity.model.drilled import SHORTEST_SECONDS, Drilled
from amply_capacity.model.evidence import Evidence
from amply_capacity.model.failure_priors import PRIORS
from amply_capacity.model.refill import refill_seconds
from amply_capacity.plan.demand import Demand, Failures
from amply_capacity.plan.outages import cached_reads_per_key, refill_of
from amply_capacity.plan.workload import CACHED_TTL_S

__all__ = ["Learned", "learn"]

_Z90 = 1.645
_CLIENT_NOISE = math.log(3.0) / _Z90
"""The load's clients are not the application's: up to three times as fast or slow, in nine of ten."""
_REFILL_NOISE = _FAILOVER_NOISE = math.log(2.0) / _Z90
"""A local database takes no time, and a failover that is asked for need not be noticed first: up to twice."""


@dataclass(frozen=True, slots=True)
class Learned:
    """One number that is known better than before."""

    number: str
    """Its dotted path in the demand."""
    before: Interval
    now: Interval
    how: str
    runs: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {"number": self.number, "before": _bounds(self.before), "now": _bounds(self.now),
                "how": self.how, "runs": list(self.runs)}


def learn(demand: Demand, evidences: Sequence[Evidence]) -> tuple[Demand, tuple[Learned, ...]]:
    """The demand with what its own history and these drills say, and what that has changed."""
    found = tuple(_learned(demand, [(one.run_id, one.drill) for one in evidences if one.drill is not None]))
    changes: dict[str, Any] = {one.number.partition(".")[2]: one.now for one in found}
    return replace(demand, failures=replace(demand.failures, **changes)), found


def _learned(demand: Demand, drills: Sequence[tuple[str, Drilled]]) -> Iterator[Learned]:
    failures = demand.failures
    if failures.history is not None and not failures.per_node_year.is_exact:
        count, years = failures.history.count, failures.history.node_years
        yield Learned(
            "failures.per_node_year", failures.per_node_year,
            rate_after(failures.per_node_year, count, years),
            f"{count:,} failure{'s' * (count != 1)} in {years:g} node-year{'s' * (years != 1)} of your own")
    failovers = {run: max(one.unavailable_seconds, SHORTEST_SECONDS) / 60.0 for run, one in drills
                 if one.is_on_elasticache and one.unavailable_seconds is not None}
    if failovers:  # clients' part included
        yield from _narrowed("minutes_replica", failures.minutes_replica, failovers, _FAILOVER_NOISE,
                             "drills: an ElastiCache group that was failed over was away for {} min")
    else:
        yield from _reconnected(failures, drills)
    yield from _refilled(demand, drills)


def _reconnected(failures: Failures, drills: Sequence[tuple[str, Drilled]]) -> Iterator[Learned]:
    before = failures.reconnect_seconds or PRIORS["reconnect_seconds"].value
    seconds = {run: one.reconnect_seconds for run, one in drills if one.reconnect_seconds is not None}
    yield from _narrowed("reconnect_seconds", before, seconds, _CLIENT_NOISE,
                         "drills: clients were back {} s after a server was, with no DNS name to change")


def _refilled(demand: Demand, drills: Sequence[tuple[str, Drilled]]) -> Iterator[Learned]:
    """A drill reads each key more often than production: its seconds count by what the law says of either."""
    before, reads = refill_of(demand), cached_reads_per_key(demand)
    if reads <= 0.0:
        return
    usual = refill_seconds(reads, CACHED_TTL_S)
    seconds = {run: one.refill_seconds * usual / refill_seconds(one.reads_per_key_second, CACHED_TTL_S)
               for run, one in drills
               if one.refill_seconds is not None and one.reads_per_key_second is not None}
    yield from _narrowed("refill_seconds", before, seconds, _REFILL_NOISE,
                         "drills: the cache was warm again after what, at production's reads a key, is {} s")


def _narrowed(name: str, before: Interval, measured: dict[str, float], noise: float,
              how: str) -> Iterator[Learned]:
    if measured and not before.is_exact:
        said = " and ".join(f"{value:.3g}" for value in dict.fromkeys(measured.values()))
        yield Learned(f"failures.{name}", before, narrowed(before, tuple(measured.values()), noise),
                      how.format(said), tuple(measured))


def _bounds(interval: Interval) -> dict[str, float]:
    return {name: float(f"{getattr(interval, name):.4g}") for name in ("low", "mid", "high", "confidence")}
