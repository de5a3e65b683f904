"""Replication groups: failover that does not do what it says, and what only a group may have."""

from __future__ import annotations

from collections.abc import Iterator

from amply_capacity.ops import sources
from amply_capacity.ops.circumstances import Circumstances
from amply_capacity.ops.configuration import Configuration, Resource
from amply_capacity.ops.finding import Hit, Rule
from amply_capacity.ops.kinds import group_only_keys

__all__ = ["RULES"]

_ENCRYPTION = {"AtRestEncryptionEnabled", "KmsKeyId"}
_WANTED = ("ReplicationGroupId", "CacheNodeType", "Engine", "EngineVersion", "CacheParameterGroupName",
           "CacheSubnetGroupName", "SecurityGroupIds", "AtRestEncryptionEnabled", "TransitEncryptionEnabled")
_ELSEWHERE = ("GlobalReplicationGroupId", "PrimaryClusterId")
"""A group that names one of these takes its node type from there."""


def _multi_az(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    for group in _groups(configuration):
        # Shards without replicas have to have it on: there is nothing to spread over zones.
        spreads = group.replicas != 0
        if spreads and group.flag("AutomaticFailoverEnabled") and group.is_off("MultiAZEnabled"):
            yield Hit(f"{group.name} has automatic failover without Multi-AZ: the replicas may stand in the "
                      "primary's Availability Zone and fail with it, and the SLA stays that of a single zone",
                      "write `MultiAZEnabled: true` beside `AutomaticFailoverEnabled: true`, and a subnet "
                      "group with subnets in two zones or more", group.place("AutomaticFailoverEnabled"))


def _replica(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    for group in _groups(configuration):
        switches = [key for key in ("AutomaticFailoverEnabled", "MultiAZEnabled") if group.flag(key)]
        if switches and group.replicas == 0 and (group.shards == 1 or "MultiAZEnabled" in switches):
            yield Hit(f"{group.name} sets {' and '.join(switches)}, but has no replica that could take over: "
                      "the request is refused",
                      "write `NumCacheClusters: 2` (with shards, `ReplicasPerNodeGroup: 1`), or "
                      + " and ".join(f"`{key}: false`" for key in switches), group.place(switches[0]))


def _incomplete(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    for group in _groups(configuration):
        if not group.is_sketch or any(group.has(key) for key in _ELSEWHERE):
            continue
        missing = [key for key in _WANTED if not group.has(key)]
        others = [cache for cache in configuration.caches if cache is not group]
        yield Hit(f"{group.name} cannot be created as it is written, for it names no CacheNodeType; of what "
                  "else is missing ElastiCache takes its defaults, with Redis no encryption, and encryption "
                  "at rest cannot be switched on later",
                  "write " + ", ".join(f"`{key}: {_value(key, others)}`" for key in missing), group.place())


def _value(key: str, others: list[Resource]) -> str:
    """As the document has it elsewhere; a cluster's id names another thing than its group's."""
    if key in {"AtRestEncryptionEnabled", "TransitEncryptionEnabled"}:
        return "true"
    for other in others:
        setting = other.get(key)
        if setting.text is not None:
            return setting.text
        if setting.items and all(item.text for item in setting.items):
            return f"[{', '.join(item.text or '' for item in setting.items)}]"
    return "…"


def _misplaced(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    for cluster in configuration.caches:
        if cluster.kind != "cluster":
            continue
        misplaced = [key for key in cluster.settings
                     if key in group_only_keys() - _ENCRYPTION and cluster.has(key)]
        if misplaced:
            yield Hit(f"{cluster.name} is a plain cluster, and CreateCacheCluster knows no "
                      f"{', '.join(misplaced)}",
                      "declare it as a replication group (AWS::ElastiCache::ReplicationGroup), of one node "
                      "with `NumCacheClusters: 1`", cluster.place(misplaced[0]))


def _groups(configuration: Configuration) -> Iterator[Resource]:
    return (cache for cache in configuration.caches if cache.kind == "replication group")


RULES = (
    Rule("failover-without-multi-az", "warning", sources.MULTI_AZ, _multi_az),
    Rule("failover-without-replica", "error", sources.CREATE_GROUP, _replica),
    Rule("replication-group-incomplete", "warning", sources.CREATE_GROUP, _incomplete),
    Rule("settings-need-replication-group", "error", sources.CREATE_CLUSTER, _misplaced),
)
