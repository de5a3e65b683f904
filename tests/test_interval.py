"""An uncertain number is sampled so that its stated bounds hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.interval import Interval

SAMPLES = 200_000
numbers = st.floats(min_value=-1e9, max_value=1e9, allow_nan=False)
scores = st.floats(min_value=-6.0, max_value=6.0, allow_nan=False)


@pytest.mark.parametrize("bounds", [
    (1_000.0, 10_000.0, 100_000.0), (40_000.0, 50_000.0, 60_000.0), (0.05, 0.2, 0.4), (0.0, 8.0, 30.0),
    (-4.0, 1.0, 2.0)])
@pytest.mark.parametrize("confidence", [0.5, 0.9])
def test_both_bounds_and_the_median_are_met(bounds: tuple[float, float, float], confidence: float) -> None:
    interval = Interval(*bounds, confidence=confidence)
    values = interval.sample(np.random.default_rng(7), SAMPLES)
    outside = (1.0 - confidence) / 2.0
    assert (values < interval.low).mean() == pytest.approx(outside, abs=0.005)
    assert (values > interval.high).mean() == pytest.approx(outside, abs=0.005)
    assert (values < interval.mid).mean() == pytest.approx(0.5, abs=0.005)


def test_a_positive_number_never_samples_below_zero() -> None:
    assert Interval(0.05, 0.3, 2.0).sample(np.random.default_rng(1), SAMPLES).min() > 0.0


def test_an_exact_number_has_no_spread() -> None:
    interval = Interval.exact(12.41)
    assert interval.is_exact
    assert set(interval.sample(np.random.default_rng(1), 100)) == {12.41}
    assert not Interval(1.0, 1.0, 2.0).is_exact


def test_the_same_seed_draws_the_same_values() -> None:
    interval = Interval(1.0, 2.0, 5.0)
    once, again = (interval.sample(np.random.default_rng(3), 50) for _ in range(2))
    assert np.array_equal(once, again)


@given(st.tuples(numbers, numbers, numbers).map(sorted), st.lists(scores, min_size=2, max_size=20))
def test_a_higher_score_never_gives_a_lower_value(bounds: list[float], z: list[float]) -> None:
    values = Interval(*bounds).at(np.sort(np.array(z)))
    assert np.all(np.diff(values) >= -1e-9 * np.abs(values).max())


@given(st.tuples(numbers, numbers, numbers).map(sorted), st.floats(min_value=0.0, max_value=1e3))
def test_scaling_scales_all_three_and_keeps_the_confidence(bounds: list[float], factor: float) -> None:
    scaled = Interval(*bounds, confidence=0.8).scaled(factor)
    assert (scaled.low, scaled.mid, scaled.high) == tuple(bound * factor for bound in bounds)
    assert scaled.confidence == 0.8


@pytest.mark.parametrize("bounds", [(2.0, 1.0, 3.0), (1.0, 3.0, 2.0), (1.0, float("nan"), 2.0)])
def test_bounds_out_of_order_are_refused(bounds: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="low <= mid <= high"):
        Interval(*bounds)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 90.0])
def test_a_confidence_that_is_no_share_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Interval(1.0, 2.0, 3.0, confidence)
