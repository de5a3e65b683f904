"""The three topologies of a local cluster, each built and waited for until a client may rely on it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from amply_capacity.errors import BadInput
from amply_capacity.target.configuration import (
    REPLICA_PING_SECONDS,
    SERVICE_NAME,
    sentinel_lines,
    server_lines,
)
from amply_capacity.target.described import PRIMARY, REPLICA, SENTINEL, Node
from amply_capacity.target.endpoint import connect
from amply_capacity.target.launch import Launcher

__all__ = ["SENTINELS", "SHARDS", "SLOTS", "TOPOLOGIES", "build", "check_topology"]

SHARDS = 3
SENTINELS = 3
SLOTS = 16384


def check_topology(name: str) -> None:
    """Raises BadInput for what is no topology."""
    if name not in TOPOLOGIES:
        raise BadInput("unknown topology", got=repr(name), do=f"use one of {', '.join(TOPOLOGIES)}")


def build(topology: str, launcher: Launcher) -> None:
    """Start the topology's servers, join them, and wait until they serve as one."""
    TOPOLOGIES[topology](launcher)


def _single(launcher: Launcher) -> None:
    launcher.launch("primary", PRIMARY, partial(server_lines, launcher.settings), shard=1)


def _replicated(launcher: Launcher) -> None:
    settings = launcher.settings
    launcher.tell("starting a primary and its replica")
    primary = launcher.launch("primary", PRIMARY, partial(server_lines, settings), shard=1)
    replica = launcher.launch("replica", REPLICA, partial(
        server_lines, settings, primary_port=primary.port), shard=1)
    with contextlib.ExitStack() as open_clients:
        of_replica = _client(launcher, replica, open_clients)
        launcher.wait_until(lambda: _is_linked(of_replica), "the replica linked to its primary")
        # Not before: a Sentinel that finds no replica looks again only after 10 s.
        launcher.tell(f"starting {SENTINELS} Sentinels, and waiting until they know each other")
        sentinels = [launcher.launch(f"sentinel-{number}", SENTINEL, partial(
            sentinel_lines, settings, primary_port=primary.port)) for number in range(1, SENTINELS + 1)]
        clients = [_client(launcher, sentinel, open_clients) for sentinel in sentinels]
        launcher.wait_until(lambda: all(_watches(client) for client in clients),
                            "every Sentinel in sight of the others and of the replica")


def _sharded(launcher: Launcher) -> None:
    launcher.tell(f"starting {SHARDS} shards of a primary and a replica")
    lines = partial(server_lines, launcher.settings, cluster_enabled=True)
    primaries, replicas = (
        [launcher.launch(f"shard-{shard}-{role}", role, lines, shard=shard, with_bus=True)
         for shard in range(1, SHARDS + 1)] for role in (PRIMARY, REPLICA))
    with contextlib.ExitStack() as open_clients:
        clients = [_client(launcher, node, open_clients) for node in (*primaries, *replicas)]
        launcher.tell("joining the shards, and waiting until all slots are served")
        _join(launcher, clients, [*primaries, *replicas])


def _join(launcher: Launcher, clients: Sequence[Any], nodes: Sequence[Node]) -> None:
    for epoch, client in enumerate(clients, start=1):
        # Else all begin with the same epoch, and have to settle the collision.
        client.execute_command("CLUSTER SET-CONFIG-EPOCH", epoch)
    for shard, client in enumerate(clients[:SHARDS]):
        _own_slots(client, shard * SLOTS // SHARDS, (shard + 1) * SLOTS // SHARDS - 1)
    for other in nodes[1:]:
        clients[0].execute_command("CLUSTER MEET", other.host, other.port)
    for primary, replica in zip(clients[:SHARDS], clients[SHARDS:], strict=True):
        identity = primary.execute_command("CLUSTER MYID")
        launcher.wait_until(partial(_follow, replica, identity), "every shard known to its replica")
    launcher.wait_until(lambda: all(_serves(client, len(nodes)) for client in clients),
                        "cluster_state:ok on every node")
    launcher.wait_until(lambda: all(_is_linked(client) for client in clients[SHARDS:]),
                        "every replica linked to its primary")
    for client in clients:
        client.config_set("repl-ping-replica-period", REPLICA_PING_SECONDS)


def _own_slots(client: Any, first: int, last: int) -> None:
    import redis

    try:
        client.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
    except redis.ResponseError:  # before Redis 7
        client.execute_command("CLUSTER ADDSLOTS", *range(first, last + 1))


def _follow(replica: Any, identity: str) -> bool:
    """True once accepted; an error reply until the replica has heard of that primary."""
    replica.execute_command("CLUSTER REPLICATE", identity)
    return True


def _serves(client: Any, node_count: int) -> bool:
    state = client.execute_command("CLUSTER INFO")
    shards = client.execute_command("CLUSTER SLOTS")
    return (state["cluster_state"] == "ok" and int(state["cluster_slots_ok"]) == SLOTS
            and int(state["cluster_known_nodes"]) == node_count
            and [len(servers) for _first, _last, *servers in shards] == [2] * SHARDS)


def _is_linked(client: Any) -> bool:
    return bool(client.info("replication").get("master_link_status") == "up")


def _watches(client: Any) -> bool:
    seen = client.sentinel_master(SERVICE_NAME)
    replicas = client.sentinel_slaves(SERVICE_NAME)
    return (seen["flags"] == "master" and int(seen["num-other-sentinels"]) == SENTINELS - 1
            and [replica["flags"] for replica in replicas] == ["slave"])


def _client(launcher: Launcher, node: Node, open_clients: contextlib.ExitStack) -> Any:
    return open_clients.enter_context(connect(launcher.cluster.endpoint_of(node)))


TOPOLOGIES: dict[str, Callable[[Launcher], None]] = {
    "single": _single, "replicated": _replicated, "sharded": _sharded}
