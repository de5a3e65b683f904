"""Replicas beyond failures: what one node left carries, whether reads from them help, what shards break.

ElastiCache's reader endpoint sends reads to replicas, which are behind. Reads that a write of the same
operation rests on stay with the primary, and so do all writes: each replica repeats them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amply_capacity.model.trips import mixed_trips
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.fit import Fit
from amply_capacity.plan.measured import Measured
from amply_capacity.plan.needs import Needs
from amply_capacity.plan.options import Option
from amply_capacity.plan.setups import span
from amply_capacity.plan.sizing import capacities
from amply_capacity.plan.workload import Workload
from amply_capacity.plan.worlds import Worlds

__all__ = ["CLUSTER_MODE", "ReadScaling", "Remaining", "read_scaling", "read_share", "remaining"]

Bools = NDArray[np.bool_]

_READ_ONLY = ("validate", "cached_read", "list_active", "get_result")
"""Operations whose reads may be a little old: nothing that they write rests on them."""
_READS = frozenset({"get", "mget", "ttl", "pttl", "exists", "smembers", "sismember", "scard", "strlen"})
_OF_THE_CPU = ("cpu", "cpu_credits", "latency")
_MOST_READERS = 2

CLUSTER_MODE = (
    {"what": "log-out-everywhere, one DEL of all sessions of a user",
     "breaks": "CROSSSLOT: its keys lie in several slots",
     "way_out": "a DEL each in a pipeline, or a hash tag {user} in the sessions' names (32 bytes a session)",
     "source": "elasticache-redis.md, delete_all_user_sessions; Redis Cluster specification"},
    {"what": "Celery's result backend", "breaks": "it has no client for a cluster: MOVED",
     "way_out": "a small cluster of its own for results, with cluster mode off",
     "source": "github.com/celery/celery, issue 8968"},
)
"""What more than one shard breaks in the application as the specification writes it."""


@dataclass(frozen=True, slots=True)
class Remaining:
    """After a failover: a replica is as large as its primary was, and alone until the next one is there."""

    fit: Fit
    """Of one node a shard, with all reads and writes, in the last month before the review."""
    resync_seconds: float | None
    """Until a new replica has the data, at what the network's baseline leaves; None where that is nothing."""
    is_burstable: bool

    def as_json(self) -> dict[str, Any]:
        return {"carries": self.fit.is_enough, "probability": round(self.fit.probability, 4),
                "binding": self.fit.binding.constraint,
                "by_constraint": {one.constraint: None if one.probability is None else
                                  round(one.probability, 4) for one in self.fit.constraints},
                "resync_seconds": None if self.resync_seconds is None else round(self.resync_seconds, 1),
                "note": "a replica has saved up CPU credits of its own; a new node begins with none"
                if self.is_burstable else ""}


@dataclass(frozen=True, slots=True)
class ReadScaling:
    """Whether reads from replicas would put off a larger node."""

    read_share: float
    """Of the commands: that replicas could answer."""
    cpu_short_from: str | None
    """First month in which its CPU is not enough in more worlds than the plan allows, though memory would be;
    of CPU, credits and p99 any."""
    memory_short_from: str | None
    relieved: tuple[tuple[int, float, float], ...]
    """Replicas that are read from, and share of the worlds in which the node is then enough in that month:
    while all are up, and with one of them lost."""
    confidence: float
    lag_seconds: Mapping[str, float]
    stale_share: float
    """Of the reads of a session: those within the lag of a write to it, median."""

    @property
    def is_a_reason(self) -> bool:
        """Whether some number of replicas carries, one of them lost, what the primary alone does not."""
        return self.cpu_short_from is not None and any(
            without_one >= self.confidence for _, _, without_one in self.relieved)

    def as_json(self) -> dict[str, Any]:
        return {"is_a_reason": self.is_a_reason, "read_share": round(self.read_share, 4),
                "cpu_short_from": self.cpu_short_from, "memory_short_from": self.memory_short_from,
                "relieved": [{"replicas": count, "probability": round(all_up, 4),
                              "probability_without_one": round(without_one, 4)}
                             for count, all_up, without_one in self.relieved],
                "lag_seconds": dict(self.lag_seconds), "stale_share": float(f"{self.stale_share:.3g}")}


def remaining(option: Option, fit: Fit, need: Needs, month: int) -> Remaining:
    """Of the option's shards, in that month (0 is today)."""
    node, baseline = option.node, option.node.network_baseline_gbps
    seconds = None
    if baseline is not None:
        used = float(np.median(need.used_memory(option.shards, option.engine)[:, month]))
        load = float(np.median(need.of(node, "network", slice(month, month + 1), shards=option.shards,
                                       replicas=option.replicas, engine=option.engine)))
        spare = baseline * 1e9 - load
        seconds = 8.0 * used / spare if spare > 0.0 else None
    return Remaining(fit, seconds, node.is_burstable)


def read_scaling(option: Option, demand: Demand, figures: Measured, load: Workload, need: Needs,
                 worlds: Worlds, months: tuple[str, ...]) -> ReadScaling:
    """Of the option's nodes over the plan's months."""
    share = read_share(figures, load)
    has_memory = _holds(option, demand, need, ("memory",))
    is_quick = _holds(option, demand, need, _OF_THE_CPU)
    allowed = 1.0 - demand.plan.confidence
    cpu_from = _first((has_memory & ~is_quick).mean(axis=0) > allowed)
    relieved: list[tuple[int, float, float]] = []
    if cpu_from is not None:
        enough = [float((has_memory & _holds(option, demand, _read_by(need, share, readers), _OF_THE_CPU))
                        [:, cpu_from].mean()) for readers in range(_MOST_READERS + 1)]
        relieved = [(count, enough[count], enough[count - 1]) for count in range(1, _MOST_READERS + 1)]
    lag = worlds.draw("failures.replication_lag_seconds", demand.failures.replication_lag_seconds)
    each = load.per_user_per_second
    sessions = worlds.draw("users.sessions_per_user", demand.users.sessions_per_user)
    writes = (each["touch"] + each["create"] + each["log_out"]) * lag
    stale = np.minimum(np.divide(writes, sessions, out=np.zeros_like(writes), where=sessions > 0.0), 1.0)
    memory_from = _first(1.0 - has_memory.mean(axis=0) > allowed)
    return ReadScaling(share, None if cpu_from is None else months[cpu_from],
                       None if memory_from is None else months[memory_from], tuple(relieved),
                       demand.plan.confidence, span(lag), float(np.median(stale)))


def read_share(figures: Measured, load: Workload) -> float:
    """Of the commands, at the demand's median rates, those that a replica could answer."""
    rates = {name: float(np.median(rate)) for name, rate in load.per_user_per_second.items()}
    known = {name: rate for name, rate in rates.items() if rate > 0.0 and name in figures.trips}
    reading = {name: rate for name, rate in known.items() if name in _READ_ONLY}
    if not reading:
        return 0.0
    asked = mixed_trips(figures.trips, reading)
    reads = asked.count * sum(count for name, count in asked.commands_per_round.items() if name in _READS)
    return reads / mixed_trips(figures.trips, known).commands


def _read_by(need: Needs, share: float, readers: int) -> Needs:
    """What is left to the primary where so many replicas take their part of the reads."""
    left = 1.0 - share * readers / (1.0 + readers)
    cores = replace(need.cores, rounds_per_user=left * need.cores.rounds_per_user)
    return replace(need, cores=cores, _kept={})


def _holds(option: Option, demand: Demand, need: Needs, constraints: tuple[str, ...]) -> Bools:
    """Where the node has enough of all of these, (worlds, months), the plan's first month first."""
    enough = np.ones(need.users[:, 1:].shape, dtype=np.bool_)
    for name, capacity in capacities(option.node, demand).items():
        if name in constraints:
            enough &= need.of(option.node, name, slice(1, None), shards=option.shards,
                              replicas=option.replicas, engine=option.engine) <= (capacity.available or 0.0)
    return enough


def _first(is_so: Bools) -> int | None:
    return int(np.argmax(is_so)) if is_so.any() else None
