"""What each node type is: memory, network, limits, CPU credits, and the engines that run on it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from amply_capacity.catalog.files import CATALOG_DIR, NodeRow, read_table, source_texts
from amply_capacity.errors import BadInput, UnknownName

__all__ = ["DEFAULT_RESERVED_MEMORY_PERCENT", "NodeType", "node_type", "node_types"]

DEFAULT_RESERVED_MEMORY_PERCENT = 25.0
"""ElastiCache's `reserved-memory-percent` unless the parameter group says otherwise."""


@dataclass(frozen=True, slots=True)
class NodeType:
    """One node type with the source of its facts; None is a fact that the sources do not give."""

    name: str
    family: str
    """E.g. `t3`, `r7g`."""
    category: str
    """AWS's own: Standard, Standard (burstable), Memory optimized, Network optimized, …"""
    is_graviton: bool
    vcpu: int | None
    memory_bytes: int
    """The advertised GiB, which AWS rounds to two digits: it can lie a hair below `maxmemory_bytes`."""
    ssd_bytes: int | None
    maxmemory_bytes: int
    """The fixed node-type value of ElastiCache's parameter table, before anything is reserved."""
    replica_output_buffer_bytes: int | None
    maxclients: int
    network_label: str | None
    network_baseline_gbps: float | None
    network_burst_gbps: float | None
    """None also where the network does not burst."""
    cpu_credits_per_hour: int | None
    """One credit is one vCPU-minute; None where the type is not burstable."""
    cpu_credits_max: int | None
    cpu_baseline_percent_per_vcpu: float | None
    redis_min_version: str | None
    """None where Redis OSS is not offered on this type."""
    valkey_min_version: str | None
    enhanced_io: bool
    tls_offload: bool
    enhanced_io_multiplexing: bool
    at_rest_encryption: bool
    normalized_units_redis: float
    normalized_units_valkey: float
    new_clusters: bool
    """False for previous generations: they keep running, but nothing new may be made of them."""
    source: str
    as_of: str

    @property
    def is_burstable(self) -> bool:
        """Whether the CPU runs on credits, in standard mode: throttled to baseline when they are spent."""
        return self.cpu_credits_per_hour is not None

    @property
    def has_data_tiering(self) -> bool:
        """Whether cold values move to a local SSD (r6gd)."""
        return self.ssd_bytes is not None

    @property
    def engines(self) -> Mapping[str, str]:
        """Lowest version by engine name, for the engines that run on this type."""
        versions = {"redis": self.redis_min_version, "valkey": self.valkey_min_version}
        return {engine: version for engine, version in versions.items() if version is not None}

    def usable_bytes(self, reserved_memory_percent: float = DEFAULT_RESERVED_MEMORY_PERCENT) -> int:
        """Memory for data: maxmemory less the reserve for forks, buffers and fragmentation.

        Raises BadInput outside 0 ≤ percent < 100. Source: AWS, "Managing reserved memory".
        """
        if not 0.0 <= reserved_memory_percent < 100.0:
            raise BadInput("reserved-memory-percent is out of range", got=f"{reserved_memory_percent}",
                           do="give a percentage from 0 to below 100; ElastiCache's default is 25")
        return int(self.maxmemory_bytes * (100.0 - reserved_memory_percent) / 100.0)


def node_type(name: str) -> NodeType:
    """The node type of that exact name; raises UnknownName with the nearest ones.

    Example: `node_type("cache.t3.micro").usable_bytes()` is 402_653_184.
    """
    known = _by_name()
    if name not in known:
        raise UnknownName("node type", name, known, see="`amply-capacity prices show`")
    return known[name]


def node_types() -> tuple[NodeType, ...]:
    """Every node type with known facts, smallest memory first."""
    return tuple(_by_name().values())


@functools.cache
def _by_name() -> Mapping[str, NodeType]:
    texts = source_texts()
    types = [_from_row(row, texts[row.source]) for row in read_table(NodeRow, CATALOG_DIR / "node_types.csv")]
    types.sort(key=lambda node: (node.maxmemory_bytes, node.name))
    return MappingProxyType({node.name: node for node in types})


def _from_row(row: NodeRow, source: str) -> NodeType:
    return NodeType(
        name=row.node_type,
        family=row.family,
        category=row.category,
        is_graviton=row.graviton == "yes",
        vcpu=_whole(row.vcpu),
        memory_bytes=round(float(row.memory_gib) * 2**30),
        ssd_bytes=round(float(row.ssd_gib) * 2**30) if row.ssd_gib else None,
        maxmemory_bytes=int(row.maxmemory_bytes),
        replica_output_buffer_bytes=_whole(row.replica_output_buffer_bytes),
        maxclients=int(row.maxclients),
        network_label=row.network_label or None,
        network_baseline_gbps=_number(row.network_baseline_gbps),
        network_burst_gbps=_number(row.network_burst_gbps),
        cpu_credits_per_hour=_whole(row.cpu_credits_per_hour),
        cpu_credits_max=_whole(row.cpu_credits_max),
        cpu_baseline_percent_per_vcpu=_number(row.cpu_baseline_percent_per_vcpu),
        redis_min_version=row.redis_min_version or None,
        valkey_min_version=row.valkey_min_version or None,
        enhanced_io=row.enhanced_io == "yes",
        tls_offload=row.tls_offload == "yes",
        enhanced_io_multiplexing=row.enhanced_io_multiplexing == "yes",
        at_rest_encryption=row.at_rest_encryption == "yes",
        normalized_units_redis=float(row.normalized_units_redis),
        normalized_units_valkey=float(row.normalized_units_valkey),
        new_clusters=row.new_clusters == "yes",
        source=source,
        as_of=row.as_of,
    )


def _whole(text: str) -> int | None:
    return int(text) if text else None


def _number(text: str) -> float | None:
    return float(text) if text else None
