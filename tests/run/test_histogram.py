from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.run.histogram import (
    bucket_upper_us,
    quantile_us,
    quantiles_us,
    width_us,
)

_TIMES = st.lists(st.integers(0, 2**45), min_size=1, max_size=200)


def _histogram(times: list[int]) -> pd.Series:
    """Counts by bucket, as the recorder makes them."""
    return pd.Series(bucket_upper_us(np.array(times, dtype=np.int64))).value_counts()


@given(_TIMES)
def test_a_bound_is_never_below_its_time_and_at_most_a_16th_above(times: list[int]) -> None:
    exact = np.array(times, dtype=np.int64)
    bounds = bucket_upper_us(exact)
    assert (bounds >= exact).all()
    assert ((bounds - exact) * 16 <= exact).all()


@given(st.integers(0, 31))
def test_times_under_32_us_are_exact(time: int) -> None:
    assert bucket_upper_us(np.array([time]))[0] == time


@given(_TIMES)
def test_a_bound_is_its_own_bucket_and_the_next_time_is_in_the_next(times: list[int]) -> None:
    bounds = bucket_upper_us(np.array(times, dtype=np.int64))
    assert (bucket_upper_us(bounds) == bounds).all()
    assert (bucket_upper_us(bounds + 1) > bounds).all()


@given(_TIMES)
def test_a_bucket_begins_where_the_one_before_it_ends(times: list[int]) -> None:
    bounds = bucket_upper_us(np.array(times, dtype=np.int64))
    before = bounds - width_us(bounds)
    assert (bucket_upper_us(before + 1) == bounds).all()
    assert ((before == -1) | (bucket_upper_us(np.maximum(before, 0)) == before)).all()


def test_a_clock_that_went_backwards_counts_as_nothing() -> None:
    assert bucket_upper_us(np.array([-5]))[0] == 0


@given(_TIMES, _TIMES)
def test_merging_two_histograms_is_the_histogram_of_both(first: list[int], second: list[int]) -> None:
    merged = _histogram(first).add(_histogram(second), fill_value=0).astype("int64").sort_index()
    together = _histogram(first + second).sort_index()
    assert merged.to_dict() == together.to_dict()


@given(_TIMES, st.floats(0.0, 1.0))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(times: list[int], q: float) -> None:
    counts = _histogram(times)
    found = quantile_us(counts.index.to_series(), counts, q)
    # The rank that a share q needs, less the rounding that the code forgives too.
    rank = max(math.ceil(q * len(times) - 1e-9), 1)
    true = sorted(times)[rank - 1]
    assert found == bucket_upper_us(np.array([true]))[0]


def test_quantiles_of_many_times_agree_with_numpy_within_a_bucket() -> None:
    times = np.random.default_rng(1).lognormal(6.0, 1.5, 50_000).astype(np.int64)
    counts = _histogram(times.tolist())
    qs = [0.01, 0.5, 0.9, 0.99, 0.999]
    found = quantiles_us(counts.index.to_series(), counts, qs)
    true = np.quantile(times, qs, method="inverted_cdf")
    assert (found >= true).all()
    assert (found <= true * (1 + 1 / 16)).all()


def test_rows_need_no_order_and_may_repeat_a_bucket() -> None:
    buckets, counts = pd.Series([30, 10, 20, 10]), pd.Series([1, 2, 1, 6])
    assert quantiles_us(buckets, counts, [0.8, 0.81, 0.95]).tolist() == [10.0, 20.0, 30.0]


def test_an_empty_histogram_has_no_quantile() -> None:
    empty = pd.Series([], dtype="int64")
    assert math.isnan(quantile_us(empty, empty, 0.5))


@pytest.mark.parametrize("q", [0.0, 1.0])
def test_the_ends_are_the_least_and_the_greatest(q: float) -> None:
    assert quantile_us(pd.Series([7, 3]), pd.Series([1, 1]), q) == (3.0 if q == 0.0 else 7.0)
