"""Engines and node types: what is out of support, and what does not go together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from amply_capacity.catalog.nodes import node_types
from amply_capacity.catalog.serverless import rates
from amply_capacity.ops import sources
from amply_capacity.ops.circumstances import Circumstances
from amply_capacity.ops.configuration import Configuration, Resource
from amply_capacity.ops.finding import Hit, Rule
from amply_capacity.ops.nodes import node_of
from amply_capacity.plan.faults import nearest

__all__ = ["RULES"]

_END_OF_SUPPORT = {4: date(2026, 1, 31), 5: date(2026, 1, 31), 6: date(2027, 1, 31)}
"""Last day of standard support of Redis OSS, by major version (sources.SUPPORT); 7 has none yet."""
_NOTICE_DAYS = 365
_NEXT = "`Engine: valkey` and `EngineVersion: \"8.0\"` (or `Engine: redis` and `EngineVersion: \"7.1\"`)"


def _support(configuration: Configuration, circumstances: Circumstances) -> Iterator[Hit]:
    for cache in configuration.caches:
        version = _version(cache)
        end = _END_OF_SUPPORT.get(version[0]) if version and cache.engine == "redis" else None
        if end is None or (end - circumstances.today).days > _NOTICE_DAYS:
            continue
        is_over = end < circumstances.today
        surcharges = sorted(rate.amount for rate in rates("extended_support_rule") if rate.amount is not None)
        yield Hit(f"standard support of Redis {cache.text('EngineVersion')}, which {cache.name} runs, "
                  f"{'ended' if is_over else 'ends'} on {end.isoformat()}; Extended Support then adds "
                  f"{100.0 * surcharges[0]:.0f} % of the node's price, in the third year "
                  f"{100.0 * surcharges[-1]:.0f} %",
                  f"write {_NEXT}, and the parameter group's family with it", cache.place("EngineVersion"),
                  "error" if is_over else None)


def _unknown_node(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    for cache in configuration.caches:
        name = cache.text("CacheNodeType")
        if name is not None and node_of(cache) is None:
            known = [node.name for node in node_types()]
            yield Hit(f"{cache.name} wants {name}, a node type that the catalog does not know",
                      f"write another one ({nearest(name, known)}); `amply-capacity prices show --region …` "
                      "lists what a region offers", cache.place("CacheNodeType"))


def _node_and_engine(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    for cache in configuration.caches:
        node, engine, version = node_of(cache), cache.engine, _version(cache)
        if node is None or engine is None:
            continue
        least = node.engines.get(engine)
        if not node.new_clusters:
            said = f"{node.name} is of a previous generation, of which AWS makes no new clusters"
        elif least is None:
            said = f"{node.name} is not offered for {engine}, only for {' and '.join(node.engines)}"
        elif version is not None and version < _numbers(least)[:len(version)]:
            said = f"{node.name} needs {engine} {least} or newer, not {cache.text('EngineVersion')}"
        else:
            continue
        like = [other.name for other in node_types() if other.new_clusters and engine in other.engines
                and other.maxmemory_bytes >= node.maxmemory_bytes and other.name != node.name]
        fix = f"write `CacheNodeType: {like[0]}`, or another engine version" if like else "choose another"
        yield Hit(f"{said}: the request is refused", fix, cache.place("CacheNodeType"))


def _version(cache: Resource) -> tuple[int, ...] | None:
    text = cache.text("EngineVersion") or ""
    return _numbers(text) if re.match(r"\d", text) else None


def _numbers(version: str) -> tuple[int, ...]:
    """`6.x` is 6: what follows is not said."""
    return tuple(int(part) for part in re.findall(r"\d+", version))


RULES = (
    Rule("engine-end-of-support", "warning", sources.SUPPORT, _support),
    Rule("unknown-node-type", "error", sources.NODES, _unknown_node),
    Rule("node-type-without-engine", "error", sources.NODES, _node_and_engine),
)
