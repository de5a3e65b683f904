"""A single server is replaced by a larger one while it serves: copied, switched, its address taken over."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import redis

from amply_capacity.catalog.nodes import node_type
from amply_capacity.drill.companion import Companion
from amply_capacity.drill.proxy import MOST_CONNECTIONS
from amply_capacity.drill.stage import Stage
from amply_capacity.target.configuration import Settings, server_lines
from amply_capacity.target.described import PRIMARY, REPLICA, Node

__all__ = ["scale_up"]

_NAME = "larger"
_SWITCH_MS = 10_000


def scale_up(stage: Stage) -> None:
    """Start a larger replica of the server, wait until it has everything, and put it in the server's place.

    As ElastiCache scales a node up: the name of the endpoint stays, its connections are closed. The switch is
    coordinated (FAILOVER, Redis 6.2): the server takes no writes until the replica has all of them.
    """
    old = stage.primary()
    settings = _larger(stage)
    stage.fault("scale-up begins", to_maxmemory_bytes=settings.maxmemory_bytes)
    lines = partial(server_lines, settings, primary_port=old.port)
    new = stage.launcher.launch(_NAME, REPLICA, lines, shard=1)
    with stage.control(new) as client:
        stage.wait_until(lambda: client.info("replication").get("master_link_status") == "up",
                         "the larger server linked to the one it replaces")
    stage.note("larger server has a copy")
    stage.wait_until(stage.has_caught_up, "the larger server with everything")
    _switch(stage, old, new)
    stage.wait_until(stage.serves, "the larger server at the endpoint")
    stage.note("larger server has taken over", maxmemory_bytes=settings.maxmemory_bytes)


def _larger(stage: Stage) -> Settings:
    before = stage.launcher.settings
    if stage.request.to_node_type is None:
        return replace(before, maxmemory_bytes=2 * before.maxmemory_bytes)
    node = node_type(stage.request.to_node_type)
    return replace(before, maxmemory_bytes=node.usable_bytes(stage.cluster.reserved_memory_percent),
                   maxclients=node.maxclients)


def _switch(stage: Stage, old: Node, new: Node) -> None:
    with stage.control(old) as client:
        client.execute_command("FAILOVER", "TO", new.host, new.port, "TIMEOUT", _SWITCH_MS)
        stage.note("switch begins")
        with stage.control(new) as other:
            stage.wait_until(lambda: bool(other.info("replication")["role"] == "master"), "the switch")
    stage.end(old)
    stage.launcher.retire(old, replace(new, role=PRIMARY, port=_take_port(stage, old, new)))


def _take_port(stage: Stage, old: Node, new: Node) -> int:
    """Have the new server answer at the old one's port, as a name that leads to it would."""
    setting = "tls-port" if stage.cluster.tls else "port"
    with stage.control(new) as client:
        try:
            client.config_set(setting, old.port)
        except redis.ResponseError:  # before Redis 7 it is fixed
            stage.link = stage.companions.enter_context(Companion(
                "proxy", "--to", str(new.port), "--port", str(old.port),
                "--most", str(stage.request.users + MOST_CONNECTIONS), directory=stage.scratch))
            stage.link.read()
    return old.port
