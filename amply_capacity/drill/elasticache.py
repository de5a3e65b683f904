"""A failover of a real ElastiCache replication group, asked of AWS: everything that speaks against it first.

Source: ElastiCache API reference, TestFailover and DescribeEvents. Its limit stands there: 15 shards in any
rolling 24 hours, counted here over all replication groups of the account in the region.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from amply_capacity.aws.regions import chosen_region
from amply_capacity.aws.session import client, explained
from amply_capacity.drill.moment import FAILOVER, Moment
from amply_capacity.errors import BadInput, Refused
from amply_capacity.target.deny_list import read_deny_list
from amply_capacity.target.endpoint import Endpoint
from amply_capacity.target.refusal import refuse_denied

__all__ = ["MOST_A_DAY", "NodeGroup", "ask_for_failover", "elasticache_client", "examine", "failover_moments",
           "is_done"]

MOST_A_DAY = 15
_DAY_MINUTES, _HOUR_MINUTES = 1440, 60
_CALLED = "Test Failover API called for node group"
_DONE = "Failover from"
_SOURCE = "replication-group"
_GROUPS, _EVENTS, _TEST = ("elasticache:DescribeReplicationGroups", "elasticache:DescribeEvents",
                           "elasticache:TestFailover")


@dataclass(frozen=True, slots=True)
class NodeGroup:
    """The shard whose primary is to be replaced."""

    replication_group: str
    node_group: str
    primary: str
    """Id of its primary's cache cluster; empty where AWS does not say, as of one in cluster mode."""
    members: int
    called_today: int
    """How often such a failover was asked for in the last 24 hours, of any group of account and region."""


def elasticache_client(region: str | None) -> Any:
    """A boto3 client; the region is boto3's own where none is given.

    Raises BadInput where there is none or no such one, AmplyError for a profile that cannot be used.
    """
    return client("elasticache", chosen_region(region))


def examine(elasticache: Any, replication_group: str, node_group: str, target: Endpoint) -> NodeGroup:
    """The shard, if its failover may be asked for now; nothing is changed.

    Raises Refused where an address of the group is on the deny list, or AWS would refuse, or the group would
    not come through it: it is not available, has no automatic failover or no replica, or AWS' limit of a day
    is reached. BadInput for what there is not, and where `target`, which bears the mark, is not the group's.
    """
    with explained(_GROUPS):
        answer = elasticache.describe_replication_groups(ReplicationGroupId=replication_group)
    group = next(iter(answer["ReplicationGroups"]), None)
    shards = {} if group is None else {one["NodeGroupId"]: one for one in group.get("NodeGroups", ())}
    if group is None or node_group not in shards:
        raise BadInput(f"there is no node group {node_group} in {replication_group}",
                       got=", ".join(shards) or "none", do="say which with --node-group")
    _check_is_one_of(target, _endpoints(group, target), replication_group)
    members = shards[node_group].get("NodeGroupMembers", ())
    called = sum(message.startswith(_CALLED) for _, message in _events(elasticache, None, _DAY_MINUTES))
    faults = []
    for what, is_so in (
            (f"its status is {group.get('Status')}", group.get("Status") == "available"),
            (f"its automatic failover is {group.get('AutomaticFailover')}",
             group.get("AutomaticFailover") == "enabled"),
            (f"node group {node_group} has {len(members)} node{'s' * (len(members) != 1)}", len(members) > 1),
            (f"{called} failovers were asked for in the last 24 hours, and AWS allows {MOST_A_DAY}",
             called < MOST_A_DAY)):
        if not is_so:
            faults.append(what)
    if faults:
        raise Refused(f"{replication_group} will not be failed over", got="; ".join(faults),
                      do="wait until it is available and the day is over, or give it a replica "
                         "and automatic failover")
    primary = next((one["CacheClusterId"] for one in members if one.get("CurrentRole") == "primary"), "")
    return NodeGroup(replication_group, node_group, primary, len(members), called)


def ask_for_failover(elasticache: Any, group: NodeGroup) -> None:
    """Have AWS replace the shard's primary. Raises AmplyError with AWS' own words where it does not."""
    with explained(_TEST):
        elasticache.test_failover(ReplicationGroupId=group.replication_group, NodeGroupId=group.node_group)


def failover_moments(elasticache: Any, replication_group: str, since_s: float) -> list[Moment]:
    """What AWS reports of the group from then on, by AWS' clock and in its words."""
    return [Moment(time_s, FAILOVER, message, {"says": "AWS"})
            for time_s, message in sorted(_events(elasticache, replication_group, _HOUR_MINUTES))
            if time_s >= since_s]


def is_done(moments: list[Moment]) -> bool:
    """Whether AWS has reported that a replica took the place."""
    return any(one.name.startswith(_DONE) and one.name.rstrip(".").endswith("completed") for one in moments)


def _check_is_one_of(target: Endpoint, endpoints: list[Endpoint], replication_group: str) -> None:
    """Raise BadInput unless the target's host is one of the group's: the mark allows what bears it alone.

    By name and not by address: private addresses are the same in many networks.
    """
    denied = read_deny_list()
    for endpoint in endpoints:
        refuse_denied(endpoint, denied)
    hosts = list(dict.fromkeys(_host(endpoint) for endpoint in endpoints))
    if _host(target) not in hosts:
        raise BadInput(f"the target is no endpoint of {replication_group}, which would be failed over",
                       got=f"{target.host}, while the group has {', '.join(hosts) or 'no endpoint yet'}",
                       do="name the primary or configuration endpoint of that group as AWS does, or another "
                          "--replication-group")


def _endpoints(group: Mapping[str, Any], target: Endpoint) -> list[Endpoint]:
    """All that AWS says of the group, its shards and its nodes, each to be spoken to as the target is."""
    shards = group.get("NodeGroups", ())
    said = [group.get("ConfigurationEndpoint"),
            *(shard.get(name) for shard in shards for name in ("PrimaryEndpoint", "ReaderEndpoint")),
            *(node.get("ReadEndpoint") for shard in shards for node in shard.get("NodeGroupMembers", ()))]
    return [replace(target, host=one["Address"], port=one.get("Port", target.port))
            for one in said if one and one.get("Address")]


def _host(endpoint: Endpoint) -> str:
    """As names are compared: in small letters, without the root's dot."""
    return endpoint.host.lower().rstrip(".")


def _events(elasticache: Any, replication_group: str | None, minutes: int) -> Iterator[tuple[float, str]]:
    """Time and message of the events of replication groups, all of them page by page."""
    asked: dict[str, Any] = {"SourceType": _SOURCE, "Duration": minutes}
    if replication_group is not None:
        asked["SourceIdentifier"] = replication_group
    while True:
        with explained(_EVENTS):
            answer = elasticache.describe_events(**asked)
        for event in answer.get("Events", ()):
            yield event["Date"].timestamp(), str(event.get("Message", ""))
        if not answer.get("Marker"):
            return
        asked["Marker"] = answer["Marker"]
