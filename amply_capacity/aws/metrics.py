"""Which metrics of ElastiCache there are, with which statistic each is asked for, and its column in a run.

Source: ElastiCache User Guide, "Metrics for Valkey and Redis OSS" and "Host-Level Metrics", 2026. A metric
that is published and not known here is imported as well, as its average.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["CREDITS", "CREDITS_EVERY_S", "NAMESPACE", "Listed", "Query", "is_count", "node_queries"]

NAMESPACE = "AWS/ElastiCache"
NODE, NODE_PART, TIER = "CacheClusterId", "CacheNodeId", "Tier"
CREDITS, CREDITS_EVERY_S = frozenset({"CPUCreditBalance", "CPUCreditUsage"}), 300
"""Published every five minutes only."""
_MINUTE_S = 60
_COUNTS = frozenset({
    "ActiveDefragHits", "AuthenticationFailures", "BytesReadFromDisk", "BytesWrittenToDisk", "CPUCreditUsage",
    "CacheHits", "CacheMisses", "ChannelAuthorizationFailures", "CommandAuthorizationFailures",
    "DatabaseAuthorizationFailures", "DurabilityBufferExceededErrorCount", "ErrorCount", "Evictions",
    "IamAuthenticationExpirations", "IamAuthenticationThrottling", "KeyAuthorizationFailures",
    "MajorPageFaults", "NetworkBytesIn", "NetworkBytesOut", "NetworkPacketsIn", "NetworkPacketsOut",
    "NewConnections", "NumItemsReadFromDisk", "NumItemsWrittenToDisk", "ProcessedCommands", "Reclaimed",
    "ReclaimedFields", "RejectedConnections", "ReplicationBytes",
})
_COUNT_ENDINGS = ("Cmds", "AllowanceExceeded")
_AVERAGE, _SUM, _MOST, _LEAST = "Average", "Sum", "Maximum", "Minimum"
_EXTREMES: Mapping[str, str] = {
    "BytesUsedForCache": _MOST, "CPUCreditBalance": _LEAST, "CPUUtilization": _MOST, "CurrConnections": _MOST,
    "DatabaseMemoryUsagePercentage": _MOST, "EngineCPUUtilization": _MOST, "FreeableMemory": _LEAST,
    "ReplicationLag": _MOST, "SwapUsage": _MOST,
}
"""Of a period longer than a minute, the value that limits what a node can take beside the average."""
_PERCENTILES: Mapping[str, tuple[str, ...]] = {
    "SuccessfulReadRequestLatency": ("p99",), "SuccessfulWriteRequestLatency": ("p99",),
}


@dataclass(frozen=True, slots=True)
class Listed:
    """One metric as CloudWatch lists it."""

    name: str
    dimensions: tuple[tuple[str, str], ...]
    """Sorted."""

    @property
    def node(self) -> str | None:
        """The cache cluster that it is of; None for Serverless and global datastores."""
        return dict(self.dimensions).get(NODE)


@dataclass(frozen=True, slots=True)
class Query:
    """One series to be asked for."""

    node: str
    """The cache cluster's id, which is a node of a replication group, or a cluster of one node."""
    metric: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str
    column: str
    """Of `server.parquet`: the metric's name; with its statistic where that is a second one of it."""

    @property
    def is_percentile(self) -> bool:
        return self.statistic.startswith("p")

    def per_second(self, period_s: int) -> float:
        """What a value is multiplied by: a run holds counts per second."""
        return 1.0 / period_s if self.statistic == _SUM else 1.0


def is_count(metric: str) -> bool:
    """Whether it counts what happened in a period, instead of showing a state."""
    return metric in _COUNTS or metric.endswith(_COUNT_ENDINGS)


def node_queries(node: str, listed: Iterable[Listed], period_s: int) -> tuple[Query, ...]:
    """What to ask of one node, of all the metrics listed for it, ordered by column.

    The node's own series is taken; where a metric is listed for the cluster alone, that. Of data tiering the
    memory's series has the metric's plain name, the disk's has `.SSD` behind it.
    """
    chosen: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {}
    for one in sorted(listed, key=_specific):
        suffix = _suffix(one)
        if one.node == node and suffix is not None:
            chosen[one.name + suffix] = one.name, one.dimensions
    queries = [Query(node, metric, dimensions, statistic, column + suffix)
               for column, (metric, dimensions) in chosen.items()
               for statistic, suffix in _statistics(metric, period_s)]
    return tuple(sorted(queries, key=lambda query: query.column))


def _specific(one: Listed) -> tuple[bool, bool]:
    """Those that are chosen where there are several of a name come last."""
    names = dict(one.dimensions)
    return NODE_PART in names, TIER not in names


def _suffix(one: Listed) -> str | None:
    """None where it is of something else than a node."""
    names = dict(one.dimensions)
    if set(names) - {NODE, NODE_PART, TIER} or NODE not in names:
        return None
    return f".{names[TIER]}" if names.get(TIER, "Memory") != "Memory" else ""


def _statistics(metric: str, period_s: int) -> list[tuple[str, str]]:
    """Each with what stands behind the column's name; the first has the plain one."""
    if is_count(metric):
        return [(_SUM, "")]
    extra = (_EXTREMES[metric],) if metric in _EXTREMES and period_s > _MINUTE_S else ()
    return [(_AVERAGE, ""), *((one, f".{one}") for one in (*extra, *_PERCENTILES.get(metric, ())))]
