"""What a run's manifest says of its target, its server and its generator."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from typing import Any

from amply_capacity.target.guard import Target

__all__ = ["cores_here", "generator_facts", "now_text", "server_facts", "target_facts"]

_SETTINGS = ("maxmemory", "maxmemory-policy", "maxmemory-samples", "maxclients", "timeout", "hz",
             "appendonly", "save", "io-threads", "activedefrag", "lazyfree-lazy-eviction")
"""Those that the models depend on."""


def now_text() -> str:
    """The time, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def cores_here() -> int | None:
    """The cores that this process may use: under taskset not all of the host's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def target_facts(target: Target, topology: str, multi_key: str) -> dict[str, Any]:
    """Where it is and what it stands in for; no secret."""
    cluster = target.cluster
    return {"url": target.endpoint.url, "kind": "local cluster" if cluster else "endpoint",
            "topology": topology, "tls": target.endpoint.tls, "multi_key": multi_key,
            "node_type": cluster.node_type if cluster else None,
            "reserved_memory_percent": cluster.reserved_memory_percent if cluster else None}


def server_facts(control: Any) -> dict[str, Any]:
    """By INFO and CONFIG; the settings are missing where CONFIG is refused, as on ElastiCache."""
    info = control.info("everything")
    return {"engine": "valkey" if "valkey_version" in info else "redis",
            "version": str(info.get("valkey_version") or info["redis_version"]),
            "allocator": info.get("mem_allocator"),
            "used_memory_startup": info.get("used_memory_startup"),
            "config": _configuration(control)}


def generator_facts(host_cores: int | None, processes: int, server_core: int | None) -> dict[str, Any]:
    """`server_core` is the one that a local server has to itself; None without."""
    return {"host_cores": host_cores, "processes": processes, "python": platform.python_version(),
            "machine": platform.machine(), "system": platform.system(), "server_core": server_core}


def _configuration(control: Any) -> dict[str, str]:
    try:
        return {name: value for name in _SETTINGS for value in control.config_get(name).values()}
    except Exception:
        return {}
