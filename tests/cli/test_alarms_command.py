"""`amply-capacity alarms`: exit 1 where one would have fired, one object, and refusals in one paragraph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from metric_run import metric_run
from plan_json import plan_file

from amply_capacity.files import EXAMPLE_RUN


@pytest.fixture
def quiet(tmp_path: Path) -> Path:
    return metric_run(tmp_path / "quiet", {"CPUUtilization": [20.0] * 10, "Evictions": [0.0] * 10}).directory


@pytest.fixture
def evicting(tmp_path: Path) -> Path:
    return metric_run(tmp_path / "evicting", {"Evictions": [0.0] * 60 + [9.0] * 5}).directory


def test_a_quiet_run_exits_0_and_one_in_which_an_alarm_fired_exits_1(
        amply: Callable, amply_process: Callable, quiet: Path, evicting: Path) -> None:
    answer = amply("alarms", quiet, "--json")
    assert (answer.code, answer.err) == (0, "")
    assert answer.json["fired"] == []
    answer = amply_process("alarms", evicting, "--json")
    assert answer.code == 1
    assert {"set": "specification", "name": "redis-amply-high-evictions"} in answer.json["fired"]


def test_with_a_plan_its_alarms_are_evaluated_too(amply: Callable, evicting: Path, tmp_path: Path) -> None:
    content = amply("alarms", evicting, "--plan", plan_file(tmp_path), "--json").json
    assert {one["set"] for one in content["alarms"]} == {"specification", "AWS", "plan"}
    assert content["node_type"] == "cache.t3.micro"
    named = amply("alarms", evicting, "--node-type", "cache.m7g.large", "--json").json
    assert named["node_type"] == "cache.m7g.large"


def test_for_a_person_the_count_comes_first(amply: Callable, evicting: Path) -> None:
    answer = amply("alarms", evicting)
    assert answer.out.splitlines()[0].split(" alarms")[0].split(" of ")[0].isdigit()
    assert "redis-amply-high-evictions (specification)" in answer.out
    assert "redis-amply-high-cpu never fires" in answer.out


def test_the_example_run_is_evaluated(amply: Callable) -> None:
    answer = amply("alarms", EXAMPLE_RUN, "--node-type", "cache.t3.micro", "--json")
    assert answer.code in {0, 1}
    found = {one["name"]: one for one in answer.json["alarms"]}
    assert found["redis-amply-high-evictions"]["data_points"] >= 1
    assert found["redis-amply-high-cpu"]["reach"]["verdict"] == "never fires"


def test_a_longer_lead_asks_for_a_more_sensitive_threshold(amply: Callable, tmp_path: Path) -> None:
    filling = [minute / 2.0 for minute in range(200)] + [100.0] * 20
    run = metric_run(tmp_path / "filling", {"DatabaseMemoryUsagePercentage": filling}).directory

    def best(minutes: str) -> float:
        alarms = amply("alarms", run, "--lead-minutes", minutes, "--json").json["alarms"]
        of = next(one for one in alarms if one["name"] == "aws-memory-warning")
        return float(of["best_threshold"]["threshold"])

    assert best("60") < best("10")


@pytest.mark.parametrize(("options", "word"), [
    (("--node-type", "cache.t3.mikro"), "cache.t3.micro"), (("--plan", "none.json"), "no such plan")])
def test_bad_options_are_refused(amply: Callable, quiet: Path, options: tuple[str, ...], word: str) -> None:
    amply("alarms", quiet, *options).assert_refused(word)


def test_runs_without_metrics_are_refused(amply: Callable, tmp_path: Path) -> None:
    amply("alarms", tmp_path / "none").assert_refused("no such run")
    accesses = metric_run(tmp_path / "accesses", {"Evictions": [None]},
                          imported={"kind": "trace", "file": "a.csv"}).directory
    amply("alarms", accesses).assert_refused("key accesses alone")


def test_a_serverless_plan_has_no_alarms_of_nodes(amply: Callable, quiet: Path, tmp_path: Path) -> None:
    plan = plan_file(tmp_path, {"chosen.kind": "serverless", "chosen.node_type": None})
    amply("alarms", quiet, "--plan", plan).assert_refused("for nodes")


def test_a_lead_that_is_no_time_is_refused(amply: Callable, quiet: Path) -> None:
    for minutes in ("nan", "-1", "1e9"):
        answer = amply("alarms", quiet, "--lead-minutes", minutes)
        assert (answer.code, answer.out) == (2, "")
        assert "--lead-minutes" in answer.err
