"""Alarms over a run: which would have fired, when, how early, and what they can tell at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from metric_run import BEGAN, metric_run, nodes_run
from plan_json import plan_of

from amply_capacity.errors import UnknownName
from amply_capacity.ops.alarm_history import History, history_of
from amply_capacity.ops.alarm_text import history_text
from amply_capacity.run.reader import Run

MINUTES = 600


def filling(directory: Path, **manifest: Any) -> Run:
    """Memory fills in 500 minutes, then keys are evicted; free memory falls with it."""
    percent = np.minimum(np.arange(MINUTES) / 5.0, 100.0)
    return metric_run(directory, {
        "CPUUtilization": [20.0] * MINUTES, "EngineCPUUtilization": [38.0] * MINUTES,
        "DatabaseMemoryUsagePercentage": percent.tolist(),
        "FreeableMemory": (536.9e6 - 4.4e6 * percent).tolist(),
        "Evictions": np.where(percent >= 100.0, 5.0, 0.0).tolist(),  # 300 a minute
        "CPUCreditBalance": [100.0] * MINUTES,
    }, **manifest)


def row(history: History, name: str) -> dict[str, Any]:
    return next(one.as_json() for one in history.alarms if one.of.alarm.name == name)


def test_a_filling_memory_fires_the_specifications_alarms_late_and_the_plans_early(tmp_path: Path) -> None:
    history = history_of(filling(tmp_path / "run"), plan_of(tmp_path), node_type_name="cache.t3.micro")
    assert [one.kind for one in history.troubles] == ["evictions", "memory full"]
    evictions, low_memory = row(history, "redis-amply-high-evictions"), row(history, "redis-amply-low-memory")
    assert evictions["first_fired_s"] == BEGAN + 501 * 60
    assert evictions["warned"][0] == {"trouble": "evictions", "from_s": BEGAN + 500 * 60, "lead_s": -60}
    assert low_memory["reach"]["verdict"] == "fires only when memory is full"
    assert low_memory["warned"][0]["lead_s"] < 600
    high = row(history, "redis-amply-high-memory")
    assert (high["set"], high["fired"], high["false_episodes"]) == ("plan", True, 0)
    assert high["warned"][0]["lead_s"] == pytest.approx(120 * 60, abs=360)  # 75 % is 125 minutes before


def test_an_alarm_that_cannot_fire_there_says_so_beside_its_silence(tmp_path: Path) -> None:
    history = history_of(filling(tmp_path / "run"))
    assert history.node_type is not None
    assert history.node_type.name == "cache.t3.micro"  # what the run stands in for
    cpu = row(history, "redis-amply-high-cpu")
    assert (cpu["fired"], cpu["times_fired"], cpu["state_at_end"]) == (False, 0, "OK")
    assert (cpu["data_points"], cpu["breaching"]) == (MINUTES, 0)
    assert cpu["reach"]["verdict"] == "never fires"


def test_what_was_not_measured_is_not_evaluated_and_never_no(tmp_path: Path) -> None:
    lag = row(history_of(filling(tmp_path / "run"), plan_of(tmp_path)), "redis-amply-replication-lag")
    assert lag["fired"] is None
    assert lag["not_evaluated"] == "ReplicationLag was not measured"
    assert lag["state_at_end"] == "INSUFFICIENT_DATA"


def test_a_run_without_a_full_minute_evaluates_nothing(tmp_path: Path) -> None:
    history = history_of(metric_run(tmp_path / "run", {"Evictions": [9.0] * 20}, step_s=1))
    assert not history.has_fired
    assert {one.not_evaluated for one in history.alarms} == {"the run holds no full minute"}


def test_the_missing_metrics_come_with_the_plans_threshold(tmp_path: Path) -> None:
    run = filling(tmp_path / "run")
    with_plan, without = (history_of(run, plan).as_json()["missing"] for plan in (plan_of(tmp_path), None))
    by_metric = {one["metric"]: one["proposed"] for one in with_plan}
    assert by_metric["DatabaseMemoryUsagePercentage"]["threshold"] == 75.0
    assert by_metric["CPUCreditBalance"]["threshold"] == 38.0
    assert {one["proposed"] is None for one in without} == {True}


def test_the_node_type_may_be_named_and_has_to_be_one(tmp_path: Path) -> None:
    run = filling(tmp_path / "run")
    named = history_of(run, node_type_name="cache.m7g.xlarge")
    assert row(named, "redis-amply-high-cpu")["reach"]["verdict"] == "can fire"
    with pytest.raises(UnknownName):
        history_of(run, node_type_name="cache.t3.mikro")


def test_where_no_node_type_is_known_nothing_is_said_of_reach(tmp_path: Path) -> None:
    history = history_of(filling(tmp_path / "run", target={}))
    assert {one.of.reach for one in history.alarms} == {None}
    assert history_of(filling(tmp_path / "other", target={}), plan_of(tmp_path)).node_type is not None


def test_each_node_has_its_own_alarms_and_troubles(tmp_path: Path) -> None:
    run = nodes_run(tmp_path / "run", {
        "a": {"Evictions": [0.0, 9.0, 0.0]},
        "b": {"Evictions": [0.0, 0.0, 0.0], "ReplicationLag": [0.0, 5.0, 0.0]}})
    history = history_of(run)
    fired = {(one.node, one.of.alarm.name) for one in history.alarms if one.has_fired}
    assert fired == {("a", "redis-amply-high-evictions")}
    assert any(one.of.alarm.metric == "ReplicationLag" for one in history.alarms)  # there is a replica
    assert "  a" in history_text(history.as_json())


def test_an_import_of_five_minutes_is_marked_approximate(tmp_path: Path) -> None:
    run = metric_run(tmp_path / "run", {"CPUUtilization": [90.0] * 12}, step_s=300)
    history = history_of(run)
    assert history.as_json()["approximate"] is True
    assert any("approximate" in note for note in history.notes)
    assert row(history, "redis-amply-high-cpu")["fired"]


def test_an_alarm_that_is_always_on_is_said_to_tell_nothing(tmp_path: Path) -> None:
    run = metric_run(tmp_path / "run", {"Evictions": [9.0] * 30})
    content = history_of(run).as_json()
    alarm = next(one for one in content["alarms"] if one["name"] == "redis-amply-high-evictions")
    assert alarm["alarm_percent"] == 100.0
    assert "redis-amply-high-evictions was in ALARM 100 % of the time" in history_text(content)


def test_a_plan_for_another_node_type_is_said(tmp_path: Path) -> None:
    notes = history_of(filling(tmp_path / "run"), plan_of(tmp_path)).notes
    assert "the plan's alarms are for cache.t3.small, and this is about cache.t3.micro" in notes


def test_what_a_local_server_emulates_is_said(tmp_path: Path) -> None:
    run = metric_run(tmp_path / "run", {"Evictions": [0.0] * 120}, step_s=1, emulated=["FreeableMemory"])
    assert "emulated on a local server: FreeableMemory" in history_of(run).notes


def test_the_text_says_what_fired_how_early_what_is_useless_and_what_would_be_better(tmp_path: Path) -> None:
    history = history_of(filling(tmp_path / "run"), plan_of(tmp_path), node_type_name="cache.t3.micro")
    text = history_text(history.as_json())
    for words in ("alarms would have fired", "What went wrong", "keys a minute were evicted", "119 min early",
                  "60 s late", "redis-amply-high-cpu never fires", "What they can tell on this node type",
                  "The specification has no alarm on", "CPUCreditBalance: Minimum below 38 in 1 of 1",
                  "Thresholds that would have warned of each trouble 30 min before",
                  "not evaluated: ReplicationLag was not measured"):
        assert words in text, words
    assert all(len(line) < 400 for line in text.splitlines())


def test_the_text_of_a_quiet_run_says_that_nothing_went_wrong(tmp_path: Path) -> None:
    run = metric_run(tmp_path / "run", {"Evictions": [0.0] * 10})
    text = history_text(history_of(run).as_json())
    assert text.startswith("0 of ")
    assert "Nothing went wrong that the run shows." in text
    assert "--plan plan.json derives their thresholds" in text


def test_the_reserve_of_an_imported_cluster_decides_about_its_free_memory(tmp_path: Path) -> None:
    for reserved, verdict in ((None, "fires only when memory is full"), (50.0, "never fires")):
        run = metric_run(tmp_path / f"run-{reserved}", {"FreeableMemory": [3e8] * 5}, target={
            "node_type": "cache.t3.micro", "reserved_memory_percent": reserved})
        assert row(history_of(run), "redis-amply-low-memory")["reach"]["verdict"] == verdict


def test_the_text_tells_long_lists_shortly_and_an_alarm_that_warned_of_nothing(tmp_path: Path) -> None:
    percent = [100.0 if minute % 20 == 0 else 0.0 for minute in range(400)]
    content = history_of(metric_run(tmp_path / "run", {"DatabaseMemoryUsagePercentage": percent})).as_json()
    text = history_text(content)
    assert "… and 8 more, which --json lists" in text
    assert "none of them" not in text
    late = {"FreeableMemory": [3e8] * 120 + [1e6], "DatabaseMemoryUsagePercentage": [100.0] + [0.0] * 120}
    assert "none of them" in history_text(history_of(metric_run(tmp_path / "late", late)).as_json())
    assert "has no alarm on" not in history_text({**content, "missing": []})
