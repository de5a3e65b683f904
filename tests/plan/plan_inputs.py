"""What the tests of the plan start from: a realistic run, and Amply's own demand to be varied."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from dotted import change

from amply_capacity.interval import Interval
from amply_capacity.model.cpu_samples import CpuSample
from amply_capacity.model.drilled import Drilled
from amply_capacity.model.evidence import Evidence, Footprint, Latency, OperationCost
from amply_capacity.model.trips import RoundTrips

EXAMPLE = Path(__file__).parents[2] / "data" / "demand.example.toml"


def about(mid: float, percent: float = 1.0) -> Interval:
    return Interval(mid * (1 - percent / 100), mid, mid * (1 + percent / 100))


def cpu_samples(run_id: str, us_at_rate: dict[float, float], seconds: float = 60.0) -> tuple[CpuSample, ...]:
    """Of GETs: µs of CPU a round trip at so many a second."""
    return tuple(CpuSample(run_id, seconds, rate, {"get": 1.0}, rate * each / 1e6, 0.01)
                 for rate, each in us_at_rate.items())


def evidence_of_a_mixed_run(**changes: Any) -> Evidence:
    footprint = Footprint(
        base_bytes=870_000, session_bytes=about(560), index_bytes=about(1_000), index_members=13.5,
        counter_bytes=about(100),
        cached_bytes=about(900, 10), result_bytes=about(400), connection_bytes=about(22_776),
    )
    costs = {"validate": (1, 60, 420), "touch": (3, 560, 440), "create": (2, 560, 10), "log_out": (2, 130, 8),
             "list_active": (6, 350, 2_200), "log_out_everywhere": (3, 330, 210), "check": (1.2, 60, 6),
             "cached_read": (1.2, 250, 700), "store_result": (5, 900, 60), "get_result": (1, 70, 330)}
    values: dict[str, Any] = {
        "run_id": "20261123T160000Z-mixed-abc123", "recorded_at": "2026-11-23T16:00:00Z", "scenario": "mixed",
        "verdict": "complete", "server": "redis 7.0.15", "allocator": "jemalloc-5.3.0", "seconds": 60.0,
        "warnings": (), "footprint": footprint,
        "cpu_us_per_command": about(12, 10), "commands_per_second": 3_000.0,
        "operations": {name: OperationCost(*cost) for name, cost in costs.items()},
        "latency": {"sessions": Latency(90_000, 0.1, 0.4, 0.5), "cache": Latency(20_000, 0.1, 0.4, None)},
        "hit_rate": 0.93, "evictions": 0, "execution_us": {"get": 1.5},
        "cpu_samples": cpu_samples("20261123T160000Z-mixed-abc123", {300: 54.0, 3_000: 24.5, 20_000: 12.0}),
        "trips": {name: RoundTrips(float(cost[0]), {"get": 1.0}) for name, cost in costs.items()},
    }
    return Evidence(**values | changes)


def drill(reconnect: float | None = None, refill: float | None = None, *, reads: float = 0.3,
          failover: float | None = None) -> Drilled:
    """A crash of a single node, or a failover of ElastiCache, that told so much; seconds."""
    return Drilled(
        kind="crash", topology="single", is_on_elasticache=failover is not None,
        unavailable_seconds=failover or 2.0, noticed_seconds=None, reconnect_seconds=reconnect,
        refill_seconds=refill, reads_per_key_second=reads, lost_writes=0, lost_by_law=None, lost_sessions=0)


def changed(changes: dict[str, object]) -> dict[str, Any]:
    """The example's tables; a value of None takes its key out."""
    return change(tomllib.loads(EXAMPLE.read_text()), changes)


def as_toml(tables: dict[str, Any], prefix: str = "") -> str:
    """Enough TOML for demand files: tables, lists of tables, numbers, texts, and intervals inline."""
    lines, below = [], []
    for key, value in tables.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            below += [f"[[{prefix}{key}]]\n" + as_toml(each, f"{prefix}{key}.") for each in value]
        elif isinstance(value, dict) and "mid" not in value and "low" not in value:
            below.append(f"[{prefix}{key}]\n" + as_toml(value, f"{prefix}{key}."))
        else:
            lines.append(f"{key} = {_toml_value(value)}")
    return "\n".join([*lines, *below]) + "\n"


def _toml_value(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml_value(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)
