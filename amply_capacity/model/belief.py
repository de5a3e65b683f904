"""A stated interval, and what it is after something was counted or measured: Bayes' rule on a grid.

The prior is the interval as it is sampled everywhere, whatever its shape; the posterior is again an interval,
of 90 %, by its 5, 50 and 95 % quantiles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from amply_capacity.interval import Interval

__all__ = ["narrowed", "rate_after"]

_Array = NDArray[np.float64]
_SCORES = np.arange(-9.0, 9.0 + 0.0025, 0.005)
_LEAST = 1e-12


def rate_after(prior: Interval, count: int, years: float) -> Interval:
    """A rate of random events, a year, after `count` of them in so many years: Poisson.

    Of a gamma prior with shape a and rate b this is Gamma(a + count, b + years); here the prior keeps the
    bounds that were stated. A rate that is known exactly stays it.

    Example: `rate_after(Interval(0.05, 0.3, 2.0), 0, 10.0)`, ten node-years without any: 0.02–0.09–0.26.
    """
    return _updated(prior, lambda rate: count * np.log(rate) - years * rate)


def narrowed(prior: Interval, measured: Sequence[float], noise: float) -> Interval:
    """A positive number after measurements of something like it.

    `noise` is the standard deviation of the logarithm of what is measured over what is meant, the same for
    all of them: a drill is not production. What they differ by among themselves comes on top, the less the
    more there are.
    """
    if not measured:
        return prior
    logs = np.log(np.maximum(np.array(measured), _LEAST))
    spread = float(logs.var(ddof=1)) / len(logs) if len(logs) > 1 else 0.0
    variance, middle = noise**2 + spread, float(logs.mean())
    return _updated(prior, lambda value: -0.5 * (np.log(value) - middle) ** 2 / variance)


def _updated(prior: Interval, log_likelihood: Callable[[_Array], _Array]) -> Interval:
    if prior.is_exact:
        return prior
    values = np.maximum(prior.at(_SCORES), _LEAST)
    logs = -0.5 * _SCORES**2 + log_likelihood(values)
    weights = np.exp(logs - logs.max())
    shares = np.cumsum(weights)
    shares = (shares - 0.5 * weights) / shares[-1]
    low, mid, high = np.interp([0.05, 0.5, 0.95], shares, values)
    return Interval(float(low), float(mid), float(high))
