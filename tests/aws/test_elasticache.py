"""What ElastiCache describes, as caches with their nodes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from aws_here import REGION, clients

from amply_capacity.aws.elasticache import CLUSTER, GROUP, Inventory, read_caches, with_details
from amply_capacity.errors import AmplyError
from bench.aws_server import AwsServer, Fault, Region, cluster


def group(name: str, *members: str, roles: bool = True, **more: Any) -> dict[str, Any]:
    """A replication group as it is described; without cluster mode the first member is the primary."""
    return {
        "ReplicationGroupId": name, "Description": "sessions", "Status": "available", "Engine": "valkey",
        "CacheNodeType": "cache.r7g.large", "AutomaticFailover": "enabled", "MultiAZ": "enabled",
        "TransitEncryptionEnabled": True, "MemberClusters": list(members), "UserGroupIds": ["secret-squad"],
        "NodeGroups": [{
            "NodeGroupId": "0001", "PrimaryEndpoint": {"Address": f"{name}.example", "Port": 6380},
            "NodeGroupMembers": [
                {"CacheClusterId": member, "CacheNodeId": "0001",
                 "PreferredAvailabilityZone": f"us-east-1{zone}"}
                | ({"CurrentRole": "replica" if number else "primary"} if roles else {})
                for number, (member, zone) in enumerate(zip(members, "abcdef", strict=False))]}],
    } | more


REGION_OF = Region(
    clusters=[cluster("alone"), cluster("shop-001", "cache.r7g.large", Engine="valkey", EngineVersion="8.1.0",
                                        ReplicationGroupId="shop"),
              cluster("shop-002", "cache.r7g.large", Engine="valkey", ReplicationGroupId="shop"),
              cluster("pages", Engine="memcached")],
    groups=[group("shop", "shop-001", "shop-002")],
    parameters={"maxmemory-policy": "volatile-lru", "reserved-memory-percent": "30"},
    reserved=[{"ReservedCacheNodeId": "ri", "CacheNodeType": "cache.t3.micro", "CacheNodeCount": 2,
               "State": "active", "OfferingType": "No Upfront", "Duration": 31_536_000,
               "StartTime": datetime(2026, 1, 1, tzinfo=UTC),
               "ReservationARN": "arn:aws:elasticache:us-east-1:123456789012:reserved-instance:ri"}])


@pytest.fixture(autouse=True)
def shop(server: AwsServer) -> None:
    server.reset(REGION_OF)


def elasticache() -> Any:
    return clients().elasticache


def test_a_group_is_one_cache_of_its_members_and_a_cluster_in_none_is_its_own() -> None:
    found = read_caches(elasticache(), REGION)
    alone, shop = found.caches
    assert (alone.name, alone.kind, alone.topology) == ("alone", CLUSTER, "single")
    assert alone.url == "redis://alone.abc123.0001.use1.cache.amazonaws.com:6379/0"
    assert (shop.kind, shop.topology, shop.url) == (GROUP, "replicated", "rediss://shop.example:6380/0")
    assert [(node.id, node.role, node.zone) for node in shop.nodes] == [
        ("shop-001", "master", "us-east-1a"), ("shop-002", "slave", "us-east-1b")]
    assert (shop.version, shop.node_type) == ("8.1.0", "cache.r7g.large")
    assert found.others == ("pages",)
    assert abs(found.clock_skew_s or 0.0) < 3.0


def test_with_cluster_mode_no_role_is_said_and_none_is_made_up(server: AwsServer) -> None:
    two = group("sharded", "s-1", "s-2", roles=False)
    two["NodeGroups"] = [
        {"NodeGroupId": f"000{number}", "NodeGroupMembers": [{"CacheClusterId": f"s-{number}"}]}
        for number in (1, 2)]
    two["ConfigurationEndpoint"] = {"Address": "all.example", "Port": 6379}
    server.regions = Region(groups=[two])
    (cache,) = read_caches(elasticache(), REGION).caches
    assert (cache.topology, cache.shards, cache.host) == ("sharded", 2, "all.example")
    assert {node.role for node in cache.nodes} == {None}
    assert cache.version is None


def test_a_cache_is_found_by_its_name_and_by_a_nodes_in_whatever_case() -> None:
    found = read_caches(elasticache(), REGION)
    for name in ("shop", "SHOP-002"):
        cache = found.named(name)
        assert cache is not None
        assert cache.name == "shop"
    assert found.named("nothing") is None


def test_parameters_reserved_nodes_and_versions_are_asked_too() -> None:
    found = read_caches(elasticache(), REGION)
    whole = with_details(found, elasticache(), found.caches[:1])
    assert whole.parameters == {"amply-redis7": {"maxmemory-policy": "volatile-lru",
                                                 "reserved-memory-percent": "30"}}
    assert whole.engine_versions == {"redis": ("6.2", "7.0", "7.1")}
    (reserved,) = whole.reserved_nodes
    assert (reserved["CacheNodeCount"], reserved["StartTime"]) == (2, "2026-01-01T00:00:00+00:00")
    assert whole.not_collected == {}
    assert Inventory.of_json(json.loads(json.dumps(whole.as_json()))) == whole


def test_what_may_not_be_asked_is_noted_with_the_line_of_the_policy_and_is_no_zero(server: AwsServer) -> None:
    server.denied |= {"elasticache:DescribeReservedCacheNodes", "elasticache:DescribeCacheParameters"}
    found = read_caches(elasticache(), REGION)
    whole = with_details(found, elasticache(), found.caches[:1])
    assert set(whole.not_collected) == {"reserved nodes", "parameters of amply-redis7"}
    assert '"elasticache:DescribeReservedCacheNodes"' in whole.not_collected["reserved nodes"]
    assert (whole.reserved_nodes, whole.parameters) == ((), {})


def test_nothing_that_names_the_account_or_its_users_is_kept() -> None:
    found = read_caches(elasticache(), REGION)
    text = json.dumps(with_details(found, elasticache(), found.caches).as_json())
    for secret in ("123456789012", "secret-squad", "arn:"):
        assert secret not in text


def test_a_half_answered_page_is_asked_for_again_and_then_told(server: AwsServer) -> None:
    server.faults += [Fault("DescribeCacheClusters", "breaks off"),
                      Fault("DescribeReplicationGroups", "no results")]
    assert len(read_caches(elasticache(), REGION).caches) == 2
    server.faults.append(Fault("DescribeCacheClusters", "breaks off", times=20))
    with pytest.raises(AmplyError, match="DescribeCacheClusters in part"):
        read_caches(elasticache(), REGION)
