"""Every option that may be bought, in every world: what it costs, and what choosing it would regret.

An option is held until the plan is made again or a world has outgrown it, a reservation until it ends;
afterwards every world goes the way it would have gone anyway (`Path`). So options differ in what they cost
while they are held, in what goes wrong until somebody has reacted, and in what a reservation is still worth
when it is too small.

"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amply_capacity.plan.demand import Demand
from amply_capacity.plan.harm import Prices, harm
from amply_capacity.plan.needs import Needs
from amply_capacity.plan.options import Option
from amply_capacity.plan.serverless_option import ServerlessOption
from amply_capacity.plan.worlds import Floats

__all__ = ["Choice", "Scored", "scored", "unnoticed_usd"]

Bools = NDArray[np.bool_]

_MONTH_DAYS = 730.0 / 24.0


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """One option; costs are means over the horizon's months."""

    option: Option | ServerlessOption
    usd: Floats
    """Nodes and what goes wrong, USD a month, (worlds,)."""
    node_usd: float
    """Expected."""
    harm_usd: Mapping[str, float]
    """Expected, by cause."""

    @property
    def expected_usd(self) -> float:
        return float(self.usd.mean())


@dataclass(frozen=True, slots=True)
class Choice:
    """The options that may be the best, least expected regret first."""

    scored: tuple[Scored, ...]
    best_usd: Floats
    """What the best option of each world costs there, USD a month, (worlds,)."""

    @classmethod
    def of(cls, found: Sequence[Scored], at_least: int) -> Choice:
        """Those that are the best of some world, and so many of the first; of at least one."""
        ranked = sorted(found, key=lambda one: (round(one.expected_usd, 9), one.option.usd_per_month,
                                                one.option.name, one.option.term))
        best, winner = ranked[0].usd, np.zeros(ranked[0].usd.shape, dtype=np.intp)
        for place, one in enumerate(ranked):
            winner[one.usd < best] = place
            best = np.minimum(best, one.usd)
        kept = sorted({*range(min(at_least, len(ranked))), *map(int, np.unique(winner))})
        return cls(tuple(ranked[place] for place in kept), best)

    @property
    def chosen(self) -> Scored:
        return self.scored[0]

    @property
    def runner_up(self) -> Scored | None:
        """The best one of another node type, engine or number of shards; else of another term."""
        first = self.chosen.option
        others = [one for one in self.scored[1:] if one.option.name != first.name] or list(self.scored[1:])
        return others[0] if others else None

    def regret(self, one: Scored) -> Floats:
        """What it costs more than the best of each world, USD a month, (worlds,)."""
        return one.usd - self.best_usd

    def probability_best(self) -> tuple[float, ...]:
        """Share of the worlds in which each is the cheapest; of equals the first counts."""
        winners = np.argmin(np.stack([one.usd for one in self.scored]), axis=0)
        return tuple(float(share) for share in np.bincount(winners, minlength=len(self.scored))
                     / len(winners))

    def as_json(self, one: Scored, probability: float) -> dict[str, Any]:
        """What is known of one, beside the option itself."""
        regret = self.regret(one)
        return {
            "expected_usd_per_month": round(one.expected_usd, 4),
            "expected_node_usd_per_month": round(one.node_usd, 4),
            "expected_harm_usd_per_month": {name: round(usd, 4) for name, usd in one.harm_usd.items() if usd},
            "regret_usd_per_month": {"expected": round(float(regret.mean()), 4),
                                     "high": round(float(np.quantile(regret, 0.95)), 4)},
            "probability_best": round(probability, 4),
        }


def unnoticed_usd(option: Option, demand: Demand, need: Needs, prices: Prices,
                  holds: Bools) -> dict[str, Floats]:
    """What goes wrong where it is too small until somebody has reacted: by cause, (worlds,), a month.

    Once it is too small somebody notices, and the world goes the way that it goes anyway.
    """
    months = demand.plan.horizon_months
    review = min(demand.plan.review_months, months)
    short = ~holds[:, :review]
    if not short.any():
        return {}
    noticed = demand.plan.reaction_days / _MONTH_DAYS * (short & (short.cumsum(axis=1) == 1))
    wrong = harm(option.node, demand, need, prices, slice(1, review + 1), shards=option.shards,
                 replicas=option.replicas, engine=option.engine).usd_by_constraint
    return {name: (usd * noticed).sum(axis=1) / months for name, usd in wrong.items()}


def scored(option: Option | ServerlessOption, node_usd: Floats, outage_usd: Floats,
           wrong_usd: Mapping[str, Floats]) -> Scored:
    """Its nodes or units, the outages left, and what goes wrong, by cause: a month, (worlds,)."""
    by_cause = {"outages": outage_usd, **wrong_usd}
    return Scored(option, np.asarray(node_usd + sum(by_cause.values())), float(node_usd.mean()),
                  {name: float(usd.mean()) for name, usd in by_cause.items()})
