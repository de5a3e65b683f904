"""The application's connections: how many there are, what they take, and what happens when all come at once.

Each worker process of each task has a pool of its own; a pool opens a connection when a command finds none
free, and never closes one itself. The server closes one that was idle for `timeout` seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import Any

from amply_capacity.catalog.nodes import NodeType
from amply_capacity.errors import BadInput
from amply_capacity.interval import Interval
from amply_capacity.model.connection import connection_bytes
from amply_capacity.model.layout import Layout
from amply_capacity.model.pool import SPEC_POOL

__all__ = ["ACCEPT_CPU_US", "ADVISED_NEW_PER_MINUTE", "ELASTICACHE_CONNECTIONS", "HANDSHAKE_CPU_US",
           "SPEC_ALARM", "SPEC_TIMEOUT_S", "Connections", "ConnectionsFit", "PoolAtRest", "Storm",
           "connections_fit", "pool_at_rest", "storm_of", "tasks_at_alarm"]

ELASTICACHE_CONNECTIONS = 6
"""Four to six that ElastiCache itself holds (AWS, Metrics for Valkey and Redis OSS: CurrConnections)."""
SPEC_ALARM = 100
"""The specification's alarm fires above so many CurrConnections."""
SPEC_TIMEOUT_S = 300.0
ACCEPT_CPU_US = Interval(8.0, 30.0, 100.0)
"""Server CPU of a connection that is accepted and asks its first command, µs.

Measured on redis 7.0.15, 300 to 1,000 at a time on loopback: 19 on one host (9 to accept, 10 for the
command), 63 to 99 on another whose system calls cost more. The lower bound is a guess."""
HANDSHAKE_CPU_US = Interval(250.0, 560.0, 1_700.0)
"""What TLS adds, µs: measured 500 to 550 on the one host and 1,160 to 1,240 on the other, with an ECDSA
certificate and TLS 1.3, 30 more at the first command. The upper bound is a guess for a certificate of RSA
with 2,048 bits on a slower core."""
ADVISED_NEW_PER_MINUTE = 1_000
"""NewConnections a minute above which AWS' agent toolkit has an alarm (alarm-packs, 2026-08)."""
_BACKLOG = 511
"""Connections that wait for their accept; `tcp-backlog`. More have to try again after a second."""


@dataclass(frozen=True, slots=True)
class Connections:
    """Who connects: tasks, the worker processes of each, and the connections of a worker's pool at most."""

    tasks: int
    workers_per_task: int = 2
    pool: int = SPEC_POOL

    def __post_init__(self) -> None:
        if min(self.tasks, self.workers_per_task, self.pool) < 0:
            raise BadInput("tasks, workers and pools are counted from 0",
                           got=f"{self.tasks} tasks × {self.workers_per_task} workers × {self.pool}",
                           do="give numbers from 0")

    @property
    def most(self) -> int:
        """All pools full, as after a stall or a peak of the load."""
        return self.tasks * self.workers_per_task * self.pool


@dataclass(frozen=True, slots=True)
class ConnectionsFit:
    """A node type's connections with all pools full; bytes of `used_memory`."""

    most: int
    available: int
    """maxclients less ElastiCache's own."""
    alarm_fires: bool
    """More than SPEC_ALARM."""
    idle_bytes: float
    busy_bytes: Interval
    burst_bytes: float
    """All just opened, and each has asked its first command."""

    @property
    def fits(self) -> bool:
        return self.most <= self.available

    @property
    def headroom_share(self) -> float:
        """What is left of the available ones; below 0 where they do not suffice."""
        return 1.0 - self.most / self.available

    def as_json(self) -> dict[str, Any]:
        return {"connections": self.most, "available": self.available, "fits": self.fits,
                "headroom_share": round(self.headroom_share, 4), "spec_alarm_fires": self.alarm_fires,
                "idle_bytes": round(self.idle_bytes), "burst_bytes": round(self.burst_bytes),
                "busy_bytes": self.busy_bytes.rounded(6)}


@dataclass(frozen=True, slots=True)
class Storm:
    """All connections are opened anew, as after a failover or a restart of the node."""

    connections: int
    seconds: float
    """In which the clients come."""
    cpu_seconds: Interval
    """Of the server's one thread."""
    bytes: float
    """Of `used_memory` at its height; see ConnectionsFit.burst_bytes."""
    retried: Interval
    """Connections that find the backlog full, and come a second later or more."""

    @property
    def per_second(self) -> float:
        """NewConnections a second, mean."""
        return self.connections / self.seconds

    @property
    def busy_share(self) -> Interval:
        """Of the thread, while the clients come; above 1, they wait longer."""
        return self.cpu_seconds.scaled(1.0 / self.seconds)

    @property
    def exceeds_advised_alarm(self) -> bool:
        """More new connections in a minute than ADVISED_NEW_PER_MINUTE."""
        return self.connections * min(60.0 / self.seconds, 1.0) > ADVISED_NEW_PER_MINUTE

    def as_json(self) -> dict[str, Any]:
        return {"connections": self.connections, "seconds": self.seconds,
                "new_connections_per_second": round(self.per_second, 1), "bytes": round(self.bytes),
                "cpu_seconds": self.cpu_seconds.rounded(6), "busy_share": self.busy_share.rounded(6),
                "retried_connections": self.retried.rounded(6),
                "exceeds_advised_alarm": self.exceeds_advised_alarm}


@dataclass(frozen=True, slots=True)
class PoolAtRest:
    """One worker's pool at a steady load, under the server's `timeout`."""

    open: float
    """Connections, mean."""
    closed_per_hour: float
    """By the server for being idle; each is opened again when it is needed next."""

    def of(self, connections: Connections) -> tuple[float, float]:
        """CurrConnections, and NewConnections an hour, of all workers."""
        workers = connections.tasks * connections.workers_per_task
        return workers * self.open, workers * self.closed_per_hour


def tasks_at_alarm(workers_per_task: int = 2, pool: int = SPEC_POOL, alarm: int = SPEC_ALARM) -> int:
    """The fewest tasks whose full pools are more than `alarm` connections: 3 for the specification's figures.

    3 tasks × 2 workers × 20 = 120 > 100. Raises BadInput without workers or a pool.
    """
    each = workers_per_task * pool
    if each <= 0:
        raise BadInput("a task without connections never reaches an alarm",
                       got=f"{workers_per_task} workers × {pool}", do="give at least one of each")
    return alarm // each + 1


def connections_fit(connections: Connections, node: NodeType, layout: Layout) -> ConnectionsFit:
    """All pools full, against the node type's `maxclients`, and the memory that they take."""
    each, most = connection_bytes(layout), connections.most
    return ConnectionsFit(most, node.maxclients - ELASTICACHE_CONNECTIONS, most > SPEC_ALARM,
                          most * each.idle, each.busy.scaled(float(most)), most * each.burst)


def storm_of(connections: Connections, layout: Layout, *, seconds: float = 1.0, has_tls: bool = False,
             cpu_factor: Interval | None = None) -> Storm:
    """All pools are filled anew within `seconds`; `cpu_factor` is a node's CPU time over the measured host's.

    Raises BadInput for no time. What TLS allots itself is not in `used_memory`, and not here.
    """
    if seconds <= 0.0:
        raise BadInput("a storm takes some time", got=f"{seconds:g} s", do="give seconds above 0")
    factor = cpu_factor or Interval.exact(1.0)
    each_us = [getattr(ACCEPT_CPU_US, bound) + (getattr(HANDSHAKE_CPU_US, bound) if has_tls else 0.0)
               for bound in ("low", "mid", "high")]
    most = connections.most
    cpu = Interval(*(most * us / 1e6 * getattr(factor, bound)
                     for us, bound in zip(each_us, ("low", "mid", "high"), strict=True)))
    # Those that come faster than they are accepted wait in the backlog.
    waiting = [max(most * (1.0 - seconds / max(one, seconds)) - _BACKLOG, 0.0)
               for one in (cpu.low, cpu.mid, cpu.high)]
    return Storm(most, seconds, cpu, most * connection_bytes(layout).burst, Interval(*waiting))


def pool_at_rest(commands_per_second: float, holding_s: float, *, connections: int = SPEC_POOL,
                 timeout_s: float = SPEC_TIMEOUT_S) -> PoolAtRest:
    """How many connections of a worker's pool stay open, and how many the server closes.

    redis-py takes the connection released last (a list: `pop`, `append`), so the k-th from the top is used
    only when k are needed at once. That happens at rate · P(k − 1 are busy), with Erlang's probabilities
    at Poisson commands, each held for `holding_s` in the mean. One is closed when no k were needed for
    `timeout_s` (networking.c, clientsCronHandleTimeout, looks once a second). Raises BadInput for negatives.
    """
    if min(commands_per_second, holding_s, timeout_s) < 0.0 or connections < 1:
        raise BadInput("a pool needs a rate and times from 0, and a connection",
                       got=f"{commands_per_second:g}/s, {holding_s:g} s, {connections} connections",
                       do="give numbers from 0, and at least one connection")
    offered = commands_per_second * holding_s
    weights = [1.0]
    for number in range(1, connections + 1):
        weights.append(weights[-1] * offered / number)
    total, fewer = sum(weights), 0.0
    kept = closed = 0.0
    for weight in weights[:-1]:
        fewer += weight / total  # of the time fewer than k are busy
        begins = commands_per_second * weight / total  # k are needed at once, times a second
        lasts = exp(-begins / fewer * timeout_s)  # share of the times with fewer that outlast the timeout
        kept += 1.0 - fewer * lasts
        closed += begins * lasts
    return PoolAtRest(kept, 3_600.0 * closed)
