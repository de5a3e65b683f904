"""When the evidence is too thin for a decision: what is known too little, and which run would settle it.

The plan buys what is enough in as many worlds as it has to be sure of. Whoever knew a measured number better
would know in which part of the worlds he is, and could buy what is enough there: where that is much cheaper
on the average, it is ignorance that is paid for, and a run costs less.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from amply_capacity.plan.demand import Demand
from amply_capacity.plan.influence import FEWEST_WORLDS, Influence, how_to_know, measured_numbers, parts_of
from amply_capacity.plan.measured import Measured
from amply_capacity.plan.search import Way
from amply_capacity.plan.worlds import Floats, Worlds

__all__ = ["Withheld", "withheld"]

_MOST_SHARE = 0.25
"""Of the nodes' cost: what is measured may leave no more than that to be saved."""


@dataclass(frozen=True, slots=True)
class Withheld:
    """Why the plan's choice is not to be acted upon yet."""

    reason: str
    settled_by: str

    def as_json(self) -> dict[str, Any]:
        return {"reason": self.reason, "settled_by": self.settled_by}


def withheld(way: Way, demand: Demand, figures: Measured, worlds: Worlds) -> Withheld | None:
    """None where no measured number's interval, by itself, makes the nodes much dearer; or of few worlds."""
    if worlds.count < FEWEST_WORLDS:
        return None
    review = min(demand.plan.review_months, demand.plan.horizon_months)
    enough = np.stack([each[:, review - 1] for each in way.enough], axis=1)
    usd = np.array([one.usd_per_month for one in way.options])

    def mean_usd(scores: Floats) -> float:
        """What each part of the worlds buys, on the average; the dearest where nothing is enough."""
        is_enough = enough[parts_of(scores)].mean(axis=1) >= demand.plan.confidence
        bought = np.where(is_enough.any(axis=1), is_enough.argmax(axis=1), len(usd) - 1)
        return float(usd[bought].mean())

    chance = mean_usd(worlds.scores("nothing at all"))
    found = [Influence(name, chance - mean_usd(worlds.scores(name)), how_to_know(name))
             for name in measured_numbers(demand, figures)]
    worst = max(found, key=lambda one: one.usd_per_month, default=None)
    if worst is None or worst.usd_per_month <= _MOST_SHARE * chance:
        return None
    name = worst.name.partition(".")[2].replace("_", " ")
    return Withheld(
        f"{name} is known so roughly that knowing it would save {worst.usd_per_month:,.2f} USD a month, "
        f"{100.0 * worst.usd_per_month / chance:.0f} % of what the nodes cost", worst.how)
