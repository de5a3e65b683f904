"""Does what runs today still carry the load, and for how long?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amply_capacity.catalog import nodes
from amply_capacity.plan.cost import Bill, nodes_bill
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.fit import Fit, fit_of
from amply_capacity.plan.needs import Needs
from amply_capacity.plan.sizing import fits

__all__ = ["Today", "today"]


@dataclass(frozen=True, slots=True)
class Today:
    """Today's node type under today's load, and the share of the worlds in which it still fits in each month.
    """

    bill: Bill
    fit: Fit
    months: tuple[tuple[str, float], ...]

    @property
    def fits(self) -> bool | None:
        """None where the catalog lacks a fact about the type."""
        return None if self.fit.unknown else self.fit.is_enough

    @property
    def short_from(self) -> str | None:
        """The first month in which it fits in too few worlds; None where it lasts through the horizon."""
        if self.fit.unknown:
            return None
        return next((month for month, share in self.months if share < self.fit.confidence), None)

    def as_json(self) -> dict[str, Any]:
        return {
            "node_type": self.bill.node_type,
            "engine": self.bill.engine,
            "replicas": self.bill.replicas,
            "term": self.bill.term,
            "usd_per_month": self.bill.usd_per_month,
            "fits": self.fits,
            "probability": round(self.fit.probability, 4),
            "constraint": self.fit.binding.constraint,
            "reason": self.fit.reason,
            "short_from": self.short_from,
            "probability_by_month": {month: round(share, 4) for month, share in self.months},
            "headroom": [headroom.as_json() for headroom in self.fit.constraints],
        }


def today(demand: Demand, need: Needs, months: Sequence[str]) -> Today:
    """`months` names the months of the plan, the first after today's."""
    cluster = demand.cluster
    node = nodes.node_type(cluster.node_type)
    by_month = fits(node, demand, need, replicas=cluster.replicas, engine=cluster.engine)[:, 1:].mean(axis=0)
    return Today(
        bill=nodes_bill(cluster.region, cluster.engine, cluster.node_type, 1, cluster.replicas, cluster.term),
        fit=fit_of(node, demand, need, 0, replicas=cluster.replicas, engine=cluster.engine),
        months=tuple(zip(months, map(float, by_month), strict=True)),
    )
