"""What is believed of failures before anybody has counted or drilled: wide intervals, each with its source.

AWS publishes neither failure rates of nodes nor firm recovery times. What its pages do say stands beside
each number; where they say nothing, the source begins with "guess". The names are those of the demand's
[failures].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from amply_capacity.interval import Interval

__all__ = ["PRIORS", "REFILL_SPREAD", "SLA_PERCENT", "SNAPSHOT_HOURS", "Prior", "Promise"]

_AUTO_FAILOVER = "AWS, Minimizing downtime with Multi-AZ (AutoFailover), 2026"
_MAINTENANCE = "AWS, ElastiCache managed maintenance and service updates (help page)"
_SLA = "AWS Database Blog, February 2023, on the ElastiCache SLA"


@dataclass(frozen=True, slots=True)
class Prior:
    """A number that nobody has measured, what it is, and why it is believed."""

    what: str
    value: Interval
    source: str


@dataclass(frozen=True, slots=True)
class Promise:
    """What AWS' service level agreement promises of a month; below it a part of the bill is credited."""

    percent: float
    source: str


PRIORS: Mapping[str, Prior] = MappingProxyType({
    "per_node_year": Prior(
        "failures of a node per year", Interval(0.05, 0.3, 2.0),
        "guess: AWS publishes no failure rate of a node"),
    "minutes_single": Prior(
        "minutes without Redis when a single node fails", Interval(5.0, 10.0, 20.0),
        "“several minutes” to a new, empty node: AWS, Mitigating failures (FaultTolerance), 2023; its bounds "
        "are a guess"),
    "minutes_restore": Prior(
        "minutes without Redis when a single node fails and its last snapshot is restored",
        Interval(15.0, 40.0, 120.0),
        "guess: an alarm, a person, a new cluster of the backup, and its new endpoint rolled out; "
        "ElastiCache does not restore by itself"),
    "minutes_replica": Prior(
        "minutes without Redis when a replica takes over", Interval(0.3, 0.7, 2.0),
        f"promotion takes “typically just a few seconds”: {_AUTO_FAILOVER}; to notice the failure, DNS and "
        "reconnecting are a guess"),
    "replication_lag_seconds": Prior(
        "replication lag in seconds", Interval(0.001, 0.05, 1.0),
        f"guess; that replication is asynchronous: {_AUTO_FAILOVER}"),
    "reconnect_seconds": Prior(
        "seconds of those until clients are back once the replica serves", Interval(1.0, 5.0, 20.0),
        "guess: a DNS name that lives 5 s at most (AWS, best practices for clients), and a pause between two "
        "attempts"),
    "zone_share": Prior(
        "share of the failures that take the whole Availability Zone along", Interval(0.01, 0.05, 0.2),
        "guess: AWS publishes no rate of either"),
    "maintenance_per_year": Prior(
        "replacements of the primary for maintenance per year", Interval(1.0, 2.0, 6.0),
        f"guess; “from time to time”: {_MAINTENANCE}"),
    "maintenance_seconds": Prior(
        "seconds without Redis at each, whatever the set-up", Interval(1.0, 5.0, 30.0),
        f"up to a few seconds; a single node, too, is replicated first and then failed over: {_MAINTENANCE}; "
        "its bounds are a guess"),
})
"""By their keys in the demand's [failures]."""

REFILL_SPREAD = Prior(
    "seconds until the cache is warm again over those by the law of expiry at equal popularity",
    Interval(0.4, 1.0, 2.5), "guess: some keys are read more often than others, and a database may be slower "
                             "while it is asked for all of them")

SNAPSHOT_HOURS = Prior("hours between two automatic snapshots", Interval.exact(24.0),
                       "AWS, Scheduling automatic backups: one a day")

SLA_PERCENT: Mapping[bool, Promise] = MappingProxyType({
    False: Promise(99.5, f"{_SLA}: Single-AZ"),
    True: Promise(99.99, f"{_SLA}: Multi-AZ"),
})
"""By whether the nodes of a shard lie in several Availability Zones."""
