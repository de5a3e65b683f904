"""A serverless cache in both languages: with users instead of a token, linted, and without a secret."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from linted import lint
from plan_json import plan_of

from amply_capacity.errors import BadInput
from amply_capacity.ops.export_serverless import (
    USER_NAME,
    ServerlessBlueprint,
    serverless_alarms_template,
    serverless_blueprint_of,
    serverless_cloudformation,
    serverless_terraform,
)
from amply_capacity.ops.export_steps import CLUSTER, changes, steps

ENGINES = ("redis", "valkey")
SERVERLESS: dict[str, Any] = {"chosen.kind": "serverless", "chosen.node_type": "serverless"}


def blueprint(directory: Path, engine: str = "redis") -> ServerlessBlueprint:
    return serverless_blueprint_of(plan_of(directory, {**SERVERLESS, "chosen.engine": engine}))


@pytest.mark.parametrize("engine", ENGINES)
def test_the_application_is_a_user_with_the_password_of_the_secret(tmp_path: Path, engine: str) -> None:
    resources = serverless_cloudformation(blueprint(tmp_path, engine))["Resources"]
    user = resources["AppUser"]["Properties"]
    assert (user["UserName"], user["Engine"]) == (USER_NAME, engine)
    assert user["Passwords"] == [
        {"Fn::Sub": "{{resolve:secretsmanager:${AuthSecret}:SecretString:token}}"}]
    assert resources["Cache"]["Properties"]["UserGroupId"] == {"Ref": "UserGroup"}
    assert not re.search(r"[A-Za-z0-9+/]{40,}", json.dumps(resources))


def test_only_a_redis_group_has_the_default_user_which_is_off(tmp_path: Path) -> None:
    resources = serverless_cloudformation(blueprint(tmp_path))["Resources"]
    default = resources["DefaultUser"]["Properties"]
    assert (default["UserName"], default["AccessString"].split()[0]) == ("default", "off")
    assert {"Ref": "DefaultUser"} in resources["UserGroup"]["Properties"]["UserIds"]
    assert "DefaultUser" not in serverless_cloudformation(blueprint(tmp_path, "valkey"))["Resources"]


@pytest.mark.parametrize("engine", ENGINES)
def test_terraform_builds_the_same(tmp_path: Path, engine: str) -> None:
    made = blueprint(tmp_path, engine)
    ours, theirs = serverless_terraform(made)["resource"], serverless_cloudformation(made)["Resources"]
    cache = ours["aws_elasticache_serverless_cache"]["redis"]
    twin = theirs["Cache"]["Properties"]
    assert (cache["engine"], cache["daily_snapshot_time"], cache["snapshot_retention_limit"]) == (
        twin["Engine"], twin["DailySnapshotTime"], twin["SnapshotRetentionLimit"])
    assert len(ours["aws_elasticache_user"]) == len(theirs["UserGroup"]["Properties"]["UserIds"])
    assert ours["aws_elasticache_user"]["app"]["passwords_wo"].startswith("${ephemeral.")
    assert len(ours["aws_cloudwatch_metric_alarm"]) == sum(
        one["Type"] == "AWS::CloudWatch::Alarm" for one in theirs.values())


@pytest.mark.parametrize("engine", ENGINES)
def test_each_terraform_reference_leads_to_something_that_is_declared(tmp_path: Path, engine: str) -> None:
    made = serverless_terraform(blueprint(tmp_path, engine))
    declared = {f"var.{name}" for name in made["variable"]}
    declared |= {f"{kind}.{name}" for kind, members in made["resource"].items() for name in members}
    declared |= {f"ephemeral.{kind}.{name}"
                 for kind, members in made["ephemeral"].items() for name in members}
    text = " ".join(re.findall(r"(?<!\$)\$\{(.*?)\}", json.dumps([made["resource"], made["output"]])))
    used = set(re.findall(r"(?:ephemeral\.)?(?:var\.\w+|aws_\w+\.\w+)", text))
    assert used
    assert used <= declared
    assert {name for name in declared if name.startswith("var.")} <= used


def test_its_alarms_are_on_the_metrics_that_serverless_has(tmp_path: Path) -> None:
    made = blueprint(tmp_path)
    metrics = {alarm.metric for alarm in made.alarms}
    assert "ThrottledCmds" in metrics
    assert not metrics & {"CPUUtilization", "CPUCreditBalance", "FreeableMemory", "ReplicationLag"}
    alarm = serverless_cloudformation(made)["Resources"]["AlarmThrottled"]["Properties"]
    assert alarm["Dimensions"] == [{"Name": "clusterId", "Value": {"Ref": "Cache"}}]
    connections = next(alarm for alarm in made.alarms if alarm.metric == "CurrConnections")
    assert "maxclients" not in connections.why


def test_the_way_there_needs_a_cluster_client_and_loses_what_the_old_one_holds(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, SERVERLESS)
    made = serverless_blueprint_of(plan)
    order = steps(plan, made, CLUSTER)
    words = [one.what for one in order]
    assert any(text.startswith("Make the application ready for Redis Cluster") for text in words)
    assert not any("idle" in text for text in words)
    switch = next(one for one in order if one.what.startswith("Deploy the application"))
    assert f"the user {USER_NAME}" in switch.what
    assert switch.loses.startswith("what was written before")
    found = {one.setting: one.planned for one in changes(plan, made, CLUSTER)}
    assert (found["kind"], found["login"]) == ("serverless cache", f"user {USER_NAME} with a password")


def test_a_plan_of_nodes_is_none(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="chose nodes"):
        serverless_blueprint_of(plan_of(tmp_path))


def test_the_same_plan_gives_the_same_bytes(tmp_path: Path) -> None:
    for build in (serverless_cloudformation, serverless_terraform, serverless_alarms_template):
        assert json.dumps(build(blueprint(tmp_path))) == json.dumps(build(blueprint(tmp_path)))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.xdist_group("cfn-lint")
def test_cfn_lint_has_nothing_to_say_of_a_serverless_cache(tmp_path: Path, engine: str) -> None:
    made = blueprint(tmp_path, engine)
    for template in (serverless_cloudformation(made), serverless_alarms_template(made)):
        assert lint(template) == []
