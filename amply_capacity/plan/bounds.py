"""The least that an option may cost in each world: from prices alone, before anything is asked of its nodes.

What is cheaper today than everything that is enough in a month cannot be enough in it. There a reservation is
paid beside what the way has, less what it covers of that, and what is held on demand was given up.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from amply_capacity.plan.commitment import Commitment
from amply_capacity.plan.needs import Indices
from amply_capacity.plan.options import Option
from amply_capacity.plan.reservations import covers, units_of
from amply_capacity.plan.worlds import Floats

__all__ = ["Bounds", "Months"]

_SAME_PRICE = 1.0 + 1e-9


@dataclass(frozen=True)
class Months:
    """Sums over the months that an option is held, by the options of the way, from cheap to dear."""

    commitment: Commitment
    cheapest: Indices
    """(worlds, months): the first of the way's options that is enough, or their number where none is."""
    held: int

    @cached_property
    def beyond_usd(self) -> Floats:
        """[j]: what the way costs in the months in which none before j is enough, (options + 1, worlds)."""
        return self._from(self.commitment.path_usd[:, :self.held])

    @cached_property
    def beyond_months(self) -> Floats:
        """[j]: the number of these months, of the same shape."""
        return self._from(np.ones_like(self.commitment.path_usd[:, :self.held]))

    @cached_property
    def within_usd(self) -> Floats:
        """[j]: the price of the cheapest that is enough, in the months in which one before j is."""
        prices = np.append(self.commitment.prices, 0.0)
        all_from = self._from(prices[self.cheapest[:, :self.held]])
        return np.asarray(all_from[0] - all_from)

    @cached_property
    def means(self) -> tuple[list[float], list[float], list[float]]:
        """Of the three, over the worlds, (options + 1,)."""
        usd, months, within = (each.mean(axis=1).tolist() for each in (
            self.beyond_usd, self.beyond_months, self.within_usd))
        return usd, months, within

    @cached_property
    def prices(self) -> list[float]:
        """Of the way's options, ascending."""
        return list(map(float, self.commitment.prices))

    def _from(self, weights: Floats) -> Floats:
        worlds, places = len(weights), len(self.commitment.options) + 1
        place = self.cheapest[:, :self.held].T * worlds + np.arange(worlds)
        sums = np.bincount(place.ravel(), weights.T.ravel(), worlds * places).reshape(places, worlds)
        for later in range(places - 2, -1, -1):
            sums[later] += sums[later + 1]
        return np.asarray(sums, dtype=np.float64)


@dataclass(frozen=True)
class Bounds:
    """Of options that are held equally long and have equally many replicas."""

    months: Months
    outage_usd: Floats
    """A month, (worlds,)."""
    is_reserved: bool

    @cached_property
    def _beside(self) -> Floats:
        """A month's mean, whatever is chosen, (worlds,)."""
        commitment = self.months.commitment
        return np.asarray(commitment.usd_from(self.months.held) / self._horizon + self.outage_usd)

    @cached_property
    def _beside_mean(self) -> float:
        return float(self._beside.mean())

    @cached_property
    def _horizon(self) -> int:
        return int(self.months.cheapest.shape[1])

    def least(self, option: Option, usd_today: float) -> Floats:
        """Each world's, USD a month, (worlds,); `usd_today` is its price as the way's are."""
        place, months = self._place(usd_today), self.months
        if not self.is_reserved:
            held_usd = months.beyond_usd[place] + months.within_usd[place]
            return np.asarray(held_usd / self._horizon + self._beside)
        beyond = months.beyond_usd[place] - self._covered_usd(option) * months.beyond_months[place]
        return np.asarray((option.usd_per_month * months.held + np.maximum(beyond, 0.0)) / self._horizon
                          + self._beside)

    def least_mean(self, option: Option, usd_today: float) -> float:
        """At most the mean of that."""
        place, (usd, count, within) = self._place(usd_today), self.months.means
        paid = usd[place] + within[place]
        if self.is_reserved:
            beyond = usd[place] - self._covered_usd(option) * count[place]
            paid = option.usd_per_month * self.months.held + max(beyond, 0.0)
        return paid / self._horizon + self._beside_mean

    def _place(self, usd_today: float) -> int:
        return bisect_right(self.months.prices, usd_today * _SAME_PRICE)

    def _covered_usd(self, option: Option) -> float:
        """The most that the reservation takes off a month of the way."""
        each, most = self._coverable.get((option.node.family, option.engine)) or self._cover(option)
        return most and min(option.nodes * float(units_of(option.node, option.engine)) * each, most)

    @cached_property
    def _coverable(self) -> dict[tuple[str, str], tuple[float, float]]:
        return {}

    def _cover(self, option: Option) -> tuple[float, float]:
        """Of what such a reservation covers: the dearest normalized unit, and the dearest option."""
        found: Sequence[Option] = [
            one for one in self.months.commitment.options
            if covers(option.node, option.engine, one.node, one.engine)]
        units = [one.usd_per_month / (one.nodes * float(units_of(one.node, one.engine))) for one in found]
        cover = max(units, default=0.0), max((one.usd_per_month for one in found), default=0.0)
        self._coverable[option.node.family, option.engine] = cover
        return cover
