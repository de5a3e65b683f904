"""The search: from all that is sold to the way that worlds go, the options worth scoring, and the choice."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from amply_capacity.catalog.prices import term_months
from amply_capacity.plan.bounds import Bounds, Months
from amply_capacity.plan.commitment import Commitment, mean_usd, months_held
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.frontier import frontier
from amply_capacity.plan.harm import prices_of
from amply_capacity.plan.needs import Indices, Limit, Needs
from amply_capacity.plan.options import Cluster, Offer, Option, shard_counts
from amply_capacity.plan.paid import paid_usd
from amply_capacity.plan.projection import Path, cheapest_of, path
from amply_capacity.plan.regret import Choice, Scored, scored, unnoticed_usd
from amply_capacity.plan.sizing import fits, limits_of
from amply_capacity.plan.worlds import Floats, Worlds

__all__ = ["Found", "Way", "search", "way_of"]

Bools = NDArray[np.bool_]

_HARD = 20
"""One world in so many: those that need most."""
_LATER = slice(1, None)
"""The months of the plan: the first is today's."""


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

    def cheapest(self) -> Indices:
        """The first option that is enough, or their number where none is, (worlds, months)."""
        return cheapest_of(self.enough)

    def paid_usd(self, start: int = 0, first: Option | None = None, held_months: int = 0) -> Floats:
        """What that costs, (worlds, months), with `first` bought there in the first month (`paid`)."""
        return paid_usd(self.path(start), self.options, start, first, held_months)


@dataclass(frozen=True, slots=True)
class Found:
    """The choice, and the way of the worlds from the chosen option on."""

    choice: Choice
    way: Way
    place: int
    """Of the chosen option on the way, which has it at today's term."""

    @property
    def option(self) -> Option:
        """The chosen one, at its own term."""
        option = self.choice.chosen.option
        assert isinstance(option, Option)
        return option


def way_of(sold: Sequence[Offer], demand: Demand, need: Needs, replicas: int) -> Way:
    """Each option that is the cheapest to be enough in some world and month."""
    term = demand.terms[0]
    options = sorted((offer.option(count, replicas, term) for offer in frontier(sold, demand, need)
                      for count in shard_counts(demand, replicas)), key=lambda one: one.usd_per_month)
    left = _Left(np.ones(need.users[:, _LATER].shape, dtype=np.bool_))
    kept = []
    for option in options:
        if not left.worlds.size:
            break
        if left.may_be_met(limits_of(option.node, demand, need, left.worlds, shards=option.shards,
                                     replicas=replicas, engine=option.engine)):
            holds = _holds(option, demand, need)
            if left.met(holds):
                kept.append((option, holds))
    return Way(tuple(option for option, _ in kept), tuple(holds for _, holds in kept))


class _Left:
    """Worlds and months in which nothing cheaper is enough, and the least that such a world needs in them."""

    def __init__(self, where: Bools) -> None:
        self.worlds: Indices = np.arange(len(where))
        self._where = where
        self._least: dict[int, Floats] = {}

    def may_be_met(self, limits: Iterable[Limit]) -> bool:
        """False where the limits, each by itself, already rule every one of them out; limits of `worlds`."""
        is_met = np.ones(len(self.worlds), dtype=np.bool_)
        for _, values, limit in limits:
            is_met &= self._least_of(values) <= limit
            if not is_met.any():
                return False
        return True

    def met(self, holds: Bools) -> bool:
        """Takes off those where it is enough; whether there were any."""
        left = self._where & ~holds.take(self.worlds, axis=0)
        is_any = bool((left != self._where).any())
        stay = left.any(axis=1)
        self._where, self.worlds = left[stay], self.worlds[stay]
        # The least of some that were taken off before is too low: safe, until it misleads.
        self._least = {key: least[stay] for key, least in self._least.items()} if is_any else {}
        return is_any

    def _least_of(self, values: Floats) -> Floats:
        key = id(values)  # the needs keep these arrays, and share one between many options
        if key not in self._least:
            held = values.take(self.worlds, axis=0)[:, _LATER]
            self._least[key] = np.where(self._where, held, np.inf).min(axis=1)
        return self._least[key]


def search(sold: Sequence[Offer], demand: Demand, need: Needs, worlds: Worlds,
           outage_usd: Callable[[int], Floats], replicas: Sequence[int], ranked: int) -> Found | None:
    """The choice among all that fits until the review, at each term and with these numbers of replicas.

    Kept is what is the best of some world, or among the `ranked` first in expectation: with the least that it
    may cost (`bounds`), nothing that is never scored is either. None where nothing is enough in as many
    worlds as the plan asks. `outage_usd` is by replicas.
    """
    way = way_of(sold, demand, need, replicas[0])
    if not way.options:
        return None
    found = _Search(demand, need, worlds, way,
                    {count: outage_usd(count).mean(axis=1) for count in replicas}).among(sold, ranked)
    if not found:
        return None
    choice = Choice.of(found, ranked)
    option = choice.chosen.option
    assert isinstance(option, Option)
    if option.replicas != replicas[0]:
        way = way_of(sold, demand, need, option.replicas)
    # At its own term its price would be that of every month in which a world stands there, bound or not.
    offer = next(one for one in sold if (one.engine, one.node) == (option.engine, option.node))
    unbound = offer.option(option.shards, option.replicas, demand.terms[0])
    return Found(choice, *way.from_(unbound, _holds(option, demand, need)))


class _Search:
    """What is the best of which world so far, and what has been found out on the way."""

    def __init__(self, demand: Demand, need: Needs, worlds: Worlds, way: Way,
                 outages: Mapping[int, Floats]) -> None:
        """`outages` is by replicas, the mean of the months, (worlds,)."""
        self.demand, self.need, self.worlds, self.way = demand, need, worlds, way
        self.outages = outages
        self.commitment = Commitment(way.path(), way.options)
        self.review = min(demand.plan.review_months, demand.plan.horizon_months)
        self.best = np.full(worlds.count, np.inf)
        self.winner = np.full(worlds.count, -1)
        """Of each world, a place in `tried`."""
        self.tried: list[Option] = []
        self._scored: dict[int, Scored] = {}
        self._is_enough: dict[Cluster, bool] = {}
        self._wrong: dict[Cluster, dict[str, Floats]] = {}
        self._prices = prices_of(demand, worlds)
        # Much goes wrong in few worlds: these tell soon that an option is none of the first.
        self._hard = np.lexsort((need.users[:, self.review], way.cheapest()[:, self.review - 1]))[
            -max(worlds.count // _HARD, 1):]
        self._hard_need, self._hard_prices = need.of_worlds(self._hard), self._prices.of_worlds(self._hard)
        self._hard_wrong: dict[Cluster, Floats] = {}

    def among(self, sold: Sequence[Offer], ranked: int) -> list[Scored]:
        """All that is the best of some world, and the first ones in expectation."""
        asked = list(self._asked(sold))
        self._score_first(asked, ranked)
        is_tried = set(self.tried)
        # Of one cluster bound for one time only the cheapest way to pay can be the best of a world.
        cheapest: dict[tuple[Cluster, int], _Asked] = {}
        for one in asked:
            key = one.option.cluster, one.bounds.months.held
            if key not in cheapest or one.option.usd_per_month < cheapest[key].option.usd_per_month:
                cheapest[key] = one
        for one in sorted(cheapest.values(), key=lambda one: one.least_mean):
            rows = np.flatnonzero(one.bounds.least(one.option, one.usd_today) < self.best)
            if rows.size and one.option not in is_tried and self._is_enough_until_review(one.option):
                self.tried.append(one.option)
                self._score_in(rows, one.option)
        places = {*self._scored, *map(int, np.unique(self.winner))} - {-1}
        return [self._score(place) for place in sorted(places)]

    def _asked(self, sold: Sequence[Offer]) -> Iterator[_Asked]:
        """Everything, with its bounds."""
        today = self.demand.terms[0]
        cheapest = self.way.cheapest()
        fewest = min(self.outages)
        held = {term: months_held(term, self.review, self.demand.plan.horizon_months)
                for term in self.demand.terms}
        months = {each: Months(self.commitment, cheapest, each) for each in held.values()}
        for count, outage_usd in self.outages.items():
            for term in self.demand.terms:
                bounds = Bounds(months[held[term]], outage_usd, term_months(term) is not None)
                for offer in sold:
                    if term not in offer.usd_by_term:
                        continue
                    for shards in shard_counts(self.demand, count):
                        option = offer.option(shards, count, term)
                        usd_today = shards * (1 + fewest) * offer.usd_by_term[today]
                        yield _Asked(option, bounds, usd_today, bounds.least_mean(option, usd_today))

    def _score_first(self, asked: Sequence[_Asked], ranked: int) -> None:
        """So many of the first ones in expectation, in every world."""
        first: list[float] = []  # negated
        for one in sorted(asked, key=lambda one: one.least_mean):
            if len(first) == ranked and one.least_mean > -first[0]:
                break
            if not self._is_enough_until_review(one.option):
                continue
            if len(first) == ranked and self._least_mean(one) > -first[0]:
                continue
            self.tried.append(one.option)
            usd = self._score(len(self.tried) - 1).usd
            rows = np.flatnonzero(usd < self.best)
            self._win(rows, usd[rows])
            heapq.heappush(first, -float(usd.mean()))
            if len(first) > ranked:
                heapq.heappop(first)

    def _least_mean(self, one: _Asked) -> float:
        """Of its expected cost: what it costs in the hard worlds, and at least in the others."""
        option, hard = one.option, self._hard
        least = one.bounds.least(option, one.usd_today)
        holds = _holds(option, self.demand, self._hard_need, self._while_held(option))
        if option.cluster not in self._hard_wrong:
            wrong = unnoticed_usd(option, self.demand, self._hard_need, self._hard_prices, holds)
            self._hard_wrong[option.cluster] = np.sum([np.zeros(len(hard)), *wrong.values()], axis=0)
        least[hard] = (mean_usd(option, self.commitment, self.review, holds, hard)
                       + self.outages[option.replicas][hard] + self._hard_wrong[option.cluster])
        return float(least.mean())

    def _score(self, place: int) -> Scored:
        """In every world."""
        if place not in self._scored:
            option = self.tried[place]
            holds = _holds(option, self.demand, self.need, self._while_held(option))
            node_usd = mean_usd(option, self.commitment, self.review, holds)
            self._scored[place] = scored(option, node_usd, self.outages[option.replicas],
                                         self._wrong_usd(option, holds))
        return self._scored[place]

    def _score_in(self, rows: Indices, option: Option) -> None:
        """In the worlds where it may be the best: of most options these are few."""
        holds = _holds(option, self.demand, self.need, self._while_held(option), rows)
        usd = mean_usd(option, self.commitment, self.review, holds, rows)
        usd = usd + self.outages[option.replicas][rows]
        is_less = usd < self.best[rows]
        rows, usd, holds = rows[is_less], usd[is_less], holds[is_less]
        if not holds[:, :self.review].all():
            wrong = unnoticed_usd(option, self.demand, self.need.of_worlds(rows),
                                  self._prices.of_worlds(rows), holds)
            usd = usd + sum(wrong.values())
            is_less = usd < self.best[rows]
            rows, usd = rows[is_less], usd[is_less]
        self._win(rows, usd)

    def _while_held(self, option: Option) -> slice:
        return slice(1, months_held(option.term, self.review, self.demand.plan.horizon_months) + 1)

    def _win(self, rows: Indices, usd: Floats) -> None:
        """These worlds are best off with what was tried last."""
        self.best[rows] = usd
        self.winner[rows] = len(self.tried) - 1

    def _is_enough_until_review(self, option: Option) -> bool:
        cluster = option.cluster
        if cluster not in self._is_enough:
            holds = _holds(option, self.demand, self.need, slice(self.review, self.review + 1))
            self._is_enough[cluster] = bool(holds.mean() >= self.demand.plan.confidence)
        return self._is_enough[cluster]

    def _wrong_usd(self, option: Option, holds: Bools) -> dict[str, Floats]:
        if option.cluster not in self._wrong:
            self._wrong[option.cluster] = unnoticed_usd(option, self.demand, self.need, self._prices, holds)
        return self._wrong[option.cluster]


@dataclass(frozen=True, slots=True)
class _Asked:
    """An option, and what is known of it from prices alone."""

    option: Option
    bounds: Bounds
    usd_today: float
    """At the way's term and replicas."""
    least_mean: float


def _holds(option: Option, demand: Demand, need: Needs, months: slice = _LATER,
           rows: Indices | slice = slice(None)) -> Bools:
    return fits(option.node, demand, need, months, rows=rows, shards=option.shards, replicas=option.replicas,
                engine=option.engine)
