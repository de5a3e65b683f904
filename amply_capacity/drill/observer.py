"""What the servers say of themselves ten times a second, while they come and go."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from amply_capacity.drill.watching import Watching
from amply_capacity.errors import AmplyError
from amply_capacity.target.endpoint import Endpoint, connect

__all__ = ["Observer", "Sample"]

_PERIOD_SECONDS = 0.1
_ANSWER_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Sample:
    """One INFO."""

    time_s: float
    node: str
    """host:port"""
    run_id: str
    """Another one: another process at that port, whose counts began anew."""
    role: str
    """As INFO calls it, `master` or `slave`."""
    connections_received: int
    """Since the process began."""
    evicted_keys: int
    replica_buffer_bytes: int


class Observer(Watching):
    """Within: samples of each server, from threads of their own, one a server; the load is not disturbed.

    Kept for the length of a drill, 30 samples of 100 bytes a second.
    """

    def __init__(self, nodes: Iterable[Endpoint]) -> None:
        self.samples: list[Sample] = []
        super().__init__([partial(self._watch, node) for node in nodes])

    def _watch(self, node: Endpoint) -> None:
        import redis

        name, client = f"{node.host}:{node.port}", None
        while not self.stopping.wait(_PERIOD_SECONDS - time.time() % _PERIOD_SECONDS):
            try:
                client = client or connect(node, timeout_seconds=_ANSWER_SECONDS)
                self.samples.append(_sample(name, client.info()))
            except (AmplyError, redis.RedisError, OSError, KeyError):  # it is away, or not there yet
                if client is not None:
                    with contextlib.suppress(Exception):
                        client.close()
                client = None
        if client is not None:
            client.close()


def _sample(node: str, info: dict[str, Any]) -> Sample:
    return Sample(time.time(), node, str(info["run_id"]), str(info["role"]),
                  int(info["total_connections_received"]), int(info["evicted_keys"]),
                  int(info.get("mem_clients_slaves", 0)))
