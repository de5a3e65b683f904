"""Microsecond histograms that merge by addition; a bucket is named by its upper bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd  # the generator, which counts by these buckets, can do without it

__all__ = ["bucket_number", "bucket_upper_us", "quantile_us", "quantiles_us", "upper_us", "width_us"]

_SUB_BUCKET_BITS = 4
"""16 buckets an octave, each at most 1/16 of its times wide: with 32, a run grows by a quarter with ten times
the traffic (bench/load), for a third digit that no node type is chosen by.
"""
_MANTISSA_BITS, _EXPONENT_BIAS = 52, 1023  # of a double, IEEE 754
_BITS_OF_FIRST = _EXPONENT_BIAS + _SUB_BUCKET_BITS - 1 << _SUB_BUCKET_BITS  # so that 16 µs are bucket 16


def bucket_number(times_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number of each time's bucket, any shape; times under 32 µs are their own bucket.

    The log-linear layout of HdrHistogram (Gil Tene, 2012) with 16 sub-buckets an octave: bounds never depend
    on the data, so that histograms of different seconds, processes and runs add up.
    """
    # A double's exponent is the octave and its mantissa's first bits the sub-bucket: exact below 2**53.
    bits = times_us.astype(np.float64).view(np.int64)
    numbers = (bits >> _MANTISSA_BITS - _SUB_BUCKET_BITS) - _BITS_OF_FIRST
    # Below the first octave with all sub-buckets that is less than the time, which is its own bucket.
    within: NDArray[np.int64] = np.maximum(numbers, np.clip(times_us, 0, (1 << _SUB_BUCKET_BITS) - 1))
    return within


def upper_us(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """The upper bounds of buckets, µs, by their numbers."""
    shift = np.maximum((numbers >> _SUB_BUCKET_BITS) - 1, 0)
    bounds: NDArray[np.int64] = ((numbers - (shift << _SUB_BUCKET_BITS) + 1) << shift) - 1
    return bounds


def width_us(bounds_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """The widths of buckets, µs, by their upper bounds, any shape."""
    octave = np.log2(np.maximum(bounds_us, 1)).astype(np.int64)
    widths: NDArray[np.int64] = 1 << np.maximum(octave - _SUB_BUCKET_BITS, 0)
    return widths


def bucket_upper_us(times_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """The upper bound of each time's bucket, µs, any shape."""
    return upper_us(bucket_number(times_us))


def quantile_us(buckets: pd.Series, counts: pd.Series, q: float) -> float:
    """The `q` quantile in µs of a histogram given as rows; NaN where it is empty."""
    return float(quantiles_us(buckets, counts, [q])[0])


def quantiles_us(buckets: pd.Series, counts: pd.Series, qs: list[float]) -> NDArray[np.float64]:
    """Several quantiles of one histogram, µs: the least bound within which a share `q` of the times lies."""
    if len(buckets) == 0:
        return np.full(len(qs), np.nan)
    order = np.argsort(buckets.to_numpy(), kind="stable")
    bounds = buckets.to_numpy()[order]
    cumulated = np.cumsum(counts.to_numpy()[order])
    ranks = np.maximum(np.ceil(np.asarray(qs) * cumulated[-1] - 1e-9), 1)
    values: NDArray[np.float64] = bounds[np.searchsorted(cumulated, ranks)].astype(np.float64)
    return values
