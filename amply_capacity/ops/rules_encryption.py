"""Encryption at rest and in transit."""

from __future__ import annotations

from collections.abc import Iterator

from amply_capacity.ops import sources
from amply_capacity.ops.circumstances import Circumstances
from amply_capacity.ops.configuration import Configuration, Resource
from amply_capacity.ops.finding import Hit, Rule

__all__ = ["RULES"]


def _needs_group(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    for cluster in configuration.caches:
        wants = cluster.flag("AtRestEncryptionEnabled") or cluster.has("KmsKeyId")
        if cluster.kind != "cluster" or not wants:
            continue
        key = "AtRestEncryptionEnabled" if cluster.has("AtRestEncryptionEnabled") else "KmsKeyId"
        tls = " (TLS and AUTH with Redis, too)" if cluster.flag("TransitEncryptionEnabled") else ""
        yield Hit(f"{cluster.name} is a plain cluster with {key}, and only a replication group can be "
                  f"encrypted at rest{tls}: as it is written it cannot be created",
                  f"declare a replication group of one node: `ReplicationGroupId: {cluster.name}`, "
                  "`ReplicationGroupDescription: …` and `NumCacheClusters: 1` instead of `CacheClusterId` "
                  "and `NumCacheNodes`, with all else as it is (in CloudFormation "
                  "AWS::ElastiCache::ReplicationGroup)",
                  cluster.place(key))


def _not_encrypted(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    for cache in configuration.caches:
        if cache.is_sketch or cache.engine is None:
            continue
        open_keys = [key for key in ("AtRestEncryptionEnabled", "TransitEncryptionEnabled")
                     if _is_open(cache, key)]
        if open_keys:
            yield Hit(f"{cache.name} holds sessions and is not encrypted: "
                      + " and ".join(f"{key} is {'false' if cache.has(key) else 'not said, so false'}"
                                     for key in open_keys)
                      + "; at rest that can only be chosen when it is created",
                      "write " + " and ".join(f"`{key}: true`" for key in open_keys)
                      + "; neither costs extra",
                      cache.place(open_keys[0]))


def _is_open(cache: Resource, key: str) -> bool:
    if key == "AtRestEncryptionEnabled" and cache.engine == "valkey":
        return cache.flag(key) is False
    return cache.is_off(key)


RULES = (
    Rule("encryption-needs-replication-group", "error", sources.AT_REST, _needs_group),
    Rule("not-encrypted", "warning", sources.AT_REST, _not_encrypted),
)
