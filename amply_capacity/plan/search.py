"""The search: from all that is sold to the way that worlds go, the options worth scoring, and the choice."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from amply_capacity.plan.commitment import Commitment, least_usd
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.frontier import frontier
from amply_capacity.plan.needs import Needs
from amply_capacity.plan.options import Offer, Option, shard_counts
from amply_capacity.plan.projection import Path, path
from amply_capacity.plan.regret import Choice, Scored, scored
from amply_capacity.plan.sizing import fits, fits_at
from amply_capacity.plan.worlds import Floats, Worlds

__all__ = ["Found", "Way", "search", "way_of"]

Bools = NDArray[np.bool_]

_RANKED = 10
"""So many of the least expected cost are scored in any case, for a runner-up and the excuses."""


@dataclass(frozen=True, slots=True)
class Way:
    """The options that worlds go through, at today's term, cheapest first."""

    options: tuple[Option, ...]
    enough: tuple[Bools, ...]
    """Where each fits, (worlds, months) from the first month on."""
    _paths: dict[int, Path] = field(default_factory=dict, compare=False, repr=False)

    def from_(self, option: Option, holds: Bools) -> tuple[Way, int]:
        """The same with this option in its place, which is told; it stands for one that is alike."""
        others = [(one, each) for one, each in zip(self.options, self.enough, strict=True)
                  if one.name != option.name]
        place = sum(one.usd_per_month < option.usd_per_month for one, _ in others)
        others.insert(place, (option, holds))
        return Way(tuple(one for one, _ in others), tuple(each for _, each in others)), place

    def path(self, start: int = 0) -> Path:
        """Each world from there to the cheapest that is enough, up and never down."""
        if start not in self._paths:
            self._paths[start] = path(self.enough, start)
        return self._paths[start]

    def path_usd(self, start: int = 0) -> Floats:
        """What that costs, (worlds, months)."""
        return np.array([one.usd_per_month for one in self.options])[self.path(start).types]


@dataclass(frozen=True, slots=True)
class Found:
    """The choice, and the way of the worlds from the chosen option on."""

    choice: Choice
    way: Way
    place: int
    """Of the chosen option on the way."""


def way_of(sold: Sequence[Offer], demand: Demand, need: Needs, replicas: int) -> Way:
    """Each option that is the cheapest to be enough in some world and month."""
    term = demand.terms[0]
    options = sorted((offer.option(count, replicas, term) for offer in frontier(sold, demand, need)
                      for count in shard_counts(demand, replicas)), key=lambda one: one.usd_per_month)
    worlds, months = need.users.shape
    rows, columns = (each.ravel() for each in np.indices((worlds, months - 1)))  # where none is enough yet
    kept = []
    for option in options:
        if not len(rows):
            break
        if fits_at(option.node, demand, need, rows, columns + 1, shards=option.shards, replicas=replicas,
                   engine=option.engine).any():
            holds = _holds(option, demand, need)
            is_left = ~holds[rows, columns]
            rows, columns = rows[is_left], columns[is_left]
            kept.append((option, holds))
    return Way(tuple(option for option, _ in kept), tuple(holds for _, holds in kept))


def search(sold: Sequence[Offer], demand: Demand, need: Needs, worlds: Worlds,
           outage_usd: Callable[[int], Floats], replicas: Sequence[int]) -> Found | None:
    """The choice among all that fits until the review, at each term and with these numbers of replicas.

    Scored is what can be the best of some world, or among the first in expectation: bounded from below by the
    price alone, nothing that is left out is either. None where nothing is enough in as many worlds as the
    plan asks. `outage_usd` is by replicas.
    """
    way = way_of(sold, demand, need, replicas[0])
    if not way.options:
        return None
    known: dict[str, Bools] = {}

    def enough_of(option: Option) -> Bools:
        if option.name not in known:
            known[option.name] = _holds(option, demand, need)
        return known[option.name]

    commitment = Commitment(way.path(), way.options, enough_of)
    outages = {count: outage_usd(count) for count in replicas}
    found = list(_worth_scoring(sold, demand, need, worlds, commitment, outages))
    if not found:
        return None
    choice = Choice.of(found)
    option = choice.chosen.option
    if option.replicas != replicas[0]:
        way = way_of(sold, demand, need, option.replicas)
    return Found(choice, *way.from_(option, enough_of(option)))


def _worth_scoring(sold: Sequence[Offer], demand: Demand, need: Needs, worlds: Worlds,
                   commitment: Commitment, outages: dict[int, Floats]) -> Iterator[Scored]:
    months = demand.plan.horizon_months
    review = min(demand.plan.review_months, months)
    least = {count: usd.mean(axis=1) for count, usd in outages.items()}
    asked = [offer.option(shards, count, term) for offer in sold for count in outages
             for shards in shard_counts(demand, count) for term in demand.terms if term in offer.usd_by_term]
    bounds = [least_usd(option, commitment, review) + least[option.replicas] for option in asked]
    best = np.full(worlds.count, np.inf)
    first: list[float] = []  # the least expected costs, negated
    for place in np.argsort([bound.mean() for bound in bounds], kind="stable"):
        option, bound = asked[place], bounds[place]
        if len(first) == _RANKED and bound.mean() > -first[0] and not (bound < best).any():
            continue
        if commitment.enough(option)[:, review - 1].mean() < demand.plan.confidence:
            continue
        one = scored(option, demand, need, worlds, commitment, outages[option.replicas])
        best = np.minimum(best, one.usd)
        heapq.heappush(first, -one.expected_usd)
        if len(first) > _RANKED:
            heapq.heappop(first)
        yield one


def _holds(option: Option, demand: Demand, need: Needs) -> Bools:
    return fits(option.node, demand, need, slice(1, None), shards=option.shards, replicas=option.replicas,
                engine=option.engine)
