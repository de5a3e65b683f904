"""Parameter groups: default ones, other engines', fixed parameters, and the reserve of small nodes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from amply_capacity.catalog.nodes import NodeType
from amply_capacity.ops import sources
from amply_capacity.ops.circumstances import Circumstances
from amply_capacity.ops.configuration import Configuration, Place, Resource
from amply_capacity.ops.finding import Hit, Rule
from amply_capacity.ops.nodes import node_of, reserved_percent
from amply_capacity.ops.setting import NOTHING

__all__ = ["RULES"]

_FIXED = ("maxmemory", "maxclients")
_ADVISED_RESERVE = {"micro": 50.0, "small": 30.0}
"""Percent in production, by the size of the node (2026); else the default."""
_MEGABYTE = 1e6


def _default_group(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    for cache in configuration.caches:
        key = "CacheParameterGroupName"
        name = cache.text(key)
        is_default = name is not None and name.startswith("default.")
        if is_default or (not cache.has(key) and not cache.is_sketch):
            family = (name or "").removeprefix("default.").partition(".")[0] or "redis7"
            yield Hit(f"{cache.name} uses {name if is_default else 'the default parameter group'}, which "
                      "cannot be changed: the first parameter that has to be needs another group, and some "
                      "of them a restart",
                      f"create a parameter group with `CacheParameterGroupFamily: {family}`, and write its "
                      f"name as `{key}`", cache.place(key))


def _family(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    for cache in configuration.caches:
        group = configuration.parameter_group_of(cache)
        family = group and group.text("CacheParameterGroupFamily")
        wanted = _family_of(cache)
        if group and family and wanted and family != wanted:
            yield Hit(f"{cache.name} runs {cache.text('Engine')} {cache.text('EngineVersion')} with a "
                      f"parameter group of the family {family}: the request is refused",
                      f"write `CacheParameterGroupFamily: {wanted}`",
                      group.place("CacheParameterGroupFamily"))


def _family_of(cache: Resource) -> str | None:
    """E.g. redis7 and valkey8; from Redis 6 on minor versions share one: redis6.x."""
    version = re.match(r"\d+", cache.text("EngineVersion") or "")
    if cache.engine is None or version is None or int(version[0]) < 6:
        return None
    return "redis6.x" if (cache.engine, version[0]) == ("redis", "6") else f"{cache.engine}{version[0]}"


def _fixed(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    nodes = [node for cache in configuration.caches if (node := node_of(cache))]
    for group in configuration.parameter_groups:
        parameters = group.get("Parameters").entries
        for name in _FIXED:
            if name not in parameters:
                continue
            given = (f"; {nodes[0].name} has {_of(nodes[0], name):,}" if nodes else "")
            yield Hit(f"{group.name} sets {name}, which ElastiCache fixes by the node type{given}: the "
                      "parameter group is refused",
                      f"delete `{name}: {parameters[name].text}`; to keep memory free, raise "
                      "`reserved-memory-percent`",
                      Place(parameters[name].line, f"{group.name}.Parameters.{name}"))


def _of(node: NodeType, name: str) -> int:
    return node.maxmemory_bytes if name == "maxmemory" else node.maxclients


def _reserve(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    for cache in configuration.caches:
        node = node_of(cache)
        advised = _ADVISED_RESERVE.get(node.name.rpartition(".")[2]) if node else None
        percent = reserved_percent(configuration, cache)
        if node is None or advised is None or percent is None or percent >= advised:
            continue
        group = configuration.parameter_group_of(cache)
        said = group.get("Parameters").entries.get("reserved-memory-percent", NOTHING) if group else NOTHING
        default = "" if said.value is not None else ", ElastiCache's default"
        before, after = node.usable_bytes(percent), node.usable_bytes(advised)
        place = cache.place("CacheNodeType")
        if group and said.value is not None:
            place = Place(said.line, f"{group.name}.Parameters.reserved-memory-percent")
        yield Hit(f"{node.name} reserves {percent:g} %{default}, and AWS advises {advised:g} % on such small "
                  "nodes in production: without, a snapshot or a burst of connections finds no memory, and "
                  "the node swaps",
                  f"write `reserved-memory-percent: {advised:g}` in the parameter group; keys then have "
                  f"{after / _MEGABYTE:,.0f} MB instead of {before / _MEGABYTE:,.0f} MB, so plan with that",
                  place)


RULES = (
    Rule("default-parameter-group", "advice", sources.PARAMETERS, _default_group),
    Rule("parameter-family-mismatch", "error", sources.PARAMETERS, _family),
    Rule("fixed-parameter", "error", sources.PARAMETERS, _fixed),
    Rule("reserved-memory", "warning", sources.RESERVED_MEMORY, _reserve),
)
