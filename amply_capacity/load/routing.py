"""Which kind of connection follows a topology, each with the surface of a plain one (`load.client`).

A plain connection knows one server. `FailoverConnection` asks who is the primary whenever it connects;
`ShardedConnection` sends each command to the primary that owns its key. Neither retries: what fails is the
caller's to count. A redirect (MOVED, ASK) is no failure but the protocol's way to say where a slot is.
"""

from __future__ import annotations

from collections.abc import Callable

from amply_capacity.load.client import Connection
from amply_capacity.load.failover import FailoverConnection, primary_from_sentinels
from amply_capacity.load.link import Link
from amply_capacity.load.sharded import ShardedConnection
from amply_capacity.load.slots import SlotMap
from amply_capacity.target.cluster import Cluster
from amply_capacity.target.configuration import SERVICE_NAME
from amply_capacity.target.endpoint import Endpoint

__all__ = ["opener"]


def opener(endpoint: Endpoint, cluster: Cluster | None, topology: str, timeout_seconds: float,
           is_stamped: bool = False) -> Callable[[], Link]:
    """A function that makes the kind of connection that the target's topology wants.

    A replication group of others is followed by its name: whoever is the primary then has its address. Call
    this once in a process: the connections of a sharded cluster then share one map of its slots.
    """
    if topology == "replicated":
        if cluster is None:
            return lambda: FailoverConnection(lambda: endpoint, timeout_seconds, is_stamped)
        sentinels = cluster.sentinels

        def find_primary() -> Endpoint:
            return primary_from_sentinels(sentinels, SERVICE_NAME)

        return lambda: FailoverConnection(find_primary, timeout_seconds, is_stamped)
    if topology == "sharded":
        slots = SlotMap(endpoint, timeout_seconds)
        return lambda: ShardedConnection(slots, timeout_seconds, is_stamped)
    return lambda: Connection(endpoint, timeout_seconds, is_stamped)
