"""The week's shape, and the closed form of a day against its minutes."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amply_capacity.errors import BadInput
from amply_capacity.model.day import DAY_MINUTES, WEEK_MINUTES, DayDrain, day_means, week_weights
from amply_capacity.traffic.arrivals import day_weights


def one(value: float) -> np.ndarray:
    return np.array([value])


def test_a_week_is_five_weekdays_and_two_weekend_days_of_one_shape() -> None:
    days = week_weights(3.0, 0.4).reshape(7, DAY_MINUTES)
    assert days.mean() == pytest.approx(1.0)
    assert days[:5] == pytest.approx(np.tile(days[0], (5, 1)))
    assert days[5:] == pytest.approx(np.tile(0.4 * days[0], (2, 1)))
    assert days[0].max() / days[0].mean() == pytest.approx(3.0, rel=0.001)


def test_equal_days_are_the_default() -> None:
    assert week_weights(2.0) == pytest.approx(np.tile(day_weights(2.0), 7))


def test_a_week_may_begin_at_any_minute() -> None:
    week = week_weights(3.0, 0.5)
    later = week_weights(3.0, 0.5, first_minute=840)
    assert (later[:-840] == week[840:]).all()
    assert (later[-840:] == week[:840]).all()


@pytest.mark.parametrize("ratio", [-0.1, math.inf, math.nan])
def test_an_impossible_weekend_is_refused(ratio: float) -> None:
    with pytest.raises(BadInput, match="weekend's ratio"):
        week_weights(2.0, ratio)


@given(st.floats(0.01, 2.0), st.floats(0.0, 5.0))
def test_the_days_means_make_the_weeks(mean: float, ratio: float) -> None:
    weekday, weekend = day_means(one(mean), one(ratio))
    assert (5 * weekday + 2 * weekend) / 7 == pytest.approx(mean)
    assert weekend == pytest.approx(ratio * weekday)


@settings(max_examples=40, deadline=None)
@given(mean=st.floats(0.02, 1.5), peak=st.floats(1.0, 12.0), level=st.floats(0.05, 0.5))
def test_the_steps_of_a_day_take_what_its_minutes_take(mean: float, peak: float, level: float) -> None:
    drain = DayDrain.of(one(mean), one(peak), level, 1.0)
    angles = drain.angles()
    minutes = np.minimum(mean * day_weights(peak), 1.0) - level
    taken = [float(drain.taken(end)[0] - drain.taken(begin)[0])
             for begin, end in pairwise(angles)]
    is_sharp = 0.05 * peak  # minutes that straddle the level, and the table
    assert sum(taken) == pytest.approx(float(minutes.sum()), abs=is_sharp)
    assert float(drain.whole[0]) == pytest.approx(sum(taken), abs=0.02)
    drained, risen = taken[0] + taken[2], taken[1] + taken[3]
    assert drained == pytest.approx(float(minutes[minutes > 0.0].sum()), abs=is_sharp)
    assert risen == pytest.approx(float(minutes[minutes < 0.0].sum()), abs=is_sharp)


def test_a_night_above_the_level_drains_past_midnight() -> None:
    drain = DayDrain.of(one(0.5), one(1.5), 0.31, 1.0)
    minutes = 0.5 * day_weights(1.5) - 0.31
    assert minutes[0] > 0.0 > minutes.min()  # at midnight still, in the night no longer
    begin, end = drain.angles()[:2]
    after = float((drain.taken(end) - drain.taken(begin))[0])
    first_rise = int(np.argmax(minutes < 0.0))
    assert after == pytest.approx(float(minutes[:first_rise].sum()), abs=0.02)


def test_the_time_left_is_that_of_the_minutes() -> None:
    mean, peak, level, balance = 0.3, 3.0, 0.18, 40.0
    drain = DayDrain.of(one(mean), one(peak), level, 1.0)
    begin, end = drain.angles()[2:4]
    minutes = mean * day_weights(peak) - level
    first = int(np.argmax(minutes > 0.0))
    spent = np.cumsum(minutes[first:])
    last = first + int(np.argmax(minutes[first:] < 0.0))
    expected = last - first - int(np.argmax(spent > balance))
    assert float(drain.minutes_left(begin, end, one(balance))[0]) == pytest.approx(expected, abs=1.5)


def test_a_peak_beyond_twenty_is_taken_as_twenty() -> None:
    sharp, sharpest = (DayDrain.of(one(0.1), one(peak), 0.18, 1.0) for peak in (40.0, 20.0))
    assert sharp.whole == sharpest.whole
    assert sharp.arc == sharpest.arc


def test_some_days_are_those_days() -> None:
    days = DayDrain.of(np.array([0.1, 0.3, 0.5]), np.array([1.0, 2.0, 4.0]), 0.18, 1.0)
    some = days.where(np.array([True, False, True]))
    assert some.whole == pytest.approx(days.whole[[0, 2]])
    assert some.taken(np.zeros(2) + 1.0) == pytest.approx(days.taken(np.ones(3))[[0, 2]])
    assert WEEK_MINUTES == 7 * DAY_MINUTES
