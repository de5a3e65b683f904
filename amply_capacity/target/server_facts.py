"""What a live server says of itself that a prediction of its memory needs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from amply_capacity.target.allocator import QUANTA, allocator_of
from amply_capacity.target.endpoint import Endpoint

__all__ = ["ServerFacts", "server_facts"]

_FIELDS = ("used_memory", "used_memory_startup", "used_memory_rss", "maxmemory", "maxmemory_policy",
           "connected_clients", "mem_clients_normal", "mem_clients_slaves", "mem_replication_backlog",
           "mem_aof_buffer", "mem_cluster_links", "used_memory_scripts", "connected_slaves",
           "master_link_status", "uptime_in_seconds")


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """A server at one moment; a field of INFO that it does not give is absent."""

    endpoint: Endpoint
    engine: str
    """`redis` or `valkey`."""
    version: str
    role: str
    """`primary` or `replica`."""
    is_cluster: bool
    """Whether it serves some of a Redis Cluster's slots."""
    allocator: str | None
    """`bundled` or `debian` (`target.allocator`); None where it is another, or unknown."""
    commands_called: int
    """Different commands that were ever called, subcommands apart."""
    latency_histograms: int
    """Those that have a histogram of their latency; none where latency-tracking is off."""
    databases: Mapping[str, Mapping[str, int]]
    """Keys and, as `expires`, those with a TTL, by database (`db0`)."""
    info: Mapping[str, Any]

    @property
    def database(self) -> str:
        """The one that the endpoint names."""
        return f"db{self.endpoint.database}"

    @property
    def other_databases(self) -> tuple[str, ...]:
        return tuple(name for name in self.databases if name != self.database)

    @property
    def quantum_bytes(self) -> int | None:
        """The spacing of the allocator's smallest classes."""
        return None if self.allocator is None else QUANTA[self.allocator]

    @property
    def number(self) -> tuple[int, int]:
        """Major and minor version, that of Redis which it is compatible with."""
        major, minor, *_ = (*str(self.info.get("redis_version", "0")).split("."), "0")
        return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else (0, 0)

    def as_json(self) -> dict[str, Any]:
        known = {name: self.info[name] for name in _FIELDS if name in self.info}
        return {"url": self.endpoint.url, "engine": self.engine, "version": self.version, "role": self.role,
                "cluster": self.is_cluster, "allocator": self.allocator,
                "mem_allocator": self.info.get("mem_allocator"), "commands_called": self.commands_called,
                "latency_histograms": self.latency_histograms, **known,
                "databases": {name: {what: counts[what] for what in ("keys", "expires")}
                              for name, counts in self.databases.items()}}


def server_facts(client: Any, endpoint: Endpoint) -> ServerFacts:
    """Ask a redis-py client for INFO and the allocator."""
    info = client.info("everything")
    valkey = info.get("valkey_version")
    return ServerFacts(
        endpoint, "valkey" if valkey else "redis", str(valkey or info.get("redis_version", "unknown")),
        "primary" if info.get("role") == "master" else "replica", bool(info.get("cluster_enabled", 0)),
        allocator_of(client, str(info.get("mem_allocator", ""))),
        sum(name.startswith("cmdstat_") for name in info),
        sum(name.startswith("latency_percentiles_usec_") for name in info),
        {name: value for name, value in info.items() if re.fullmatch(r"db\d+", name)}, info)
