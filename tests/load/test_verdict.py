from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from amply_capacity.load.verdict import judge
from amply_capacity.run.writer import RunWriter


def _run(directory: Path, cpu_percent: dict[int, float], late_us: int = 100) -> Path:
    """A run of ten seconds whose generator processes (by pid) used so much CPU."""
    writer = RunWriter(directory, {"run": "r1", "scenario": "mixed", "started_at": "then"})

    def event(time_s: float, kind: str, name: str, **detail: Any) -> None:
        writer.append(
            "events", [{"time_s": time_s, "kind": kind, "name": name, "detail": json.dumps(detail)}]
        )

    event(100.0, "phase", "measured")
    event(110.0, "phase", "ended")
    for second in range(100, 111):
        for pid, used in cpu_percent.items():
            event(second + 0.5, "generator", "load", pid=pid, cpu_percent=used, lag_ms=0.1)
        writer.append(
            "requests",
            [
                {
                    "second": second,
                    "use_case": "cache",
                    "operation": "cached_read",
                    "command": "",
                    "outcome": "hit",
                    "clock": clock,
                    "bucket_us": late_us,
                    "count": 100,
                }
                for clock in ("service", "response", "lateness")
            ],
        )
    writer.close()
    return directory


def test_a_generator_with_time_to_spare_gives_a_complete_run(tmp_path: Path) -> None:
    assert judge(_run(tmp_path / "run", {1: 60.0}), "closed") == ("complete", "")


def test_a_busy_generator_set_the_pace_of_a_closed_loop(tmp_path: Path) -> None:
    verdict, reason = judge(_run(tmp_path / "run", {1: 97.0}), "closed")
    assert verdict == "generator-bound"
    assert "97 % of a core" in reason
    assert "--processes" in reason


def test_an_idle_master_does_not_hide_a_busy_worker(tmp_path: Path) -> None:
    assert judge(_run(tmp_path / "run", {1: 3.0, 2: 97.0}), "closed")[0] == "generator-bound"


@pytest.mark.parametrize("arrivals", ["poisson", "constant"])
def test_in_an_open_loop_lateness_decides_and_not_cpu(arrivals: str, tmp_path: Path) -> None:
    assert judge(_run(tmp_path / "prompt", {1: 97.0}, late_us=500), arrivals) == ("complete", "")
    verdict, reason = judge(_run(tmp_path / "late", {1: 20.0}, late_us=20_479), arrivals)
    assert verdict == "generator-bound"
    assert "20 ms late" in reason


def test_a_run_without_a_load_is_partial(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "run", {"run": "r1", "scenario": "mixed", "started_at": "then"})
    writer.close()
    verdict, reason = judge(tmp_path / "run", "closed")
    assert verdict == "partial"
    assert "no measured phase" in reason
