"""Sustainable CPU of burstable nodes in many worlds: looked up between the points of a small table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from amply_capacity.model.credits import CreditRules
from amply_capacity.model.day import SHARPEST
from amply_capacity.model.throttling import sustainable_cores
from amply_capacity.plan.worlds import Floats

__all__ = ["sustainable_of_worlds"]

_PEAKS, _RATIOS = 24, 16
_FEW = _PEAKS * _RATIOS
"""Fewer worlds than the table has points are asked for one by one."""


def sustainable_of_worlds(rules: CreditRules, peak_to_mean: Floats, weekend_to_weekday: Floats) -> Floats:
    """`sustainable_cores` of each world, (worlds,): within 0.2 % (bilinear in the logarithm of the peak).

    Each is found by bisection over a settled week, which is too slow for ten thousand.
    """
    if len(peak_to_mean) <= _FEW or np.ptp(peak_to_mean) == np.ptp(weekend_to_weekday) == 0.0:
        return sustainable_cores(rules, peak_to_mean, weekend_to_weekday)
    peaks = np.geomspace(peak_to_mean.min(), max(min(peak_to_mean.max(), SHARPEST), 1.0001), _PEAKS)
    ratios = np.linspace(weekend_to_weekday.min(), max(weekend_to_weekday.max(), 1e-6), _RATIOS)
    table = sustainable_cores(rules, *np.meshgrid(peaks, ratios, indexing="ij"))
    row, below = _place(np.log(peaks), np.log(np.minimum(peak_to_mean, SHARPEST)))
    column, right = _place(ratios, weekend_to_weekday)
    upper = table[row, column] * (1.0 - right) + table[row, column + 1] * right
    lower = table[row + 1, column] * (1.0 - right) + table[row + 1, column + 1] * right
    return np.asarray(upper * (1.0 - below) + lower * below)


def _place(knots: Floats, values: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Between which evenly spaced knots each value lies, and how far into the gap."""
    step = (knots[-1] - knots[0]) / (len(knots) - 1)
    place = (values - knots[0]) / step if step > 0.0 else np.zeros_like(values)
    left = np.clip(place.astype(np.int64), 0, len(knots) - 2)
    return left, np.clip(place - left, 0.0, 1.0)
