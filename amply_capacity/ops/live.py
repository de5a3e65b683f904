"""A cluster that runs, as a configuration: read with describe calls alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from amply_capacity.aws.asking import asked, code_of
from amply_capacity.errors import AmplyError, BadInput
from amply_capacity.ops.configuration import Configuration, Kind, Resource
from amply_capacity.ops.setting import Setting, Unresolved

__all__ = ["Clients", "read_live"]

_NOT_FOUND = {"ReplicationGroupNotFoundFault", "CacheClusterNotFound", "CacheClusterNotFoundFault",
              "InvalidParameterValue"}
_OF_GROUP = ("ReplicationGroupId", "CacheNodeType", "AtRestEncryptionEnabled", "TransitEncryptionEnabled",
             "TransitEncryptionMode", "SnapshotRetentionLimit", "SnapshotWindow", "UserGroupIds", "KmsKeyId",
             "ClusterMode", "Engine", "AutoMinorVersionUpgrade", "Durability")
_OF_CLUSTER = ("CacheClusterId", "CacheNodeType", "Engine", "EngineVersion", "NumCacheNodes",
               "CacheSubnetGroupName", "PreferredMaintenanceWindow", "AtRestEncryptionEnabled",
               "TransitEncryptionEnabled", "SnapshotRetentionLimit", "SnapshotWindow")
_SWITCHES = {"AutomaticFailover": "AutomaticFailoverEnabled", "MultiAZ": "MultiAZEnabled"}
_ON = {"enabled", "enabling"}
_TOKEN = "the token, which AWS does not show"


@dataclass(frozen=True, slots=True)
class Clients:
    """boto3's clients of one region, or whatever answers like them."""

    elasticache: Any
    cloudwatch: Any
    ec2: Any


def read_live(name: str, clients: Clients, region: str) -> Configuration:
    """The replication group or cluster of that name, with its parameter group, alarms and security groups.

    A member of a group stands for the group. Parameter group, alarms and security groups are named as not
    collected, with the reason, where AWS does not let them be read. Raises BadInput where there is no such
    cluster in the region, and AmplyError where AWS does not answer.
    """
    group = _group(name, clients.elasticache)
    member = _cluster(group["MemberClusters"][0] if group else name, clients.elasticache)
    if member is None:
        raise BadInput(f"there is no cluster {name} in {region}",
                       got="neither a replication group nor a cluster of that name",
                       do="correct the name, or give its --region")
    if group is None and member.get("ReplicationGroupId"):
        group = _group(member["ReplicationGroupId"], clients.elasticache)
    cache = _cache(group, member)
    members = tuple(group["MemberClusters"]) if group else (str(member["CacheClusterId"]),)
    resources, missing = [cache], dict[Kind, str]()
    optional: tuple[tuple[Kind, Iterator[Resource]], ...] = (
        ("parameter group", _parameter_group(member, clients.elasticache)),
        ("alarm", _alarms((*members, cache.name), clients.cloudwatch)),
        ("security group", _security_groups(member, clients.ec2)),
    )
    for kind, found in optional:
        try:
            resources += found
        except AmplyError as error:
            missing[kind] = f"{error.what}: {error.do}"
    return Configuration(f"{cache.name} in {region}", tuple(resources), not_collected=missing)


def _group(name: str, elasticache: Any) -> Mapping[str, Any] | None:
    try:
        with asked("elasticache:DescribeReplicationGroups"):
            found = elasticache.describe_replication_groups(ReplicationGroupId=name)["ReplicationGroups"]
    except AmplyError as error:
        if code_of(error.__cause__) in _NOT_FOUND:
            return None
        raise
    return dict(found[0]) if found and found[0].get("MemberClusters") else None


def _cluster(name: str, elasticache: Any) -> Mapping[str, Any] | None:
    try:
        with asked("elasticache:DescribeCacheClusters"):
            found = elasticache.describe_cache_clusters(CacheClusterId=name,
                                                        ShowCacheNodeInfo=True)["CacheClusters"]
    except AmplyError as error:
        if code_of(error.__cause__) in _NOT_FOUND:
            return None
        raise
    return dict(found[0]) if found else None


def _cache(group: Mapping[str, Any] | None, member: Mapping[str, Any]) -> Resource:
    settings = {key: _setting(member[key]) for key in _OF_CLUSTER if member.get(key) is not None}
    parameters = member.get("CacheParameterGroup", {}).get("CacheParameterGroupName")
    if parameters:
        settings["CacheParameterGroupName"] = Setting(parameters)
    ids = [one["SecurityGroupId"] for one in member.get("SecurityGroups", ())]
    settings["SecurityGroupIds"] = _setting(ids)
    nodes = member.get("CacheNodes") or [{}]
    port = (nodes[0].get("Endpoint") or {}).get("Port")
    if port is not None:
        settings["Port"] = _setting(port)
    if (group or member).get("AuthTokenEnabled"):
        settings["AuthToken"] = Setting(Unresolved(_TOKEN))
    if group is None:
        return Resource("cluster", str(member["CacheClusterId"]), settings)
    for key in ("CacheClusterId", "NumCacheNodes"):
        settings.pop(key, None)
    settings |= {key: _setting(group[key]) for key in _OF_GROUP if group.get(key) not in (None, [])}
    settings |= {key: _setting(str(group.get(said, "")).lower() in _ON) for said, key in _SWITCHES.items()}
    shards = group.get("NodeGroups") or [{}]
    settings["NumNodeGroups"] = _setting(len(shards))
    settings["ReplicasPerNodeGroup"] = _setting(len(group["MemberClusters"]) // len(shards) - 1)
    return Resource("replication group", str(group["ReplicationGroupId"]), settings)


def _parameter_group(member: Mapping[str, Any], elasticache: Any) -> Iterator[Resource]:
    """With what its owner has changed; a default group has nothing of that kind."""
    name = member.get("CacheParameterGroup", {}).get("CacheParameterGroupName")
    if not name:
        return
    found: dict[str, Setting] = {}
    with asked("elasticache:DescribeCacheParameters"):
        pages = elasticache.get_paginator("describe_cache_parameters").paginate(CacheParameterGroupName=name,
                                                                                Source="user")
        for page in pages:
            found |= {one["ParameterName"]: Setting(one["ParameterValue"]) for one in page["Parameters"]
                      if one.get("ParameterValue") is not None}
    yield Resource("parameter group", name,
                   {"CacheParameterGroupName": Setting(name), "Parameters": Setting(found)})


def _alarms(names: tuple[str, ...], cloudwatch: Any) -> Iterator[Resource]:
    """Those that name one of these in a dimension, metric math included."""
    with asked("cloudwatch:DescribeAlarms"):
        for page in cloudwatch.get_paginator("describe_alarms").paginate(AlarmTypes=["MetricAlarm"]):
            for alarm in page.get("MetricAlarms", ()):
                watched = {one.get("Value") for one in _dimensions(alarm)}
                if watched & set(names):
                    yield Resource("alarm", alarm["AlarmName"], _setting(alarm).entries)


def _dimensions(alarm: Mapping[str, Any]) -> Iterator[Mapping[str, str]]:
    yield from alarm.get("Dimensions", ())
    for query in alarm.get("Metrics", ()):
        yield from query.get("MetricStat", {}).get("Metric", {}).get("Dimensions", ())


def _security_groups(member: Mapping[str, Any], ec2: Any) -> Iterator[Resource]:
    ids = [one["SecurityGroupId"] for one in member.get("SecurityGroups", ())]
    if not ids:
        return
    with asked("ec2:DescribeSecurityGroups"):
        for group in ec2.describe_security_groups(GroupIds=ids)["SecurityGroups"]:
            rules = [_setting({
                "IpProtocol": rule.get("IpProtocol"), "FromPort": rule.get("FromPort"),
                "ToPort": rule.get("ToPort"),
                "CidrIp": [one["CidrIp"] for one in rule.get("IpRanges", ())],
                "CidrIpv6": [one["CidrIpv6"] for one in rule.get("Ipv6Ranges", ())],
            }) for rule in group.get("IpPermissions", ())]
            yield Resource("security group", group["GroupId"],
                           {"SecurityGroupIngress": Setting(tuple(rules))})


def _setting(value: Any) -> Setting:
    """Python's values as a file would have them."""
    if isinstance(value, Mapping):
        return Setting({str(key): _setting(one) for key, one in value.items()})
    if isinstance(value, list | tuple):
        return Setting(tuple(_setting(one) for one in value))
    if isinstance(value, bool):
        return Setting(str(value).lower())
    return Setting(None if value is None else str(value))
