"""What a count or a measurement makes of a stated interval."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from amply_capacity.interval import Interval
from amply_capacity.model.belief import narrowed, rate_after

PRIOR = Interval(0.05, 0.3, 2.0)


def test_without_a_history_the_prior_stays() -> None:
    after = rate_after(PRIOR, 0, 1e-9)
    assert (after.low, after.mid, after.high) == pytest.approx((0.05, 0.3, 2.0), rel=1e-3)


def test_a_number_that_is_known_stays_it_whatever_is_counted() -> None:
    assert rate_after(Interval.exact(0.7), 30, 1.0) == Interval.exact(0.7)
    assert narrowed(Interval.exact(0.7), [30.0], 0.1) == Interval.exact(0.7)


def test_where_nearly_nothing_is_known_before_it_is_the_gamma_of_count_and_years() -> None:
    """A prior that is flat on the logarithm of the rate is the limit of Gamma(0, 0): Gamma(n, m) remains."""
    after = rate_after(Interval(1e-9, 1.0, 1e9), 20, 10.0)
    drawn = np.random.default_rng(1).gamma(20.0, 1.0 / 10.0, 400_000)
    expected = np.quantile(drawn, [0.05, 0.5, 0.95])
    assert (after.low, after.mid, after.high) == pytest.approx(expected, rel=0.01)


def test_ten_years_without_a_failure_say_more_than_two() -> None:
    two, ten = rate_after(PRIOR, 0, 2.0), rate_after(PRIOR, 0, 10.0)
    assert ten.high < two.high < PRIOR.high
    assert ten.mid < two.mid < PRIOR.mid


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 50), st.floats(0.1, 100.0))
def test_more_failures_never_lower_the_rate_and_more_quiet_years_never_raise_it(count: int,
                                                                               years: float) -> None:
    after = rate_after(PRIOR, count, years)
    more, longer = rate_after(PRIOR, count + 1, years), rate_after(PRIOR, count, 1.5 * years)
    for name in ("low", "mid", "high"):
        assert getattr(longer, name) <= getattr(after, name) * (1 + 1e-9)
        assert getattr(after, name) <= getattr(more, name) * (1 + 1e-9)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.01, 1e4), st.floats(0.05, 1.0))
@example(5.0, 1.0)
def test_a_measurement_draws_the_number_towards_itself(measured: float, noise: float) -> None:
    before = Interval(1.0, 5.0, 20.0)
    after = narrowed(before, [measured], noise)
    # The narrower half of a split prior keeps more of its mass near what was measured, which moves the middle
    # by up to 3 % even where the measurement is the middle.
    assert min(measured, before.mid) * 0.97 <= after.mid <= max(measured, before.mid) * 1.03
    assert after.low <= after.mid <= after.high
    assert narrowed(before, [2.0 * measured], noise).mid >= after.mid
    # A log-normal prior would have this variance; the wider half of a split one is the bound.
    widest = max(math.log(5.0 / 1.0), math.log(20.0 / 5.0)) / 1.645
    assert math.log(after.high / after.low) <= 2 * 1.645 * widest * 1.001


def test_drills_that_agree_are_no_surer_than_a_drill_is_of_production() -> None:
    before = Interval(1.0, 5.0, 20.0)
    once, often = narrowed(before, [2.0], 0.3), narrowed(before, [2.0] * 9, 0.3)
    apart = narrowed(before, [0.5, 2.0, 8.0], 0.3)
    assert often == once
    assert apart.high / apart.low > once.high / once.low


def test_what_nobody_measured_changes_nothing() -> None:
    assert narrowed(PRIOR, [], 0.3) is PRIOR
