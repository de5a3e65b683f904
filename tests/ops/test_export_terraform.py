"""The chosen cluster as Terraform JSON, held to the provider's arguments and to its CloudFormation twin.

There is no terraform here, so the structure is checked: the arguments of each resource as the AWS provider 6
documents them, references, and that the token is never a value.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from plan_json import plan_of

from amply_capacity.ops.export_blueprint import Blueprint, blueprint_of
from amply_capacity.ops.export_cloudformation import cloudformation
from amply_capacity.ops.export_terraform import PROVIDER_VERSION, TERRAFORM_VERSION, terraform

SHAPES: dict[str, dict[str, Any]] = {
    "primary and replica": {},
    "one node": {"chosen.replicas": 0, "chosen.node_type": "cache.t3.micro"},
    "three shards": {"chosen.shards": 3, "chosen.node_type": "cache.m7g.large"},
    "five replicas": {"chosen.replicas": 5, "chosen.node_type": "cache.r7g.xlarge"},
    "data tiering": {"chosen.node_type": "cache.r6gd.xlarge"},
}
ARGUMENTS: dict[str, tuple[set[str], set[str]]] = {
    "aws_secretsmanager_secret": (set(), {"name_prefix", "description"}),
    "aws_secretsmanager_secret_version": ({"secret_id"}, {"secret_string_wo", "secret_string_wo_version"}),
    "aws_elasticache_parameter_group": ({"name", "family"}, {"description", "parameter"}),
    "aws_elasticache_subnet_group": ({"name", "subnet_ids"}, {"description"}),
    "aws_elasticache_replication_group": ({"replication_group_id", "description"}, {
        "engine", "engine_version", "node_type", "num_node_groups", "replicas_per_node_group",
        "automatic_failover_enabled", "multi_az_enabled", "at_rest_encryption_enabled",
        "transit_encryption_enabled", "auth_token_wo", "auth_token_wo_version", "port",
        "parameter_group_name", "subnet_group_name", "security_group_ids", "snapshot_name",
        "snapshot_retention_limit",
        "snapshot_window", "maintenance_window", "final_snapshot_identifier", "apply_immediately",
        "data_tiering_enabled", "lifecycle"}),
    "aws_cloudwatch_metric_alarm": ({"alarm_name", "comparison_operator", "evaluation_periods"}, {
        "alarm_description", "namespace", "metric_name", "dimensions", "statistic", "period", "metric_query",
        "datapoints_to_alarm", "threshold", "treat_missing_data", "alarm_actions", "ok_actions"}),
    "aws_cloudwatch_dashboard": ({"dashboard_name", "dashboard_body"}, set()),
}


def blueprint(directory: Path, shape: str = "primary and replica") -> Blueprint:
    return blueprint_of(plan_of(directory, SHAPES[shape]))


@pytest.mark.parametrize("shape", SHAPES)
def test_each_resource_has_the_arguments_that_the_provider_knows(tmp_path: Path, shape: str) -> None:
    made = terraform(blueprint(tmp_path, shape))
    assert made["resource"].keys() == ARGUMENTS.keys()
    for kind, members in made["resource"].items():
        required, allowed = ARGUMENTS[kind]
        for name, arguments in members.items():
            assert re.fullmatch(r"[a-z_][a-z0-9_]*", name), name
            assert required <= arguments.keys() <= required | allowed, (kind, name)


@pytest.mark.parametrize("shape", SHAPES)
def test_each_reference_leads_to_something_that_is_declared(tmp_path: Path, shape: str) -> None:
    made = terraform(blueprint(tmp_path, shape))
    declared = {f"var.{name}" for name in made["variable"]}
    declared |= {f"{kind}.{name}" for kind, members in made["resource"].items() for name in members}
    declared |= {f"ephemeral.{kind}.{name}"
                 for kind, members in made["ephemeral"].items() for name in members}
    text = json.dumps([made["resource"], made["output"]])
    used = set(re.findall(r"(?:ephemeral\.)?(?:var\.\w+|aws_\w+\.\w+)", " ".join(
        re.findall(r"(?<!\$)\$\{(.*?)\}", text))))
    assert used
    assert used <= declared
    assert {name for name in declared if name.startswith("var.")} <= used


def test_versions_are_stated(tmp_path: Path) -> None:
    made = terraform(blueprint(tmp_path))["terraform"]
    assert made["required_version"] == TERRAFORM_VERSION
    assert made["required_providers"]["aws"] == {"source": "hashicorp/aws", "version": PROVIDER_VERSION}


def test_the_token_is_ephemeral_and_goes_into_write_only_arguments(tmp_path: Path) -> None:
    made = terraform(blueprint(tmp_path))
    group = made["resource"]["aws_elasticache_replication_group"]["redis"]
    version = made["resource"]["aws_secretsmanager_secret_version"]["auth"]
    assert "auth_token" not in group
    for value in (group["auth_token_wo"], version["secret_string_wo"]):
        assert "ephemeral.aws_secretsmanager_random_password.auth.random_password" in value
    assert group["auth_token_wo_version"] == version["secret_string_wo_version"]  # replaced together
    outside = json.dumps({**made, "ephemeral": {}, "resource": {
        kind: members for kind, members in made["resource"].items()
        if kind not in {"aws_elasticache_replication_group", "aws_secretsmanager_secret_version"}}})
    assert "ephemeral." not in outside


@pytest.mark.parametrize("shape", SHAPES)
def test_it_builds_what_cloudformation_builds(tmp_path: Path, shape: str) -> None:
    made = blueprint(tmp_path, shape)
    group = terraform(made)["resource"]["aws_elasticache_replication_group"]["redis"]
    twin = cloudformation(made)["Resources"]["ReplicationGroup"]["Properties"]
    for ours, theirs in (
        ("num_node_groups", "NumNodeGroups"), ("replicas_per_node_group", "ReplicasPerNodeGroup"),
        ("automatic_failover_enabled", "AutomaticFailoverEnabled"), ("multi_az_enabled", "MultiAZEnabled"),
        ("node_type", "CacheNodeType"), ("engine", "Engine"), ("snapshot_window", "SnapshotWindow"),
        ("maintenance_window", "PreferredMaintenanceWindow"), ("description", "ReplicationGroupDescription"),
        ("snapshot_retention_limit", "SnapshotRetentionLimit"),
    ):
        assert group[ours] == twin[theirs], ours
    assert group.get("data_tiering_enabled") == twin.get("DataTieringEnabled")


@pytest.mark.parametrize("shape", SHAPES)
def test_its_alarms_are_those_of_cloudformation(tmp_path: Path, shape: str) -> None:
    made = blueprint(tmp_path, shape)
    ours = terraform(made)["resource"]["aws_cloudwatch_metric_alarm"].values()
    theirs = [one["Properties"] for one in cloudformation(made)["Resources"].values()
              if one["Type"] == "AWS::CloudWatch::Alarm"]
    for one, twin in zip(ours, theirs, strict=True):
        assert one["alarm_name"].removeprefix("${var.cluster_id}") == (
            twin["AlarmName"]["Fn::Sub"].removeprefix("${ClusterId}"))
        assert (one["threshold"], one["datapoints_to_alarm"], one["comparison_operator"]) == (
            twin["Threshold"], twin["DatapointsToAlarm"], twin["ComparisonOperator"])
        assert one.get("metric_name") == twin.get("MetricName")
        assert len(one.get("metric_query", ())) == len(twin.get("Metrics", ()))
        for query, their_query in zip(one.get("metric_query", ()), twin.get("Metrics", ()), strict=True):
            assert query.get("expression") == their_query.get("Expression")


def test_a_text_is_no_template_of_terraforms(tmp_path: Path) -> None:
    alarms = terraform(blueprint(tmp_path))["resource"]["aws_cloudwatch_metric_alarm"]
    for one in alarms.values():
        assert not re.search(r"(?<!\$)\$\{|(?<!%)%\{", one["alarm_description"])


def test_the_dashboard_is_json_once_its_references_are_filled_in(tmp_path: Path) -> None:
    made = terraform(blueprint(tmp_path))["resource"]["aws_cloudwatch_dashboard"]["redis"]["dashboard_body"]
    body = json.loads(re.sub(r"\$\{.*?\}", "amply-redis", made))
    assert body["widgets"][0]["properties"]["region"] == "us-east-1"


def test_the_same_plan_gives_the_same_bytes(tmp_path: Path) -> None:
    once, again = (json.dumps(terraform(blueprint(tmp_path))) for _ in range(2))
    assert once == again
