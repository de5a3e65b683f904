"""What a sample says of all: intervals that hold as often as they say."""

from __future__ import annotations

from random import Random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.target.estimates import mean_of, share_of


@given(st.integers(1, 500), st.data())
def test_a_share_lies_in_its_interval_and_is_exact_once_all_were_looked_at(looked_at: int, data) -> None:
    found = data.draw(st.integers(0, looked_at))
    few, all_ = share_of(found, looked_at, 10 * looked_at), share_of(found, looked_at, looked_at)
    assert 0.0 <= few.low <= few.mid <= few.high <= 1.0
    assert few.low < few.high
    assert all_.is_exact
    assert all_.mid == found / looked_at


@pytest.mark.parametrize(("share", "sample", "population"), [(0.5, 50, 10_000), (0.05, 200, 1000),
                                                             (0.3, 400, 600)])
def test_nine_of_ten_intervals_of_a_share_hold_it(share: float, sample: int, population: int) -> None:
    random = Random(5)
    everybody = [number < share * population for number in range(population)]
    held = sum(interval.low <= share <= interval.high for interval in (
        share_of(sum(random.sample(everybody, sample)), sample, population) for _ in range(1000)))
    assert 870 <= held <= 960


@pytest.mark.parametrize("sample", [2, 3, 5, 30])
def test_nine_of_ten_intervals_of_a_mean_hold_it(sample: int) -> None:
    random = Random(6)
    everybody = [random.gauss(500.0, 60.0) for _ in range(4000)]
    held = sum(interval.low <= fmean(everybody) <= interval.high for interval in (
        mean_of(random.sample(everybody, sample), 4000) for _ in range(1000)))
    assert 860 <= held <= 930


def test_one_value_that_stands_for_several_has_no_interval() -> None:
    assert mean_of([7.0], 10) is None
    assert mean_of([7.0], 1).is_exact
    assert mean_of([7.0, 9.0], 2).mid == 8.0
