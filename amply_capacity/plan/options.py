"""What may be bought: node types × shards × replicas × engines × terms, and why the rest may not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from amply_capacity.catalog import nodes, prices
from amply_capacity.catalog.nodes import NodeType
from amply_capacity.errors import BadInput
from amply_capacity.plan.cost import MAX_NODES_PER_CLUSTER, Bill, nodes_bill
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.term_prices import term_prices

__all__ = ["Cluster", "Excuse", "Offer", "Option", "offers", "shard_counts"]

Cluster = tuple[str, str, int, int]
"""Engine, node type, shards and replicas: an option but for its term."""


@dataclass(frozen=True, slots=True)
class Excuse:
    """Why a node type was not chosen: the constraint (or `price`, `term`, `allowed`) and by how much."""

    node_type: str
    """Or `serverless`."""
    constraint: str
    reason: str
    engine: str

    def as_json(self) -> dict[str, str]:
        return {"node_type": self.node_type, "constraint": self.constraint, "reason": self.reason,
                "engine": self.engine}


@dataclass(frozen=True, slots=True)
class Offer:
    """One node type of one engine, and what a node of it costs a month by term."""

    engine: str
    node: NodeType
    usd_by_term: Mapping[str, float]

    def option(self, shards: int, replicas: int, term: str) -> Option:
        return Option(self.engine, self.node, shards, replicas, term, self.usd_by_term[term])


@dataclass(frozen=True, slots=True)
class Option:
    """A cluster of nodes; with replicas it is Multi-AZ and fails over by itself."""

    engine: str
    node: NodeType
    shards: int
    replicas: int
    """Of each shard."""
    term: str
    node_usd_per_month: float

    @property
    def nodes(self) -> int:
        return self.shards * (1 + self.replicas)

    @property
    def usd_per_month(self) -> float:
        return self.nodes * self.node_usd_per_month

    @property
    def cluster(self) -> Cluster:
        return self.engine, self.node.name, self.shards, self.replicas

    @property
    def name(self) -> str:
        """E.g. `2 × cache.r7g.large, valkey`: what it is, but for replicas and term."""
        times = f"{self.shards} × " if self.shards > 1 else ""
        return f"{times}{self.node.name}, {self.engine}"

    def name_in(self, other: Option) -> str:
        """The node type, with what differs from the other option's beside it."""
        times = f"{self.shards} × " if max(self.shards, other.shards) > 1 else ""
        return f"{times}{self.node.name}" + (f", {self.engine}" if self.engine != other.engine else "")

    def bill(self, region: str) -> Bill:
        """Line by line."""
        return nodes_bill(region, self.engine, self.node.name, self.shards, self.replicas, self.term)

    def as_json(self) -> dict[str, Any]:
        return {"kind": "nodes", "node_type": self.node.name, "engine": self.engine, "shards": self.shards,
                "replicas": self.replicas, "term": self.term}


def offers(demand: Demand) -> tuple[tuple[Offer, ...], tuple[Excuse, ...]]:
    """What may be bought, cheapest first (of two at one price the one with more memory), and what may not.

    Raises BadInput where the demand's constraints leave nothing, and NotOffered where today's engine is not
    sold in the region.
    """
    region, terms = demand.cluster.region, demand.terms
    found: list[Offer] = []
    excuses: list[Excuse] = []
    for engine in demand.engines:
        for offer in prices.offered(region, engine):
            name = offer.node_type
            if not demand.allowed.allows(name):
                patterns = ", ".join(demand.allowed.node_types) or "nothing"
                excuses.append(Excuse(name, "allowed", f"the demand allows {patterns}", engine))
                continue
            known = term_prices(region, engine, name)
            usd = {term: one for term in terms if (one := known[term].usd_per_month) is not None}
            if terms[0] not in usd:
                excuses.append(Excuse(name, "term", known[terms[0]].reason or "", engine))
                continue
            found.append(Offer(engine, nodes.node_type(name), usd))
    if not found or "nodes" not in demand.allowed.kinds:
        raise BadInput("no node type is left to choose from",
                       got=f"allowed.node_types {demand.allowed.node_types}, terms {', '.join(terms)}, "
                           f"{' and '.join(demand.engines)} in {region}, kinds {demand.allowed.kinds}",
                       do="widen allowed.node_types, or take another term")
    found.sort(key=lambda one: (one.usd_by_term[terms[0]], -one.node.maxmemory_bytes, one.node.name))
    return tuple(found), tuple(excuses)


def shard_counts(demand: Demand, replicas: int) -> tuple[int, ...]:
    """Numbers of shards that the application and ElastiCache's quota of nodes leave."""
    if not demand.application.cluster_mode:
        return (1,)
    return tuple(range(1, min(demand.allowed.shards, MAX_NODES_PER_CLUSTER // (1 + replicas)) + 1))
