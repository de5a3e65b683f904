"""Two weeks of production, made up: `data/examples/production`, written as an import writes it.

Amply's one cache.t3.micro, with what the specification and the demand's example say of it: 25,000 users
who ask by day and less at weekends, sessions that live for a week, an index that grows. Made up on purpose: a
gap of half an hour in the first week, deploys that open every pool anew, and an import job one night that
spends the CPU credits. No figure of it was measured anywhere; its `run.json` says so.

`python -m amply_capacity.aws.example` makes it anew, the same for the same version.
"""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from amply_capacity.aws.cloudwatch import Series, Window
from amply_capacity.aws.elasticache import CLUSTER, PRIMARY, Cache, Inventory, Node
from amply_capacity.aws.import_run import NodeSeries, write_run
from amply_capacity.aws.metrics import NAMESPACE, NODE, NODE_PART, Listed, node_queries
from amply_capacity.catalog.nodes import node_type
from amply_capacity.files import DATA_DIR
from amply_capacity.traffic.arrivals import day_weights

__all__ = ["DIRECTORY", "make_example"]

DIRECTORY = DATA_DIR / "examples" / "production"

Floats = NDArray[np.float64]
_PERIOD_S, _DAYS = 300, 14
_BEGIN = datetime(2026, 11, 9, tzinfo=UTC)
"""A Monday."""
_NAME, _NODE_TYPE = "amply-redis-prod", "cache.t3.micro"
_SEED = 20_261_109
_COMMANDS_PER_SECOND, _PEAK, _WEEKEND, _GROWTH_A_DAY = 240.0, 2.6, 0.5, 1.0026
_READS, _HITS = 0.60, 0.885
_US_PER_COMMAND, _IDLE_PERCENT = 95.0, 1.2
"""Engine CPU; and what the host's own processes take of each vCPU."""
_KEYS, _VOLATILE, _BYTES_PER_KEY = 222_000.0, 0.874, 742.0
_USED_AT_START, _INDEX_BYTES_A_DAY = 2.0e6, 0.21e6
_POOLS, _CONNECTIONS = 120, 46.0
_GAP = slice(4 * 288 + 40, 4 * 288 + 46)
_DEPLOYS = (2 * 288 + 118, 9 * 288 + 120)
_JOB = slice(10 * 288 + 6, 10 * 288 + 96)
_JOB_COMMANDS_PER_SECOND = 24_000.0
_BYTES_IN, _BYTES_OUT = 171.0, 322.0


def make_example(directory: Path) -> None:
    """Write the run into a folder that is empty or not there; raises as `write_run` does."""
    window = Window(int(_BEGIN.timestamp()), int(_BEGIN.timestamp()) + _DAYS * 86_400, _PERIOD_S)
    made = _metrics(window)
    listed = [Listed(name, ((NODE, _NAME), (NODE_PART, "0001"))) for name in made if "." not in name]
    queries = node_queries(_NAME, listed, _PERIOD_S)
    series = [_series(made.get(query.column, made[query.metric]), window) for query in queries]
    cache = Cache(
        name=_NAME, kind=CLUSTER, engine="redis", version="7.1.0", node_type=_NODE_TYPE, shards=1, tls=False,
        nodes=(Node(_NAME, PRIMARY, "us-east-1a"),), host=f"{_NAME}.example.0001.use1.cache.amazonaws.com",
        port=6379, parameter_group="amply-redis-params", settings={
            "CacheNodeType": _NODE_TYPE, "Engine": "redis", "EngineVersion": "7.1.0", "NumCacheNodes": 1,
            "SnapshotRetentionLimit": 7, "SnapshotWindow": "03:00-05:00",
            "PreferredMaintenanceWindow": "sun:05:00-sun:06:00"})
    inventory = Inventory("us-east-1", (cache,), None,
                          {"amply-redis-params": {"maxmemory-policy": "volatile-lru", "timeout": "300",
                                                  "reserved-memory-percent": "25"}})
    write_run(directory, cache, inventory, window, [NodeSeries(_NAME, PRIMARY, queries, series)],
              origin=f"made up by amply_capacity.aws.example in the shape of {NAMESPACE}", synthesised=True,
              notes=["no figure of it was measured: it is an example of the form, not of a load"])


def _series(values: Floats, window: Window) -> Series:
    seconds = np.arange(window.start_s, window.end_s, window.period_s)
    is_known = np.ones(len(seconds), np.bool_)
    is_known[_GAP] = False
    return Series(seconds[is_known], values[is_known])


def _metrics(window: Window) -> dict[str, Floats]:
    """By column, as CloudWatch would answer: of counts the sum of a period."""
    rng = np.random.default_rng(_SEED)
    count = window.points
    day = np.arange(count) // 288
    is_weekend = day % 7 >= 5
    week = np.where(is_weekend, _WEEKEND, 1.0) * 7.0 / (5.0 + 2.0 * _WEEKEND)
    shape = np.tile(day_weights(_PEAK, 288), _DAYS) * week
    rate = _COMMANDS_PER_SECOND * shape * _GROWTH_A_DAY**day * _noise(rng, count, 0.05)
    rate[_JOB] += _JOB_COMMANDS_PER_SECOND
    commands = np.round(rate * _PERIOD_S)
    reads = np.round(commands * _READS * _noise(rng, count, 0.01))
    hits = np.round(reads * np.minimum(_HITS * _noise(rng, count, 0.004), 1.0))
    engine = _US_PER_COMMAND * rate * (300.0 / np.maximum(rate, 30.0)) ** 0.25 / 1e4
    host = np.minimum(engine / 2.0 + _IDLE_PERCENT, 51.0)
    keys = np.round(_KEYS * (0.93 + 0.07 * _slow(shape)) * _GROWTH_A_DAY**day)
    index = _INDEX_BYTES_A_DAY * np.arange(count) / 288
    used = _pages(_USED_AT_START + _BYTES_PER_KEY * keys + index)
    connections = np.round(_CONNECTIONS + 30.0 * shape)
    fresh = rng.poisson(2.0, count).astype(np.float64)
    for place in _DEPLOYS:
        fresh[place] += _POOLS
        connections[place] += _POOLS
    node = node_type(_NODE_TYPE)
    percent = 100.0 * used / node.maxmemory_bytes
    balance, usage = _credits(host, node.cpu_credits_per_hour or 0, node.cpu_credits_max or 0)
    made = {
        "CPUUtilization": host, "CPUUtilization.Maximum": np.minimum(1.25 * host, 52.0),
        "EngineCPUUtilization": engine, "EngineCPUUtilization.Maximum": 1.3 * engine,
        "CPUCreditBalance": balance, "CPUCreditUsage": usage,
        "FreeableMemory": _pages(node.memory_bytes - 1.1 * used - 9.0e7),
        "BytesUsedForCache": used, "DatabaseMemoryUsagePercentage": percent,
        "DatabaseMemoryUsageCountedForEvictPercentage": percent - 0.01, "SwapUsage": np.zeros(count),
        "Evictions": np.zeros(count), "Reclaimed": np.round(0.009 * commands),
        "CurrConnections": connections, "NewConnections": fresh, "CurrItems": keys,
        "CurrVolatileItems": np.round(_VOLATILE * keys), "CacheHits": hits, "CacheMisses": reads - hits,
        "CacheHitRate": np.round(100.0 * hits / np.maximum(reads, 1.0), 3), "GetTypeCmds": reads,
        "SetTypeCmds": commands - reads, "ProcessedCommands": commands, "NetworkBytesIn": 1e3 * np.round(
            _BYTES_IN * commands / 1e3), "NetworkBytesOut": 1e3 * np.round(_BYTES_OUT * commands / 1e3),
        "IsMaster": np.ones(count), "SaveInProgress": (np.arange(count) % 288 == 37).astype(np.float64),
    }
    return {name: np.round(values, 3) for name, values in made.items()}


def _pages(values: Floats) -> Floats:
    """In whole pages."""
    result: Floats = np.round(values / 4_096.0) * 4_096.0
    return result


def _noise(rng: np.random.Generator, count: int, deviation: float) -> Floats:
    """Factors around 1, each much like the one before, as minutes of real traffic are."""
    steps = rng.normal(0.0, deviation * np.sqrt(1.0 - 0.8**2), count)
    values = np.empty(count)
    last = 0.0
    for place, step in enumerate(steps):
        last = values[place] = 0.8 * last + step
    return np.exp(values)


def _slow(shape: Floats) -> Floats:
    """The day's shape, smoothed over hours and between 0 and 1: keys follow the load with their TTL."""
    kernel = np.ones(72) / 72
    padded = np.concatenate([shape[-72:], shape, shape[:72]])
    smooth = np.convolve(padded, kernel, mode="same")[72:-72]
    result: Floats = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return result


def _credits(host_percent: Floats, per_hour: int, most: int) -> tuple[Floats, Floats]:
    """Balance at the end of each period and what was spent in it, vCPU-minutes, of two vCPUs."""
    spent = host_percent / 100.0 * 2.0 * _PERIOD_S / 60.0
    earned = per_hour * _PERIOD_S / 3_600.0
    balance, left = np.empty(len(spent)), float(most)
    for place, usage in enumerate(spent):
        left = balance[place] = min(max(left + earned - usage, 0.0), most)
    return balance, spent


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else DIRECTORY
    if len(sys.argv) == 1:
        shutil.rmtree(DIRECTORY, ignore_errors=True)
    make_example(target)
