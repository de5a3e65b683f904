"""Stalls of a host: parted from times, and put among operations."""

from __future__ import annotations

import numpy as np
import pytest

from amply_capacity.model.queueing import waited_us
from amply_capacity.model.stalls import Load, Stalls, Tail, base_of, tail_of, with_stalls


def test_stalls_are_found_again_in_the_times_that_they_made() -> None:
    rng = np.random.default_rng(1)
    count, seconds, length_us = 400_000, 400.0, 4_000.0
    load = Load(np.sort(rng.random(count)) * seconds * 1e6, np.zeros(count, dtype=np.int64),
                np.arange(count + 1), np.full(count, 1.0), np.zeros(count))
    stalled = with_stalls(load, Stalls(2.0, length_us), rng)
    times = (waited_us(stalled.starts_us, stalled.places, stalled.services_us, stalled.between_us)
             + 200.0)[stalled.kinds == 0]
    base = base_of([times], np.array([1.0]), rng)
    assert base.stalls is not None
    assert base.stalls.length_us == pytest.approx(length_us, rel=0.1)
    assert base.stalls.per_second == pytest.approx(2.0, rel=0.15)
    assert base.calm[0].max() < 1_000.0 < times.max()


def test_a_rare_operation_of_many_round_trips_hides_no_stall_of_the_others() -> None:
    rng = np.random.default_rng(5)
    stall_us = np.where(rng.random(40_000) < 0.02, rng.exponential(1_000.0, 40_000), 0.0)
    usual = 200.0 + stall_us
    alone = base_of([usual], np.array([1.0]), rng)
    beside = base_of([usual, np.full(400, 2_000.0)], np.array([0.99, 0.01]), rng)
    assert alone.stalls is not None
    assert beside.stalls is not None
    assert beside.stalls.length_us == pytest.approx(alone.stalls.length_us, rel=0.02)
    assert beside.stalls.per_second == pytest.approx(alone.stalls.per_second, rel=0.05)
    assert alone.stalls.length_us == pytest.approx(1_000.0, rel=0.15)


def test_there_are_as_many_stalls_as_are_expected_and_as_long_whatever_the_seed() -> None:
    load = Load(np.arange(1_000.0) * 1e3, np.zeros(1_000, dtype=np.int64), np.arange(1_001),
                np.ones(1_000), np.zeros(1_000))
    for seed in range(20):
        both = with_stalls(load, Stalls(12.5, 800.0), np.random.default_rng(seed))
        lengths = both.services_us[both.places[np.flatnonzero(both.kinds < 0)]]
        assert len(lengths) in {12, 13}
        assert np.median(lengths) == pytest.approx(800.0 * np.log(2.0), rel=0.25), "of an exponential law"


def test_where_nothing_stalls_all_stays() -> None:
    times = np.random.default_rng(2).normal(300.0, 20.0, 5_000)
    base = base_of([times], np.array([1.0]), np.random.default_rng(3))
    assert base.stalls is None
    assert base.calm[0] is base.times[0] is times


def test_operations_keep_their_order_and_their_round_trips_among_stalls() -> None:
    load = Load(np.array([0.0, 50.0, 100.0]), np.array([0, 1, 0]), np.array([0, 1, 3, 4]),
                np.array([1.0, 2.0, 3.0, 4.0]), np.array([5.0, 6.0, 7.0]))
    both = with_stalls(load, Stalls(1e6, 1.0), np.random.default_rng(4))
    ours = both.kinds >= 0
    assert (~ours).sum() > 10
    assert both.starts_us[ours].tolist() == load.starts_us.tolist()
    assert both.between_us[ours].tolist() == load.between_us.tolist()
    assert (np.diff(both.starts_us) >= 0.0).all()
    served = [both.services_us[both.places[one]:both.places[one + 1]].tolist()
              for one in np.flatnonzero(ours)]
    assert served == [[1.0], [2.0, 3.0], [4.0]]


def test_a_tail_is_the_share_beyond_the_bound_and_its_mean_excess() -> None:
    usual, rare = np.full(900, 200.0), np.array([200.0] * 90 + [1_700.0, 2_700.0] * 5)
    tail = tail_of([usual, rare], np.array([0.9, 0.1]))
    assert tail.share == pytest.approx(0.1 * 0.1)
    assert tail.excess_us == pytest.approx(2_200.0 - 200.0 - 500.0)
    assert tail_of([usual], np.array([1.0])) == (0.0, 0.0)
    twice = tail_of([2.0 * usual, 2.0 * rare], np.array([0.9, 0.1]), like=[usual, rare])
    assert twice.excess_us > 2.0 * tail.excess_us, "the bound is that of the times they are compared with"


def test_stalls_are_corrected_by_what_a_simulation_of_them_shows() -> None:
    stalls = Stalls(10.0, 1_000.0)
    assert stalls.corrected(Tail(0.1, 500.0), Tail(0.1, 500.0)) == stalls
    assert stalls.corrected(Tail(0.05, 500.0), Tail(0.1, 500.0)) == Stalls(5.0, 1_000.0)
    assert stalls.corrected(Tail(0.1, 1_000.0), Tail(0.1, 500.0)) == Stalls(5.0, 2_000.0), "as much in all"
    assert stalls.corrected(Tail(0.9, 500.0), Tail(0.001, 500.0)) == Stalls(40.0, 1_000.0), "not at once"
    assert stalls.corrected(Tail(0.1, 500.0), Tail(0.0, 0.0)) == stalls
