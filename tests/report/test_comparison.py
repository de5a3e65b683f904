"""Two runs or plans side by side: like ones are noise, others are named, and the plan says what it means."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from amply_capacity.errors import BadInput, BadRun
from amply_capacity.files import EXAMPLE_RUN
from amply_capacity.model.comparison import LESS, MORE, NOISE, UNKNOWN, Change, compare_runs, differences
from amply_capacity.report import comparison
from amply_capacity.report.comparison import (
    comparison_of_plans,
    comparison_of_runs,
    is_plan,
    read_plan,
)
from amply_capacity.report.comparison_text import comparison_text, runs_text
from amply_capacity.report.run_list import run_row
from amply_capacity.run.reader import Run, read_run

pytestmark = pytest.mark.xdist_group("comparison")

P99 = "p99 response time of sessions"


@pytest.fixture(scope="module")
def example() -> Run:
    return read_run(EXAMPLE_RUN)


@pytest.fixture
def edited(tmp_path: Path) -> Callable[..., Run]:
    """A copy of the example run with tables or manifest changed."""

    def edit(tables: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] | None = None, **manifest: Any) -> Run:
        directory = tmp_path / "edited"
        shutil.copytree(EXAMPLE_RUN, directory)
        for name, change in (tables or {}).items():
            change(pd.read_parquet(directory / f"{name}.parquet")).to_parquet(directory / f"{name}.parquet",
                                                                              index=False)
        facts = json.loads((directory / "run.json").read_text()) | manifest
        (directory / "run.json").write_text(json.dumps(facts))
        return read_run(directory)

    return edit


def named(changes: tuple[Change, ...]) -> dict[str, Change]:
    return {change.what: change for change in changes}


def test_a_run_against_itself_is_noise_throughout(example: Run) -> None:
    found = compare_runs(example, example)
    assert found.settings == ()
    assert found.told == ()
    assert {change.verdict for change in found.changes} == {NOISE}
    assert all(change.p_value in {None, 1.0} for change in found.changes)


def test_halves_of_one_run_are_noise(edited: Callable[..., Run], example: Run) -> None:
    first, last = example.measured_seconds
    middle = (first + last) // 2

    def late(events: pd.DataFrame) -> pd.DataFrame:
        measured = (events["kind"] == "phase") & (events["name"] == "measured")
        return events.assign(time_s=events["time_s"].where(~measured, float(middle)))

    half = edited({"events": late})
    assert half.measured_seconds[0] == middle + 1
    assert compare_runs(example, half).told == ()


def test_what_is_four_times_as_slow_is_told_with_its_size(edited: Callable[..., Run], example: Run) -> None:
    slower = edited({"requests": lambda rows: rows.assign(
        bucket_us=np.where(rows["use_case"] == "sessions", rows["bucket_us"] * 4, rows["bucket_us"]))})
    changes = named(compare_runs(example, slower).changes)
    for what in (P99, "p50 response time of sessions"):
        change = changes[what]
        assert change.verdict == MORE
        assert change.change is not None
        assert change.change.low < 300.0 < change.change.high
        assert change.p_value is not None
        assert change.p_value < 0.05
    assert changes["p99 response time of cache"].verdict == NOISE
    back = named(compare_runs(slower, example).changes)[P99]
    assert back.verdict == LESS
    assert back.change is not None
    assert back.change.mid == pytest.approx(-75.0, abs=1.0)


def test_failures_a_lower_hit_rate_and_dearer_commands_are_told(
        edited: Callable[..., Run], example: Run) -> None:
    def worse(rows: pd.DataFrame) -> pd.DataFrame:
        outcome = rows["outcome"].where(~((rows["use_case"] == "cache") & (rows["outcome"] == "hit")
                                          & (rows["second"] % 5 == 0)), "miss")
        return rows.assign(outcome=outcome.where(~((rows["use_case"] == "rate_limit")
                                                   & (rows["second"] % 7 == 0)), "timeout"))

    def dearer(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(info_used_cpu_user=rows["info_used_cpu_user"] * 3.0)

    changes = named(compare_runs(example, edited({"requests": worse, "server": dearer})).changes)
    assert changes["operations that failed"].verdict == MORE
    assert changes["operations that failed"].is_points
    assert changes["hit rate of cached reads"].verdict == LESS
    assert changes["CPU of a command"].verdict == MORE
    assert changes["operations a second"].verdict == NOISE


def test_what_one_run_does_not_hold_is_not_measured_and_no_zero(
        edited: Callable[..., Run], example: Run) -> None:
    without = edited({"requests": lambda rows: rows[rows["use_case"] != "cache"],
                      "server": lambda rows: rows.assign(info_used_cpu_user=np.nan)},
                     server=example.manifest["server"] | {"used_memory_startup": None})
    changes = named(compare_runs(example, without).changes)
    for what in ("p99 response time of cache", "hit rate of cached reads", "CPU of a command"):
        assert changes[what].verdict == UNKNOWN
        assert changes[what].before is not None
        assert changes[what].after is None
    assert not [what for what in changes if what.startswith("bytes of")]


def test_bytes_are_told_where_the_readings_errors_do_not_meet(
        edited: Callable[..., Run], example: Run) -> None:
    def bigger(events: pd.DataFrame) -> pd.DataFrame:
        def grown(name: str, detail: str) -> str:
            facts = json.loads(detail)
            if name == "prefill:sessions":
                facts["used_after_bytes"] += 50 * facts["keys"]
            return json.dumps(facts)

        return events.assign(detail=[grown(name, detail) for name, detail in zip(
            events["name"], events["detail"], strict=True)])

    changes = named(compare_runs(example, edited({"events": bigger})).changes)
    session = changes["bytes of a session"]
    assert session.verdict == MORE
    assert session.before is not None
    assert session.after == pytest.approx(session.before + 50.0)
    assert changes["bytes of a Celery result"].verdict == NOISE


def test_settings_that_differ_are_named_by_their_path(edited: Callable[..., Run], example: Run) -> None:
    other = edited(seed=7, rate_per_second=2000.0, mix=example.manifest["mix"] | {"touch": 900})
    settings = {one.what: (one.before, one.after) for one in compare_runs(example, other).settings}
    assert settings == {"seed": (1, 7), "rate_per_second": (1000.0, 2000.0), "mix.touch": (100, 900)}
    assert list(differences({"a": 1}, {"b": {"c": 2}})) == [("a", 1, None), ("b", None, {"c": 2})]


def test_imports_and_runs_that_are_too_short_are_refused(edited: Callable[..., Run], example: Run) -> None:
    imported = edited(imported={"file": "monitor.txt"})
    with pytest.raises(BadRun, match="key accesses alone"):
        compare_runs(example, imported)


def test_two_runs_come_with_what_they_mean_for_the_plan(
        demand: Path, example: Run, edited: Callable[..., Run]) -> None:
    other = edited(scenario="other", verdict="partial", verdict_reason="it was stopped")
    found = comparison_of_runs(str(EXAMPLE_RUN), str(other.directory), demand)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["conclusion"].startswith("Nothing differs by more than noise. The plan stays ")
    assert found["plan"]["before"] == found["plan"]["after"]
    assert {row["verdict"] for row in found["plan"]["changes"]} == {"same"}
    assert any("is partial: it was stopped" in note for note in found["notes"])
    assert any("different scenarios" in note for note in found["notes"])
    text = comparison_text(found)
    assert text.startswith(found["conclusion"])
    for row in found["changes"]:
        assert row["what"] in text
    assert f"before  {example.name}" in text


def test_a_run_that_no_plan_can_be_made_of_is_compared_all_the_same(
        demand: Path, edited: Callable[..., Run]) -> None:
    poor = edited({"events": lambda rows: rows[~rows["name"].str.startswith("prefill:")]})
    found = comparison_of_runs(str(EXAMPLE_RUN), str(poor.directory), demand)
    assert "What it means for the plan cannot be said" in found["conclusion"]
    assert found["plan"]["before"] is None
    assert "The plan  " not in comparison_text(found)


@pytest.fixture
def plan_files(plan: dict[str, Any], tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """Files of the plan, and of a changed one within a report."""

    def write(change: Callable[[dict[str, Any]], object]) -> tuple[Path, Path]:
        other = copy.deepcopy(plan)
        change(other)
        before, after = tmp_path / "plan.json", tmp_path / "report.json"
        before.write_text(json.dumps(plan))
        after.write_text(json.dumps({"schema": 1, "plan": other}))
        return before, after

    return write


def test_a_plan_and_a_report_of_it_are_the_same(plan_files: Callable[..., tuple[Path, Path]]) -> None:
    found = comparison_of_plans(*plan_files(lambda _: None))
    assert found["settings"] == []
    assert {row["verdict"] for row in found["changes"]} == {"same"}
    assert found["conclusion"].startswith("Nothing differs by more than noise. The plan stays ")


def test_plans_that_differ_say_from_what_to_what(
        plan: dict[str, Any], plan_files: Callable[..., tuple[Path, Path]]) -> None:
    def change(other: dict[str, Any]) -> None:
        other["chosen"] |= {"node_type": "cache.m7g.large", "usd_per_month": 115.0, "replicas": 1}
        other["replica"] |= {"verdict": "add", "probability": 0.95}
        other["upgrades"] = [{"to": "cache.r7g.large", "month": "2027-09"}]
        other["demand"]["users"]["registered"] = 90_000
        other["seed"] = 2

    before, after = plan_files(change)
    found = comparison_of_plans(before, after)
    conclusion = found["conclusion"]
    assert "to 2 × cache.m7g.large, redis, on demand ($115.00)" in conclusion
    assert f"The verdict on a replica turns from “{plan['replica']['verdict']}” to “add”." in conclusion
    assert "cache.r7g.large in September 2027" in conclusion
    settings = {one["what"]: one["after"] for one in found["settings"]}
    assert settings == {"demand.users.registered": 90_000, "seed": 2}
    verdicts = {row["what"]: row["verdict"] for row in found["changes"]}
    assert verdicts["chosen"] == verdicts["worlds in which a replica pays"] == "changed"
    text = comparison_text(found)
    assert "demand.users.registered" in text
    assert str(after) in text


def test_a_share_that_another_drawing_of_the_worlds_would_give_is_noise(
        plan: dict[str, Any], plan_files: Callable[..., tuple[Path, Path]]) -> None:
    def nudge(other: dict[str, Any]) -> None:
        share = 0.5
        other["replica"]["probability"] = share
        other["chosen"]["headroom_percent"] += 0.5

    plan["replica"]["probability"] = 0.505
    found = comparison_of_plans(*plan_files(nudge))
    verdicts = {row["what"]: row["verdict"] for row in found["changes"]}
    assert verdicts["worlds in which a replica pays"] == NOISE
    assert verdicts["left of it"] == "same"
    assert found["conclusion"].startswith("Nothing differs by more than noise.")


@pytest.mark.parametrize(("content", "words"), [
    (None, "there is no such plan"), ("{", "is no JSON"), ("[]", "this is no plan"),
    ('{"chosen": {}}', "plan schema 1, this version reads"),
    ('{"plan": {"chosen": {}, "schema": 1}}', "was made by another version"),
])
def test_a_file_that_is_no_plan_of_this_version_is_refused(
        tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "plan.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(BadInput, match=words):
        read_plan(path)


def test_a_folder_is_a_run_and_a_file_a_plan(tmp_path: Path) -> None:
    assert not is_plan(str(EXAMPLE_RUN))
    assert not is_plan("20300101T000000Z-mixed-c0ffee")
    assert is_plan("plan.json")
    with pytest.raises(BadInput, match="cannot be read"):
        read_plan(tmp_path)


def test_money_and_nothing_are_written_out() -> None:
    assert comparison._moved({"before": None, "after": 1234.5}) == "none → 1,234"


def test_a_run_is_listed_with_the_figures_of_its_own_requests(
        example: Run, edited: Callable[..., Run]) -> None:
    row = run_row(example)
    first, last = example.measured_seconds
    rows = example.requests[(example.requests["command"] == "")
                            & example.requests["second"].between(first, last)]
    done = rows.loc[rows["clock"] == "service", "count"].sum()
    assert row["operations_per_second"] == pytest.approx(done / (last - first + 1), abs=0.05)
    times = rows[rows["clock"] == "response"]
    each = np.sort(np.repeat(times["bucket_us"], times["count"])) / 1000.0
    assert row["p99_ms"] == each[int(np.ceil(0.99 * len(each))) - 1]
    assert (row["clock"], row["note"]) == ("response", None)
    imported = run_row(edited(imported={"file": "monitor.txt"}))
    assert (imported["operations_per_second"], imported["p99_ms"]) == (None, None)
    assert "key accesses alone" in imported["note"]
    lines = runs_text([row, imported]).splitlines()
    assert lines[0].split() == ["run", "verdict", "scenario", "operations/s", "p99", "ms", "recorded,", "UTC"]
    assert lines[1].split()[:4] == [example.name, "complete", "mixed", f"{row['operations_per_second']:,.0f}"]
    assert lines[1].endswith("2026-11-23 21:05")
    assert "–" in lines[2]
    assert "no runs yet" in runs_text([])
