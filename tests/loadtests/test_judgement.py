"""A generator that is the bottleneck says so of itself."""

from __future__ import annotations

from pathlib import Path

from locust_process import run_locust

from amply_capacity.model.digest import digest
from amply_capacity.run.reader import read_run


def test_a_closed_loop_without_a_pause_is_generator_bound_and_the_remedy_is_a_number(tmp_path: Path) -> None:
    """One Python process sends less than a server answers: it has no moment to spare."""
    options = ("-u", "20", "-r", "20", "-t", "6s", "--population", "50", "--prefill", "0")
    code, words = run_locust("rate_limit", *options, "--run-dir", str(tmp_path / "run"), log=tmp_path / "log")
    assert code == 0, words
    run = read_run(tmp_path / "run")
    assert run.verdict == "generator-bound"
    reason = run.manifest["verdict_reason"]
    assert f"generator-bound: {reason}" in words
    first, last = run.measured_seconds
    assert f"in {len(run.generator_bound_seconds)} of {last - first + 1} s" in reason
    assert "raise --processes to " in reason or "of its own" in reason  # where its core was taken from it
    marks = run.events[run.events["name"] == "bottleneck"]
    assert {detail["second"] for detail in marks["detail"]} == run.generator_bound_seconds
    assert {detail["cause"] for detail in marks["detail"]} <= {"cpu", "starved", "stolen", "stalled"}
    assert any("the generator was the bottleneck" in warning for warning in digest(run).warnings)
