"""The shape of a week minute by minute, and in closed form what a day drains from a balance.

The day is that of `traffic.arrivals`: a von Mises density, whose rate falls on both sides of its peak. So
what it asks for lies above a level on one arc around the peak, and an account that is fed at that level
falls on the arc and rises off it: a few steps stand for 1,440 minutes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from amply_capacity.errors import BadInput
from amply_capacity.traffic.arrivals import BUSIEST, day_weights

__all__ = [
    "DAY_MINUTES", "SHARPEST", "WEEKDAYS", "WEEKEND_DAYS", "WEEK_MINUTES", "DayDrain", "day_means",
    "share_of_week_above", "week_weights",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
WEEKDAYS, WEEKEND_DAYS = 5, 2
DAY_MINUTES = 1440
WEEK_MINUTES = DAY_MINUTES * (WEEKDAYS + WEEKEND_DAYS)
SHARPEST = 20.0
"""Peak over mean; a sharper day is taken as this one."""

_MIDNIGHT = 2.0 * math.pi * (1.0 - BUSIEST)
"""How far the end of the day lies from its peak on the circle, 10 of 12 hours."""
_ROWS, _COLUMNS, _SPREAD = 128, 1025, 3.0
_BISECTIONS = 11  # of at most a day: to a third of a minute
_SMALLEST = 1e-300


def week_weights(peak_to_mean: float, weekend_to_weekday: float = 1.0, *, first_minute: int = 0) -> Floats:
    """The rate in each of a week's minutes over the week's mean; 10,080, Monday's midnight first.

    The two weekend days have the weekdays' shape at `weekend_to_weekday` times their rate. `first_minute`:
    the week begins there instead, e.g. 840 on Monday at 14:00, the peak. Raises BadInput for a ratio below 0
    and ValueError for a peak that is not 1 to 20 times the mean.
    """
    if not 0.0 <= weekend_to_weekday < math.inf:
        raise BadInput("the weekend's ratio to a weekday has to be a number, 0 or more",
                       got=f"{weekend_to_weekday}", do="give e.g. 0.4 for quiet weekends, 1 for equal ones")
    weekday, weekend = day_means(np.array(1.0), np.array(weekend_to_weekday))
    day = day_weights(peak_to_mean, DAY_MINUTES)
    week = np.concatenate([np.tile(day * weekday, WEEKDAYS), np.tile(day * weekend, WEEKEND_DAYS)])
    return np.roll(week, -first_minute)


def day_means(mean: Floats, weekend_to_weekday: Floats) -> tuple[Floats, Floats]:
    """The mean of a weekday and of a weekend day that together have the week's mean."""
    weekday = mean * (WEEKDAYS + WEEKEND_DAYS) / (WEEKDAYS + WEEKEND_DAYS * weekend_to_weekday)
    return weekday, weekday * weekend_to_weekday


def share_of_week_above(level: Floats, peak_to_mean: Floats, weekend_to_weekday: Floats) -> Floats:
    """Share of a week's minutes in which the rate is above `level` times the week's mean.

    Arrays that numpy can broadcast; the peak is that of a day over its own mean.
    """
    sharpness = np.interp(np.minimum(peak_to_mean, SHARPEST), *_sharpness_of_peak())
    weekday, weekend = day_means(np.ones_like(weekend_to_weekday), weekend_to_weekday)
    above = [_arc_above(np.maximum(level, _SMALLEST), mean * peak_to_mean, sharpness) / math.pi
             for mean in (weekday, weekend)]
    return np.asarray((WEEKDAYS * above[0] + WEEKEND_DAYS * above[1]) / (WEEKDAYS + WEEKEND_DAYS))


@dataclass(frozen=True, slots=True)
class DayDrain:
    """What days of these means take from a balance fed at `level`; arrays of one shape (n,).

    A day goes through four steps: a drain after midnight (only where the night before still drains), a rise,
    the drain around the peak, a rise. Angles are of the circle, 0 at the peak.
    """

    level: float
    most: float
    """The cores that there are: what is asked beyond is not taken."""
    mean: Floats
    """Cores."""
    arc: Floats
    """Half the arc around the peak on which more than the level is asked for."""
    cut: Floats
    """Half the arc on which more than `most` is."""
    row: Ints
    below: Floats
    """Where its sharpness lies in the table of shares, and how far into the next row."""
    share_cut: Floats
    """Of the day's demand, on that arc."""
    whole: Floats
    """Credits that a whole day takes, less what it is fed."""

    @classmethod
    def of(cls, mean: Floats, peak_to_mean: Floats, level: float, most: float) -> DayDrain:
        """Of flat arrays of one shape."""
        peak = np.minimum(peak_to_mean, SHARPEST)
        sharpness = np.interp(peak, *_sharpness_of_peak())
        place = np.arcsinh(sharpness) * ((_ROWS - 1) / _TOP)
        row = np.minimum(place.astype(np.int64), _ROWS - 2)
        arc, cut = (_arc_above(one, mean * peak, sharpness) for one in (level, most))
        share_cut = _share_within(cut, row, place - row) if cut.any() else np.zeros_like(cut)
        whole = DAY_MINUTES * (mean * (1.0 - share_cut) + most * cut / math.pi - level)
        return cls(level, most, mean, arc, cut, row, place - row, share_cut, whole)

    def where(self, mask: NDArray[np.bool_]) -> DayDrain:
        """Those days only."""
        return DayDrain(self.level, self.most, self.mean[mask], self.arc[mask], self.cut[mask],
                        self.row[mask], self.below[mask], self.share_cut[mask], self.whole[mask])

    def angles(self) -> tuple[Floats, ...]:
        """Where each of the four steps begins and the last ends, five of the shape (n,)."""
        begin = np.full_like(self.arc, _MIDNIGHT - 2.0 * math.pi)
        wraps = np.maximum(self.arc - 2.0 * math.pi, begin)
        return begin, wraps, -self.arc, np.minimum(self.arc, _MIDNIGHT), np.full_like(self.arc, _MIDNIGHT)

    def taken(self, angle: Floats) -> Floats:
        """Credits (core-minutes) that the day takes between its peak and the angle, −7π/6 to 5π/6.

        Negative before the peak where it takes, so that differences are what is taken in between.
        """
        inside = np.abs(angle)
        beyond = inside > math.pi  # before 2:00 the day's own night lies on the peak's other side
        half = self._taken_within(np.where(beyond, 2.0 * math.pi - inside, inside)) / 2.0
        return np.sign(angle) * np.where(beyond, self.whole - half, half)

    def minutes_left(self, begin: Floats, end: Floats, balance: Floats) -> Floats:
        """How long before the end of a drain the balance is spent; it has to be spent in it."""
        target = self.taken(begin) + balance
        low, high = begin, end
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2.0
            is_early = self.taken(middle) < target
            low, high = np.where(is_early, middle, low), np.where(is_early, high, middle)
        left: Floats = (end - (low + high) / 2.0) * DAY_MINUTES / (2.0 * math.pi)
        return left

    def _taken_within(self, angle: Floats) -> Floats:
        """Both sides of the peak together: what is asked for, cut at what there is, less what is fed."""
        is_outside = angle > self.cut
        share = np.where(is_outside, _share_within(angle, self.row, self.below) - self.share_cut, 0.0)
        cut = np.where(is_outside, self.cut, angle)
        result: Floats = DAY_MINUTES * (self.mean * share + (self.most * cut - self.level * angle) / math.pi)
        return result


def _arc_above(level: Floats | float, highest: Floats, sharpness: Floats) -> Floats:
    """Half the arc on which highest · exp(sharpness · (cos − 1)) is above the level."""
    ratio = np.log(np.maximum(highest, _SMALLEST) / level)
    cosine = 1.0 - ratio / np.maximum(sharpness, 1e-12)
    return np.where(ratio > 0.0, np.arccos(np.clip(cosine, -1.0, 1.0)), 0.0)


def _share_within(angle: Floats, row: Ints, below: Floats) -> Floats:
    """Of a day's demand, on both sides of its peak within the angle; from the table, to 1e-5."""
    table = _shares()
    place = np.arcsinh(angle * (math.sinh(_SPREAD) / math.pi)) * ((_COLUMNS - 1) / _SPREAD)
    left = np.minimum(place.astype(np.int64), _COLUMNS - 2)
    right = place - left
    at = row * _COLUMNS + left
    first = table[at] * (1.0 - right) + table[at + 1] * right
    at += _COLUMNS
    second = table[at] * (1.0 - right) + table[at + 1] * right
    result: Floats = first * (1.0 - below) + second * below
    return result


_TOP = math.asinh(SHARPEST**2 / (2.0 * math.pi) + 1.0)  # a sharp peak is near sqrt(2 pi k) times the mean


@lru_cache(maxsize=1)
def _sharpness_of_peak() -> tuple[Floats, Floats]:
    """Peaks over the mean, and the k of exp(k cos) that has each; rising."""
    sharpness = np.sinh(np.linspace(0.0, _TOP, 16 * _ROWS))
    angles = 2.0 * math.pi * (np.arange(DAY_MINUTES // 2) + 0.5) / DAY_MINUTES
    mean = np.array([np.exp(one * (np.cos(angles) - 1.0)).mean() for one in sharpness])
    return 1.0 / mean, sharpness


@lru_cache(maxsize=1)
def _shares() -> Floats:
    """The demand's share by sharpness (rows) and angle (columns, dense at the peak), by Simpson's rule."""
    scale = math.pi / math.sinh(_SPREAD)
    angles = scale * np.sinh(np.linspace(0.0, _SPREAD, _COLUMNS))
    middles = (angles[1:] + angles[:-1]) / 2.0
    sharpness = np.sinh(np.linspace(0.0, _TOP, _ROWS))[:, None]
    at = np.exp(sharpness * (np.cos(angles) - 1.0))
    between = np.exp(sharpness * (np.cos(middles) - 1.0))
    parts = np.diff(angles) * (at[:, 1:] + at[:, :-1] + 4.0 * between) / 6.0
    table = np.concatenate([np.zeros((_ROWS, 1)), np.cumsum(parts, axis=1)], axis=1)
    result: Floats = (table / table[:, -1:]).ravel()
    return result
