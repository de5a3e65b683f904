"""The day something is reached: by straight lines between months, early in some worlds, never in others."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.plan.crossing import crossing, months_until

START = date(2026, 11, 23)


def test_between_two_months_it_is_reached_in_proportion() -> None:
    months = months_until(np.array([[0.0, 10.0, 20.0], [15.0, 16.0, 17.0], [1.0, 2.0, 3.0]]), 15.0)
    assert months.tolist() == [1.5, 0.0, np.inf]


def test_a_day_is_counted_from_the_start_and_never_is_no_day() -> None:
    found = crossing(np.array([0.0] * 4 + [12.0] * 12 + [np.inf] * 4), START)
    assert found.low == START
    assert found.mid == date(2027, 11, 23)
    assert found.high is None
    assert found.probability == 0.8
    assert found.as_json()["high"] is None


@given(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=30), st.floats(0.1, 1e6), st.floats(1.0, 10.0))
def test_a_higher_limit_is_never_reached_earlier(values: list[float], limit: float, factor: float) -> None:
    rows = np.sort(np.array(values))[None, :]
    assert months_until(rows, limit * factor)[0] >= months_until(rows, limit)[0]


def test_what_is_reached_today_is_reached_today() -> None:
    assert crossing(months_until(np.full((5, 3), 9.0), 9.0), START).high == START
    assert months_until(np.array([[1.0, 9.0, 2.0]]), 5.0)[0] == pytest.approx(0.5), "the first time counts"
