"""The catalog's facts of the node types that a configuration names."""

from __future__ import annotations

from amply_capacity.catalog.nodes import DEFAULT_RESERVED_MEMORY_PERCENT, NodeType, node_types
from amply_capacity.ops.configuration import Configuration, Resource
from amply_capacity.ops.setting import NOTHING

__all__ = ["node_of", "nodes_of", "reserved_percent"]

_RESERVE = "reserved-memory-percent"


def node_of(cache: Resource) -> NodeType | None:
    """None where the type is not said, or the catalog does not know it."""
    name = cache.text("CacheNodeType")
    return next((node for node in node_types() if node.name == name), None)


def nodes_of(configuration: Configuration) -> list[tuple[Resource, NodeType]]:
    """Each node type once, with the first cache that has it."""
    found: dict[str, tuple[Resource, NodeType]] = {}
    for cache in configuration.caches:
        if node := node_of(cache):
            found.setdefault(node.name, (cache, node))
    return list(found.values())


def reserved_percent(configuration: Configuration, cache: Resource) -> float | None:
    """`reserved-memory-percent` of its parameter group, else ElastiCache's default; None where it is open."""
    group = configuration.parameter_group_of(cache)
    if group is None:
        is_default = (cache.text("CacheParameterGroupName") or "default.").startswith("default.")
        # A group that is not in here may say something else.
        is_known = is_default and not cache.get("CacheParameterGroupName").is_unresolved
        return DEFAULT_RESERVED_MEMORY_PERCENT if is_known else None
    said = group.get("Parameters").entries.get(_RESERVE, NOTHING)
    if said.value is None:
        return DEFAULT_RESERVED_MEMORY_PERCENT
    percent = said.number
    return percent if percent is not None and 0.0 <= percent < 100.0 else None
