"""`amply-capacity plan`: the contract's object, the same for the same seed, and refusals in one paragraph."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from amply_capacity.files import DATA_DIR
from amply_capacity.report.money import usd

pytestmark = pytest.mark.xdist_group("plan")


@pytest.fixture(scope="module")
def options(recorded_run: Path, demand: Path) -> tuple[object, ...]:
    return ("plan", "--run", recorded_run, "--demand", demand)


def test_the_plan_has_the_keys_of_the_contract(amply_process: Callable, options: tuple) -> None:
    answer = amply_process(*options, "--json")
    assert answer.code == 0
    assert [line.partition(":")[0] for line in answer.err.splitlines()] == ["warning"]  # of old prices
    plan = answer.json
    assert set(plan) >= {"chosen", "ranked", "excuses", "replica", "months", "evidence"}
    assert set(plan["chosen"]) >= {
        "kind", "node_type", "engine", "shards", "replicas", "term", "usd_per_month"}
    assert plan["chosen"] == plan["ranked"][0]
    assert all(set(excuse) >= {"node_type", "constraint", "reason"} for excuse in plan["excuses"])
    assert set(plan["replica"]) >= {"verdict", "probability", "break_even"}
    assert plan["replica"]["verdict"] in {"add", "do not add", "undecided"}
    assert len(plan["months"]) == 36
    wanted = {"month", "node_type", "usd_low", "usd_mid", "usd_high"}
    assert all(set(month) >= wanted for month in plan["months"])


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_plan(
        amply: Callable, options: tuple) -> None:
    once, again, other = (amply(*options, "--json", "--worlds", "2000", "--seed", seed).out for seed in "113")
    assert once == again
    assert json.loads(other)["replica"]["probability"] != json.loads(once)["replica"]["probability"]


def test_for_a_person_the_decision_comes_first_then_every_month(amply: Callable, options: tuple) -> None:
    plan = amply(*options, "--json", "--worlds", "2000").json
    text = amply(*options, "--worlds", "2000").out
    first = text.splitlines()[0]
    assert first.startswith(f"Run 1 {plan['chosen']['node_type']}")
    assert usd(plan["chosen"]["usd_per_month"]) in first
    for month in plan["months"]:
        words = (month["month"], month["node_type"], usd(month["usd_mid"]))
        assert re.search("^" + " .*".join(map(re.escape, words)), text, re.MULTILINE)


def test_a_drill_among_the_runs_narrows_what_is_believed_of_failures(amply: Callable, options: tuple) -> None:
    drills = [str(DATA_DIR / "examples" / f"drill-{name}") for name in ("single", "replicated")]
    given = amply(*options, "--run", drills[0], "--run", drills[1], "--json", "--worlds", "500").json
    replica = given["replica"]
    assert [one["topology"] for one in replica["drills"]] == ["single", "replicated"]
    assert {one["number"] for one in replica["learned"]} == {"failures.reconnect_seconds",
                                                             "failures.refill_seconds"}
    alone = amply(*options, "--json", "--worlds", "500").json
    for name in ("node_type", "probability", "binding", "expected_node_usd_per_month"):
        assert alone["chosen"][name] == given["chosen"][name], "what the load needs is not a drill's to say"
    assert alone["replica"]["medians"]["minutes_replica"] > replica["medians"]["minutes_replica"]


def test_all_faults_of_a_demand_file_are_named_in_one_paragraph(
        amply: Callable, options: tuple, demand: Path, tmp_path: Path) -> None:
    broken = demand.read_text()
    for found, wrong in (
        ("registered = 25_000", "registred = 25_000"),  # unknown, so the right one is missing
        ("touches_per_request = 0.25", "touches_per_request = -0.25"),
        ("pool_size = 20", 'pool_size = "twenty"'),
        ('region = "us-east-1"', 'region = "us-eest-1"'),
        ("hit_rate_percent = 90", "hit_rate_percent = 190"),
    ):
        assert found in broken
        broken = broken.replace(found, wrong)
    file = tmp_path / "demand.toml"
    file.write_text(broken)
    amply(*options[:3], "--demand", file).assert_refused(
        "users.registred", "users.registered: missing", "activity.touches_per_request",
        "connections.pool_size", "'us-eest-1'", "us-east-1", "slo.hit_rate_percent")


@pytest.mark.parametrize(("content", "word"), [("this is = = no toml", "no TOML"), ("", "missing")])
def test_a_demand_file_that_is_none_is_refused(
        amply: Callable, options: tuple, tmp_path: Path, content: str, word: str) -> None:
    file = tmp_path / "demand.toml"
    file.write_text(content)
    amply(*options[:3], "--demand", file).assert_refused(word)


def test_a_demand_file_that_is_not_there_is_refused(amply: Callable, options: tuple, tmp_path: Path) -> None:
    amply(*options[:3], "--demand", tmp_path / "none.toml").assert_refused(str(tmp_path / "none.toml"))


def _empty(run: Path) -> None:
    shutil.rmtree(run)
    run.mkdir()


def _truncated_table(run: Path) -> None:
    file = run / "requests.parquet"
    file.write_bytes(file.read_bytes()[:-200])


def _newer(run: Path) -> None:
    manifest = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**manifest, "schema": 99}))


@pytest.mark.parametrize(("damage", "word"), [
    (shutil.rmtree, "there is no such run"),
    (_empty, "empty"),
    (lambda run: (run / "run.json").unlink(), "no run.json"),
    (lambda run: (run / "run.json").write_text('{"schema": 1, "run"'), "manifest cannot be read"),
    (lambda run: (run / "server.parquet").unlink(), "server.parquet"),
    (lambda run: (run / "parts").mkdir(), "runs recover"),
    (_truncated_table, "damaged table requests"),
    (_newer, "newer version"),
], ids=["missing", "empty", "no manifest", "half a manifest", "lost table", "unfinished", "truncated table",
        "newer"])
def test_a_run_directory_that_is_not_whole_is_refused_in_one_paragraph(
        amply: Callable, recorded_run: Path, demand: Path, tmp_path: Path,
        damage: Callable[[Path], object], word: str) -> None:
    run = tmp_path / "run"
    shutil.copytree(recorded_run, run)
    damage(run)
    amply("plan", "--run", run, "--demand", demand, "--json").assert_refused(word)


def test_the_months_begin_after_the_run_not_after_today(
        amply: Callable, recorded_run: Path, demand: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(recorded_run, run)
    manifest = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**manifest, "started_at": "2019-03-30T10:00:00.000+00:00"}))
    plan = amply("plan", "--run", run, "--demand", demand, "--json", "--worlds", "200").json
    assert plan["start"] == "2019-03-30"
    assert [month["month"] for month in plan["months"]][:2] == ["2019-04", "2019-05"]
