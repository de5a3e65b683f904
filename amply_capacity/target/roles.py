"""Who is the primary now: what the servers themselves say, since a failover makes every record stale."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from amply_capacity.errors import AmplyError
from amply_capacity.target.endpoint import Endpoint, connect, explained

__all__ = ["address_from_sentinels", "primaries_of_shards", "role_of"]

_TIMEOUT_SECONDS = 1.0


def address_from_sentinels(sentinels: Iterable[Endpoint], service_name: str) -> tuple[str, int] | None:
    """Host and port of the primary, from the first Sentinel that knows; None where none does."""
    for sentinel in sentinels:
        address = _answer(sentinel, lambda client: client.sentinel_get_master_addr_by_name(service_name))
        if address:
            return str(address[0]), int(address[1])
    return None


def primaries_of_shards(nodes: Iterable[Endpoint]) -> tuple[Endpoint, ...] | None:
    """A Redis Cluster's primaries in the order of their slots; None where no node answers."""
    for node in nodes:
        shards = _answer(node, lambda client: client.execute_command("CLUSTER SLOTS"))
        if shards:
            # A shard that owns several ranges is listed for each; no host means the one that was asked.
            owners = dict.fromkeys((str(primary[0] or node.host), int(primary[1]))
                                   for _first, _last, primary, *_replicas in sorted(shards))
            return tuple(replace(node, host=host, port=port) for host, port in owners)
    return None


def role_of(node: Endpoint) -> str | None:
    """`primary` or `replica`, as the data server says; None where it does not answer."""
    said = _answer(node, lambda client: client.info("replication")["role"])
    return None if said is None else "primary" if said == "master" else "replica"


def _answer(endpoint: Endpoint, question: Callable[[Any], Any]) -> Any:
    """The server's answer; None where it gives none: the question goes to the next one then."""
    try:
        with connect(endpoint, timeout_seconds=_TIMEOUT_SECONDS) as client, explained(endpoint):
            return question(client)
    except AmplyError:
        return None
