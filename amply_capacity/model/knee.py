"""The knee, estimated: the highest offered rate at which the use cases still meet their p99 response times.

A p99 lies within its objective exactly when at most 1 % of the operations take longer. So what is counted is
the operations beyond the objective, second by second and step by step; the knee is where their share is 1 %.

**Model.** Near the knee the logarithm of that share is a line in the rate: waiting times in a queue have a
nearly exponential tail that decays with the spare capacity (Abate, Choudhury, Whitt, Exponential
approximations for tail probabilities in queues, Operations Research 43, 1995; exact for M/M/1). The line may
bend at the knee: with heavy-tailed service it is steeper above. Steps whose share is far from 1 % only tell
on which side they lie.

**Noise.** Operations beyond the limit come in clumps: one busy period, or one stall of the host, delays
hundreds of neighbours. They are not binomial: the likelihood is a quasi-Poisson one (Wedderburn, Biometrika
61, 1974), divided by the dispersion that the seconds of the steps show. Where few clumps were seen, it is
drawn to what an M/M/1 queue would show; a bootstrap would see no noise at all where no clump fell.

**Interval.** Knee and slopes are laid out on a grid with flat priors on their logarithms, the slopes are
summed out, and quantiles are read off. Each step has a 2 % chance to have been disturbed, so that no single
one decides.

`tests/load/test_knee.py` holds how often the intervals hold the knee of simulated queues. What is too rare to
be seen in the minute of a search (a stall every ten seconds) cannot be in its interval.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amply_capacity.run.histogram import width_us

__all__ = ["ALLOWED_SHARE", "Bounds", "StepCounts", "clearness", "first_knee", "knee_bounds", "share_beyond"]

Array = NDArray[np.float64]

ALLOWED_SHARE = 0.01
"""Share of operations that may take longer than a p99 objective."""

_LEAST_SHARE, _MOST_SHARE = ALLOWED_SHARE / 8.0, ALLOWED_SHARE * 30.0
_DISTURBED = 0.02
_PRIOR_SECONDS = 10.0
_CAUTION = 1.3  # dispersion and share are underestimated together, when few clumps fell
_BEND, _BEND_SPREAD = 0.3, 0.7  # logarithm of the slope above over the one below: prior's mean and deviation
_RATES, _SLOPES = 201, 32
_LEAST_SLOPE, _MOST_SLOPE = 0.5, 1000.0
_OUTSIDE = 1.15  # a bound this factor away from all steps is none


@dataclass(frozen=True, slots=True)
class StepCounts:
    """One use case in the measured seconds of one step; arrays have a row per second."""

    rate_per_second: float
    """Operations of all use cases offered a second."""
    beyond: Array
    """Operations beyond the objective; not whole where the limit divides a bucket."""
    total: Array

    @property
    def share(self) -> float:
        return float(self.beyond.sum() / self.total.sum())


@dataclass(frozen=True, slots=True)
class Bounds:
    """Median and central interval of a knee, operations a second; None where the steps do not bound it."""

    low: float | None
    mid: float | None
    high: float | None
    slope: float
    """Growth of the share beyond, as a logarithm, per relative growth of the rate, below the knee."""

    @property
    def half_width(self) -> float:
        """Half of the interval as a share of its middle; infinite where one bound is unknown."""
        if self.low is None or self.mid is None or self.high is None:
            return math.inf
        return (self.high - self.low) / (2.0 * self.mid)


def share_beyond(bucket_us: NDArray[np.int64], count: NDArray[np.int64],
                 limit_ms: float) -> tuple[float, float]:
    """Operations beyond the limit, and all of them; the bucket in which the limit lies is divided by it."""
    upper = bucket_us.astype(np.float64)
    part = np.clip((upper - 1000.0 * limit_ms) / width_us(bucket_us), 0.0, 1.0)
    return float((count * part).sum()), float(count.sum())


def clearness(step: StepCounts, limit_ms: float) -> float:
    """How clearly one step stands on one side: the signed root of twice the log-likelihood ratio.

    Negative within the objective, positive beyond; distributed as a standard score where the knee is just
    there.
    """
    scale = float(_dispersion([step], limit_ms)[0])
    share, allowed = step.share, ALLOWED_SHARE
    gain = share * math.log(share / allowed) if share > 0.0 else 0.0
    lost = float(step.total.sum()) * max(gain - share + allowed, 0.0) / scale
    return math.copysign(math.sqrt(2.0 * lost), share - allowed)


def knee_bounds(steps: Sequence[StepCounts], limit_ms: float, confidence: float) -> Bounds:
    """The rate at which 1 % of a use case's operations take longer than the limit, from at least one step.

    Where no step lies beyond the knee, only a lower bound is known, at most the highest rate that was
    offered; where all do, only an upper one.
    """
    rates = [step.rate_per_second for step in steps]
    lowest, highest = min(rates) / 4.0, max(rates) * 4.0
    scales = _dispersion(steps, limit_ms)
    slopes = np.geomspace(_LEAST_SLOPE, _MOST_SLOPE, _SLOPES)
    tail = 0.5 - confidence / 2.0
    for _ in range(2):  # the second time closer
        grid = np.geomspace(lowest, highest, _RATES)
        weights = _posterior(grid, slopes, steps, scales)
        of_rate = weights.sum(axis=1)
        cumulated = np.concatenate([[0.0], np.cumsum((of_rate[1:] + of_rate[:-1]) / 2.0)])
        first, low, mid, high, last = np.exp(np.interp(
            [0.0005, tail, 0.5, 1.0 - tail, 0.9995], cumulated / cumulated[-1], np.log(grid))).tolist()
        lowest, highest = max(first * 0.97, lowest), min(last * 1.03, highest)
    slope = math.exp(float((weights.sum(axis=0) * np.log(slopes)).sum() / weights.sum()))
    if high > max(rates) * _OUTSIDE:
        return Bounds(min(low, max(rates)) if low >= min(rates) / _OUTSIDE else None, None, None, slope)
    if low < min(rates) / _OUTSIDE:
        return Bounds(None, None, max(high, min(rates)), slope)
    return Bounds(low, mid, high, slope)


def first_knee(steps: Sequence[Mapping[str, StepCounts]], objectives_ms: Mapping[str, float],
               confidence: float) -> tuple[str | None, Bounds]:
    """The use case that gives out first (None where none did), and the knee of all: the least of each bound.

    `steps` have counts by use case. All use cases wait in one queue, so their errors go together, and a
    quantile of the least of numbers that rise and fall together is the least of their quantiles.
    """
    every = {}
    for use_case, limit_ms in objectives_ms.items():
        counts = [step[use_case] for step in steps if use_case in step]
        if counts:
            every[use_case] = knee_bounds(counts, limit_ms, confidence)
    if not every:
        return None, Bounds(None, None, None, 1.0)
    order = sorted(every, key=lambda name: [every[name].mid or math.inf, every[name].high or math.inf])
    first = every[order[0]]
    lows = [one.low or 0.0 for one in every.values()]
    highs = [one.high for one in every.values() if one.high is not None]
    mids = [one.mid for one in every.values() if one.mid is not None]
    low, high = min(lows) or None, min(highs, default=None)
    mid = min(mids) if mids and low is not None and high is not None else None
    if mid is not None and high is not None:
        mid = min(mid, high)
    return order[0] if highs else None, Bounds(low, mid, high, first.slope)


def _dispersion(steps: Sequence[StepCounts], limit_ms: float) -> Array:
    """Variance of the counts beyond the limit in units of their mean, by step; at least 1."""
    of_queue = np.array([_queue_dispersion(step, limit_ms) for step in steps])
    squares, seconds = _PRIOR_SECONDS, _PRIOR_SECONDS
    for step, queue in zip(steps, of_queue, strict=True):
        if _LEAST_SHARE < step.share < _MOST_SHARE and len(step.total) > 1:
            mean = np.maximum(step.share * step.total, 1e-9)
            squares += float(((step.beyond - mean) ** 2 / mean).sum()) / queue
            seconds += len(step.total) - 1
    return np.maximum(_CAUTION * of_queue * squares / seconds, 1.0)


def _queue_dispersion(step: StepCounts, limit_ms: float) -> float:
    """What an M/M/1 queue with its knee at this rate shows, as simulated at 54 to 98 % utilisation."""
    within_limit = step.rate_per_second * limit_ms / 1000.0
    own = min(float(step.total.mean()) / step.rate_per_second, 1.0)
    return 1.0 + own * within_limit * (1.0 + 0.15 * within_limit)


def _posterior(grid: Array, slopes: Array, steps: Sequence[StepCounts], scales: Array) -> Array:
    """The weight of each knee and slope below it, the slope above summed out."""
    sides = np.zeros((2, len(grid), len(slopes)))
    for step, scale in zip(steps, scales, strict=True):
        aside = step.rate_per_second / grid - 1.0
        share = ALLOWED_SHARE * np.exp(np.clip(slopes * aside[:, None], -10.0, 10.0))
        likely = np.exp(_log_likelihood(share, step, float(scale)))
        one = np.log((1.0 - _DISTURBED) * likely + _DISTURBED)
        sides[0, aside <= 0.0] += one[aside <= 0.0]
        sides[1, aside > 0.0] += one[aside > 0.0]
    tops = sides.max(axis=2)
    below, above = np.exp(sides - tops[:, :, None])
    bend = np.log(slopes[None, :] / slopes[:, None])
    prior = np.exp(-0.5 * ((bend - _BEND) / _BEND_SPREAD) ** 2)
    height = tops.sum(axis=0)
    weights: Array = below * (above @ prior.T) * np.exp(height - height.max())[:, None]
    return weights


def _log_likelihood(share: Array, step: StepCounts, scale: float) -> Array:
    """Quasi-Poisson log-likelihood of the step's counts at these shares, less its most: 0 or negative.

    Shares are told apart only near the allowed one: far below or above, a step just lies on its side.
    """
    seen = min(max(step.share, _LEAST_SHARE), _MOST_SHARE)
    near = np.clip(share, _LEAST_SHARE, _MOST_SHARE)
    return np.asarray(step.total.sum() * (seen * np.log(near / seen) - near + seen) / scale)
