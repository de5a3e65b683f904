"""The node types to choose from: those sold for the engine at the term, and why the others fall out."""

from __future__ import annotations

from dataclasses import dataclass

from amply_capacity.catalog import nodes, prices
from amply_capacity.catalog.nodes import NodeType
from amply_capacity.errors import BadInput, NotOffered
from amply_capacity.plan.cost import Bill, nodes_bill
from amply_capacity.plan.demand import Demand

__all__ = ["Candidate", "Excuse", "bill_for", "candidates"]


@dataclass(frozen=True, slots=True)
class Excuse:
    """Why a node type was not chosen: the constraint (or `price`, `term`, `allowed`) and by how much."""

    node_type: str
    constraint: str
    reason: str

    def as_json(self) -> dict[str, str]:
        return {"node_type": self.node_type, "constraint": self.constraint, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node type with the month's price of one node."""

    node: NodeType
    node_usd_per_month: float


def candidates(demand: Demand) -> tuple[tuple[Candidate, ...], tuple[Excuse, ...]]:
    """What may be bought, cheapest first (of two at one price the one with more memory), and what may not.

    Raises BadInput where the demand's constraints leave nothing.
    """
    cluster = demand.cluster
    found, excuses = [], []
    for offer in prices.offered(cluster.region, cluster.engine):
        if not demand.allowed.allows(offer.node_type):
            patterns = ", ".join(demand.allowed.node_types) or "nothing"
            excuses.append(Excuse(offer.node_type, "allowed", f"the demand allows {patterns}"))
            continue
        try:
            bill = bill_for(demand, offer.node_type, replicas=0)
        except NotOffered:
            reason = f"no {cluster.term} price is known in {cluster.region}"
            excuses.append(Excuse(offer.node_type, "term", reason))
            continue
        found.append(Candidate(nodes.node_type(offer.node_type), bill.usd_per_month))
    if not found:
        raise BadInput("no node type is left to choose from",
                       got=f"allowed.node_types {demand.allowed.node_types}, term {cluster.term}, "
                           f"{cluster.engine} in {cluster.region}",
                       do="widen allowed.node_types, or take another term")
    found.sort(key=lambda each: (each.node_usd_per_month, -each.node.maxmemory_bytes, each.node.name))
    return tuple(found), tuple(excuses)


def bill_for(demand: Demand, node_type: str, replicas: int, engine: str | None = None) -> Bill:
    """The month's bill of one shard at the demand's region, term and engine, or another engine named."""
    cluster = demand.cluster
    return nodes_bill(cluster.region, engine or cluster.engine, node_type, 1, replicas, cluster.term)
