"""The ways to run Redis beside each other: minutes away, what is lost, and dollars, in the same worlds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from amply_capacity.model.availability import MINUTES_A_MONTH, SETUPS, Month, Setup
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.options import Option
from amply_capacity.plan.outages import money_of, month_of, usd_of
from amply_capacity.plan.workload import Workload
from amply_capacity.plan.worlds import Floats, Worlds

__all__ = ["Outlook", "outlooks", "span"]

_FIRST = 1
"""Column of the plan's first month."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """One set-up of the chosen nodes in the plan's first month, (worlds,) each."""

    setup: Setup
    option: Option
    """Whose node type and shards it has."""
    month: Month
    outage_usd: Floats
    probability_cheapest: float = 0.0

    @property
    def node_usd(self) -> float:
        """Of all its nodes. The one snapshot that stands is free."""
        return self.option.shards * self.setup.nodes * self.option.node_usd_per_month

    @property
    def usd(self) -> Floats:
        return self.node_usd + self.outage_usd

    def as_json(self) -> dict[str, Any]:
        setup, month = self.setup, self.month
        return {
            "name": setup.name, "node_type": self.option.node.name, "shards": self.option.shards,
            "nodes_per_shard": setup.nodes, "multi_az": setup.is_multi_az,
            "snapshots": setup.has_snapshots, "usd_per_month": round(self.node_usd, 4),
            "downtime_minutes": span(month.downtime_minutes), "slow_minutes": span(month.slow_minutes),
            "lost_sessions": span(month.lost_sessions), "lost_writes": span(month.lost_writes),
            "outage_usd": span(self.outage_usd), "total_usd": span(self.usd),
            "probability_cheapest": round(self.probability_cheapest, 4),
            "promised_percent": setup.promise.percent,
            "promised_minutes": round(MINUTES_A_MONTH * (1.0 - setup.promise.percent / 100.0), 2),
            "promise_source": setup.promise.source,
        }


def outlooks(option: Option, demand: Demand, load: Workload, worlds: Worlds) -> tuple[Outlook, ...]:
    """Every set-up, of nodes of the option's type and as many shards; the fewest nodes first."""
    money, load = money_of(demand, worlds), load.until(_FIRST)
    found = []
    for setup in SETUPS:
        month = month_of(setup, demand, load, worlds)
        first = Month(**{one.name: _of_first(getattr(month, one.name)) for one in fields(Month)})
        found.append(Outlook(setup, option, first, _of_first(usd_of(month, money))))
    winners = np.argmin(np.stack([one.usd for one in found]), axis=0)
    shares = np.bincount(winners, minlength=len(found)) / worlds.count
    return tuple(replace(one, probability_cheapest=float(share))
                 for one, share in zip(found, shares, strict=True))


def span(values: Floats | Sequence[float]) -> dict[str, float]:
    """The 5, 50 and 95 % worlds and the mean, to four digits."""
    low, mid, high = np.quantile(values, [0.05, 0.5, 0.95])
    named = {"low": low, "mid": mid, "high": high, "expected": np.mean(values)}
    return {name: float(f"{value:.4g}") for name, value in named.items()}


def _of_first(values: Floats) -> Floats:
    """Of (worlds, months), or (worlds, 1) where all months are alike."""
    return values[:, min(_FIRST, values.shape[1] - 1)]
