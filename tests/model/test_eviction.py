"""Predictions from plays: their intervals, their laws, and what they say of nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amply_capacity.interval import Interval
from amply_capacity.model.emulator import GET, LEAVE, SADD, SET, Commands, scattered
from amply_capacity.model.eviction import Prediction, Setting, emulated, hit_rates
from amply_capacity.model.layout import Layout
from amply_capacity.model.workload import Workload

KEYS, BYTES = 3000, 400
NOISE = 0.02


def workload_of(*, seed: int = 1, count: int = 60_000, keys: int = KEYS, zipf: float = 0.9,
                rate: float = 1.0, op: int = GET) -> Workload:
    """Reads of Zipf popularity, each filled with the same bytes for a day."""
    random = np.random.default_rng(seed)
    weights = np.arange(1, keys + 1) ** -zipf
    chosen = random.choice(keys, count, p=weights / weights.sum()).astype(np.int32)
    times = np.sort(random.integers(0, 30_000, count)).astype(np.int32)
    commands, _ = scattered(Commands(
        times, chosen, np.full(count, op, dtype=np.int8), np.full(count, BYTES, dtype=np.int32),
        np.zeros(count, dtype=np.int32), np.full(count, 8_640_000, dtype=np.int32)), keys, seed)
    return Workload(commands, keys, rate, None, ("get",), ())


SETTING = Setting(Layout(), Interval(50_000.0, 60_000.0, 70_000.0))
MEMORY = 600_000


def predicted(workload: Workload, memory: int = MEMORY, scale: float = 1.0) -> Prediction:
    return hit_rates(workload, [memory], SETTING, scale=scale)[0]


def test_where_all_fits_every_key_misses_once() -> None:
    workload = workload_of()
    found = predicted(workload, 100_000_000)
    distinct = len(np.unique(workload.commands.keys))
    assert found.hit_rate is not None
    assert found.hit_rate.mid == pytest.approx(1.0 - distinct / len(workload.commands.keys))
    assert (found.evictions.mid, found.refused_writes.mid) == (0.0, 0.0)
    assert found.hit_rate.low < found.hit_rate.mid < found.hit_rate.high <= 1.0


def test_a_smaller_memory_evicts_and_its_rate_is_told_per_minute() -> None:
    found = predicted(workload_of())
    assert found.evictions.mid > 1000
    assert found.evictions_per_minute.mid == pytest.approx(found.evictions.mid * 60.0 / found.seconds)
    assert found.used_bytes <= MEMORY
    assert found.used_bytes > 0.95 * MEMORY


def test_what_the_server_takes_itself_widens_the_interval() -> None:
    exact = Setting(Layout(), Interval.exact(60_000.0))
    sure, unsure = hit_rates(workload_of(), [MEMORY], exact)[0].hit_rate, predicted(workload_of()).hit_rate
    assert sure is not None
    assert unsure is not None
    assert unsure.high - unsure.low > sure.high - sure.low


def test_of_a_share_of_the_keys_the_whole_is_predicted() -> None:
    whole = workload_of(seed=4, keys=12_000, count=200_000, zipf=0.6)
    kept = whole.commands.keys % 4 == 0  # scattered: a quarter of the keys at random
    part = Workload(Commands(*(column[kept] for column in whole.commands)), whole.key_count, 0.25, None,
                    ("get",), ())
    of_all, of_part = predicted(whole, 2_000_000), predicted(part, 2_000_000)
    assert of_all.hit_rate is not None
    assert of_part.hit_rate is not None
    assert of_part.hit_rate.low <= of_all.hit_rate.mid <= of_part.hit_rate.high
    assert of_part.evictions.mid == pytest.approx(of_all.evictions.mid, rel=0.08)
    assert of_part.used_bytes == pytest.approx(of_all.used_bytes, rel=0.02)


def test_parts_of_the_keys_without_a_read_say_nothing_of_the_spread() -> None:
    """Three keys, each in a part of its own: a part misses once, and five parts have no rate."""
    workload = workload_of(keys=3, count=60, rate=0.5)
    found = predicted(workload, 100_000_000).hit_rate
    reads = np.bincount(workload.commands.keys)
    spread = float(np.std(1.0 - 1.0 / reads, ddof=1)) / math.sqrt(3)
    assert found is not None
    assert found.mid == pytest.approx(1.0 - 3 / 60)
    assert found.low == pytest.approx(found.mid - 0.001 - 1.75 * math.sqrt(0.5) * spread)


def test_where_one_part_alone_has_reads_the_rate_may_be_any() -> None:
    found = predicted(workload_of(keys=1, count=60, rate=0.5), 100_000_000)
    assert found.hit_rate is not None
    assert (found.hit_rate.low, found.hit_rate.high) == (0.0, 1.0)
    assert found.hit_rate.mid == pytest.approx(1.0 - 1 / 60)
    assert found.evictions.high == 0.0


def test_missing_reads_of_a_share_count_as_those_of_the_hottest_keys() -> None:
    workload = workload_of(rate=0.5)
    more = Workload(workload.commands, KEYS, 0.5, 1.25 * len(workload.commands.keys), ("get",), ())
    without, adjusted = predicted(workload).hit_rate, predicted(more).hit_rate
    assert without is not None
    assert adjusted is not None
    assert adjusted.mid == pytest.approx((without.mid + 0.25) / 1.25, abs=1e-6)


def test_without_a_read_that_is_filled_there_is_no_hit_rate() -> None:
    found = predicted(workload_of(op=SET))
    assert found.hit_rate is None
    assert found.info_hit_rate is None


def test_writes_are_refused_when_only_keys_without_a_ttl_are_left() -> None:
    commands = workload_of(op=SADD).commands._replace(ttls=np.full(60_000, LEAVE, dtype=np.int32))
    found = predicted(Workload(commands, KEYS, 1.0, None, ("sadd",), ()))
    assert found.refused_writes.mid > 100
    assert found.evictions.mid == 0.0


def test_only_what_comes_after_the_measured_command_is_counted() -> None:
    workload = workload_of()
    later = Workload(workload.commands, KEYS, 1.0, None, ("get",), (), measured_from=30_000)
    assert emulated(later, SETTING, MEMORY).evictions < emulated(workload, SETTING, MEMORY).evictions
    assert later.seconds == pytest.approx(workload.seconds / 2, rel=0.05)


@given(seed=st.integers(0, 1000), smaller=st.integers(150_000, 900_000), more=st.integers(0, 600_000))
@settings(max_examples=12, deadline=None)
def test_more_memory_never_lowers_the_hit_rate_beyond_noise(seed: int, smaller: int, more: int) -> None:
    workload = workload_of(seed=seed, count=30_000)
    less, much = emulated(workload, SETTING, smaller), emulated(workload, SETTING, smaller + more)
    assert much.hit_rate >= less.hit_rate - NOISE


@given(seed=st.integers(0, 1000), scale=st.floats(1.0, 8.0), more=st.floats(1.0, 4.0))
@settings(max_examples=8, deadline=None)
def test_more_users_never_need_less_memory(seed: int, scale: float, more: float) -> None:
    """At the same memory, more users never hit more often beyond noise."""
    workload = workload_of(seed=seed, count=30_000, zipf=0.4)
    few, many = predicted(workload, scale=scale).hit_rate, predicted(workload, scale=scale * more).hit_rate
    assert few is not None
    assert many is not None
    assert many.mid <= few.mid + NOISE
