"""`amply-capacity export`: one object on stdout or a whole file, and refusals in one paragraph."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from plan_json import plan_file

from amply_capacity.files import EXAMPLE_RUN

KINDS = ("cloudformation", "terraform", "alarms")


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return plan_file(tmp_path)


def test_in_a_shell_the_template_is_all_that_is_printed(amply_process: Callable, plan: Path) -> None:
    answer = amply_process("export", "cloudformation", "--plan", plan)
    assert (answer.code, answer.err) == (0, "")
    assert answer.json["AWSTemplateFormatVersion"] == "2010-09-09"


@pytest.mark.parametrize("kind", KINDS)
def test_without_out_the_template_is_the_one_object_on_stdout(amply: Callable, plan: Path, kind: str) -> None:
    answer = amply("export", kind, "--plan", plan)
    assert (answer.code, answer.err) == (0, "")
    assert answer.json
    assert amply("export", kind, "--plan", plan, "--json").out == answer.out  # byte for byte


@pytest.mark.parametrize("kind", KINDS)
def test_with_out_the_file_is_what_stdout_would_have_been(amply: Callable, plan: Path, kind: str) -> None:
    out = plan.with_name("main.json")
    answer = amply("export", kind, "--plan", plan, "--out", out, "--json")
    assert answer.json == {"file": str(out)}
    assert out.read_text() == amply("export", kind, "--plan", plan).out
    assert amply("export", kind, "--plan", plan, "--out", out).out == f"{out}\n"  # an earlier one is replaced


def test_the_plan_of_the_example_run_is_exported(amply: Callable, demand: Path, tmp_path: Path) -> None:
    made = amply("plan", "--run", EXAMPLE_RUN, "--demand", demand, "--worlds", "500", "--json")
    assert made.code == 0, made.err
    path = tmp_path / "plan.json"
    path.write_text(made.out)
    chosen = made.json["chosen"]
    assert chosen["kind"] == "nodes"
    resources = amply("export", "cloudformation", "--plan", path).json["Resources"]
    group = resources["ReplicationGroup"]["Properties"]
    assert group["CacheNodeType"] == chosen["node_type"]
    assert group["ReplicasPerNodeGroup"] == chosen["replicas"]
    assert amply("export", "steps", "--plan", path).code == 0


def test_the_steps_are_text_or_one_object(amply: Callable, plan: Path) -> None:
    assert "In this order" in amply("export", "steps", "--plan", plan).out
    content = amply("export", "steps", "--plan", plan, "--json").json
    assert content["today"] == "cluster"
    assert [one["step"] for one in content["steps"]] == list(range(1, len(content["steps"]) + 1))
    assert amply("export", "steps", "--plan", plan, "--today", "group", "--json").json["today"] == "group"


def test_a_cluster_with_replicas_is_a_group(amply: Callable, tmp_path: Path) -> None:
    plan = plan_file(tmp_path, {"demand.cluster.replicas": 1})
    assert amply("export", "steps", "--plan", plan, "--json").json["today"] == "group"
    amply("export", "steps", "--plan", plan, "--today", "cluster").assert_refused("1 replicas")
    amply("export", "steps", "--plan", plan, "--today", "server").assert_refused("--today server")


@pytest.mark.parametrize("kind", [*KINDS, "steps"])
def test_a_broken_plan_is_refused_and_nothing_is_written(amply: Callable, tmp_path: Path, kind: str) -> None:
    plan = plan_file(tmp_path, {"chosen.shards": "one", "demand.slo": None})
    amply("export", kind, "--plan", plan).assert_refused(
        "chosen.shards is 'one'", "demand.slo.hit_rate_percent is missing", "make it again")
    amply("export", kind, "--plan", tmp_path / "none.json").assert_refused("no such plan")
    if kind != "steps":
        out = tmp_path / "out.json"
        amply("export", kind, "--plan", plan, "--out", out).assert_refused("chosen.shards")
        assert not out.exists()


def test_an_unwritable_place_is_refused_and_left_as_it_was(amply: Callable, plan: Path) -> None:
    amply("export", "alarms", "--plan", plan, "--out", plan.parent / "none" / "a.json").assert_refused("none")
    amply("export", "alarms", "--plan", plan, "--out", plan.parent).assert_refused("no file")
    before = sorted(os.listdir(plan.parent))
    amply("export", "alarms", "--plan", plan, "--out", plan / "a.json").assert_refused("cannot be written")
    assert sorted(os.listdir(plan.parent)) == before


def test_a_file_that_was_there_survives_a_refused_plan(amply: Callable, tmp_path: Path) -> None:
    out = tmp_path / "main.tf.json"
    out.write_text("mine")
    plan = plan_file(tmp_path, {"chosen.node_type": "cache.t2.micro"})
    amply("export", "terraform", "--plan", plan, "--out", out).assert_refused("previous generation")
    assert out.read_text() == "mine"


def test_a_serverless_plan_is_exported_as_such(amply: Callable, tmp_path: Path) -> None:
    plan = plan_file(tmp_path, {"chosen.kind": "serverless", "chosen.node_type": "serverless"})
    resources = amply("export", "cloudformation", "--plan", plan).json["Resources"]
    assert resources["Cache"]["Type"] == "AWS::ElastiCache::ServerlessCache"
    assert "aws_elasticache_serverless_cache" in amply("export", "terraform", "--plan", plan).json["resource"]
    assert amply("export", "alarms", "--plan", plan).json["Resources"].keys() == {
        name for name in resources if name.startswith("Alarm")}
    assert "serverless cache" in amply("export", "steps", "--plan", plan).out


def test_the_exports_of_one_plan_agree(amply: Callable, plan: Path) -> None:
    found = {kind: json.loads(amply("export", kind, "--plan", plan).out) for kind in KINDS}
    alone = found["alarms"]["Resources"].keys()
    assert alone == {name for name, one in found["cloudformation"]["Resources"].items()
                     if one["Type"] == "AWS::CloudWatch::Alarm"}
    assert len(found["terraform"]["resource"]["aws_cloudwatch_metric_alarm"]) == len(alone)


@pytest.mark.parametrize("kind", ["cloudformation", "terraform"])
def test_the_audit_finds_no_error_in_what_is_exported(amply: Callable, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "exported.json"
    for changes in ({}, {"chosen.replicas": 0}, {"chosen.shards": 2, "chosen.node_type": "cache.m7g.large"}):
        assert amply("export", kind, "--plan", plan_file(tmp_path, changes), "--out", out).code == 0
        audited = amply("audit", out, "--json")
        assert audited.code in {0, 1}, audited.err
        errors = [one for one in audited.json["findings"] if one["severity"] == "error"]
        assert errors == []
