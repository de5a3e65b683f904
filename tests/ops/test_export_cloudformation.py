"""The chosen cluster as CloudFormation: what the specification asks for, linted, and without a secret."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from linted import lint
from plan_json import plan_of

from amply_capacity.errors import BadInput
from amply_capacity.ops.export_alarms import alarms_template, placed
from amply_capacity.ops.export_blueprint import Blueprint, blueprint_of
from amply_capacity.ops.export_cloudformation import cloudformation

SHAPES: dict[str, dict[str, Any]] = {
    "primary and replica": {},
    "one node": {"chosen.replicas": 0, "chosen.node_type": "cache.t3.micro"},
    "three shards": {"chosen.shards": 3, "chosen.node_type": "cache.m7g.large"},
    "shards without replicas": {"chosen.shards": 2, "chosen.replicas": 0,
                                "chosen.node_type": "cache.m7g.large"},
    "five replicas": {"chosen.replicas": 5, "chosen.node_type": "cache.r7g.xlarge"},
    "valkey": {"chosen.engine": "valkey", "chosen.node_type": "cache.t4g.small"},
    "data tiering": {"chosen.node_type": "cache.r6gd.xlarge"},
}


def blueprint(directory: Path, shape: str = "primary and replica") -> Blueprint:
    return blueprint_of(plan_of(directory, SHAPES[shape]))


def group_of(template: dict[str, Any]) -> dict[str, Any]:
    properties = template["Resources"]["ReplicationGroup"]["Properties"]
    assert isinstance(properties, dict)
    return properties


def alarms_of(template: dict[str, Any]) -> list[dict[str, Any]]:
    return [one["Properties"] for one in template["Resources"].values()
            if one["Type"] == "AWS::CloudWatch::Alarm"]


def test_the_specifications_replication_group_comes_out(tmp_path: Path) -> None:
    group = group_of(cloudformation(blueprint(tmp_path)))
    # elasticache-redis.md, Failover, Cluster Mode (Future), and what its Security section demands of it
    assert group["ReplicationGroupDescription"] == "amply-redis-cluster"
    assert (group["NumNodeGroups"], group["ReplicasPerNodeGroup"]) == (1, 1)
    for setting in ("AutomaticFailoverEnabled", "MultiAZEnabled", "AtRestEncryptionEnabled",
                    "TransitEncryptionEnabled"):
        assert group[setting] is True, setting
    assert group["AuthToken"] == {"Fn::Sub": "{{resolve:secretsmanager:${AuthSecret}:SecretString:token}}"}
    assert (group["SnapshotRetentionLimit"], group["SnapshotWindow"]) == (7, "04:00-05:00")
    assert group["PreferredMaintenanceWindow"] == "sun:05:00-sun:06:00"
    assert group["CacheNodeType"] == "cache.t3.small"


def test_one_node_is_a_group_with_encryption_and_without_failover(tmp_path: Path) -> None:
    group = group_of(cloudformation(blueprint(tmp_path, "one node")))
    assert (group["AtRestEncryptionEnabled"], group["AutomaticFailoverEnabled"], group["MultiAZEnabled"]) == (
        True, False, False)


def test_cluster_mode_always_has_failover_and_multi_az_only_with_replicas(tmp_path: Path) -> None:
    template = cloudformation(blueprint(tmp_path, "shards without replicas"))
    group = group_of(template)
    assert (group["AutomaticFailoverEnabled"], group["MultiAZEnabled"]) == (True, False)
    assert "ConfigurationEndpoint" in template["Outputs"]
    parameters = template["Resources"]["ParameterGroup"]["Properties"]["Properties"]
    assert parameters["cluster-enabled"] == "yes"


def test_data_tiering_is_said_where_the_node_type_needs_it(tmp_path: Path) -> None:
    assert group_of(cloudformation(blueprint(tmp_path, "data tiering")))["DataTieringEnabled"] is True
    assert "DataTieringEnabled" not in group_of(cloudformation(blueprint(tmp_path)))


def test_network_and_topic_are_parameters_without_a_default(tmp_path: Path) -> None:
    parameters = cloudformation(blueprint(tmp_path))["Parameters"]
    for name in ("SubnetIds", "SecurityGroupIds", "AlarmTopicArn"):
        assert "Default" not in parameters[name]


def test_a_backup_to_begin_with_may_be_named_and_need_not(tmp_path: Path) -> None:
    template = cloudformation(blueprint(tmp_path))
    assert template["Parameters"]["SnapshotName"]["Default"] == ""
    assert group_of(template)["SnapshotName"]["Fn::If"] == [
        "HasSnapshot", {"Ref": "SnapshotName"}, {"Ref": "AWS::NoValue"}]
    assert "HasSnapshot" in template["Conditions"]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_token_is_made_in_secrets_manager_and_stands_nowhere(tmp_path: Path, shape: str) -> None:
    template = cloudformation(blueprint(tmp_path, shape))
    made = template["Resources"]["AuthSecret"]["Properties"]["GenerateSecretString"]
    # ElastiCache takes 16 to 128 characters, of punctuation a few only.
    assert (made["GenerateStringKey"], made["ExcludePunctuation"]) == ("token", True)
    assert 16 <= made["PasswordLength"] <= 128
    assert "SecretString" not in template["Resources"]["AuthSecret"]["Properties"]
    text = json.dumps(template)
    assert not re.search(r'"(AuthToken|Password|SecretString)": "', text)
    assert not re.search(r"[A-Za-z0-9+/]{40,}", text.replace("secretsmanager", ""))  # nothing random


@pytest.mark.parametrize("shape", SHAPES)
def test_every_reference_leads_somewhere(tmp_path: Path, shape: str) -> None:
    for template in (cloudformation(blueprint(tmp_path, shape)), alarms_template(blueprint(tmp_path, shape))):
        known = {*template["Parameters"], *template["Resources"], "AWS::Region", "AWS::NoValue"}
        used = set()

        def walk(value: Any, used: set[str] = used) -> None:
            if isinstance(value, dict):
                if "Ref" in value:
                    used.add(value["Ref"])
                if "Fn::GetAtt" in value:
                    used.add(value["Fn::GetAtt"][0])
                if "Fn::Sub" in value:
                    used |= set(re.findall(r"\$\{([A-Za-z:]+)\}", value["Fn::Sub"]))
                for each in value.values():
                    walk(each)
            elif isinstance(value, list):
                for each in value:
                    walk(each)

        walk(template)
        assert used <= known
        assert set(template["Parameters"]) <= used


@pytest.mark.parametrize("shape", SHAPES)
def test_every_node_has_every_alarm_and_a_shard_one_on_its_hit_rate(tmp_path: Path, shape: str) -> None:
    made = blueprint(tmp_path, shape)
    found = placed(made)
    assert len({one.key for one in found}) == len(found)
    for alarm in made.alarms:
        members = [one.members for one in found if one.alarm == alarm]
        if alarm.metric != "CacheHitRate":
            assert members == [(member,) for member in made.members]
        elif made.replicas == 5:
            assert members == []  # more metrics than an alarm may have
        else:
            assert [len(each) for each in members] == made.shards * [made.replicas + 1]


def test_an_alarm_says_all_that_it_is_and_why(tmp_path: Path) -> None:
    template = cloudformation(blueprint(tmp_path))
    properties = template["Resources"]["AlarmLowCpuCredits001"]["Properties"]
    assert properties["AlarmName"] == {"Fn::Sub": "${ClusterId}-low-cpu-credits-001"}
    assert properties["Dimensions"][0] == {
        "Name": "CacheClusterId", "Value": {"Fn::Sub": "${ReplicationGroup}-001"}}
    wanted = {"Namespace": "AWS/ElastiCache", "MetricName": "CPUCreditBalance", "Statistic": "Minimum",
              "Period": 300, "EvaluationPeriods": 1, "DatapointsToAlarm": 1, "Threshold": 38,
              "ComparisonOperator": "LessThanThreshold", "TreatMissingData": "missing"}
    assert {name: properties[name] for name in wanted} == wanted
    assert properties["AlarmActions"] == properties["OKActions"] == [{"Ref": "AlarmTopicArn"}]
    for one in alarms_of(template):
        assert len(one["AlarmDescription"]) <= 1024
        assert one["AlarmDescription"].isascii()  # CloudFormation writes "?" for the rest


def test_swap_and_hit_rate_are_metric_math(tmp_path: Path) -> None:
    resources = cloudformation(blueprint(tmp_path))["Resources"]
    swap = resources["AlarmSwapping002"]["Properties"]["Metrics"]
    assert [one["Id"] for one in swap] == ["e1", "m1", "m2"]
    assert swap[0]["Expression"] == "m1 - m2"
    rate = resources["AlarmLowHitRate"]["Properties"]["Metrics"]
    assert rate[0]["Expression"] == "100 * (h1 + h2) / (h1 + h2 + m1 + m2)"
    assert {one["MetricStat"]["Stat"] for one in rate[1:]} == {"Sum"}
    assert [one["ReturnData"] for one in rate] == [True, False, False, False, False]


def test_the_dashboard_shows_each_metric_of_each_node_with_its_thresholds(tmp_path: Path) -> None:
    made = blueprint(tmp_path)
    dashboard = cloudformation(made)["Resources"]["Dashboard"]["Properties"]
    body = json.loads(dashboard["DashboardBody"]["Fn::Sub"])
    assert [one["properties"]["title"] for one in body["widgets"]] == list(
        dict.fromkeys(alarm.metric for alarm in made.alarms))
    memory = next(one["properties"] for one in body["widgets"]
                  if one["properties"]["title"] == "DatabaseMemoryUsagePercentage")
    assert [line["value"] for line in memory["annotations"]["horizontal"]] == [75.0, 94.9]
    assert [line[3] for line in memory["metrics"]] == ["${ReplicationGroup}-001", "${ReplicationGroup}-002"]
    places = [(one["x"], one["y"]) for one in body["widgets"]]
    assert len(set(places)) == len(places)


def test_the_same_plan_gives_the_same_bytes(tmp_path: Path) -> None:
    once, again = (json.dumps(cloudformation(blueprint(tmp_path))) for _ in range(2))
    assert once == again
    assert json.loads(once)["Metadata"]["AmplyCapacity"]["usdPerMonth"] == "49.64"


def test_more_alarms_than_a_stack_takes_are_refused_with_a_way_out(tmp_path: Path) -> None:
    made = blueprint_of(plan_of(tmp_path, {"chosen.shards": 40, "chosen.node_type": "cache.m7g.large"}))
    with pytest.raises(BadInput, match="export terraform"):
        cloudformation(made)


def test_the_alarms_alone_take_the_id_of_each_node(tmp_path: Path) -> None:
    template = alarms_template(blueprint(tmp_path))
    assert {one["Type"] for one in template["Resources"].values()} == {"AWS::CloudWatch::Alarm"}
    assert template["Parameters"]["NodeId002"]["Default"] == "amply-redis-002"
    assert alarms_of(template)[0]["Dimensions"][0]["Value"] == {"Ref": "NodeId001"}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.xdist_group("cfn-lint")
def test_cfn_lint_has_nothing_to_say(tmp_path: Path, shape: str) -> None:
    assert lint(cloudformation(blueprint(tmp_path, shape))) == []


@pytest.mark.parametrize("shape", ["one node", "shards without replicas", "five replicas"])
@pytest.mark.xdist_group("cfn-lint")
def test_cfn_lint_has_nothing_to_say_of_the_alarms_alone(tmp_path: Path, shape: str) -> None:
    """The alarms of a node are the same in every shape, and those of a shard in every cluster mode."""
    assert lint(alarms_template(blueprint(tmp_path, shape))) == []


@pytest.mark.xdist_group("cfn-lint")
def test_cfn_lint_speaks_up_where_something_is_wrong(tmp_path: Path) -> None:
    template = cloudformation(blueprint(tmp_path, "one node"))
    template["Resources"]["ReplicationGroup"]["Properties"]["NumNodeGroups"] = "many"
    template["Parameters"]["Unused"] = {"Type": "String"}
    found = "\n".join(lint(template))
    assert "'many' is not of type 'integer'" in found
    assert "Parameter Unused not used" in found
