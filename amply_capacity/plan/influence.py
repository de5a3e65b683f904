"""What decides between the options: which number, known better, would change the choice, and its worth.

The worlds are cut into parts by one number at a time. Whoever knew the part would take the option that is
best in it: what that saves on the average is the value of knowing the number (the expected value of partial
perfect information; Strong and Oakley 2013 fit curves instead of parts).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amply_capacity.catalog.nodes import node_type
from amply_capacity.interval import Interval
from amply_capacity.model.node_speed import cpu_factor
from amply_capacity.plan.commitment import months_held, own_usd
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.measured import Measured
from amply_capacity.plan.needs import Needs
from amply_capacity.plan.options import Option
from amply_capacity.plan.regret import Choice
from amply_capacity.plan.serverless_option import ServerlessOption
from amply_capacity.plan.sizing import fits
from amply_capacity.plan.worlds import Floats, Worlds

__all__ = [
    "FEWEST_WORLDS", "Influence", "Reversal", "how_to_know", "influences", "measured_numbers", "parts_of",
    "reversal",
]

_PARTS = 20
FEWEST_WORLDS = 400
"""Fewer say more of chance than of the number."""
_OPTIONS = 8
_LEAST_SHARE = 0.002
"""Of the chosen option's cost: what is worth less is not listed."""


@dataclass(frozen=True, slots=True)
class Influence:
    """One number: what it would save to know it, and how it can be known."""

    name: str
    usd_per_month: float
    how: str

    def as_json(self) -> dict[str, Any]:
        return {"number": self.name, "worth_usd_per_month": round(self.usd_per_month, 4), "how": self.how}


@dataclass(frozen=True, slots=True)
class Reversal:
    """What would have to change for the runner-up to be chosen."""

    price_percent: float
    """Its own price has to fall by that much while it is held; all else as it is, and the way afterwards too.
    More than 100 where it would not win even if it cost nothing.
    """
    number: str | None
    """The number that most decides between the two, where one value of it turns the choice."""
    threshold: float | None
    is_above: bool | None

    def as_json(self) -> dict[str, Any]:
        return {"price_fall_percent": round(self.price_percent, 2), "number": self.number,
                "threshold": None if self.threshold is None else float(f"{self.threshold:.4g}"),
                "wins": None if self.is_above is None else "above" if self.is_above else "below"}


def influences(choice: Choice, demand: Demand, figures: Measured, worlds: Worlds) -> tuple[Influence, ...]:
    """Those worth knowing, the most valuable first; none where the worlds are too few to tell."""
    if worlds.count < FEWEST_WORLDS or len(choice.scored) < 2:
        return ()
    costs = np.stack([one.usd for one in choice.scored[:_OPTIONS]])
    chance = _worth(costs, worlds.scores("nothing at all"))
    least = _LEAST_SHARE * choice.chosen.expected_usd
    found = [Influence(name, worth, how_to_know(name)) for name, _ in _uncertain(demand, figures)
             if (worth := _worth(costs, worlds.scores(name)) - chance) > least]
    return tuple(sorted(found, key=lambda one: -one.usd_per_month))


def reversal(choice: Choice, demand: Demand, figures: Measured, need: Needs,
             worlds: Worlds) -> Reversal | None:
    """None without a runner-up."""
    other = choice.runner_up
    if other is None:
        return None
    ahead = other.usd - choice.chosen.usd
    fall = 100.0 * float(ahead.mean()) / _own_usd(other.option, demand, need)
    turns = [(abs(slope), name, value, is_above) for name, interval in _uncertain(demand, figures)
             if (turn := _turn(ahead, worlds.scores(name), interval)) is not None
             for slope, value, is_above in [turn]] if worlds.count >= FEWEST_WORLDS else []
    _, name, value, is_above = max(turns, default=(0.0, None, None, None))
    return Reversal(fall, name, value, is_above)


def _own_usd(option: Option | ServerlessOption, demand: Demand, need: Needs) -> float:
    """What is paid for it while it is held, the expected mean of the horizon's months."""
    horizon = demand.plan.horizon_months
    review = min(demand.plan.review_months, horizon)
    if isinstance(option, ServerlessOption):
        return float(option.need.usd[:, :review].sum(axis=1).mean()) / horizon
    while_held = slice(1, months_held(option.term, review, horizon) + 1)
    holds = fits(option.node, demand, need, while_held, shards=option.shards, replicas=option.replicas,
                 engine=option.engine)
    return own_usd(option, horizon, holds)


def _worth(costs: Floats, scores: Floats) -> float:
    """USD a month that knowing the part of the scores would save; `costs` is (options, worlds)."""
    by_part = costs[:, parts_of(scores)].mean(axis=2)
    return float(costs[0].mean() - by_part.min(axis=0).mean())


def parts_of(scores: Floats) -> NDArray[np.intp]:
    """Equally many worlds each, from low to high scores, (parts, worlds of a part)."""
    order = np.argsort(scores)
    used = len(order) - len(order) % _PARTS
    return order[:used].reshape(_PARTS, -1)


def _turn(ahead: Floats, scores: Floats, interval: Interval) -> tuple[float, float, bool] | None:
    """How steeply it decides, from where on, and whether above; None where no value turns the choice."""
    parts = parts_of(scores)
    means, middles = ahead[parts].mean(axis=1), scores[parts].mean(axis=1)
    slope = np.polyfit(middles, means, 1)[0]
    is_other_best = means < 0.0
    if not is_other_best.any() or is_other_best.all():
        return None
    is_above = bool(slope < 0.0)
    at = np.flatnonzero(is_other_best)
    edge = middles[at[0]] if is_above else middles[at[-1]]
    return float(slope), float(interval.at(np.array([edge]))[0]), is_above


def _uncertain(demand: Demand, figures: Measured) -> Iterator[tuple[str, Interval]]:
    """Every number that worlds draw, by its name there."""
    for path in demand.numbers:
        table, number = path.split(".")
        value = getattr(getattr(demand, table), number)
        if not value.is_exact:
            yield path, value
    yield from _measured(demand, figures)


def measured_numbers(demand: Demand, figures: Measured) -> tuple[str, ...]:
    """Those that a run, or an observation of a node, knows better; what is asked for is its author's."""
    return tuple(name for name, _ in _measured(demand, figures))


def _measured(demand: Demand, figures: Measured) -> Iterator[tuple[str, Interval]]:
    for name in ("session_bytes", "index_bytes", "counter_bytes", "cached_bytes", "result_bytes",
                 "connection_bytes"):
        value = getattr(figures.footprint, name)
        if value is not None and not value.is_exact:
            yield f"footprint.{name}", value
    yield "prior.node_cpu", cpu_factor(node_type(demand.cluster.node_type).family)


def how_to_know(name: str) -> str:
    """How the number can be known better."""
    table = name.partition(".")[0]
    return {
        "footprint": "record a longer run with more keys: `locust -f loadtests/mixed.py --headless -u 50 "
                     "-r 50 -t 5m`",
        "prior": "observe one real node: `amply-capacity calibrate RUN --node-type TYPE`",
        "money": "agree on it with whoever pays",
        "failures": "count it in your own history of incidents",
        "slo": "decide it",
    }.get(table, "count it in production")

