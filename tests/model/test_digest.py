"""A run digested into evidence, with the reasons to read it with care."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic_run import BEGAN, MANIFEST, SECONDS, prefill, server_second, times

from amply_capacity.errors import BadRun
from amply_capacity.model.digest import digest, hit_rate
from amply_capacity.model.evidence import Evidence
from amply_capacity.run.reader import Run, read_run


def test_the_evidence_names_its_run_its_server_and_its_length(make_run: Callable) -> None:
    evidence = digest(make_run(classes={"sessions": prefill(3_000, bytes_of_keys=2_100_000, tables=65_536)}))
    assert (evidence.run_id, evidence.scenario, evidence.verdict) == ("synthetic", "mixed", "complete")
    assert (evidence.server, evidence.allocator) == ("redis 7.0.15", "jemalloc-5.3.0")
    assert evidence.recorded_at == MANIFEST["started_at"]
    assert evidence.seconds == SECONDS
    assert evidence.commands_per_second == pytest.approx(1_000.0)
    assert evidence.footprint.session_bytes is not None
    assert evidence.warnings == ()


def test_evictions_are_those_of_the_measured_phase(make_run: Callable) -> None:
    assert digest(make_run()).evictions == 2 * SECONDS


def test_the_hit_rate_is_the_share_of_cached_reads_that_were_not_filled(make_run: Callable) -> None:
    assert hit_rate(make_run()) == pytest.approx(0.9)
    outside = times(BEGAN - 3, "cached_read", "cache", outcome="miss", count=10_000)
    assert hit_rate(make_run(requests=[outside])) == pytest.approx(0.9)


def test_a_run_without_cached_reads_has_no_hit_rate(make_run: Callable) -> None:
    run = make_run()
    vars(run)["requests"] = run.requests[run.requests["use_case"] != "cache"]
    assert hit_rate(run) is None


def test_a_run_that_is_not_complete_warns_with_its_reason(make_run: Callable) -> None:
    (warning,) = digest(make_run(verdict="generator-bound", verdict_reason="it was late")).warnings
    assert warning == "the run is generator-bound: it was late"
    (warning,) = digest(make_run(verdict="partial")).warnings
    assert warning == "the run is partial: it ended early"


@pytest.mark.parametrize("allocator", ["libc", None])
def test_a_server_without_jemalloc_warns_of_its_memory(make_run: Callable, allocator: str | None) -> None:
    run = make_run()
    server = {**MANIFEST["server"], "allocator": allocator}
    (warning,) = digest(Run(run.directory, {**run.manifest, "server": server})).warnings
    assert f"built with {allocator or 'unknown'}" in warning


def test_failed_operations_are_counted_once_in_a_warning(make_run: Callable) -> None:
    failures = [times(BEGAN + 2, "check", "rate_limit", outcome=outcome, count=600)
                for outcome in ("error", "timeout", "disconnected", "unreachable")]
    responses = [{**row, "clock": "response"} for row in failures]
    commands = [{**row, "command": "INCR"} for row in failures]
    assert digest(make_run(requests=failures + responses + commands)).warnings == ("2,400 operations failed",)


def test_a_run_without_samples_of_its_server_is_refused(make_run: Callable) -> None:
    with pytest.raises(BadRun):
        digest(make_run(server=[server_second(1)]))


def test_a_real_recording_holds_every_figure_of_a_mixed_run(recorded_run: Path) -> None:
    evidence = digest(read_run(recorded_run))
    absent = [field.name for field in dataclasses.fields(Evidence) if getattr(evidence, field.name) is None]
    assert absent == ["drill"], "nothing was broken in it"
    footprint = evidence.footprint
    assert all(getattr(footprint, field.name) is not None for field in dataclasses.fields(footprint))
    assert set(evidence.latency) == {"sessions", "rate_limit", "cache", "celery_results"}
    assert len(evidence.operations) == 10
    assert 0.0 < (evidence.hit_rate or 0.0) <= 1.0
