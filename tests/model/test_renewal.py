"""Keys with a TTL that begin anew: against a simulation of windows."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.model.renewal import renewals_per_second, renewals_within, zipf_shares
from amply_capacity.traffic.popularity import Zipf


def opened(rate: float, keys: int, zipf: float, ttl_s: float, until_s: float,
           filled_before_s: float | None = None) -> int:
    """Windows opened by Poisson requests, key by key; without a pre-fill none is open before."""
    random, draw = Random(3), Zipf(keys, zipf, (3,)).draw
    ends = [0.0 if filled_before_s is None else random.random() * ttl_s - filled_before_s
            for _ in range(keys)]
    now, count = 0.0, 0
    while (now := now + random.expovariate(rate)) < until_s:
        key = draw()
        if ends[key] <= now:
            ends[key], count = now + ttl_s, count + 1
    return count


def test_in_the_long_run() -> None:
    counted = opened(100.0, 300, 0.6, 6.0, 400.0)
    assert renewals_per_second(100.0, zipf_shares(300, 0.6), 6.0) == pytest.approx(counted / 400.0, rel=0.03)


@pytest.mark.parametrize("before_s", [0.0, 15.0])
def test_after_a_prefill(before_s: float) -> None:
    counted = opened(300.0, 2_000, 0.6, 60.0, 40.0, before_s)
    expected = renewals_within(300.0, zipf_shares(2_000, 0.6), 60.0, 40.0, before_s)
    assert expected == pytest.approx(counted, rel=0.05)


@given(st.floats(0.1, 1e4), st.integers(1, 500), st.floats(0.0, 2.0), st.floats(0.1, 300.0))
def test_no_more_begin_than_are_asked_for_or_than_there_are_keys(rate: float, keys: int, zipf: float,
                                                                 ttl_s: float) -> None:
    shares = zipf_shares(keys, zipf)
    assert shares.sum() == pytest.approx(1.0)
    assert 0.0 < renewals_per_second(rate, shares, ttl_s) <= min(rate, keys / ttl_s) * (1.0 + 1e-9)
    assert 0.0 <= renewals_within(rate, shares, ttl_s, ttl_s) <= min(rate * ttl_s, keys) * (1.0 + 1e-9)


def test_nothing_begins_without_requests_and_beyond_one_ttl_is_refused() -> None:
    assert renewals_per_second(0.0, zipf_shares(3, 1.0), 60.0) == 0.0
    assert renewals_within(0.0, zipf_shares(3, 1.0), 60.0, 5.0) == 0.0
    with pytest.raises(ValueError, match="first 60 s"):
        renewals_within(1.0, zipf_shares(3, 1.0), 60.0, 61.0)
    with pytest.raises(ValueError, match="first 60 s"):
        renewals_within(1.0, zipf_shares(3, 1.0), 60.0, 50.0, 20.0)
