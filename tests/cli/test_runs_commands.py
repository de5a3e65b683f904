"""`amply-capacity runs`: what was recorded, and the recovery of what was cut off."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from amply_capacity.files import DATA_DIR, EXAMPLE_RUN, RUNS_DIR
from amply_capacity.run.reader import read_run
from amply_capacity.run.writer import RunWriter

NAME = "20300101T000000Z-mixed-c0ffee"


@pytest.fixture
def listed_run(recorded_run: Path) -> Iterator[Path]:
    """A copy of the recording where the toolkit keeps its runs."""
    directory = RUNS_DIR / NAME
    shutil.copytree(recorded_run, directory)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def cut_off_run(tmp_path: Path) -> Path:
    """What a kill leaves: a manifest and parts."""
    directory = tmp_path / "cut-off"
    started_at = datetime.now(UTC).isoformat()
    writer = RunWriter(directory, {"run": "cut-off", "scenario": "mixed", "started_at": started_at})
    writer.append("requests", [
        {"second": second, "use_case": "cache", "operation": "cached_read", "command": "", "outcome": "hit",
         "clock": "service", "bucket_us": bucket_us, "count": count}
        for second, bucket_us, count in ((100, 10, 3), (101, 12, 4))])
    return directory


def test_the_list_shows_runs_of_this_checkout_with_their_verdict(amply: Callable, listed_run: Path) -> None:
    listed = amply("runs", "list", "--json")
    (row,) = [row for row in listed.json["runs"] if row["directory"] == str(listed_run)]
    assert row["verdict"] == read_run(listed_run).verdict
    assert row["scenario"] == "mixed"
    assert row["operations_per_second"] > 0.0
    assert row["p99_ms"] > 0.0
    (line,) = [line for line in amply("runs", "list").out.splitlines() if line.startswith(f"{row['run']} ")]
    assert line.split()[1:3] == [row["verdict"], "mixed"]
    assert line.endswith(row["started_at"][:16].replace("T", " "))


def test_a_run_is_shown_by_its_directory_and_by_its_name(amply: Callable, listed_run: Path) -> None:
    by_name, by_directory = (amply("runs", "show", which, "--json") for which in (NAME, listed_run))
    assert by_name.code == by_directory.code == 0
    assert by_name.json == by_directory.json
    assert by_name.json["run"]["scenario"] == "mixed"


def test_a_shown_run_holds_all_ten_operations_with_counts_that_agree_with_its_table(
        amply: Callable, recorded_run: Path) -> None:
    shown = amply("runs", "show", recorded_run, "--json").json
    assert len(shown["operations"]) == 10
    run = read_run(recorded_run)
    own = run.requests[(run.requests["command"] == "") & (run.requests["clock"] == "service")
                       & run.requests["second"].isin(run.sound_seconds)]
    counted = own.groupby("operation")["count"].sum().to_dict()
    assert {row["operation"]: row["operations"] for row in shown["operations"]} == counted


def test_for_a_person_a_run_is_shown_with_bytes_hit_rate_and_cpu(amply: Callable, recorded_run: Path) -> None:
    text = amply("runs", "show", recorded_run).out
    for word in ("validate", "Bytes of used_memory", "session ", "Hit rate of cached reads", "µs"):
        assert word in text


def test_a_run_is_compared_with_another_and_a_plan_with_a_plan(
        amply: Callable, recorded_run: Path, tmp_path: Path) -> None:
    answer = amply("runs", "compare", recorded_run, EXAMPLE_RUN, "--json")
    assert answer.code == 0
    assert answer.json["kind"] == "runs"
    assert {"what", "before", "after", "change", "p_value", "verdict"} <= set(answer.json["changes"][0])
    assert answer.json["plan"]["demand"] == str(DATA_DIR / "demand.example.toml")
    for verdict in (one["verdict"] for one in answer.json["changes"]):
        assert verdict in {"more", "less", "noise", "not measured"}
    old = tmp_path / "old.json"
    old.write_text('{"chosen": {}}')
    amply("runs", "compare", old, old).assert_refused("made by another version", "plan schema 1")
    amply("runs", "compare", recorded_run, old).assert_refused("a run and a plan")
    amply("runs", "compare", old, old, "--demand", "x.toml").assert_refused("their own demand")
    amply("runs", "compare", recorded_run, "no-such-run").assert_refused("no-such-run")


def test_a_cut_off_run_is_refused_with_the_way_to_recover_it_and_then_recovered(
        amply: Callable, cut_off_run: Path) -> None:
    amply("runs", "show", cut_off_run).assert_refused("truncated", f"runs recover {cut_off_run}")
    recovered = amply("runs", "recover", cut_off_run, "--json")
    assert (recovered.code, recovered.json) == (0, {"run": str(cut_off_run), "verdict": "partial"})
    assert read_run(cut_off_run).requests["count"].sum() == 7
    again = amply("runs", "recover", cut_off_run)
    assert (again.code, again.out) == (0, f"{cut_off_run}: partial, 2 histogram rows\n")


def test_a_run_that_is_not_there_is_refused(amply: Callable) -> None:
    for command in ("show", "recover"):
        amply("runs", command, "no-such-run").assert_refused("no-such-run", "runs list")


def test_the_meeting_refuses_a_run_that_is_none_before_anything_opens(amply: Callable) -> None:
    amply("meeting", "--run", "no-such-run").assert_refused("no-such-run")
