"""A running cluster as a configuration, from answers of the recorded shapes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from botocore.stub import Stubber

from amply_capacity.aws.session import client
from amply_capacity.errors import AmplyError, BadInput
from amply_capacity.ops.audit import audit_of
from amply_capacity.ops.circumstances import circumstances_of
from amply_capacity.ops.live import Clients, read_live
from amply_capacity.ops.setting import Unresolved

REGION = "eu-west-1"
GROUP: dict[str, Any] = {
    "ReplicationGroupId": "shop", "Description": "baskets", "Status": "available",
    "MemberClusters": ["shop-001", "shop-002"], "AutomaticFailover": "enabled", "MultiAZ": "disabled",
    "NodeGroups": [{"NodeGroupId": "0001"}], "SnapshotRetentionLimit": 1, "SnapshotWindow": "02:00-03:00",
    "ClusterEnabled": False, "CacheNodeType": "cache.t3.micro", "AuthTokenEnabled": True,
    "TransitEncryptionEnabled": True, "AtRestEncryptionEnabled": True, "UserGroupIds": [], "Engine": "redis",
}
MEMBER: dict[str, Any] = {
    "CacheClusterId": "shop-001", "CacheNodeType": "cache.t3.micro", "Engine": "redis",
    "EngineVersion": "7.1.0", "NumCacheNodes": 1, "CacheSubnetGroupName": "private",
    "PreferredMaintenanceWindow": "sun:13:00-sun:14:00",
    "CacheParameterGroup": {"CacheParameterGroupName": "shop-redis7"}, "ReplicationGroupId": "shop",
    "SecurityGroups": [{"SecurityGroupId": "sg-0a1b2c3d", "Status": "active"}], "SnapshotRetentionLimit": 0,
    "CacheNodes": [{"CacheNodeId": "0001", "Endpoint": {"Address": "shop.internal", "Port": 6390}}],
    "AuthTokenEnabled": True, "TransitEncryptionEnabled": True, "AtRestEncryptionEnabled": True,
}
PLAIN: dict[str, Any] = {
    "CacheClusterId": "alone", "CacheNodeType": "cache.t3.micro", "Engine": "redis", "EngineVersion": "6.2.6",
    "NumCacheNodes": 1, "SnapshotRetentionLimit": 0,
    "CacheParameterGroup": {"CacheParameterGroupName": "default.redis6.x"}}


def alarm(name: str, metric: str, member: str) -> dict[str, Any]:
    return {"AlarmName": name, "Namespace": "AWS/ElastiCache", "MetricName": metric, "Statistic": "Average",
            "Dimensions": [{"Name": "CacheClusterId", "Value": member}], "Period": 60, "EvaluationPeriods": 3,
            "Threshold": 80.0, "ComparisonOperator": "GreaterThanThreshold", "ActionsEnabled": True,
            "AlarmActions": ["arn:aws:sns:eu-west-1:111122223333:on-call"]}


MATH_ALARM: dict[str, Any] = {
    "AlarmName": "math", "EvaluationPeriods": 1, "Threshold": 50.0, "ActionsEnabled": True,
    "ComparisonOperator": "LessThanThreshold", "AlarmActions": ["arn:aws:sns:eu-west-1:111122223333:on-call"],
    "Metrics": [{"Id": "m1", "MetricStat": {"Period": 300, "Stat": "Minimum", "Metric": {
        "Namespace": "AWS/ElastiCache", "MetricName": "CPUCreditBalance",
        "Dimensions": [{"Name": "CacheClusterId", "Value": "shop-002"}]}}}]}


class Account:
    """Clients whose answers are put in beforehand, in the order of the calls."""

    def __init__(self, made: list[Any], stack: contextlib.ExitStack) -> None:
        self.clients = Clients(*made)
        self.elasticache, self.cloudwatch, self.ec2 = (stack.enter_context(Stubber(one)) for one in made)

    def group(self, name: str, group: dict[str, Any] | None) -> None:
        if group is None:
            self.elasticache.add_client_error("describe_replication_groups", "ReplicationGroupNotFoundFault")
        else:
            self.elasticache.add_response("describe_replication_groups", {"ReplicationGroups": [group]},
                                          {"ReplicationGroupId": name})

    def cluster(self, name: str, cluster: dict[str, Any] | None) -> None:
        if cluster is None:
            self.elasticache.add_client_error("describe_cache_clusters", "CacheClusterNotFound")
        else:
            self.elasticache.add_response("describe_cache_clusters", {"CacheClusters": [cluster]},
                                          {"CacheClusterId": name, "ShowCacheNodeInfo": True})

    def parameters(self, name: str, *pages: dict[str, str]) -> None:
        for number, page in enumerate(pages):
            asked = {"CacheParameterGroupName": name, "Source": "user"}
            if number:
                asked["Marker"] = f"{number}"
            more = {"Marker": f"{number + 1}"} if number + 1 < len(pages) else {}
            found = [{"ParameterName": key, "ParameterValue": value} for key, value in page.items()]
            self.elasticache.add_response("describe_cache_parameters", {"Parameters": found, **more}, asked)

    def alarms(self, *alarms: dict[str, Any]) -> None:
        self.cloudwatch.add_response("describe_alarms", {"MetricAlarms": list(alarms)},
                                     {"AlarmTypes": ["MetricAlarm"]})

    def doors(self, *addresses: str) -> None:
        self.ec2.add_response("describe_security_groups", {"SecurityGroups": [{
            "GroupId": "sg-0a1b2c3d", "IpPermissions": [{
                "IpProtocol": "tcp", "FromPort": 6390, "ToPort": 6390,
                "Ipv6Ranges": [{"CidrIpv6": "fd00::/8"}],
                "IpRanges": [{"CidrIp": one} for one in addresses]}]}]}, {"GroupIds": ["sg-0a1b2c3d"]})

    def assert_all_asked(self) -> None:
        for stub in (self.elasticache, self.cloudwatch, self.ec2):
            stub.assert_no_pending_responses()


@pytest.fixture(scope="module")
def made() -> Iterator[list[Any]]:
    """One client a service, for reading its model takes a second."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "testing")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield [client(service, REGION) for service in ("elasticache", "cloudwatch", "ec2")]


@pytest.fixture
def account(made: list[Any]) -> Iterator[Account]:
    with contextlib.ExitStack() as stack:
        yield Account(made, stack)


def rules_of(configuration: Any) -> set[str]:
    circumstances = circumstances_of(today=date(2026, 11, 28))
    return {finding.rule for finding in audit_of(configuration, circumstances).findings}


@pytest.mark.parametrize("name", ["shop", "shop-001"])
def test_a_group_is_read_by_its_name_or_by_a_members(account: Account, name: str) -> None:
    account.group(name, GROUP if name == "shop" else None)
    account.cluster("shop-001", MEMBER)
    if name != "shop":
        account.group("shop", GROUP)
    account.parameters("shop-redis7", {"maxmemory-policy": "volatile-lru"}, {"reserved-memory-percent": "50"})
    account.alarms(alarm("cpu", "CPUUtilization", "shop-001"), alarm("others", "SwapUsage", "other-001"),
                   MATH_ALARM)
    account.doors("0.0.0.0/0")
    configuration = read_live(name, account.clients, REGION)
    account.assert_all_asked()
    cache, = configuration.caches
    assert (cache.kind, cache.name, cache.replicas, cache.shards) == ("replication group", "shop", 1, 1)
    assert isinstance(cache.get("AuthToken").value, Unresolved)
    assert cache.number("SnapshotRetentionLimit") == 1  # the group's, not the member's
    assert {one.name for one in configuration.alarms} == {"cpu", "math"}
    assert configuration.origin == "shop in eu-west-1"
    assert rules_of(configuration) == {
        "failover-without-multi-az", "window-in-peak", "cpu-alarm-cannot-fire", "no-memory-alarm",
        "no-swap-alarm", "no-replication-lag-alarm", "no-new-connections-alarm", "open-security-group",
        "valkey-costs-less"}
    assert {finding.place.line for finding in audit_of(configuration, circumstances_of()).findings} == {None}


def test_a_plain_cluster_is_read_and_its_default_group_has_no_parameters(account: Account) -> None:
    account.group("alone", None)
    account.cluster("alone", PLAIN)
    account.parameters("default.redis6.x", {})
    account.alarms()
    configuration = read_live("alone", account.clients, REGION)
    account.assert_all_asked()
    assert [one.kind for one in configuration.caches] == ["cluster"]
    assert rules_of(configuration) >= {"default-parameter-group", "snapshot-retention", "no-authentication",
                                       "not-encrypted", "engine-end-of-support", "reserved-memory"}


def test_what_may_not_be_read_is_named_and_counts_neither_as_missing_nor_as_sound(account: Account) -> None:
    account.group("shop", GROUP)
    account.cluster("shop-001", MEMBER)
    account.elasticache.add_client_error("describe_cache_parameters", "AccessDenied", "not this one")
    account.cloudwatch.add_client_error("describe_alarms", "AccessDenied", "not this one")
    account.ec2.add_client_error("describe_security_groups", "UnauthorizedOperation", "not this one")
    configuration = read_live("shop", account.clients, REGION)
    audit = audit_of(configuration, circumstances_of(today=date(2026, 11, 28)))
    assert {finding.rule for finding in audit.findings} == {
        "failover-without-multi-az", "window-in-peak", "valkey-costs-less"}
    actions = ("elasticache:DescribeCacheParameters", "cloudwatch:DescribeAlarms",
               "ec2:DescribeSecurityGroups")
    for note, action in zip(audit.not_audited, actions, strict=True):
        assert f"AWS does not allow {action}" in note


def test_a_cluster_that_is_not_there_is_refused_with_its_region(account: Account) -> None:
    account.group("nowhere", None)
    account.cluster("nowhere", None)
    with pytest.raises(BadInput, match="there is no cluster nowhere in eu-west-1"):
        read_live("nowhere", account.clients, REGION)


@pytest.mark.parametrize("call", ["describe_replication_groups", "describe_cache_clusters"])
def test_a_refused_look_at_the_cluster_itself_is_an_error(account: Account, call: str) -> None:
    if call == "describe_cache_clusters":
        account.group("shop", None)
    account.elasticache.add_client_error(call, "AccessDenied", "not this one")
    with pytest.raises(AmplyError, match="AWS does not allow elasticache:Describe"):
        read_live("shop", account.clients, REGION)
