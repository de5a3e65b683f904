"""Size-flexible reservations: which node-hours one of them covers, what is left over, and what is wasted.

A reservation is worth a number of normalized units an hour, and covers nodes of any size of its own family in
its region: those of its engine, and one of Redis OSS covers Valkey too, whose nodes are worth a fifth less.
Source: AWS, "Reserved nodes", Size flexible reserved nodes (copy of 2026); the units are those of
node_types.csv.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from amply_capacity.catalog.nodes import NodeType, node_type
from amply_capacity.plan.bill import exact

__all__ = ["Coverage", "NodeHours", "Reservation", "coverage", "covers", "units_of"]

_DIGITS = Decimal("1e-9")


@dataclass(frozen=True, slots=True)
class NodeHours:
    """Hours of nodes of one type: nodes times hours, running or reserved."""

    engine: str
    node_type: str
    hours: float


@dataclass(frozen=True, slots=True)
class Reservation:
    """So many reserved nodes, at a term of `catalog.prices.TERMS` that is not `on_demand`."""

    engine: str
    node_type: str
    nodes: int
    term: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a reservation does for running nodes; all in node-hours, `covered[i]` of the i-th of them."""

    covered: tuple[float, ...]
    on_demand: tuple[float, ...]
    """Left over, paid at the on-demand price."""
    wasted: float
    """Of the reserved type, paid for and used by nothing."""


def coverage(reserved: NodeHours, running: Sequence[NodeHours]) -> Coverage:
    """What `reserved` covers of nodes that run in the same hours.

    The smallest nodes are covered first, as AWS does with reserved instances of EC2; for ElastiCache it does
    not say. Prices in a family follow the units, so the order hardly changes a bill. Raises UnknownName for
    node types without known facts.

    Example: a reserved Redis cache.r7g.4xlarge (32 units) that runs Valkey (25.6) has a cache.r7g.xlarge of
    Valkey (6.4) to spare.
    """
    source = node_type(reserved.node_type)
    reserved_units = units_of(source, reserved.engine)
    left = exact(reserved.hours) * reserved_units
    nodes = [node_type(one.node_type) for one in running]
    units = [units_of(node, one.engine) for node, one in zip(nodes, running, strict=True)]
    covered = [Decimal()] * len(running)
    for i in sorted(range(len(running)), key=lambda i: (units[i], i)):
        if covers(source, reserved.engine, nodes[i], running[i].engine):
            covered[i] = min(exact(running[i].hours), left / units[i])
            left -= covered[i] * units[i]
    rest = [exact(one.hours) - hours for one, hours in zip(running, covered, strict=True)]
    return Coverage(tuple(map(_hours, covered)), tuple(map(_hours, rest)), _hours(left / reserved_units))


def covers(reserved: NodeType, reserved_engine: str, running: NodeType, engine: str) -> bool:
    """Whether a reservation of the one is of any use to a running node of the other."""
    return reserved.family == running.family and (engine == reserved_engine
                                                  or (reserved_engine, engine) == ("redis", "valkey"))


def units_of(node: NodeType, engine: str) -> Decimal:
    """Normalized units of one node of that engine: 4 of a large one of Redis OSS, 3.2 of Valkey."""
    return exact(node.normalized_units_valkey if engine == "valkey" else node.normalized_units_redis)


def _hours(hours: Decimal) -> float:
    return float(max(hours.quantize(_DIGITS), Decimal()))
