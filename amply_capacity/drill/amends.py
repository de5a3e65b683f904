"""Puts right what a drill has changed in a cluster, where the drill is killed before it could.

A program of its own, `python -m amply_capacity.drill.amends CLUSTER ...`, which waits until its stdin ends.
If no line came before, it does one of these:

    set SETTING MILLISECONDS        of every Sentinel
    follow REPLICA PROXY PRIMARY    the replica, where it follows the port of our proxy, that of its primary
"""

from __future__ import annotations

import contextlib
import sys

from amply_capacity.errors import AmplyError
from amply_capacity.target import cluster as clusters
from amply_capacity.target.configuration import SERVICE_NAME
from amply_capacity.target.described import SENTINEL, Cluster
from amply_capacity.target.endpoint import Endpoint, connect

__all__ = ["main", "primary_port", "set_sentinels"]

_ANSWER_SECONDS = 2.0


def set_sentinels(cluster: Cluster, setting: str, milliseconds: int) -> None:
    """Of all that answer."""
    for node in cluster.nodes:
        if node.role == SENTINEL:
            sentinel = cluster.endpoint_of(node)
            with contextlib.suppress(AmplyError), connect(sentinel, timeout_seconds=_ANSWER_SECONDS) as it:
                it.execute_command("SENTINEL", "SET", SERVICE_NAME, setting, milliseconds)


def primary_port(replica: Endpoint) -> int | None:
    """The port that the server follows; None for a primary."""
    with connect(replica, timeout_seconds=_ANSWER_SECONDS) as client:
        said = client.info("replication")
    return int(said["master_port"]) if said["role"] == "slave" else None


def main(name: str, *order: str) -> int:
    """Wait until stdin ends, or is written to by a drill that has put it right itself."""
    if sys.stdin.readline():
        print("ok", flush=True)
        return 0
    cluster = clusters.described_cluster(name)
    match order:
        case ["set", setting, milliseconds]:
            set_sentinels(cluster, setting, int(milliseconds))
        case ["follow", replica, proxy, primary]:
            endpoint = cluster.endpoint_of(next(node for node in cluster.nodes if node.name == replica))
            if primary_port(endpoint) == int(proxy):
                with connect(endpoint, timeout_seconds=_ANSWER_SECONDS) as client:
                    client.execute_command("REPLICAOF", "127.0.0.1", int(primary))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
