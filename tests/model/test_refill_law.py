"""The refill of an emptied cache: closed forms against simulated keys, and a drill on a real server."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amply_capacity.files import DATA_DIR
from amply_capacity.model.drilled import drilled
from amply_capacity.model.refill import extra_misses_per_key, hit_rate, refill_seconds
from amply_capacity.run.reader import read_run

TTL = 300.0
KEYS = 100_000


def misses(reads_per_second: float, until: float, seed: int = 1) -> np.ndarray:
    """Times of the misses of many keys that are read at random, all emptied at 0."""
    random = np.random.default_rng(seed)
    found, now = [], random.exponential(1.0 / reads_per_second, KEYS)
    while (now < until).any():
        found.append(now[now < until])
        now = now + TTL + random.exponential(1.0 / reads_per_second, KEYS)
    return np.concatenate(found)


@pytest.mark.parametrize("reads_per_hour", [12.0, 36.0, 120.0])
def test_an_emptied_key_costs_half_the_square_of_its_hit_rate_in_queries(reads_per_hour: float) -> None:
    rate = reads_per_hour / 3600.0
    cycle = TTL + 1.0 / rate
    # Keys that were emptied together still miss together for a while: the mean of a whole cycle.
    until = np.linspace(12.0 * cycle, 13.0 * cycle, 40, endpoint=False)
    counts = np.searchsorted(np.sort(misses(rate, float(until[-1]))), until) / KEYS
    extra = float(np.mean(counts - rate * (1.0 - hit_rate(rate, TTL)) * until))
    assert extra == pytest.approx(extra_misses_per_key(rate, TTL), abs=0.015)


@pytest.mark.parametrize("reads_per_hour", [12.0, 36.0, 120.0])
def test_after_the_refill_keys_miss_no_more_often_than_usual(reads_per_hour: float) -> None:
    rate = reads_per_hour / 3600.0
    at, width = refill_seconds(rate, TTL), 4.0
    times = misses(rate, TTL)
    there = ((times > at - width) & (times < at + width)).sum() / KEYS / (2.0 * width)
    assert there == pytest.approx(rate * (1.0 - hit_rate(rate, TTL)), rel=0.06)


@settings(max_examples=100, deadline=None)
@given(st.floats(1e-7, 1e3), st.floats(1.0, 1e5))
def test_it_takes_no_longer_than_the_ttl_and_less_the_more_is_read(reads: float, ttl: float) -> None:
    assert 0.0 < refill_seconds(reads, ttl) <= ttl
    assert refill_seconds(2.0 * reads, ttl) <= refill_seconds(reads, ttl) * (1 + 1e-9)
    assert 0.0 <= extra_misses_per_key(reads, ttl) < 0.5


def test_a_real_cache_refilled_as_soon_as_the_law_says_within_its_stated_spread() -> None:
    drill = drilled(read_run(DATA_DIR / "examples" / "drill-single"))
    assert drill is not None
    assert drill.refill_seconds is not None
    assert drill.reads_per_key_second is not None
    ratio = drill.refill_seconds / refill_seconds(drill.reads_per_key_second, TTL)
    assert 0.4 < ratio < 2.5
