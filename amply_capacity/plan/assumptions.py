"""What a plan takes as given without having measured it, and what it leaves out; each with its source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amply_capacity.catalog.nodes import node_type
from amply_capacity.interval import Interval
from amply_capacity.model.connections import ELASTICACHE_CONNECTIONS
from amply_capacity.model.credits import HOST_CORES
from amply_capacity.model.failure_priors import PRIORS, REFILL_SPREAD, SNAPSHOT_HOURS
from amply_capacity.model.node_speed import cpu_factor
from amply_capacity.plan.calibrations import Calibration
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.failure_knowledge import Learned
from amply_capacity.plan.measured import Measured

__all__ = [
    "BACKLOG_BYTES",
    "ENGINE_CORE_SHARE",
    "FRAMING_BYTES",
    "INDEX_MEMBER_BYTES",
    "KEY_BYTES",
    "NETWORK_P99_MS",
    "OTHER_ENGINE_BYTES",
    "OTHER_ENGINE_CPU",
    "SHARD_IMBALANCE",
    "SMALLEST_INDEX_BYTES",
    "SSD_READ_MS",
    "Assumption",
    "assumptions",
]

INDEX_MEMBER_BYTES = Interval(64.0, 68.0, 80.0)
"""One 28-character member of a set as a hash table: dictEntry 24–32, sds 32, share of buckets 8–16."""
SMALLEST_INDEX_BYTES = 216.0
"""A user's index with one member: Redis 7.0 with its own jemalloc."""
FRAMING_BYTES = Interval(66.0, 95.0, 150.0)
"""Ethernet, IP, TCP and TLS around one request or reply, which the server does not count."""
ENGINE_CORE_SHARE = 0.9
NETWORK_P99_MS = Interval(0.3, 0.8, 2.0)
"""Of one round trip between application and node, across zones, with the client's own time."""
SHARD_IMBALANCE = Interval(1.02, 1.1, 1.4)
"""The busiest shard over the mean of several: slots are even in number, keys and their traffic are not."""
OTHER_ENGINE_BYTES, OTHER_ENGINE_CPU = Interval(0.8, 0.95, 1.05), Interval(0.8, 1.0, 1.2)
"""An engine without a run over the one that was measured: Valkey 8 and later keep fewer bytes with a key."""
BACKLOG_BYTES = 1_066_224
KEY_BYTES = Interval(96.0, 120.0, 152.0)
"""A key without its value: a name of 24–72 bytes in its sds, an entry of 24 in each of two dictionaries, an
object of 16."""
SSD_READ_MS = 0.3
"""What a read of a cold value of 500 bytes takes longer. Source: AWS, Data tiering."""

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
    Assumption("live sessions kept when a single node fails; a backup is restored where that is said", 0.0,
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
    Assumption("cores that a node needs for itself", HOST_CORES, _GUESS),
    Assumption("bytes around each request and each reply", FRAMING_BYTES, "guess from header sizes"),
    Assumption("connections that ElastiCache uses itself", float(ELASTICACHE_CONNECTIONS),
               "AWS, Metrics for Valkey and Redis OSS: CurrConnections"),
    Assumption("burstable nodes run in standard credit mode, and their balance must never be spent in a "
               "settled week; a new node begins with none, and is throttled at once under a peak", None,
               "AWS, Supported node types; EC2, CPU credits"),
    Assumption("the reserved memory holds fragmentation, copy-on-write during a backup, and keys that have "
               "expired but are not reclaimed yet", None, _LEFT_OUT),
    Assumption("milliseconds of the p99 between application and node, across zones, with the client's own "
               "time: the same on every node", NETWORK_P99_MS.mid,
               f"guess, {NETWORK_P99_MS.low:g} to {NETWORK_P99_MS.high:g} would not surprise"),
    Assumption("prices stay as they are over the horizon, and replicas as in the first month", None,
               _LEFT_OUT),
)


def assumptions(demand: Demand, figures: Measured, calibrations: Sequence[Calibration] = (),
                learned: Sequence[Learned] = ()) -> tuple[Assumption, ...]:
    """Every assumption that the figures of a plan rest on, those of this demand and these runs first.

    `demand` is the one with what was `learned`.
    """
    family = node_type(demand.cluster.node_type).family
    observed = [one.observation for one in calibrations]
    return (
        Assumption(f"CPU of a command on a {family} node over that on the recording host",
                   cpu_factor(family, observed),
                   f"{len(observed)} calibration{'s' * (len(observed) != 1)} of real nodes" if observed else
                   "prior: published speeds of families, and a guess of the host; no node was measured"),
        *_rates_of(figures),
        *_of_failures(demand, learned),
        Assumption(f"bytes and CPU were measured on {figures.runs[0].server} and are taken for "
                   f"{demand.cluster.engine} on a node", None, "the runs"),
        Assumption("percent of the node type's memory that is reserved",
                   demand.cluster.reserved_memory_percent, _DEMAND_FILE),
        *_reserve_advice(demand.cluster.reserved_memory_percent),
        Assumption("days until a cluster that turned out too small is replaced: so long its harm is paid",
                   demand.plan.reaction_days, _DEMAND_FILE),
        *_of_choices(demand, figures),
        *_of_tiering(demand),
        *_FIXED,
    )


def _of_failures(demand: Demand, learned: Sequence[Learned]) -> list[Assumption]:
    """How nodes fail, and how long that lasts: learned, stated, or believed."""
    known = {one.number.partition(".")[2]: one for one in learned}
    found = []
    for name, prior in PRIORS.items():
        value = getattr(demand.failures, name) or prior.value
        source = prior.source if value == prior.value else _DEMAND_FILE
        if name in known:
            before = prior.source if known[name].before == prior.value else _DEMAND_FILE
            source = f"{known[name].how}; before: {before}"
        found.append(Assumption(prior.what, value, source))
    refill = demand.failures.refill_seconds
    if "refill_seconds" in known:
        found.append(Assumption("seconds until an emptied cache is warm again", refill,
                                known["refill_seconds"].how))
    elif refill is not None:
        found.append(Assumption("seconds until an emptied cache is warm again", refill, _DEMAND_FILE))
    else:
        found.append(Assumption(REFILL_SPREAD.what, REFILL_SPREAD.value, REFILL_SPREAD.source))
    return [*found, Assumption(SNAPSHOT_HOURS.what, SNAPSHOT_HOURS.value.mid, SNAPSHOT_HOURS.source)]


def _of_choices(demand: Demand, figures: Measured) -> list[Assumption]:
    """Of what may be chosen besides one shard of the engine that was measured."""
    found = []
    for engine in demand.engines:
        if engine != figures.engine:
            source = f"guess; no run was made on {engine}"
            found += [Assumption(f"bytes of a key on {engine} over those on {figures.engine}",
                                 OTHER_ENGINE_BYTES, source),
                      Assumption(f"CPU of a command on {engine} over that on {figures.engine}",
                                 OTHER_ENGINE_CPU, source)]
    if demand.application.cluster_mode:
        found.append(Assumption("the busiest of several shards over their mean", SHARD_IMBALANCE,
                                "guess: slots are even in number, keys and their traffic are not"))
    return found


def _of_tiering(demand: Demand) -> list[Assumption]:
    hot = demand.application.hot_percent
    if hot is None:
        return []
    return [
        Assumption("percent of the values' bytes that data tiering keeps in memory, as it does all keys",
                   hot, _DEMAND_FILE),
        Assumption("bytes of a key without its value: its name, two entries, an object", KEY_BYTES,
                   "arithmetic over allocator size classes, Redis 7.0 dict.h and sds.h"),
        Assumption("milliseconds more at the p99 where cold values lie on an SSD", SSD_READ_MS,
                   "AWS, Data tiering: about 300 microseconds for 500 bytes"),
        Assumption("no cluster is scaled to data tiering or from it: that way leads over a new cluster", None,
                   "AWS, Data tiering"),
    ]


def _rates_of(figures: Measured) -> list[Assumption]:
    if figures.cpu is None:
        return []
    return [Assumption("round trips a second at which CPU was measured; what lies outside follows the law of "
                       "idle gaps", Interval(figures.cpu.slowest_per_second, figures.cpu.slowest_per_second,
                                             figures.cpu.fastest_per_second),
                       f"{figures.cpu.samples} samples, of {figures.run_of['CPU per command']} and others "
                       "like it")]


def _reserve_advice(reserved_percent: float) -> list[Assumption]:
    """AWS' advice for small nodes, where the demand reserves less."""
    advised = [f"{percent} % on {size} nodes" for size, percent in (("small", 30), ("micro", 50))
               if reserved_percent < percent]
    if not advised:
        return []
    return [Assumption(f"AWS advises to reserve more in production: {' and '.join(advised)}", None,
                       "AWS, Managing reserved memory")]
