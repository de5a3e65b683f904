"""What a random sample says of all: a share and a mean with their intervals (90 %)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, stdev

from amply_capacity.interval import Interval

__all__ = ["mean_of", "share_of"]

_CONFIDENCE = 0.9
_Z = NormalDist().inv_cdf(0.5 + _CONFIDENCE / 2.0)


def share_of(found: int, looked_at: int, population: float) -> Interval:
    """The share of a population that has what `found` of those looked at have.

    Wilson's interval (1927), which also holds where none or all have it; the sample is drawn without
    repetition, so that it is exact once all have been looked at.
    """
    share = found / looked_at
    if looked_at >= population:
        return Interval.exact(share)
    size = looked_at / (1.0 - looked_at / population)
    centre = (share + _Z**2 / (2.0 * size)) / (1.0 + _Z**2 / size)
    half = _Z / (1.0 + _Z**2 / size) * math.sqrt(share * (1.0 - share) / size + _Z**2 / (4.0 * size**2))
    return Interval(min(max(centre - half, 0.0), share), share, max(min(centre + half, 1.0), share))


def mean_of(values: Sequence[float], population: float) -> Interval | None:
    """The mean of a population's sizes, of which these were drawn without repetition: Student's interval.

    None where one value has to stand for several: how they differ is not known then.
    """
    mean = fmean(values)
    if len(values) >= population:
        return Interval.exact(mean)
    if len(values) < 2:
        return None
    error = stdev(values) * math.sqrt((1.0 - len(values) / population) / len(values))
    half = _student(len(values) - 1) * error
    return Interval(max(mean - half, 0.0), mean, mean + half)


def _student(freedom: int) -> float:
    """The quantile of Student's distribution that leaves 5 % above.

    Exact for one and two degrees of freedom; beyond, Cornish's and Fisher's expansion (1960), within 0.3 %.
    """
    if freedom == 1:
        return math.tan(math.pi * (_CONFIDENCE / 2.0))
    if freedom == 2:
        return _CONFIDENCE * math.sqrt(2.0 / (1.0 - _CONFIDENCE**2))
    z = _Z
    return (z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
            + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3))
