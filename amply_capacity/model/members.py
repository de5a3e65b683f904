"""How many session ids the indexes of users hold, and what such an index takes on average.

A set's size does not grow in proportion to its members: its bucket array doubles, and the old one lingers.
So the mean over users needs the distribution, of which there are two forms here: as the load test's
population has it, and as log-ins, expiries and lists at random moments leave it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from amply_capacity.model.layout import Layout

__all__ = ["IndexShape", "IndexSizes", "Law", "of_chance", "of_the_population", "poisson"]

Floats = NDArray[np.float64]
Law = Callable[[float, float], Floats]
"""The probabilities of 0, 1, 2, … members, from the means of live and of stale ones."""

_MOST_MEMBERS = 20_000
_LIVE_POINTS, _STALE_POINTS = 9, 40


@dataclass(frozen=True, slots=True)
class IndexShape:
    """Lengths in bytes of an index's name and of a member."""

    key_bytes: float
    member_bytes: float


def of_the_population(live: float, stale: float) -> Floats:
    """As `traffic.population` fills it: one live and a Poisson number more, stale ones as even as can be."""
    more = poisson(live - 1.0) if live >= 1.0 else np.array([1.0 - live, live])
    lives = np.concatenate([[0.0], more]) if live >= 1.0 else more
    whole = math.floor(stale)
    stales = np.zeros(whole + 2)
    stales[whole], stales[whole + 1] = 1.0 - (stale - whole), stale - whole
    return np.convolve(lives, stales)


def of_chance(live: float, stale: float) -> Floats:
    """Log-ins at random moments, and stale ones that gather until a list at a random moment clears them."""
    most = min(math.ceil(12.0 * stale) + 12, _MOST_MEMBERS)
    ratio = stale / (1.0 + stale)
    return np.convolve(poisson(live), (1.0 - ratio) * ratio ** np.arange(most))


@dataclass(frozen=True)
class IndexSizes:
    """Bytes of an index of that shape, without its share of the keyspace's tables, by its members."""

    layout: Layout
    shape: IndexShape
    has_ttl: bool = False

    @cached_property
    def _key_bytes(self) -> float:
        return float(self.layout.key(round(self.shape.key_bytes), self.has_ttl))

    @cached_property
    def _sets(self) -> dict[int, Floats]:
        return {}

    def of(self, law: Floats) -> float:
        """Mean bytes a user, those without any member included: an empty set is no key."""
        return float(law[1:] @ self._by_members(len(law))[1:])

    def mean(self, live: Floats, stale: Floats, law: Law) -> Floats:
        """Mean bytes a user for many pairs of means, any shape; interpolated between some of them."""
        ends = live.min(), live.max()  # and 1, where the population's form bends
        lives = np.unique(np.append(np.linspace(*ends, _LIVE_POINTS), np.clip(1.0, *ends)))
        low, high = float(stale.min()), float(stale.max())
        # Between whole numbers of stale ids the population's form is a straight line.
        whole = np.concatenate([np.arange(_STALE_POINTS), np.round(np.geomspace(
            _STALE_POINTS, max(high, _STALE_POINTS), _STALE_POINTS))])
        stales = np.unique(np.concatenate([[low, high], np.clip(whole, low, high)]))
        values = np.array([[self.of(law(one, other)) for other in stales] for one in lives])
        return _bilinear(lives, stales, values, live, stale)

    def _by_members(self, count: int) -> Floats:
        """Of an index of 0, 1, … below `count` members."""
        wanted = 1 << max(count - 1, 63).bit_length()
        if wanted not in self._sets:
            length = round(self.shape.member_bytes)
            sizes = [0.0] + [self._key_bytes + self.layout.set(members, length)
                             for members in range(1, min(wanted, _MOST_MEMBERS + 100))]
            self._sets[wanted] = np.array(sizes)
        return self._sets[wanted][:count]


def poisson(mean: float) -> Floats:
    """The probabilities of 0, 1, 2, … of a Poisson number: of the log-ins of users who are equally likely."""
    if mean <= 0.0:
        return np.array([1.0])
    steps = math.log(mean) - np.log(np.arange(1.0, math.ceil(mean + 10.0 * math.sqrt(mean) + 10.0)))
    return np.exp(np.concatenate([[0.0], np.cumsum(steps)]) - mean)


def _bilinear(rows: Floats, columns: Floats, values: Floats, at_row: Floats, at_column: Floats) -> Floats:
    row, down = _place(rows, at_row)
    column, across = _place(columns, at_column)
    next_row, next_column = np.minimum(row + 1, len(rows) - 1), np.minimum(column + 1, len(columns) - 1)
    upper = (1.0 - across) * values[row, column] + across * values[row, next_column]
    lower = (1.0 - across) * values[next_row, column] + across * values[next_row, next_column]
    mixed: Floats = (1.0 - down) * upper + down * lower
    return mixed


def _place(points: Floats, at: Floats) -> tuple[NDArray[np.intp], Floats]:
    """The point before each value, and how far it is to the next."""
    if len(points) == 1:
        return np.zeros(at.shape, dtype=np.intp), np.zeros(at.shape)
    before = np.clip(np.searchsorted(points, at, side="right") - 1, 0, len(points) - 2)
    return before, np.clip((at - points[before]) / (points[before + 1] - points[before]), 0.0, 1.0)
