"""When a run went wrong, as its metrics and its operations tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from metric_run import BEGAN, NODE, metric_run

from amply_capacity.ops.alarm_points import points_of
from amply_capacity.ops.alarm_troubles import Limits, Trouble, troubles_of
from amply_capacity.run.reader import Run


def found(run: Run, limits: Limits | None = None) -> tuple[Trouble, ...]:
    return troubles_of(run, points_of(run), limits or Limits())


def at(trouble: Trouble) -> tuple[str, int, int]:
    """Minutes from the begin."""
    return trouble.kind, (trouble.from_s - BEGAN) // 60, (trouble.until_s - BEGAN) // 60


def test_metrics_tell_evictions_full_memory_a_full_core_and_spent_credits(tmp_path: Path) -> None:
    run = metric_run(tmp_path / "run", {
        "Evictions": [0.0, 0.0, 2.0, 2.0, 0.0, 0.0],  # 120 a minute
        "DatabaseMemoryUsagePercentage": [99.0, 100.0, 100.0, 100.0, 100.0, 99.0],
        "EngineCPUUtilization": [98.0, 98.0, 98.0, 98.0, 99.5, 98.0],
        "CPUCreditBalance": [9.0, 8.0, 7.0, 5.0, 2.0, 0.0],
    })
    assert [at(one) for one in found(run)] == [
        ("memory full", 1, 5), ("evictions", 2, 4), ("engine saturated", 4, 5), ("credits spent", 5, 6)]
    assert {one.node for one in found(run)} == {NODE}
    assert [at(one)[0] for one in found(run, Limits(evictions_per_minute=200.0))] == [
        "memory full", "engine saturated", "credits spent"]


def test_stretches_close_to_each_other_are_one_trouble(tmp_path: Path) -> None:
    values = [0.0] * 30
    for minute in (2, 7, 20):
        values[minute] = 100.0
    run = metric_run(tmp_path / "run", {"DatabaseMemoryUsagePercentage": values})
    assert [at(one) for one in found(run)] == [("memory full", 2, 8), ("memory full", 20, 21)]


def test_nothing_wrong_and_nothing_measured_is_no_trouble(tmp_path: Path) -> None:
    run = metric_run(tmp_path / "run", {"DatabaseMemoryUsagePercentage": [50.0, None, 50.0]})
    assert found(run) == ()


def operations(second: int, *, outcome: str = "ok", count: int = 100, ms: float = 1.0,
               clock: str = "service") -> dict[str, Any]:
    return {"second": BEGAN + second, "use_case": "sessions", "operation": "validate", "command": "",
            "outcome": outcome, "clock": clock, "bucket_us": round(1000 * ms), "count": count}


def test_operations_tell_failures_and_slowness(tmp_path: Path) -> None:
    requests = [operations(second) for second in range(180)]
    requests += [operations(second, outcome="timeout", count=10) for second in range(60, 120)]
    requests += [operations(second, clock="response", ms=9.0 if second >= 120 else 1.0)
                 for second in range(180)]
    run = metric_run(tmp_path / "run", {"Evictions": [0.0] * 180}, step_s=1, requests=requests)
    limits = Limits(p99_ms={"sessions": 5.0, "cache": 5.0})
    assert [at(one) for one in found(run, limits)] == [("failures", 1, 2), ("slow", 2, 3)]
    assert [at(one) for one in found(run)] == [("failures", 1, 2)]  # without an objective nothing is slow
    assert found(run)[0].node is None
    assert found(run, limits)[1].as_json()["what"] == "the p99 of sessions was above 5 ms"
