"""A failover that somebody asked for, with every server in good health."""

from __future__ import annotations

import redis

from amply_capacity.drill.stage import Stage, Unfinished
from amply_capacity.target import roles
from amply_capacity.target.configuration import SERVICE_NAME
from amply_capacity.target.described import REPLICA

__all__ = ["failover"]


def failover(stage: Stage) -> None:
    """Have a replica take the primary's place: by a Sentinel, or on a sharded cluster by the replica itself.

    A shard's replica waits until it has everything (Redis Cluster specification, "Manual failover").
    Sentinels do not, and they tell the former primary only when it has called itself one for eight seconds
    more (sentinel.c, `+convert-to-slave`): what clients that stayed with it write until then is lost. Raises
    Unfinished with the reason that they give for refusing.
    """
    before = stage.primary()
    replicas = stage.replicas()
    asks_sentinel = stage.cluster.topology == "replicated"
    asked = stage.sentinels[0] if asks_sentinel else replicas[0] if replicas else None
    if asked is None:
        raise Unfinished(f"{before.name} has no replica that could take its place")
    command = ("SENTINEL", "FAILOVER", SERVICE_NAME) if asks_sentinel else ("CLUSTER", "FAILOVER")
    with stage.control(asked) as client:
        stage.fault("failover requested", of=before.name, asked=asked.name)
        try:
            client.execute_command(*command)
        except redis.ResponseError as error:
            raise Unfinished(f"{asked.name} refused: {error}") from error
    stage.wait_until(lambda: stage.primary().name != before.name and stage.serves(), "another primary")
    promoted_s = stage.note("another primary", server=stage.primary().name)
    try:
        stage.wait_until(lambda: roles.role_of(stage.cluster.endpoint_of(before)) == REPLICA,
                         "the former primary following the new one")
        stage.crash_s = stage.note("former primary follows", server=before.name)
    except Unfinished:
        stage.crash_s = stage.note("former primary still takes writes", server=before.name)
    stage.facts["two_primaries_seconds"] = round(stage.crash_s - promoted_s, 3)
