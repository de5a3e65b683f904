"""INFO of a server, as the CloudWatch metrics of ElastiCache and as the raw fields that the models need."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from amply_capacity.catalog.nodes import NodeType
from amply_capacity.run.schema import RAW_INFO

__all__ = ["InfoSample", "command_deltas", "sample", "server_row"]


@dataclass(frozen=True, slots=True)
class InfoSample:
    """One INFO, with the time at which it was answered (Unix seconds)."""

    time_s: float
    node: str
    info: Mapping[str, Any]

    @property
    def keys(self) -> int:
        return sum(int(database["keys"]) for database in self._databases())

    @property
    def volatile_keys(self) -> int:
        return sum(int(database["expires"]) for database in self._databases())

    def _databases(self) -> list[Mapping[str, Any]]:
        return [value for name, value in self.info.items()
                if name.startswith("db") and isinstance(value, dict)]

    def number(self, name: str) -> float | None:
        """A field as a number, or None where this server has no such field."""
        value = self.info.get(name)
        return float(value) if isinstance(value, int | float) else None


def sample(client: Any, node: str) -> InfoSample:
    """Ask a redis-py client for INFO with commandstats and latencystats where the server has them."""
    info = client.info("everything")
    return InfoSample(time.time(), node, info)


def server_row(before: InfoSample, after: InfoSample, node_type: NodeType | None) -> dict[str, Any]:
    """One row of `server.parquet`. A figure that this server does not give is left out, never 0.

    `node_type` is the emulated one of a local cluster; without it the host's figures (CPUUtilization,
    FreeableMemory) are absent, since INFO does not know the host.
    """
    seconds = max(after.time_s - before.time_s, 1e-3)

    def rate(name: str) -> float | None:
        first, last = before.number(name), after.number(name)
        return None if first is None or last is None or last < first else (last - first) / seconds

    row: dict[str, float | None] = {}
    process = _total(rate("used_cpu_sys"), rate("used_cpu_user"))
    main = _total(rate("used_cpu_sys_main_thread"), rate("used_cpu_user_main_thread"))
    engine = main if main is not None else process
    row["EngineCPUUtilization"] = None if engine is None else 100.0 * engine
    used, rss = after.number("used_memory"), after.number("used_memory_rss")
    if node_type is not None:
        if process is not None and node_type.vcpu:
            row["CPUUtilization"] = 100.0 * process / node_type.vcpu
        row["FreeableMemory"] = None if rss is None else node_type.memory_bytes - rss
    row["BytesUsedForCache"] = used
    maxmemory, uncounted = after.number("maxmemory"), after.number("mem_not_counted_for_evict")
    if maxmemory and used is not None:
        row["DatabaseMemoryUsagePercentage"] = 100.0 * used / maxmemory
        if uncounted is not None:
            row["DatabaseMemoryUsageCountedForEvictPercentage"] = 100.0 * (used - uncounted) / maxmemory
    row["Evictions"], row["Reclaimed"] = rate("evicted_keys"), rate("expired_keys")
    row["CurrConnections"] = after.number("connected_clients")
    row["NewConnections"] = rate("total_connections_received")
    row["CurrItems"], row["CurrVolatileItems"] = float(after.keys), float(after.volatile_keys)
    hits, misses = rate("keyspace_hits"), rate("keyspace_misses")
    row["CacheHits"], row["CacheMisses"] = hits, misses
    if hits is not None and misses is not None and hits + misses > 0:
        row["CacheHitRate"] = 100.0 * hits / (hits + misses)
    row["NetworkBytesIn"] = rate("total_net_input_bytes")
    row["NetworkBytesOut"] = rate("total_net_output_bytes")
    if after.number("connected_slaves"):
        row["ReplicationBytes"] = rate("master_repl_offset")
    row |= {name: after.number(name.removeprefix("info_")) for name, _ in RAW_INFO}
    known = {name: value for name, value in row.items() if value is not None}
    return {"second": int(after.time_s), "node": after.node, "role": after.info.get("role"), **known}


def command_deltas(before: InfoSample, after: InfoSample) -> list[dict[str, Any]]:
    """Rows of `commands.parquet`: commandstats between two samples, with latencystats where there are any.

    The percentiles are the server's since its statistics began; on a cluster of ours those begin with the
    phase.
    """
    rows = []
    for field, stats in after.info.items():
        if not field.startswith("cmdstat_"):
            continue
        command = field.removeprefix("cmdstat_")
        earlier = before.info.get(field, {})
        calls = int(stats["calls"]) - int(earlier.get("calls", 0))
        if calls <= 0:
            continue
        latency = after.info.get(f"latency_percentiles_usec_{command}", {})
        rows.append({
            "node": after.node, "command": command, "calls": calls,
            "usec": int(stats["usec"]) - int(earlier.get("usec", 0)),
            "rejected_calls": int(stats.get("rejected_calls", 0)) - int(earlier.get("rejected_calls", 0)),
            "failed_calls": int(stats.get("failed_calls", 0)) - int(earlier.get("failed_calls", 0)),
            "p50_us": latency.get("p50"), "p99_us": latency.get("p99"), "p999_us": latency.get("p99.9"),
        })
    return rows


def _total(*rates: float | None) -> float | None:
    known = [rate for rate in rates if rate is not None]
    return sum(known) if len(known) == len(rates) else None
