"""The layout of the server that a test measures, whichever AMPLY_REDIS_SERVER names."""

from __future__ import annotations

from typing import Any

from amply_capacity.interval import Interval
from amply_capacity.model.allocator import BUNDLED
from amply_capacity.model.layout import Layout
from amply_capacity.model.layouts import allocator_named, layout_of
from amply_capacity.model.memory import Server


def layout_of_server(client: Any, *, is_cluster: bool = False) -> Layout:
    told, memory = client.info("server"), client.info("memory")
    engine = "valkey" if "valkey_version" in told else "redis"
    kind = layout_of(engine, told.get("valkey_version") or told["redis_version"])
    return kind(allocator_named(memory["mem_allocator"], kind) or BUNDLED, is_cluster=is_cluster)


def as_it_is(client: Any, *, busy_connections: int = 1) -> Server:
    """What the server holds beside its keys: its own start-up, and the commands that were called."""
    memory = client.info("memory")
    return Server(busy_connections=busy_connections,
                  startup=Interval.exact(float(memory["used_memory_startup"])),
                  tracked_commands=Interval.exact(float(len(client.info("commandstats")))))
