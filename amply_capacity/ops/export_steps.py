"""From today's configuration to the plan's: what changes, and in which order it is safe.

Each step says whether connections break, whether data are lost, how it is undone, and who says so. What is
sure and can be undone comes first; what cannot be undone comes last.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from amply_capacity.catalog.nodes import NodeType
from amply_capacity.ops.export_blueprint import Blueprint
from amply_capacity.ops.export_plan import PlanFile
from amply_capacity.ops.export_serverless import USER_NAME, ServerlessBlueprint

__all__ = ["CLUSTER", "GROUP", "Change", "Step", "changes", "steps", "steps_json", "steps_text"]

CLUSTER, GROUP = "cluster", "group"
"""Today: a plain cache cluster, as elasticache-redis.md describes, or a replication group."""
_ALARMS = "CloudWatch User Guide, Alarms"
_AT_REST = "ElastiCache User Guide, At-rest encryption, 2026: set at creation only, replication groups only"
_BACKUPS = "ElastiCache User Guide, Backups, 2026"
_CREDITS = "EC2 User Guide, CPU credits: T3 and T4g have no launch credits"
_FAILOVER = "ElastiCache User Guide, Multi-AZ, 2026: replication is asynchronous"
_IMPORT = "CloudFormation User Guide, Resource import"
_PARAMETERS = "ElastiCache User Guide, Engine specific parameters, 2026"
_RESERVED = "ElastiCache User Guide, Reserved nodes, 2026"
_SCALING = "ElastiCache User Guide, Scaling replication groups, 2026"
_SPEC = "elasticache-redis.md"
_UPGRADE = "ElastiCache User Guide, Upgrading engine versions including cross engine upgrades, 2026"


@dataclass(frozen=True, slots=True)
class Change:
    """One setting, today and planned."""

    setting: str
    today: str
    planned: str

    @property
    def is_change(self) -> bool:
        return self.today != self.planned


@dataclass(frozen=True, slots=True)
class Step:
    """What to do, and what it costs."""

    what: str
    source: str
    undo: str
    restarts: str = "none"
    """Which connections break, and for how long."""
    loses: str = "nothing"
    """Which data."""


def changes(plan: PlanFile, made: Blueprint | ServerlessBlueprint, today: str) -> tuple[Change, ...]:
    """Every setting that the plan decides, those that stay as well."""
    was, is_plain = plan.today, today == CLUSTER
    if isinstance(made, Blueprint):
        kind, login = "replication group", "AUTH token"
        node, shards, replicas = made.node.name, str(made.shards), str(made.replicas)
        failover = _yes(made.has_failover)
    else:
        kind, login = "serverless cache", f"user {USER_NAME} with a password"
        node, shards, replicas, failover = "none", "as AWS scales it", "as AWS keeps them", "yes"
    return (
        Change("kind", "plain cache cluster" if is_plain else "replication group", kind),
        Change("engine", was.engine, made.engine),
        Change("node type", was.node_type, node),
        Change("shards", "1", shards),
        Change("replicas", str(was.replicas), replicas),
        Change("automatic failover over several zones", _yes(was.replicas > 0), failover),
        Change("encryption at rest", _yes(not is_plain), "yes"),
        Change("login", "AUTH token", login),
        Change("term", was.term, plan.term),
    )


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"


def steps(plan: PlanFile, made: Blueprint | ServerlessBlueprint, today: str) -> tuple[Step, ...]:
    """In order. A plain cluster, several shards and Serverless need a new cache beside the old one."""
    if isinstance(made, ServerlessBlueprint):
        way = _beside(made.cluster_id, "nodes are not made serverless in place", _SCALING, None,
                      is_sharded=True)
    elif today == CLUSTER:
        way = _beside(made.cluster_id, "a plain cluster cannot be given encryption at rest", _AT_REST,
                      made.node, is_sharded=made.is_sharded)
    elif made.is_sharded:
        way = _beside(made.cluster_id, "a group of one shard is not made into several in place", _SCALING,
                      made.node, is_sharded=True)
    else:
        way = _in_place(plan, made)
    return (*_preparation(), *way, *_afterwards(plan))


def _preparation() -> Iterator[Step]:
    yield Step("Deploy the alarms for today's nodes (export alarms), so that the change is watched", _ALARMS,
               undo="delete the stack")
    yield Step("Take a manual backup, away from the peak and of a replica where there is one", _BACKUPS,
               undo="delete the backup", restarts="none; without memory for a fork writes are slowed")


def _beside(cluster_id: str, why: str, source: str, node: NodeType | None, *,
            is_sharded: bool) -> Iterator[Step]:
    begin = ("" if node is None
             else "; with the backup as SnapshotName it begins with its keys, and keeps that name for ever")
    yield Step(f"Deploy the template: a new cache {cluster_id} beside the old cluster, for {why}{begin}",
               source, undo="delete the stack", restarts="none: nothing uses it yet",
               loses="nothing; both are paid for until the old one goes")
    if node is not None and node.is_burstable:
        yield Step(f"Leave the new {node.name} idle until CPUCreditBalance is above its alarm: it "
                   "begins at 0 and is throttled to its baseline under a peak", _CREDITS,
                   undo="nothing to undo")
    if is_sharded:
        yield Step("Make the application ready for Redis Cluster: a cluster client, and log-out everywhere "
                   "key by key or with hash tags, since a DEL of keys in several slots fails",
                   f"{_SPEC}, delete_all_user_sessions", undo="deploy the old version")
    login = "token" if node is not None else f"password of the user {USER_NAME}"
    kept = "after the backup" if node is not None else "before"
    yield Step(f"Deploy the application with the new endpoint (rediss://) and the {login} from Secrets "
               "Manager, at the quietest hour", f"{_SPEC}, Connection Management and Authentication",
               undo="deploy the old endpoint", restarts="every connection: one deployment",
               loses=f"what was written {kept}: sessions of those who logged in then, who log in again; "
                     "rate-limit counters and caches start anew")
    yield Step("Watch alarms and hit rate for a day before the old cluster goes", "the plan's alarms",
               undo="deploy the old endpoint")
    yield Step("Delete the old cluster, with a final backup", _BACKUPS, undo="restore the final backup",
               restarts="none: nothing uses it any more",
               loses="all that only it holds; the final backup stays")


def _in_place(plan: PlanFile, made: Blueprint) -> Iterator[Step]:
    was, now = plan.today.replicas, made.replicas
    yield Step("Adopt the group into the stack by resource import, so that nothing is made anew", _IMPORT,
               undo="remove it from the stack; its DeletionPolicy is Snapshot")
    values = ", ".join(f"{name} {value}" for name, value in made.parameters.items())
    yield Step(f"Assign the parameter group: {values}", _PARAMETERS, undo="assign the old group",
               restarts="none: these parameters take effect at once",
               loses="keys with a TTL may be evicted where less memory is left for data")
    if now > was:
        yield Step(f"Add replicas: {was} to {now} a shard, away from the peak", _SCALING, undo="remove them",
                   restarts="none; the primary forks for the full synchronisation")
    if now and not was:
        yield Step("Turn on automatic failover and Multi-AZ; the application uses the primary endpoint",
                   _FAILOVER, undo="turn them off",
                   loses="nothing; at a failover the writes of the replication lag are lost")
    yield from _new_nodes(plan, made)
    if was and not now:
        yield Step("Turn off Multi-AZ and automatic failover", _FAILOVER, undo="turn them on",
                   loses="nothing; from here a failed node loses every session")
    if now < was:
        yield Step(f"Remove replicas: {was} to {now} a shard", _SCALING, undo="add them again",
                   restarts="connections of readers to them")


def _new_nodes(plan: PlanFile, made: Blueprint) -> Iterator[Step]:
    was, is_alone = plan.today, not made.replicas
    if made.engine != was.engine:
        yield Step(f"Upgrade {was.engine} to {made.engine} with a parameter group of {made.family}", _UPGRADE,
                   undo="none: an engine is not downgraded; restore the backup into a new group",
                   restarts="each client reconnects; from Redis 5.0.6 on there is no downtime",
                   loses="what is written while a lone node is replaced" if is_alone else "nothing")
    if made.node.name != was.node_type:
        early = (": long before a peak, for new nodes begin without CPU credits" if made.node.is_burstable
                 else "")
        yield Step(f"Change the node type, online: {was.node_type} to {made.node.name}{early}", _SCALING,
                   undo="change it back, while the data still fit",
                   restarts="the node is away while it is replaced" if is_alone
                   else "a few seconds as the primary changes",
                   loses="what is written while a lone node is replaced" if is_alone
                   else "the writes of the replication lag")


def _afterwards(plan: PlanFile) -> Iterator[Step]:
    if plan.term not in {"on_demand", plan.today.term}:
        yield Step(f"Buy the reserved nodes ({plan.term}) once all else has held for a week", _RESERVED,
                   undo="none: a reservation cannot be cancelled")


def steps_json(found: tuple[Change, ...], order: tuple[Step, ...], today: str) -> dict[str, Any]:
    """As JSON: the differences, what stays, and the order."""
    return {
        "today": today,
        "changes": [asdict(one) for one in found if one.is_change],
        "unchanged": [asdict(one) for one in found if not one.is_change],
        "steps": [{"step": place, **asdict(one)} for place, one in enumerate(order, 1)],
    }


def steps_text(content: dict[str, Any]) -> str:
    """The same for people."""
    lines = ["What changes"] + [f"  {one['setting']}: {one['today']} → {one['planned']}"
                                for one in content["changes"]]
    if not content["changes"]:
        lines.append("  nothing that the plan decides")
    lines += ["", "In this order"]
    for one in content["steps"]:
        lines += [f"{one['step']:>3}. {one['what']}", f"     connections: {one['restarts']}",
                  f"     data: {one['loses']}", f"     undo: {one['undo']}", f"     source: {one['source']}"]
    return "\n".join(lines)
