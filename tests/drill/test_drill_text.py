"""The answer for people says no more than is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from amply_capacity.drill.result import DrillResult
from amply_capacity.drill.text import drill_text
from amply_capacity.drill.timeline import Timeline


def _result(**changed: Any) -> DrillResult:
    known: dict[str, Any] = {
        "kind": "failover", "topology": "replicated", "persistence": "none", "scenario": "mixed",
        "rate": 500.0, "users": 50, "population": 2000, "run": Path("runs/mine"), "began_s": 0.0,
        "ended_s": 4.0, "fault_s": None, "is_completed": False,
        "why_not": "Sentinel says -failover-abort-no-good-slave",
        "outage": None, "outages": {}, "counts": None, "counts_by_use_case": {}, "writes": None,
        "storm": None, "refill": None, "timeline": Timeline(0.0, 0.25, {}, {}), "moments": [],
        "unknown": {"lost_writes": "the servers could not be asked afterwards"}}
    return DrillResult(**{**known, **changed})


def test_what_did_not_complete_says_so_and_why_and_nothing_is_made_up() -> None:
    answer = _result().as_json()
    for name in ("unavailable_seconds", "failed_operations", "lost_writes", "lost_sessions", "sessions",
                 "connections", "cache", "fault_at_seconds"):
        assert answer[name] is None, name
    text = drill_text(answer)
    assert text.startswith("failover on replicated: NOT COMPLETED. Sentinel says -failover-abort-no-good-sl")
    assert "no operation was recorded" in text
    assert "could not be asked afterwards" in text


def test_what_is_not_known_of_a_completed_drill_is_not_told_as_none() -> None:
    text = drill_text(_result(is_completed=True, persistence="aof").as_json())
    assert "failover on replicated, aof kept: how long clients were without it could not be told" in text


def test_the_timeline_shows_what_succeeded_what_failed_and_where_nothing_was_asked() -> None:
    timeline = Timeline(0.0, 0.25, {"cache": [8, 8, 4, 0, 0, 8]}, {"cache": [0, 0, 4, 9, 0, 0]})
    line = next(line for line in drill_text(_result(timeline=timeline, fault_s=0.5).as_json()).splitlines()
                if line.startswith("cache"))
    assert line.split(maxsplit=1)[1] == "██▄× █"


def test_a_long_timeline_has_sixty_columns_at_most() -> None:
    timeline = Timeline(0.0, 0.25, {"cache": [5] * 400}, {"cache": [0] * 400})
    text = drill_text(_result(timeline=timeline, fault_s=10.0).as_json())
    line = next(line for line in text.splitlines() if line.startswith("cache"))
    assert len(line.split(maxsplit=1)[1]) <= 60
    assert "^ 10.0 s" in text
