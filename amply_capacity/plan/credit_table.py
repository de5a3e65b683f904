"""Sustainable CPU of burstable nodes in many worlds: looked up in a table that is filled as it is asked."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from amply_capacity.model.credits import CreditRules
from amply_capacity.model.day import SHARPEST
from amply_capacity.model.throttling import sustainable_cores
from amply_capacity.plan.worlds import Floats

__all__ = ["sustainable_of_worlds"]

_PEAKS = np.geomspace(1.0, SHARPEST, 96)
_RATIOS = np.linspace(0.0, 4.0, 129)
"""With 1 among them, where the law has its kink: equal days."""


def sustainable_of_worlds(rules: CreditRules, peak_to_mean: Floats, weekend_to_weekday: Floats) -> Floats:
    """`sustainable_cores` of each world, (worlds,): within 0.2 % (bilinear in the logarithm of the peak).

    Each is found by bisection over a settled week, which is too slow for ten thousand. What is not uncertain
    is asked for itself, and so is a weekend busier than any in the table.
    """
    if np.ptp(peak_to_mean) == np.ptp(weekend_to_weekday) == 0.0:
        same = sustainable_cores(rules, peak_to_mean[:1], weekend_to_weekday[:1])
        return np.broadcast_to(same, peak_to_mean.shape)
    row, below = _place(np.log(_PEAKS), np.log(np.minimum(peak_to_mean, SHARPEST)))
    column, right = _place(_RATIOS, weekend_to_weekday)
    table = _table(rules)
    _fill(table, rules, row, column)
    upper = table[row, column] * (1.0 - right) + table[row, column + 1] * right
    lower = table[row + 1, column] * (1.0 - right) + table[row + 1, column + 1] * right
    found = np.asarray(upper * (1.0 - below) + lower * below)
    beyond = weekend_to_weekday > _RATIOS[-1]
    if beyond.any():
        found[beyond] = sustainable_cores(rules, peak_to_mean[beyond], weekend_to_weekday[beyond])
    return found


@cache
def _table(rules: CreditRules) -> Floats:
    """Of the process: plans of one region ask for the same few again and again."""
    return np.full((len(_PEAKS), len(_RATIOS)), np.nan)


def _fill(table: Floats, rules: CreditRules, row: NDArray[np.int64], column: NDArray[np.int64]) -> None:
    """The four corners of each of these cells."""
    is_asked = np.zeros(table.shape, dtype=np.bool_)
    for down in (0, 1):
        for right in (0, 1):
            is_asked[row + down, column + right] = True
    rows, columns = np.nonzero(is_asked & np.isnan(table))
    if len(rows):
        table[rows, columns] = sustainable_cores(rules, _PEAKS[rows], _RATIOS[columns])


def _place(knots: Floats, values: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Between which evenly spaced knots each value lies, and how far into the gap."""
    place = (values - knots[0]) / ((knots[-1] - knots[0]) / (len(knots) - 1))
    left = np.clip(place.astype(np.int64), 0, len(knots) - 2)
    return left, np.clip(place - left, 0.0, 1.0)
