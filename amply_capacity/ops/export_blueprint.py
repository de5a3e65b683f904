"""What is to be built: the chosen cluster with its settings, windows and alarms, in no language of its own.

What a plan does not say is taken from elasticache-redis.md, without what ElastiCache refuses (appendonly,
appendfsync) or does not give to a plain cluster (encryption at rest): it is a replication group, of one node
where no replica pays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from amply_capacity.catalog.nodes import NodeType
from amply_capacity.errors import BadInput
from amply_capacity.ops.alarm import Alarm
from amply_capacity.ops.alarm_derived import derived_alarms
from amply_capacity.ops.export_plan import NODES, PlanFile
from amply_capacity.ops.windows import daily_window, weekly_window

__all__ = ["CLUSTER_ID", "DESCRIPTION", "NOT_ALLOWED", "PORT", "TAGS", "Blueprint", "blueprint_of",
           "windows_overlap"]

CLUSTER_ID = "amply-redis"
TAGS: Mapping[str, str] = {"application": "amply", "made-by": "amply-capacity"}
DESCRIPTION = "amply-redis-cluster"
PORT = 6379
_VERSIONS = {"redis": "7.0", "valkey": "8.1"}
"""The specification's; of Valkey the one whose memory was held against a real server."""
_FAMILIES = {"redis": "redis7", "valkey": "valkey8"}
NOT_ALLOWED: Mapping[str, str] = {
    "appendonly": "not supported on ElastiCache; data on a node do not outlive it",
    "appendfsync": "not supported on ElastiCache",
    "maxmemory": "fixed by the node type", "maxclients": "fixed by the node type",
}
"""Parameters that no group may set (ElastiCache User Guide, "Engine specific parameters", 2026)."""


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A replication group of nodes; windows are UTC, as ElastiCache has them."""

    region: str
    engine: str
    engine_version: str
    family: str
    node: NodeType
    shards: int
    replicas: int
    """Of each shard."""
    parameters: Mapping[str, str]
    alarms: tuple[Alarm, ...]
    provenance: Mapping[str, str]
    """What plan it was made from."""
    cluster_id: str = CLUSTER_ID
    description: str = DESCRIPTION
    snapshot_window: str = "04:00-05:00"
    maintenance_window: str = "sun:05:00-sun:06:00"
    snapshot_days: int = 7

    @property
    def words(self) -> str:
        """`2 x cache.t3.small, redis, us-east-1`."""
        return f"{self.shards * (1 + self.replicas)} x {self.node.name}, {self.engine}, {self.region}"

    @property
    def has_failover(self) -> bool:
        """Automatic failover over several availability zones: wherever there is a replica."""
        return self.replicas > 0

    @property
    def is_sharded(self) -> bool:
        """Redis Cluster, ElastiCache's cluster mode."""
        return self.shards > 1

    @property
    def members(self) -> tuple[str, ...]:
        """What ElastiCache appends to the group's id for each node."""
        of_shard = [f"{number:03d}" for number in range(1, self.replicas + 2)]
        if not self.is_sharded:
            return tuple(of_shard)
        return tuple(f"{shard:04d}-{number}" for shard in range(1, self.shards + 1) for number in of_shard)

    def shard_of(self, member: str) -> str:
        """What all members of its shard begin with."""
        return member.rpartition("-")[0]


def blueprint_of(plan: PlanFile) -> Blueprint:
    """Raises BadInput, all at once, for what ElastiCache would refuse."""
    if plan.kind != NODES or plan.node is None:
        raise BadInput("this plan chose no nodes", got=plan.kind, do="export it as serverless")
    parameters = {
        "maxmemory-policy": "volatile-lru",
        "reserved-memory-percent": f"{plan.reserved_memory_percent:g}",
        "timeout": "300",
    }
    if plan.shards > 1:
        parameters["cluster-enabled"] = "yes"
    made = Blueprint(
        region=plan.region, engine=plan.engine, engine_version=_VERSIONS[plan.engine],
        family=_FAMILIES[plan.engine], node=plan.node, shards=plan.shards, replicas=plan.replicas,
        parameters=dict(sorted(parameters.items())), alarms=derived_alarms(plan),
        provenance={"nodeType": plan.node.name, "engine": plan.engine, "shards": str(plan.shards),
                    "replicas": str(plan.replicas), "term": plan.term,
                    "usdPerMonth": f"{plan.usd_per_month:.2f}"},
    )
    faults = list(_faults(made))
    if faults:
        raise BadInput("ElastiCache would not take this cluster", got="; ".join(faults),
                       do="allow other node types, engines or shards in the demand, and plan again")
    return made


def _faults(made: Blueprint) -> Iterator[str]:
    node = made.node
    if not node.new_clusters:
        yield f"{node.name} is of a previous generation: nothing new may be made of it"
    if made.engine not in node.engines:
        yield f"{made.engine} does not run on {node.name}"
    elif _version(made.engine_version) < _version(node.engines[made.engine]):
        yield f"{made.engine} {made.engine_version} on {node.name}, which needs {node.engines[made.engine]}"
    if not node.at_rest_encryption:
        yield f"{node.name} has no encryption at rest"
    for name in sorted(NOT_ALLOWED.keys() & made.parameters.keys()):
        yield f"parameter {name}: {NOT_ALLOWED[name]}"
    if windows_overlap(made.snapshot_window, made.maintenance_window):
        yield f"the backup {made.snapshot_window} falls into the maintenance {made.maintenance_window}"


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text))


def windows_overlap(snapshot: str, maintenance: str) -> bool:
    """Whether a daily window (`04:00-05:00`) and a weekly one (`sun:05:00-sun:06:00`) share a minute.

    Raises BadInput for what is no window.
    """
    daily, weekly = daily_window(snapshot), weekly_window(maintenance)
    if daily is None or weekly is None:
        raise BadInput("this is no window", got=repr(snapshot if daily is None else maintenance),
                       do="write 04:00-05:00 for every day, sun:05:00-sun:06:00 for every week")
    return bool((daily.of_week() & weekly.of_week()).any())
