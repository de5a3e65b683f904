"""What ElastiCache says of itself: caches, their nodes and settings, parameters, reserved nodes, versions.

Everything is asked with describe calls. A replication group is one cache with its member clusters as nodes; a
cluster in none is a cache of one node. What may not be asked, or is not answered, is noted with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from amply_capacity.aws.asking import HalfAnswer, asked, clock_skew_s, whole
from amply_capacity.errors import AmplyError

__all__ = ["CLUSTER", "GROUP", "Cache", "Inventory", "Node", "read_caches", "with_details"]

CLUSTER, GROUP = "cluster", "replication group"
PRIMARY, REPLICA = "master", "slave"
"""As INFO, and so a run, calls them."""
_ROLES = {"primary": PRIMARY, "replica": REPLICA}
_ENGINES = ("redis", "valkey")
_KEPT_PARAMETERS = frozenset({
    "activedefrag", "appendonly", "cluster-enabled", "hz", "lazyfree-lazy-eviction", "maxclients",
    "maxmemory", "maxmemory-policy", "maxmemory-samples", "reserved-memory", "reserved-memory-percent",
    "tcp-keepalive", "timeout",
})
"""Those that the models or an audit look at; beside them whatever was changed."""
_SETTINGS = (
    "AtRestEncryptionEnabled", "AuthTokenEnabled", "AuthTokenLastModifiedDate", "AutoMinorVersionUpgrade",
    "AutomaticFailover", "CacheClusterCreateTime", "CacheNodeType", "CacheSubnetGroupName", "ClusterEnabled",
    "DataTiering", "Description", "Durability", "Engine", "EngineVersion", "MultiAZ", "NumCacheNodes",
    "PendingModifiedValues", "PreferredAvailabilityZone", "PreferredMaintenanceWindow",
    "ReplicationGroupCreateTime", "SnapshotRetentionLimit", "SnapshotWindow", "Status",
    "TransitEncryptionEnabled", "TransitEncryptionMode",
)
"""Kept of what is described: nothing that identifies the account, and no user."""
_RESERVED = ("CacheNodeCount", "CacheNodeType", "Duration", "FixedPrice", "OfferingType",
             "ProductDescription", "RecurringCharges", "StartTime", "State", "UsagePrice")


@dataclass(frozen=True, slots=True)
class Node:
    """One node, which CloudWatch knows by its cache cluster's id."""

    id: str
    role: str | None
    """`master` or `slave` when it was described; None where that is not said, as with cluster mode."""
    zone: str | None


@dataclass(frozen=True, slots=True)
class Cache:
    """A replication group, or a cluster that is in none; Redis or Valkey."""

    name: str
    kind: str
    engine: str
    version: str | None
    node_type: str | None
    nodes: tuple[Node, ...]
    shards: int
    host: str | None
    port: int | None
    tls: bool
    parameter_group: str | None
    settings: Mapping[str, Any]
    """By the API's names, as JSON."""

    @property
    def topology(self) -> str:
        """As a recording calls it: single, replicated or sharded."""
        return "sharded" if self.shards > 1 else "replicated" if len(self.nodes) > 1 else "single"

    @property
    def url(self) -> str | None:
        """Without any secret; None where no endpoint is said."""
        return f"{'rediss' if self.tls else 'redis'}://{self.host}:{self.port}/0" if self.host else None

    @property
    def engine_family(self) -> str | None:
        """`redis 7`, as versions are listed together."""
        return f"{self.engine} {self.version.partition('.')[0]}" if self.version else None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> Cache:
        """The cache that `as_json` told."""
        return cls(**{**content, "nodes": tuple(Node(**node) for node in content["nodes"])})


@dataclass(frozen=True, slots=True)
class Inventory:
    """The caches of a region, and what was asked beside them."""

    region: str
    caches: tuple[Cache, ...]
    clock_skew_s: float | None = None
    """How far this machine is ahead of AWS' clock; None where AWS did not say its time."""
    parameters: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By parameter group."""
    reserved_nodes: tuple[Mapping[str, Any], ...] = ()
    engine_versions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Offered, by engine."""
    not_collected: Mapping[str, str] = field(default_factory=dict)
    """What is not known, each with the reason."""
    others: tuple[str, ...] = ()
    """Caches that were left out: Memcached's."""

    def named(self, name: str) -> Cache | None:
        """The cache of that name, or the one that a node of that name is in; in whatever case, as in AWS."""
        wanted = name.lower()
        for cache in self.caches:
            if wanted in {cache.name.lower(), *(node.id.lower() for node in cache.nodes)}:
                return cache
        return None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> Inventory:
        """The inventory that `as_json` told."""
        return cls(**{**content, "caches": tuple(map(Cache.of_json, content["caches"])),
                      "reserved_nodes": tuple(content["reserved_nodes"]), "others": tuple(content["others"]),
                      "engine_versions": {engine: tuple(known) for engine, known
                                          in content["engine_versions"].items()}})


def read_caches(elasticache: Any, region: str) -> Inventory:
    """Every replication group, and every cluster that is in none. Raises AmplyError."""
    began = datetime.now(UTC)
    groups, answer = _described(elasticache, "describe_replication_groups", "ReplicationGroups")
    clusters, _ = _described(elasticache, "describe_cache_clusters", "CacheClusters", ShowCacheNodeInfo=True)
    by_id = {one["CacheClusterId"]: one for one in clusters}
    caches, members = [], set()
    for group in groups:
        cache = _group(group, by_id)
        members |= {node.id for node in cache.nodes}
        caches.append(cache)
    single = [one for one in clusters
              if one["CacheClusterId"] not in members and not one.get("ReplicationGroupId")]
    caches += [_cluster(one) for one in single if one.get("Engine") in _ENGINES]
    others = tuple(one["CacheClusterId"] for one in single if one.get("Engine") not in _ENGINES)
    return Inventory(region, tuple(sorted(caches, key=lambda cache: cache.name)),
                     clock_skew_s(answer, began), others=others)


def with_details(inventory: Inventory, elasticache: Any, caches: Sequence[Cache]) -> Inventory:
    """With parameters of these caches' groups, reserved nodes and engine versions; what fails is noted."""
    missing: dict[str, str] = {}

    def collected(what: str, ask: Callable[..., Any], *names: str) -> Any:
        try:
            return ask(elasticache, *names)
        except AmplyError as error:
            missing[what] = str(error)
            return ()

    groups = sorted({cache.parameter_group for cache in caches if cache.parameter_group})
    parameters = {group: collected(f"parameters of {group}", _parameters, group) for group in groups}
    reserved = collected("reserved nodes", _reserved)
    versions = {engine: collected(f"versions of {engine}", _versions, engine)
                for engine in sorted({cache.engine for cache in caches})}
    return Inventory(inventory.region, inventory.caches, inventory.clock_skew_s,
                     {group: found for group, found in parameters.items() if found}, tuple(reserved),
                     {engine: found for engine, found in versions.items() if found}, missing,
                     inventory.others)


def _described(elasticache: Any, call: str, key: str, **options: Any) -> tuple[list[dict[str, Any]], Any]:
    """All of it, over all pages, and the first page for what it says beside."""
    action = "elasticache:" + "".join(map(str.capitalize, call.split("_")))

    def all_pages() -> list[Any]:
        with asked(action):
            pages = list(elasticache.get_paginator(call).paginate(**options))
        if any(key not in page for page in pages):
            raise HalfAnswer(action, f"a page without {key}")
        return pages

    pages = whole(all_pages)
    return [one for page in pages for one in page[key]], pages[0] if pages else {}


def _group(group: Mapping[str, Any], clusters: Mapping[str, Mapping[str, Any]]) -> Cache:
    places = {member["CacheClusterId"]: member for shard in group.get("NodeGroups", ())
              for member in shard.get("NodeGroupMembers", ())}
    names = list(dict.fromkeys([*group.get("MemberClusters", ()), *places]))
    first = next((clusters[name] for name in names if name in clusters), {})
    shards = group.get("NodeGroups", ())
    at: Mapping[str, Any] = group.get("ConfigurationEndpoint") or next(
        (shard["PrimaryEndpoint"] for shard in shards if shard.get("PrimaryEndpoint")), {})
    nodes = tuple(
        Node(name, _ROLES.get(str(place.get("CurrentRole"))), place.get("PreferredAvailabilityZone"))
        for name in names for place in [places.get(name, {})])
    return Cache(
        name=group["ReplicationGroupId"], kind=GROUP,
        engine=str(group.get("Engine") or first.get("Engine", "redis")), version=first.get("EngineVersion"),
        node_type=group.get("CacheNodeType") or first.get("CacheNodeType"),
        nodes=nodes, shards=max(len(shards), 1), host=at.get("Address"), port=at.get("Port"),
        tls=bool(group.get("TransitEncryptionEnabled")), parameter_group=_parameter_group(first),
        settings=_plain({**_kept(first), **_kept(group)}))


def _cluster(cluster: Mapping[str, Any]) -> Cache:
    nodes = cluster.get("CacheNodes", ())
    at: Mapping[str, Any] = next((node["Endpoint"] for node in nodes if node.get("Endpoint")), {})
    return Cache(
        name=cluster["CacheClusterId"], kind=CLUSTER, engine=cluster["Engine"],
        version=cluster.get("EngineVersion"), node_type=cluster.get("CacheNodeType"),
        nodes=(Node(cluster["CacheClusterId"], PRIMARY, cluster.get("PreferredAvailabilityZone")),), shards=1,
        host=at.get("Address"), port=at.get("Port"), tls=bool(cluster.get("TransitEncryptionEnabled")),
        parameter_group=_parameter_group(cluster), settings=_plain(_kept(cluster)))


def _parameter_group(cluster: Mapping[str, Any]) -> str | None:
    name = (cluster.get("CacheParameterGroup") or {}).get("CacheParameterGroupName")
    return str(name) if name else None


def _kept(described: Mapping[str, Any]) -> dict[str, Any]:
    return {name: described[name] for name in _SETTINGS if described.get(name) not in (None, {}, "")}


def _plain(value: Any) -> Any:
    """As JSON has it: times in ISO 8601."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.isoformat() if isinstance(value, datetime | date) else value


def _parameters(elasticache: Any, group: str) -> dict[str, str]:
    found, _ = _described(elasticache, "describe_cache_parameters", "Parameters",
                          CacheParameterGroupName=group)
    return dict(sorted((one["ParameterName"], one["ParameterValue"]) for one in found
                       if one.get("ParameterValue") is not None
                       and (one["ParameterName"] in _KEPT_PARAMETERS or one.get("Source") == "user")))


def _reserved(elasticache: Any) -> list[dict[str, Any]]:
    found, _ = _described(elasticache, "describe_reserved_cache_nodes", "ReservedCacheNodes")
    return [_plain({name: one[name] for name in _RESERVED if name in one}) for one in found]


def _versions(elasticache: Any, engine: str) -> tuple[str, ...]:
    found, _ = _described(elasticache, "describe_cache_engine_versions", "CacheEngineVersions",
                          Engine=engine)
    return tuple(dict.fromkeys(one["EngineVersion"] for one in found))
