"""The kinds of resources that are audited, and the names that each form of writing has for their settings."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from amply_capacity.ops.configuration import Kind
from amply_capacity.ops.setting import Setting
from amply_capacity.plan.faults import nearest

__all__ = ["CLOUDFORMATION", "TERRAFORM", "canonical", "group_only_keys", "kind_of", "known_keys",
           "terraform_names", "unknown_key"]

CLOUDFORMATION: Mapping[str, Kind] = MappingProxyType({
    "AWS::ElastiCache::CacheCluster": "cluster",
    "AWS::ElastiCache::ReplicationGroup": "replication group",
    "AWS::ElastiCache::ParameterGroup": "parameter group",
    "AWS::CloudWatch::Alarm": "alarm",
    "AWS::EC2::SecurityGroup": "security group",
    "AWS::EC2::SecurityGroupIngress": "security group",
})
TERRAFORM: Mapping[str, Kind] = MappingProxyType({
    "aws_elasticache_cluster": "cluster",
    "aws_elasticache_replication_group": "replication group",
    "aws_elasticache_parameter_group": "parameter group",
    "aws_cloudwatch_metric_alarm": "alarm",
    "aws_security_group": "security group",
    "aws_security_group_rule": "security group",
    "aws_vpc_security_group_ingress_rule": "security group",
})

_SHAPES: Mapping[Kind, tuple[str, str]] = {
    "cluster": ("elasticache", "CreateCacheClusterMessage"),
    "replication group": ("elasticache", "CreateReplicationGroupMessage"),
    "parameter group": ("elasticache", "CreateCacheParameterGroupMessage"),
    "alarm": ("cloudwatch", "PutMetricAlarmInput"),
}
_RULE_KEYS = ("CidrIp", "CidrIpv6", "FromPort", "ToPort", "IpProtocol", "Description", "GroupId", "GroupName",
              "SourceSecurityGroupId", "SourceSecurityGroupName", "SourceSecurityGroupOwnerId",
              "SourcePrefixListId")
_GROUP_KEYS = ("GroupName", "GroupDescription", "VpcId", "SecurityGroupIngress", "SecurityGroupEgress",
               "Tags")
_ALIASES: Mapping[Kind, Mapping[str, str]] = {
    "cluster": {"ClusterName": "CacheClusterId", "VpcSecurityGroupIds": "SecurityGroupIds"},
    "parameter group": {"Properties": "Parameters"},
}
"""Names that CloudFormation has instead of the API's."""
_TELLING: tuple[tuple[Kind, frozenset[str]], ...] = (
    ("cluster", frozenset({"CacheClusterId", "ClusterName", "NumCacheNodes"})),
    ("replication group", frozenset({"ReplicationGroupId", "ReplicationGroupDescription", "NumNodeGroups",
                                     "ReplicasPerNodeGroup", "NumCacheClusters"})),
    ("parameter group", frozenset({"CacheParameterGroupFamily"})),
    ("alarm", frozenset({"AlarmName", "ComparisonOperator", "EvaluationPeriods"})),
    ("security group", frozenset({"SecurityGroupIngress"})),
)
"""Keys that only this kind has, in the order in which they decide."""

_TERRAFORM_ONLY: Mapping[str, str] = {
    "description": "ReplicationGroupDescription",
    "replication_group_description": "ReplicationGroupDescription",
    "cluster_id": "CacheClusterId", "node_type": "CacheNodeType",
    "parameter_group_name": "CacheParameterGroupName", "subnet_group_name": "CacheSubnetGroupName",
    "security_group_names": "CacheSecurityGroupNames", "maintenance_window": "PreferredMaintenanceWindow",
    "preferred_cache_cluster_azs": "PreferredCacheClusterAZs", "number_cache_clusters": "NumCacheClusters",
    "availability_zone": "PreferredAvailabilityZone", "availability_zones": "PreferredCacheClusterAZs",
    "log_delivery_configuration": "LogDeliveryConfigurations", "auth_token_wo": "AuthToken",
    "metric_query": "Metrics", "evaluate_low_sample_count_percentiles": "EvaluateLowSampleCountPercentile",
}
_TERRAFORM_GROUP: Mapping[str, str] = {
    "name": "CacheParameterGroupName", "family": "CacheParameterGroupFamily", "description": "Description",
    "parameter": "Parameters", "tags": "Tags",
}
_TERRAFORM_IGNORED = frozenset({
    "apply_immediately", "auth_token_update_strategy", "auth_token_wo_version", "final_snapshot_identifier",
    "tags_all", "region", "id", "arn", "timeouts", "lifecycle", "provider", "provisioner", "connection",
    "depends_on", "count", "for_each", "//",
})


def known_keys(kind: Kind) -> frozenset[str]:
    """What a resource of this kind may say, under the API's names and CloudFormation's.

    A cluster may have what only a replication group has: that is a finding, not a slip of the pen.
    """
    if kind == "security group":
        return frozenset({*_GROUP_KEYS, *_RULE_KEYS})
    keys = {*_members(*_SHAPES[kind]), *_ALIASES.get(kind, {})}
    if kind == "cluster":
        keys |= _members(*_SHAPES["replication group"])
    if kind == "parameter group":
        keys.add("Parameters")
    return frozenset(keys)


def group_only_keys() -> frozenset[str]:
    """What a replication group may say and a cluster may not."""
    return _members(*_SHAPES["replication group"]) - _members(*_SHAPES["cluster"])


def canonical(kind: Kind, settings: Mapping[str, Setting]) -> dict[str, Setting]:
    """The settings under the API's names."""
    aliases = _ALIASES.get(kind, {})
    return {aliases.get(key, key): setting for key, setting in settings.items()}


def kind_of(keys: Iterable[str]) -> Kind | None:
    """What a mapping without a type describes: by a key that tells it, or by most of its keys."""
    given = set(keys)
    for kind, telling in _TELLING:
        if given & telling:
            return kind
    shares: list[tuple[int, Kind]] = [(len(given & known_keys(kind)), kind) for kind, _ in _TELLING]
    most, kind = max(shares, key=lambda one: one[0])
    return kind if most >= 2 and 2 * most > len(given) else None


def unknown_key(key: str, kind: Kind, known: Iterable[str]) -> str:
    """The fault, with the nearest known ones."""
    return f"unknown key {key} of {'an' if kind == 'alarm' else 'a'} {kind} ({nearest(key, known)})"


@functools.cache
def terraform_names(kind: Kind) -> Mapping[str, str | None]:
    """The API's name of each of Terraform's arguments; None where the API has none."""
    if kind == "parameter group":
        return {**dict.fromkeys(_TERRAFORM_IGNORED), **_TERRAFORM_GROUP}
    api = {_snake(key): key for key in known_keys(kind)}
    return {**dict.fromkeys(_TERRAFORM_IGNORED), **api, **_TERRAFORM_ONLY}


@functools.cache
def _members(service: str, shape: str) -> frozenset[str]:
    """The input's members as the installed botocore knows them; nothing is asked of AWS."""
    from botocore.loaders import Loader

    model: Any = Loader().load_service_model(service, "service-2")
    return frozenset(model["shapes"][shape]["members"])


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
