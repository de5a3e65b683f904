"""What a plan takes as given without having measured it, and what it leaves out; each with its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amply_capacity.interval import Interval
from amply_capacity.plan.demand import Demand, Failures
from amply_capacity.plan.measured import Measured

__all__ = [
    "BACKLOG_BYTES",
    "ELASTICACHE_CONNECTIONS",
    "ENGINE_CORE_SHARE",
    "FRAMING_BYTES",
    "HOST_OVERHEAD_CORES",
    "HOST_TO_NODE_CPU",
    "INDEX_MEMBER_BYTES",
    "SMALLEST_INDEX_BYTES",
    "Assumption",
    "assumptions",
]

HOST_TO_NODE_CPU = Interval(1.0, 1.25, 1.67)
"""CPU of a command on a node over that on the recording host."""
INDEX_MEMBER_BYTES = Interval(64.0, 68.0, 80.0)
"""One 28-character member of a set as a hash table: dictEntry 24–32, sds 32, share of buckets 8–16."""
SMALLEST_INDEX_BYTES = 216.0
"""A user's index with one member: Redis 7.0 with its own jemalloc."""
FRAMING_BYTES = Interval(66.0, 95.0, 150.0)
"""Ethernet, IP, TCP and TLS around one request or reply, which the server does not count."""
HOST_OVERHEAD_CORES = 0.02
ENGINE_CORE_SHARE = 0.9
BACKLOG_BYTES = 1_066_224
ELASTICACHE_CONNECTIONS = 6

_GUESS = "guess; no node was measured"
_DEMAND_FILE = "the demand file"
_LEFT_OUT = "not modelled yet"


@dataclass(frozen=True, slots=True)
class Assumption:
    """`value` is a number, an interval, or None for what the plan leaves out."""

    what: str
    value: float | Interval | None
    source: str

    def as_json(self) -> dict[str, Any]:
        value: Any = self.value
        if isinstance(value, Interval):
            value = {"low": value.low, "mid": value.mid, "high": value.high, "confidence": value.confidence}
        return {"what": self.what, "value": value, "source": self.source}


_FIXED = (
    Assumption("live sessions kept when a single node fails; backups are not restored", 0.0,
               "elasticache-redis.md, Failover; ElastiCache ignores appendonly"),
    Assumption("bytes of one session id more or less in a user's index", INDEX_MEMBER_BYTES,
               "arithmetic over allocator size classes, Redis 7.0 dict.h and sds.h"),
    Assumption("every registered user keeps an index for ever", None,
               "elasticache-redis.md, Session Storage: user_sessions has no TTL"),
    Assumption("bytes of the keyspace's hash tables over those of full-grown ones: sized as while they grow, "
               "old and doubled table together", 1.5, "Redis 7.0 dict.c, incremental rehashing"),
    Assumption("bytes of the replication backlog, counted without a replica too, so that adding one never "
               "needs a bigger node", float(BACKLOG_BYTES), "measured on redis 7.0.15"),
    Assumption("share of one core that commands may fill at the peak", ENGINE_CORE_SHARE,
               "AWS, Which metrics should I monitor: EngineCPUUtilization 90 %"),
    Assumption("cores that a node needs for itself", HOST_OVERHEAD_CORES, _GUESS),
    Assumption("bytes around each request and each reply", FRAMING_BYTES, "guess from header sizes"),
    Assumption("connections that ElastiCache uses itself", float(ELASTICACHE_CONNECTIONS),
               "AWS, Metrics for Valkey and Redis OSS: CurrConnections"),
    Assumption("burstable nodes run in standard credit mode: the day's mean has to stay below the baseline; "
               "whether a balance outlasts a long peak is not simulated", None, "AWS, Supported node types"),
    Assumption("the reserved memory holds fragmentation, copy-on-write during a backup, and keys that have "
               "expired but are not reclaimed yet", None, _LEFT_OUT),
    Assumption("a minute of breached SLO is priced in the demand but enters no figure", None, _LEFT_OUT),
    Assumption("prices stay as they are over the horizon, and replicas as in the first month", None,
               _LEFT_OUT),
)


def assumptions(demand: Demand, figures: Measured) -> tuple[Assumption, ...]:
    """Every assumption that the figures of a plan rest on, those of this demand and these runs first."""
    failures, priors = demand.failures, Failures()

    def outage(what: str, name: str) -> Assumption:
        value = getattr(failures, name)
        return Assumption(what, value, _GUESS if value == getattr(priors, name) else _DEMAND_FILE)

    cpu_run = figures.run_of.get("cpu_us_per_command", "no run")
    return (
        Assumption("CPU of a command on the node over that on the recording host", HOST_TO_NODE_CPU, _GUESS),
        Assumption("commands per second at which CPU per command was measured; at fewer, each costs more",
                   round(figures.commands_per_second, 1), cpu_run),
        outage("failures of a node per year", "per_node_year"),
        outage("minutes without Redis when a single node fails", "minutes_single"),
        outage("minutes without Redis when a replica takes over", "minutes_replica"),
        outage("replication lag in seconds", "replication_lag_seconds"),
        Assumption(f"bytes and CPU were measured on {figures.runs[0].server} and are taken for "
                   f"{demand.cluster.engine} on a node", None, "the runs"),
        Assumption("percent of the node type's memory that is reserved",
                   demand.cluster.reserved_memory_percent, _DEMAND_FILE),
        *_reserve_advice(demand.cluster.reserved_memory_percent),
        *_FIXED,
    )


def _reserve_advice(reserved_percent: float) -> list[Assumption]:
    """AWS' advice for small nodes, where the demand reserves less."""
    advised = [f"{percent} % on {size} nodes" for size, percent in (("small", 30), ("micro", 50))
               if reserved_percent < percent]
    if not advised:
        return []
    return [Assumption(f"AWS advises to reserve more in production: {' and '.join(advised)}", None,
                       "AWS, Managing reserved memory")]
