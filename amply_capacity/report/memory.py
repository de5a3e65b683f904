"""`predict memory`, answered as JSON-able content: of a keyspace file, or of a demand with a run's keys."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from amply_capacity.catalog.nodes import DEFAULT_RESERVED_MEMORY_PERCENT, NodeType, node_type
from amply_capacity.interval import Interval
from amply_capacity.model.allocator import BUNDLED, DEBIAN, Allocator
from amply_capacity.model.bill import Bill
from amply_capacity.model.layout import Layout
from amply_capacity.model.layouts import layout_of
from amply_capacity.model.memory import Server, bill_of
from amply_capacity.model.peaks import Circumstances
from amply_capacity.model.shapes import checks, shapes_of
from amply_capacity.plan.demand import load_demand
from amply_capacity.plan.memory import Holder, for_users
from amply_capacity.plan.memory_prediction import POLICIES, predict_memory
from amply_capacity.plan.worlds import Worlds
from amply_capacity.run.keyspace import read_keyspace
from amply_capacity.run.reader import read_run

__all__ = ["ALLOCATORS", "ENGINES", "MemoryQuestion", "of_demand", "of_keyspace"]

ALLOCATORS = {"auto": (BUNDLED, DEBIAN), "bundled": (BUNDLED,), "debian": (DEBIAN,)}
"""The first is what is predicted with, the bounds hold the others."""
ENGINES = {"redis": "7.1", "valkey": "8.1"}
"""With the version that is taken where none is given."""
_APPLICATION_COMMANDS = Interval(8.0, 14.0, 25.0)
_REDIS_MAXCLIENTS = 10_000


@dataclass(frozen=True, slots=True)
class MemoryQuestion:
    """What is asked about the server; None is what the demand says, or what is usual."""

    allocator: str = "auto"
    engine: str | None = None
    version: str | None = None
    node_type: str | None = None
    maxmemory_bytes: int | None = None
    reserved_memory_percent: float | None = None
    policy: str = "volatile-lru"
    replicas: int | None = None
    is_cluster: bool = False
    busy_connections: int | None = None
    idle_connections: int = 0
    tracks_latency: bool = False
    """Whether latency-tracking is on: ElastiCache's default is no."""
    writes_per_second: float | None = None
    lost_expires_per_day: float | None = None

    def faults(self) -> list[str]:
        """What is wrong with it, all at once, by the command's options."""
        found = [f"--{name} {value!r} is none of {', '.join(known)}" for name, value, known in (
            ("allocator", self.allocator, tuple(ALLOCATORS)), ("policy", self.policy, POLICIES),
            ("engine", self.engine or "redis", tuple(ENGINES))) if value not in known]
        found += [f"--{name} {value:g} is less than 0" for name, value in (
            ("connections", self.busy_connections), ("idle-connections", self.idle_connections),
            ("replicas", self.replicas), ("writes-per-second", self.writes_per_second),
            ("lost-expires-per-day", self.lost_expires_per_day)) if value is not None and value < 0]
        found += [f"--{name} {value:g} is no number" for name, value in (
            ("writes-per-second", self.writes_per_second),
            ("lost-expires-per-day", self.lost_expires_per_day))
            if value is not None and not math.isfinite(value)]
        percent = self.reserved_memory_percent
        if percent is not None and not 0.0 <= percent < 100.0:
            found.append(f"--reserved-memory-percent {percent:g} is not from 0 to below 100")
        if self.version is not None and not re.fullmatch(r"\d+(\.\d+)*", self.version):
            found.append(f"--engine-version {self.version!r} is no version such as 7.1")
        return found


def of_keyspace(path: Path, question: MemoryQuestion) -> dict[str, Any]:
    """The bill of a keyspace file. Raises BadInput with the file's faults, and UnknownName."""
    shapes = read_keyspace(path)
    node = node_type(question.node_type) if question.node_type else None
    server = _server(question, node, question.replicas or 0, question.busy_connections or 0)
    writes = question.writes_per_second
    connections = float(server.busy_connections + server.idle_connections)
    around = Circumstances(server.busy_connections, connections,
                           None if writes is None else Interval.exact(writes),
                           node.replica_output_buffer_bytes if node and server.replicas else None)
    bills = [bill_of(shapes, layout, server, around)
             for layout in _layouts(question, question.engine or "redis")]
    bill = bills[0]
    for other in bills[1:]:
        bill = bill.widened(other)
    limit = _limit(question, node, question.reserved_memory_percent)
    notes = _notes(question, bill, server)
    if writes is None:
        notes.append("pages copied while a snapshot is written are left out: nobody has said how many writes "
                     "a second there are (--writes-per-second)")
    return {**bill.as_json(), "source": str(path), "users": None, "node_type": question.node_type,
            "headroom": None if limit is None else _headroom(bill, limit, question.policy), "notes": notes}


def of_demand(run: str, demand_file: Path, question: MemoryQuestion, *, users: int | None = None,
              worlds: Worlds | None = None) -> dict[str, Any]:
    """The prediction for a demand, with keys as a run shows them.

    `users` are the registered ones instead of the demand's. Raises BadRun, BadDemand and UnknownName.
    """
    recorded = read_run(run)
    demand = load_demand(demand_file)
    if users is not None:
        demand = for_users(demand, users)
    if question.replicas is not None:
        demand = replace(demand, cluster=replace(demand.cluster, replicas=question.replicas))
    node = node_type(question.node_type or demand.cluster.node_type)
    reserved = question.reserved_memory_percent
    limit = _limit(question, node, demand.cluster.reserved_memory_percent if reserved is None else reserved)
    shapes = shapes_of(recorded)
    server = _server(question, node, demand.cluster.replicas, 0)
    lost = question.lost_expires_per_day
    holders = [Holder(layout, server, question.busy_connections, limit,
                      lost_expires_per_day=None if lost is None else Interval.exact(lost))
               for layout in _layouts(question, question.engine or demand.cluster.engine)]
    prediction = predict_memory(
        demand, shapes, holders[0], others=tuple(holders[1:]), policy=question.policy,
        start=datetime.fromisoformat(str(recorded.manifest["started_at"])).date(), worlds=worlds,
        replica_output_limit_bytes=node.replica_output_buffer_bytes)
    found = checks(recorded, shapes)
    notes = _notes(question, prediction.bill, server)
    notes += _demand_notes(question)
    notes += [f"the run measured {one.measured.mid:,.0f} bytes for one of its {one.what}, its lengths come "
              f"to {one.computed.mid:,.0f}: look at the run" for one in found if not one.agrees]
    return {**prediction.as_json(), "source": recorded.name, "users": round(demand.users.registered.mid),
            "node_type": node.name, "horizon_months": demand.plan.horizon_months,
            "checks": [one.as_json() for one in found], "notes": notes}


def _layouts(question: MemoryQuestion, engine: str) -> list[Layout]:
    kind = layout_of(engine, question.version or ENGINES[engine])
    allocators: Sequence[Allocator] = ALLOCATORS[question.allocator]
    return [kind(allocator, is_cluster=question.is_cluster) for allocator in allocators]


def _server(question: MemoryQuestion, node: NodeType | None, replicas: int, busy: int) -> Server:
    return Server(
        busy_connections=busy, idle_connections=question.idle_connections,
        maxclients=node.maxclients if node else _REDIS_MAXCLIENTS, replicas=replicas,
        tracked_commands=_APPLICATION_COMMANDS if question.tracks_latency else None)


def _limit(question: MemoryQuestion, node: NodeType | None, reserved_percent: float | None) -> int | None:
    if question.maxmemory_bytes is not None:
        return question.maxmemory_bytes
    if node is None:
        return None
    reserved = DEFAULT_RESERVED_MEMORY_PERCENT if reserved_percent is None else reserved_percent
    return node.usable_bytes(reserved)


def _headroom(bill: Bill, limit: int, policy: str) -> dict[str, Any]:
    """What is left of maxmemory; below 0 it is not enough."""
    left = Interval(limit - bill.used.high, limit - bill.used.mid, limit - bill.used.low)
    can_write = policy.startswith("allkeys-") or (
        bill.unevictable.mid < limit if policy.startswith("volatile-") else bill.used.mid < limit)
    return {"maxmemory_bytes": limit, "policy": policy, "free_bytes": round(left.mid),
            "free_low": round(left.low), "free_high": round(left.high), "evicts_now": left.mid < 0
            and policy != "noeviction", "writes_fail_now": not can_write}


def _notes(question: MemoryQuestion, bill: Bill, server: Server) -> list[str]:
    notes = []
    if question.allocator == "auto":
        notes.append("the allocator is not known: predicted with jemalloc as Redis brings it, the bounds "
                     "hold Debian's as well (--allocator)")
    if bill.verified_on is None:
        notes.append(f"UNVERIFIED: the sizes of {bill.layout} follow from its source, no such server was "
                     "measured")
    else:
        notes.append(f"sizes as of {bill.layout}, held against {bill.verified_on}")
    if server.tracked_commands is None:
        notes.append("without latency histograms, which ElastiCache's parameter groups leave off "
                     "(--latency-tracking)")
    if question.is_cluster:
        notes.append("in cluster mode, with all keys in one shard")
    if not server.replicas:
        notes.append("without a replication backlog: no replica (--replicas)")
    return notes


def _demand_notes(question: MemoryQuestion) -> list[str]:
    notes = ["keys that have expired and are not reclaimed yet are no part of the sum"]
    if question.lost_expires_per_day is None:
        notes.append("rate keys whose EXPIRE was lost are not counted: how many there are nobody has said "
                     "(--lost-expires-per-day); each blocks its API key for ever")
    return notes
