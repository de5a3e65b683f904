"""The servers of a target that hold its keys: one, or each primary of a Redis Cluster."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from amply_capacity.target.deny_list import DenyList
from amply_capacity.target.endpoint import Endpoint, connect, explained
from amply_capacity.target.mark import LEASE_KEY
from amply_capacity.target.refusal import refusal, refuse_denied

__all__ = ["Primary", "lease_seat", "open_primaries"]

_SLOTS = 16_384


@dataclass(frozen=True, slots=True)
class Primary:
    """A server that takes writes, and a control client of it."""

    endpoint: Endpoint
    client: Any
    slots: tuple[tuple[int, int], ...] | None
    """First and last slot, included, of each range that it serves; None where it serves every key."""

    def serves(self, key: str) -> bool:
        from redis.crc import key_slot

        slot = key_slot(key.encode())
        return self.slots is None or any(first <= slot <= last for first, last in self.slots)


@contextlib.contextmanager
def open_primaries(endpoint: Endpoint, denied: DenyList, *,
                   is_ours: bool = False) -> Iterator[tuple[Primary, ...]]:
    """Within: the primaries behind an endpoint, each connected to as the endpoint is (TLS, user, password).

    A Redis Cluster's are those of CLUSTER SLOTS, whichever of its primaries the endpoint is; where the
    cluster `is_ours`, it may also be a replica, as after a failover. Raises Refused
    for a server on the deny list (before connecting), a replica, and a cluster with slots that nobody serves;
    what `connect` raises for one that does not answer.
    """
    refuse_denied(endpoint, denied)
    with contextlib.ExitStack() as opened:
        seed = opened.enter_context(connect(endpoint))
        with explained(endpoint):
            is_cluster = bool(int(seed.info("cluster").get("cluster_enabled", 0)))
            if seed.info("replication").get("role") != "master" and not (is_cluster and is_ours):
                raise refusal(endpoint, "it is a replica of another server", "name its primary instead")
            ranges = seed.execute_command("CLUSTER SLOTS") if is_cluster else []
        if not is_cluster:
            yield (Primary(endpoint, seed, None),)
            return
        if sum(last - first + 1 for first, last, *_ in ranges) != _SLOTS:
            raise refusal(endpoint, "it is a Redis Cluster with slots that no server serves",
                          "complete the cluster (`redis-cli --cluster check`), then ask again")
        slots_of: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
        for first, last, (host, port, *_), *_replicas in ranges:
            slots_of[host or endpoint.host, port].append((first, last))  # no host: that of the one asked
        primaries = []
        for (host, port), slots in slots_of.items():
            node = replace(endpoint, host=host, port=port)
            refuse_denied(node, denied)
            primaries.append(Primary(node, opened.enter_context(connect(node)), tuple(slots)))
        yield tuple(primaries)


def lease_seat(primaries: tuple[Primary, ...]) -> Primary:
    """The one primary that serves the lease's key."""
    return next(primary for primary in primaries if primary.serves(LEASE_KEY))
