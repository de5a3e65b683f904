"""Which node types carry the load: what is needed in every world and month, against what a node type has.

Needs are measured bytes and CPU times the demand's counts; they are held against a node type constraint by
constraint. Arrays have the shape (worlds, months), column 0 today, as in `workload`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from amply_capacity.catalog.nodes import NodeType
from amply_capacity.interval import Interval
from amply_capacity.model.connections import ELASTICACHE_CONNECTIONS
from amply_capacity.model.credits import HOST_CORES, CreditRules, credit_rules
from amply_capacity.model.node_speed import cpu_factors
from amply_capacity.model.throttling import sustainable_cores
from amply_capacity.plan.assumptions import (
    BACKLOG_BYTES,
    ENGINE_CORE_SHARE,
    FRAMING_BYTES,
    INDEX_MEMBER_BYTES,
    SMALLEST_INDEX_BYTES,
)
from amply_capacity.plan.calibrations import Calibration
from amply_capacity.plan.cores import engine_cores
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.measured import Measured
from amply_capacity.plan.workload import Workload
from amply_capacity.plan.worlds import Floats, Worlds

__all__ = ["UNITS", "Capacity", "Needs", "capacities", "fits", "needs", "table_bytes"]

UNITS: Mapping[str, str] = {
    "memory": "bytes",
    "cpu": "cores",
    "cpu_credits": "cores",
    "connections": "connections",
    "network": "bits per second",
    "network_burst": "bits per second",
}
"""The constraints, and the unit of each: `cpu` is the engine's thread at the peak; `cpu_credits` the whole
node's mean, raised to what would need as many credits every day, where quiet weekends do not make up for busy
weeks; `network` is the mean rate against the baseline, `network_burst` the peak rate against the burst, of
the busier direction."""

_CPU = ("cpu", "cpu_credits")
_ALL = slice(None)


@dataclass(frozen=True, slots=True)
class Needs:
    """What the load needs, by constraint, and the parts of its memory."""

    anywhere: Mapping[str, Floats]
    """What does not depend on the node type."""
    host_cores: Mapping[str, Floats]
    """The engine's CPU on the recording host: `cpu` at the peak, `cpu_credits` the mean."""
    cpu_factor: Mapping[str, Floats]
    """Of a node family over the recording host, shape (worlds,)."""
    day_peak_to_mean: Floats
    weekend_to_weekday: Floats
    memory_items: Mapping[str, Floats]
    """Bytes by what holds them; they add up to `used_memory` before any of it is kept free."""
    _sustainable: dict[CreditRules, Floats] = field(default_factory=dict, compare=False, repr=False)

    def of(self, node: NodeType, constraint: str, months: slice = _ALL) -> Floats:
        """What this node type has to give of one constraint, shape (worlds, months)."""
        if constraint not in _CPU:
            return self.anywhere[constraint][:, months]
        cores: Floats = self.host_cores[constraint][:, months] * self.cpu_factor[node.family][:, None]
        return cores if constraint == "cpu" else cores * self._week_factor(node)[:, None] + HOST_CORES

    def _week_factor(self, node: NodeType) -> Floats:
        """The baseline over the highest mean that never exhausts the credits, 1 where all days are equal."""
        if node.vcpu is None or node.cpu_baseline_percent_per_vcpu is None:
            return np.ones_like(self.day_peak_to_mean)
        rules = credit_rules(node)
        if rules not in self._sustainable:
            self._sustainable[rules] = sustainable_cores(rules, self.day_peak_to_mean,
                                                         self.weekend_to_weekday)
        # A high peak is not the credits' to refuse: beyond one core it is `cpu` that does not fit.
        return np.maximum((float(rules.baseline_cores) - HOST_CORES) / self._sustainable[rules], 1.0)


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a node type has of one constraint; None where the catalog does not know it."""

    available: float | None
    how: str
    """In words, for the reason that names it."""


def needs(demand: Demand, figures: Measured, load: Workload, worlds: Worlds,
          calibrations: Sequence[Calibration] = ()) -> Needs:
    """Raises BadRun where the demand needs a figure that no run holds."""
    counted = {
        "session_bytes": load.sessions,
        "index_bytes": load.users,
        "counter_bytes": load.counters,
        "cached_bytes": load.cached,
        "result_bytes": load.results,
        "connection_bytes": load.connections,
    }
    used = [name for name, count in counted.items() if count.any()]
    operations = [name for name, rate in load.per_user_per_second.items() if rate.any()]
    figures.require(used, operations)
    items = _memory_items({name: counted[name] for name in used}, figures, demand, load, worlds)
    rounds, bytes_in, bytes_out = _per_user(figures, load, operations)
    framing = rounds * worlds.draw("prior.framing_bytes", FRAMING_BYTES)
    # What comes in is written to each replica at most once more: for one always, as the backlog is.
    streams = max(demand.cluster.replicas, 1)
    busier_bytes = np.maximum(bytes_in + framing, bytes_out + framing + streams * bytes_in)
    bits = load.users * (8.0 * busier_bytes)[:, None]
    free_factor = _free_factor(demand.slo.free_memory_percent, worlds)[:, None]
    at_peak, mean = engine_cores(figures, load, operations, worlds)
    # One draw for all families: what is not known of the host is common to them.
    factors = {family: worlds.draw("prior.node_cpu", factor) for family, factor in cpu_factors(
        [one.observation for one in calibrations]).items()}
    return Needs(
        anywhere={
            "memory": np.sum(list(items.values()), axis=0) * free_factor,
            "connections": load.connections,
            "network": bits,
            "network_burst": bits * load.peak_to_mean[:, None],
        },
        host_cores={"cpu": at_peak, "cpu_credits": mean},
        cpu_factor=factors,
        day_peak_to_mean=load.day_peak_to_mean,
        weekend_to_weekday=load.weekend_to_weekday,
        memory_items=items,
    )


def capacities(node: NodeType, demand: Demand) -> dict[str, Capacity]:
    """What the node type has, by constraint; a constraint that does not concern it is absent."""
    reserved, free = demand.cluster.reserved_memory_percent, demand.slo.free_memory_percent.mid
    usable = node.usable_bytes(reserved)
    found = {
        "memory": Capacity(usable * (1.0 - free / 100.0),
                           f"{usable / 1e6:,.0f} MB usable less {free:g} % kept free"),
        "cpu": Capacity(ENGINE_CORE_SHARE,
                        f"{100.0 * ENGINE_CORE_SHARE:g} % of the one core that runs commands"),
        "connections": Capacity(node.maxclients - ELASTICACHE_CONNECTIONS,
                                f"{node.maxclients:,} less {ELASTICACHE_CONNECTIONS} for ElastiCache itself"),
    }
    if node.is_burstable:
        baseline = node.cpu_baseline_percent_per_vcpu
        if node.vcpu is None or baseline is None:
            found["cpu_credits"] = Capacity(None, "its vCPU or CPU baseline")
        else:
            found["cpu_credits"] = Capacity(node.vcpu * baseline / 100.0,
                                            f"{node.vcpu} vCPU × {baseline:g} % baseline")
    sustained, burst = node.network_baseline_gbps, node.network_burst_gbps
    found["network"] = Capacity(None if sustained is None else sustained * 1e9, "its network baseline")
    # A node sustains its baseline, so that is the least that it can burst to.
    fastest = sustained if burst is None else burst
    found["network_burst"] = Capacity(None if fastest is None else fastest * 1e9, "its fastest network rate")
    return found


def fits(node: NodeType, demand: Demand, need: Needs,
         months: slice = _ALL) -> np.typing.NDArray[np.bool_]:
    """Where the node type has enough of everything; nowhere, if the catalog lacks a fact about it."""
    enough = np.ones_like(need.anywhere["memory"][:, months], dtype=np.bool_)
    for constraint, capacity in capacities(node, demand).items():
        if capacity.available is None:
            return np.zeros_like(enough)
        enough &= need.of(node, constraint, months) <= capacity.available
    return enough


def table_bytes(keys: Floats) -> Floats:
    """Buckets of a hash table of so many keys while it grows into them: the old table and the doubled one.

    8 bytes times the power of two that holds the keys, and half of that again for the table it grows out of,
    until the rehash is through (Redis 7.0 dict.c).
    """
    buckets = 2.0 ** np.ceil(np.log2(np.maximum(keys, 4.0)))
    return 1.5 * 8.0 * buckets


def _memory_items(counted: Mapping[str, Floats], figures: Measured, demand: Demand, load: Workload,
                  worlds: Worlds) -> dict[str, Floats]:
    items: dict[str, Floats] = {}
    for name, count in counted.items():
        each = worlds.draw(f"footprint.{name}", getattr(figures.footprint, name))
        if name == "index_bytes":
            each = _index_bytes(each, demand, figures, load, worlds)
        items[name.removesuffix("_bytes")] = count * each[:, None]
    volatile = load.sessions + load.counters + load.cached + load.results
    items["hash tables"] = table_bytes(volatile + load.users) + table_bytes(volatile)
    items["replication backlog"] = np.full_like(load.users, BACKLOG_BYTES)
    items["server"] = np.full_like(load.users, figures.footprint.base_bytes)
    return items


def _index_bytes(measured: Floats, demand: Demand, figures: Measured, load: Workload,
                 worlds: Worlds) -> Floats:
    """Bytes of one user's index: as measured with the run's ids in it, more or less for a world's."""
    members = figures.footprint.index_members
    if members is None:
        members = demand.users.sessions_per_user.mid + demand.users.stale_index_members_per_user.mid
    member = worlds.draw("prior.index_member_bytes", INDEX_MEMBER_BYTES)
    with_members = measured + (load.index_members_per_user - members) * member
    return np.maximum(with_members, np.minimum(measured, SMALLEST_INDEX_BYTES))


def _per_user(figures: Measured, load: Workload, operations: list[str]) -> tuple[Floats, Floats, Floats]:
    """Round trips, request bytes and reply bytes a second of one registered user, each of shape (worlds,)."""
    totals = np.zeros((3, load.peak_to_mean.size))
    for name in operations:
        cost = figures.operations[name]
        totals += np.outer([figures.trips[name].count, cost.bytes_in, cost.bytes_out],
                           load.per_user_per_second[name])
    return totals[0], totals[1], totals[2]


def _free_factor(free_percent: Interval, worlds: Worlds) -> Floats:
    """What an uncertain share of free memory asks for over its median, which the capacity has taken off."""
    wanted = np.minimum(worlds.draw("slo.free_memory_percent", free_percent), 99.0)
    return (100.0 - free_percent.mid) / (100.0 - wanted)
