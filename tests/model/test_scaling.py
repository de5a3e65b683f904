"""What more users bring that a test of few does not show."""

from __future__ import annotations

import numpy as np
import pytest

from amply_capacity.model.emulator import DEL, GET, SET, Commands
from amply_capacity.model.scaling import popularity_exponent, surplus_share, with_more_keys
from amply_capacity.model.workload import Workload


def uses(zipf: float, keys: int = 5000, count: int = 100_000) -> np.ndarray:
    weights = np.arange(1, keys + 1) ** -zipf
    return np.random.default_rng(7).multinomial(count, weights / weights.sum())


@pytest.mark.parametrize("zipf", [0.4, 0.7, 0.9, 1.1])
def test_the_exponent_of_a_zipf_law_is_found(zipf: float) -> None:
    assert popularity_exponent(uses(zipf)) == pytest.approx(zipf, abs=0.06)


def test_even_or_rare_uses_show_no_law() -> None:
    assert popularity_exponent(uses(0.0)) < 0.2  # chance alone has a first and a last
    assert popularity_exponent(np.ones(1000)) == 0.0
    assert popularity_exponent(np.zeros(0)) == 0.0


def test_the_surplus_grows_with_scale_and_skew_and_is_none_without_either() -> None:
    assert surplus_share(0.9, 5000, 1.0) == 0.0
    assert surplus_share(0.9, 0, 10.0) == 0.0
    assert surplus_share(0.0, 5000, 10.0) == pytest.approx(0.0, abs=1e-9)
    assert 0.0 < surplus_share(0.7, 5000, 10.0) < surplus_share(0.9, 5000, 10.0) < 0.3
    assert surplus_share(0.9, 5000, 3.0) < surplus_share(0.9, 5000, 10.0)


def test_a_tenth_of_more_keys_has_fewer_uses_and_the_rest_are_expected() -> None:
    counts = uses(0.9)
    keys = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    kinds = np.where(np.arange(len(keys)) % 50 == 0, DEL, GET).astype(np.int8)
    whole = np.concatenate([keys, np.full(1000, len(counts), dtype=np.int32)])
    ops = np.concatenate([kinds, np.full(1000, SET, dtype=np.int8)])
    size = np.where(ops == DEL, 0, 100).astype(np.int32)
    zeros = np.zeros(len(whole), dtype=np.int32)
    workload = Workload(Commands(zeros, whole, ops, size, zeros, zeros), len(counts) + 1, 1.0, None, (), ())
    scaled = with_more_keys(workload, 10.0)
    reads = np.count_nonzero(ops == GET)
    left = np.count_nonzero(scaled.commands.ops == GET)
    surplus = surplus_share(popularity_exponent(counts), np.count_nonzero(counts), 10.0)
    assert left / reads == pytest.approx(1.0 - surplus, abs=0.02)
    assert scaled.expected_reads == reads
    assert np.count_nonzero(scaled.commands.ops == SET) == 1000  # of keys that nothing fills, all stay
    assert scaled.hot_hit_rate == pytest.approx(1.0 - np.count_nonzero(ops == DEL) / reads, abs=0.001)
    assert with_more_keys(workload, 1.0) is workload
