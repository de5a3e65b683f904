"""The figure of a drill's timeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from amply_capacity.errors import BadRun
from amply_capacity.report.drill_figure import drill_timeline
from amply_capacity.run.reader import Run


def _run(**changed: Any) -> Run:
    drill = {"drill": "crash", "topology": "replicated", "completed": True, "reason": None,
             "rate_per_second": 500.0, "unavailable_seconds": 2.345, "lost_writes": 1100, "lost_sessions": 30,
             "fault_at_seconds": 2.0, "timeline": {
                 "began_s": 100.0, "bin_seconds": 0.5,
                 "succeeded": {"cache": [10] * 4 + [0] * 5 + [10] * 7,
                               "sessions": [90] * 4 + [0] * 5 + [90] * 7},
                 "failed": {"cache": [0] * 4 + [9] * 5 + [0] * 7, "sessions": [0] * 16}}, **changed}
    run = Run(Path("none"), {"run": "mine", "drill": drill})
    vars(run)["events"] = pd.DataFrame(
        [(102.0, "drill", "crash", {}), (103.1, "failover", "+odown", {}), (103.2, "failover", "+odown", {}),
         (104.4, "drill", "a primary for every key", {}), (101.0, "error", "INFO gap", {})],
        columns=["time_s", "kind", "name", "detail"])
    return run


def test_it_says_how_long_and_how_much_was_lost_and_marks_what_happened_when() -> None:
    figure = drill_timeline(_run())
    assert figure.claim == ("2.3 s without an answer for clients, 1,100 acknowledged writes and 30 sessions "
                            "lost")
    assert figure.svg.startswith("<svg")
    assert drill_timeline(_run()).svg == figure.svg


def test_what_is_not_known_is_not_drawn_as_nothing() -> None:
    unknown = drill_timeline(_run(unavailable_seconds=None, lost_writes=None, fault_at_seconds=None))
    assert unknown.claim == "An unknown time without an answer for clients, what was lost is not known"
    unfinished = drill_timeline(_run(completed=False, reason="Sentinel says NOQUORUM"))
    assert "did not come to its end: Sentinel says NOQUORUM" in unfinished.claim


def test_a_run_without_a_drill_has_none() -> None:
    with pytest.raises(BadRun, match="of no drill"):
        drill_timeline(Run(Path("none"), {"run": "mine"}))
