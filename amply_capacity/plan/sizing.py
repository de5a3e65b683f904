"""Which node types carry the load: what is needed in every world and month, against what a node type has."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from amply_capacity.catalog.nodes import NodeType
from amply_capacity.model.connections import ELASTICACHE_CONNECTIONS
from amply_capacity.plan.assumptions import ENGINE_CORE_SHARE
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.needs import Indices, Limit, Needs

__all__ = ["UNITS", "Capacity", "capacities", "fits", "limits_of"]

Bools = NDArray[np.bool_]

UNITS: Mapping[str, str] = {
    "memory": "bytes",
    "cpu": "cores",
    "cpu_credits": "cores",
    "latency": "ms",
    "connections": "connections",
    "network": "bits per second",
    "network_burst": "bits per second",
}
"""The constraints, and the unit of each: `cpu` is the engine's thread at the peak; `cpu_credits` the whole
node's mean, raised to what would need as many credits every day, where quiet weekends do not make up for busy
weeks; `latency` is the p99 of a round trip at the peak, against the tightest promise; `network` is the mean
rate against the baseline, `network_burst` the peak rate against the burst, of the busier direction."""
_ALL = slice(None)
_FEW = 3
"""One world in so many: up to there, picking them out is quicker than asking all."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a node type has of one constraint; None where the catalog does not know it."""

    available: float | None
    how: str
    """In words, for the reason that names it."""


def capacities(node: NodeType, demand: Demand) -> Mapping[str, Capacity]:
    """What the node type has, by constraint; a constraint that does not concern it is absent."""
    return _capacities(node, demand.cluster.reserved_memory_percent, demand.slo.free_memory_percent.mid,
                       demand.slo.p99_ms.tightest_ms, demand.application.hot_percent is not None)


@functools.lru_cache(maxsize=1024)
def _capacities(node: NodeType, reserved: float, free: float, tightest_ms: float,
                knows_hot: bool) -> Mapping[str, Capacity]:
    usable = node.usable_bytes(reserved)
    tier = "" if node.ssd_bytes is None else (
        f"; cold values lie on {node.ssd_bytes / 1e9:,.0f} GB of SSD" if knows_hot else
        ", without its SSD: application.hot_percent is not said")
    found = {
        "memory": Capacity(usable * (1.0 - free / 100.0),
                           f"{usable / 1e6:,.0f} MB usable less {free:g} % kept free{tier}"),
        "cpu": Capacity(ENGINE_CORE_SHARE,
                        f"{100.0 * ENGINE_CORE_SHARE:g} % of the one core that runs commands"),
        "latency": Capacity(tightest_ms, "the tightest promised p99"),
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
    return MappingProxyType(found)


def fits(node: NodeType, demand: Demand, need: Needs, months: slice = _ALL, *, rows: Indices | slice = _ALL,
         shards: int = 1, replicas: int = 1, engine: str | None = None) -> Bools:
    """Where the node type has enough of everything, in these worlds and months, (rows, months).

    Nowhere, if the catalog lacks a fact about it.
    """
    worlds, columns = need.users[:, months].shape
    may_be = np.ones(worlds if isinstance(rows, slice) else len(rows), dtype=np.bool_)
    is_sure, asked = may_be.copy(), []
    for name, values, limit in limits_of(node, demand, need, rows, shards=shards, replicas=replicas,
                                         engine=engine):
        # Most worlds are far from most limits: only those on both sides of one are held to every month.
        is_kept = need.most(name, values, months, shards, engine)[rows] <= limit
        may_be &= need.least(name, values, months, shards, engine)[rows] <= limit
        is_sure &= is_kept
        if not is_kept.all():
            asked.append((values[:, months], limit))
    enough = np.repeat(may_be, columns).reshape(-1, columns)
    near = np.flatnonzero(may_be & ~is_sure)
    some = _ALL if _FEW * near.size > len(enough) else near
    for values, limit in asked:
        enough[some] &= values[some if isinstance(rows, slice) else rows[some]] <= limit[some, None]
    return enough


def limits_of(node: NodeType, demand: Demand, need: Needs, rows: Indices | slice = _ALL, *, shards: int = 1,
              replicas: int = 1, engine: str | None = None) -> Iterator[Limit]:
    """One by one; where a fact is not known, a single one that nothing keeps."""
    available: dict[str, float] = {}
    for constraint, capacity in capacities(node, demand).items():
        if capacity.available is None:
            return iter([("users", need.users, np.full(len(need.users), -np.inf)[rows])])
        available[constraint] = capacity.available
    return need.limits(node, available, rows, shards=shards, replicas=replicas, engine=engine)
