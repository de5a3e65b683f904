"""The chosen cluster as a CloudFormation template: group, parameters, subnets, secret, alarms, dashboard.

The AUTH token is made by Secrets Manager and reaches the group by a dynamic reference: it is in no template,
no parameter and no output.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from amply_capacity.errors import BadInput
from amply_capacity.ops.alarm import Alarm
from amply_capacity.ops.export_alarms import (
    Dimensions,
    alarm_resource,
    cluster_parameter,
    of_node,
    placed,
    template,
    topic_parameter,
)
from amply_capacity.ops.export_blueprint import PORT, TAGS, Blueprint
from amply_capacity.ops.export_dashboard import dashboard_body

__all__ = ["TOKEN", "cloudformation", "dashboard", "listed_tags", "network_parameters", "secret"]

_MOST_RESOURCES = 500
_TOKEN_CHARACTERS = 64
TOKEN = {"Fn::Sub": "{{resolve:secretsmanager:${AuthSecret}:SecretString:token}}"}
"""Resolved by CloudFormation as it deploys; no template and no event holds the value."""


def cloudformation(made: Blueprint) -> dict[str, Any]:
    """The template. Raises BadInput for more alarms than a stack takes."""
    resources = {
        "AuthSecret": secret(TAGS), "ParameterGroup": _parameter_group(made),
        "SubnetGroup": _subnet_group(), "ReplicationGroup": _replication_group(made), **_alarms(made),
        "Dashboard": _dashboard(made),
    }
    if len(resources) > _MOST_RESOURCES:
        raise BadInput("one CloudFormation stack cannot hold this cluster's alarms",
                       got=f"{len(resources):,} resources, {_MOST_RESOURCES} are allowed",
                       do="export terraform, which has no such limit")
    made_of = template(f"ElastiCache replication group: {made.words}", made.provenance, _parameters(made),
                       resources, _outputs(made))
    return made_of | {"Conditions": {
        "HasSnapshot": {"Fn::Not": [{"Fn::Equals": [{"Ref": "SnapshotName"}, ""]}]}}}


def _parameters(made: Blueprint) -> dict[str, Any]:
    return {
        "ClusterId": cluster_parameter(
            made.cluster_id, "Id of the replication group; it shows in public certificate logs"),
        "EngineVersion": {"Type": "String", "Default": made.engine_version,
                          "Description": f"Version of {made.engine}, of the family {made.family}"},
        "SnapshotName": {"Type": "String", "Default": "",
                         "Description": "Backup to begin with, or empty; another one makes another group"},
        **network_parameters(in_zones=made.has_failover),
        "AlarmTopicArn": topic_parameter(),
    }


def network_parameters(*, in_zones: bool) -> dict[str, Any]:
    """Subnets and security groups, which belong to whoever runs the network."""
    return {
        "SubnetIds": {"Type": "List<AWS::EC2::Subnet::Id>", "Description": "Private subnets" + (
            ", in two availability zones at least" if in_zones else "")},
        "SecurityGroupIds": {"Type": "List<AWS::EC2::SecurityGroup::Id>",
                             "Description": f"Security groups that let the application in on port {PORT}"},
    }


def secret(tags: Mapping[str, str]) -> dict[str, Any]:
    """A random token that Secrets Manager makes, under `token`."""
    return {
        "Type": "AWS::SecretsManager::Secret",
        # Of no use without its group, whose data a final snapshot keeps.
        "DeletionPolicy": "Delete", "UpdateReplacePolicy": "Delete",
        "Properties": {
            "Description": {"Fn::Sub": "AUTH token of the ElastiCache cache ${ClusterId}"},
            "GenerateSecretString": {
                "SecretStringTemplate": "{}", "GenerateStringKey": "token",
                "PasswordLength": _TOKEN_CHARACTERS, "ExcludePunctuation": True,
            },
            "Tags": listed_tags(tags),
        },
    }


def _parameter_group(made: Blueprint) -> dict[str, Any]:
    return {
        "Type": "AWS::ElastiCache::ParameterGroup",
        "Properties": {
            "CacheParameterGroupFamily": made.family, "Properties": dict(made.parameters),
            "Description": {"Fn::Sub": "Settings of ${ClusterId}"}, "Tags": listed_tags(TAGS),
        },
    }


def _subnet_group() -> dict[str, Any]:
    return {
        "Type": "AWS::ElastiCache::SubnetGroup",
        "Properties": {"Description": {"Fn::Sub": "Subnets of ${ClusterId}"},
                       "SubnetIds": {"Ref": "SubnetIds"}},
    }


def _replication_group(made: Blueprint) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "ReplicationGroupId": {"Ref": "ClusterId"},
        "ReplicationGroupDescription": made.description,
        "Engine": made.engine,
        "EngineVersion": {"Ref": "EngineVersion"},
        "CacheNodeType": made.node.name,
        "NumNodeGroups": made.shards,
        "ReplicasPerNodeGroup": made.replicas,
        # Cluster mode has it always; of a single node nothing could take over.
        "AutomaticFailoverEnabled": made.has_failover or made.is_sharded,
        "MultiAZEnabled": made.has_failover,
        "AtRestEncryptionEnabled": True,
        "TransitEncryptionEnabled": True,
        "AuthToken": TOKEN,
        "Port": PORT,
        "CacheParameterGroupName": {"Ref": "ParameterGroup"},
        "CacheSubnetGroupName": {"Ref": "SubnetGroup"},
        "SecurityGroupIds": {"Ref": "SecurityGroupIds"},
        "SnapshotName": {"Fn::If": ["HasSnapshot", {"Ref": "SnapshotName"}, {"Ref": "AWS::NoValue"}]},
        "SnapshotRetentionLimit": made.snapshot_days,
        "SnapshotWindow": made.snapshot_window,
        "PreferredMaintenanceWindow": made.maintenance_window,
        "AutoMinorVersionUpgrade": True,
        "Tags": listed_tags(TAGS),
    }
    if made.node.has_data_tiering:
        properties["DataTieringEnabled"] = True
    return {"Type": "AWS::ElastiCache::ReplicationGroup", "DeletionPolicy": "Snapshot",
            "UpdateReplacePolicy": "Snapshot", "Properties": properties}


def _alarms(made: Blueprint) -> dict[str, Any]:
    dimensions = {member: of_node({"Fn::Sub": f"${{ReplicationGroup}}-{member}"}) for member in made.members}
    return {f"Alarm{one.key}": alarm_resource(one, dimensions) for one in placed(made)}


def _dashboard(made: Blueprint) -> dict[str, Any]:
    return dashboard([of_node(f"${{ReplicationGroup}}-{member}") for member in made.members], made.alarms)


def dashboard(dimensions: Sequence[Dimensions], alarms: Sequence[Alarm]) -> dict[str, Any]:
    """An `AWS::CloudWatch::Dashboard`; the dimensions may hold references as Fn::Sub writes them."""
    body = dashboard_body(dimensions, "${AWS::Region}", alarms)
    return {
        "Type": "AWS::CloudWatch::Dashboard",
        "Properties": {"DashboardName": {"Ref": "ClusterId"},
                       "DashboardBody": {"Fn::Sub": json.dumps(body, separators=(",", ":"))}},
    }


def _outputs(made: Blueprint) -> dict[str, Any]:
    def endpoint(name: str, what: str) -> dict[str, Any]:
        return {"Description": what, "Value": {"Fn::GetAtt": ["ReplicationGroup", f"{name}.Address"]}}

    found: dict[str, Any] = {
        "AuthSecretArn": {"Description": "Where the AUTH token lies, under token",
                          "Value": {"Ref": "AuthSecret"}},
    }
    if made.is_sharded:
        found["ConfigurationEndpoint"] = endpoint("ConfigurationEndPoint", "For clients of Redis Cluster")
        return found
    found["PrimaryEndpoint"] = endpoint("PrimaryEndPoint", "For writes, and reads that must be the newest")
    if made.replicas:
        found["ReaderEndpoint"] = endpoint("ReaderEndPoint", "For reads that may be older")
    return found


def listed_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """As CloudFormation has them."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
