"""What to say of unknown names and missing offers: every fault at once, each with the nearest choices."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from amply_capacity.catalog.nodes import NodeType, node_types
from amply_capacity.errors import BadInput, NotOffered

__all__ = ["not_offered", "refuse"]

Offer = tuple[str, str, str]
"""Region, engine, node type."""


def refuse(faults: Sequence[BadInput]) -> None:
    """Raises the one fault as it is, or several as one paragraph; returns where there is none."""
    if not faults:
        return
    if len(faults) == 1:
        raise faults[0]
    got = "; ".join(f"{fault.what} {fault.got}" if fault.got else fault.what for fault in faults)
    do = "; ".join(fault.do for fault in faults if fault.do)
    raise BadInput(f"{len(faults)} inputs are wrong", got=got, do=do)


def not_offered(region: str, engine: str, name: str, priced: Collection[Offer], newest: str) -> NotOffered:
    """The error for three known names without a price together.

    `priced` are the offers with an on-demand price, `newest` the latest date of the region's prices: a type
    that AWS brought there later is missing for that reason alone, so the message says the date.
    """
    elsewhere = sorted({r for r, e, n in priced if (e, n) == (engine, name)},
                       key=lambda other: (_distance(region, other), other))
    other_engines = sorted({e for r, e, n in priced if (r, n) == (region, name)})
    anywhere_else = sorted({e for r, e, n in priced if n == name and e != engine})
    choices = []
    if other_engines:
        got = f"in {region} it is priced for {' and '.join(other_engines)} only"
        choices.append(f"take engine {' or '.join(other_engines)}")
    elif elsewhere:
        got = f"no price in {region}, whose prices are as of {newest}"
    else:
        got = f"it is priced for {' and '.join(anywhere_else)} only, and not in {region}"
    near = nearest_types(name, [n for r, e, n in priced if (r, e) == (region, engine)])
    if near:
        choices.append(f"take a node type that {region} offers for {engine}, nearest {', '.join(near)}")
    if elsewhere:
        more = f" and {len(elsewhere) - 4} more" if len(elsewhere) > 4 else ""
        choices.append(f"take a region that offers it: {', '.join(elsewhere[:4])}{more}")
    return NotOffered(f"{name} is not offered for {engine} in {region}", got=got, do=", or ".join(choices))


def nearest_types(name: str, offered: Collection[str], count: int = 4) -> list[str]:
    """The offered node types most like `name`: in memory, then in kind (r, m, t, …), newest first.

    Where nothing is known of `name`, the smallest that are offered.
    """
    known = {node.name: node for node in node_types()}
    candidates = [known[offer] for offer in set(offered) if offer in known and known[offer].new_clusters]
    wanted = known.get(name)
    if wanted is None:
        smallest = sorted(candidates, key=lambda node: (node.maxmemory_bytes, node.name))
        return [node.name for node in smallest[:count]]

    def unlikeness(node: NodeType) -> tuple[int, bool, int, str]:
        # Families differ by a few percent at the same size: less than a quarter counts as the same memory.
        steps = abs(math.log(node.maxmemory_bytes / wanted.maxmemory_bytes)) / 0.25
        return int(steps), node.family[0] != wanted.family[0], -_generation(node), node.name

    return [node.name for node in sorted(candidates, key=unlikeness)[:count]]


def _generation(node: NodeType) -> int:
    return int("".join(character for character in node.family if character.isdigit()))


def _distance(region: str, other: str) -> int:
    """0 in the same direction of the same continent (us-east), 1 on the same continent, 2 elsewhere."""
    here, there = region.split("-"), other.split("-")
    return 0 if here[:2] == there[:2] else 1 if here[0] == there[0] else 2
