"""The noise of a run's figure: as large as repeated runs differ, also where seconds hang together."""

from __future__ import annotations

import numpy as np
import pytest

from amply_capacity.model.block_bootstrap import DRAWS, Statistic, blocks_of, drawn, quantile_of


def ratio(sums: np.ndarray) -> np.ndarray:
    return np.asarray(sums[:, 0] / sums[:, 1])


def noise(by_second: np.ndarray) -> float:
    values = drawn(Statistic(by_second, ratio), np.random.default_rng(1))
    assert values.shape == (DRAWS,)
    return float(values.std())


def walk(rng: np.random.Generator, seconds: int, memory: float) -> np.ndarray:
    """Seconds about 10, each like the one before to that degree; beside them ones."""
    shocks, values = rng.standard_normal(seconds), np.empty(seconds)
    values[0] = shocks[0]
    for second in range(1, seconds):
        values[second] = memory * values[second - 1] + np.sqrt(1.0 - memory**2) * shocks[second]
    return np.stack([10.0 + values, np.ones(seconds)], axis=1)


@pytest.mark.parametrize(("memory", "least", "most"), [(0.0, 0.8, 1.2), (0.6, 0.6, 1.2)])
def test_it_is_what_repeated_runs_show(memory: float, least: float, most: float) -> None:
    rng = np.random.default_rng(5)
    runs = [walk(rng, 200, memory) for _ in range(150)]
    truth = float(np.std([ratio(run.sum(axis=0)[None, :])[0] for run in runs]))
    told = np.median([noise(run) for run in runs[:25]])
    assert least * truth < told < most * truth


def test_seconds_that_hang_together_are_noisier_than_their_shuffle() -> None:
    rng = np.random.default_rng(3)
    run = walk(rng, 400, 0.9)
    assert noise(run) > 1.5 * noise(rng.permutation(run))


def test_blocks_grow_with_the_cube_root_and_cover_the_run() -> None:
    assert blocks_of(1) == (1, 1)
    assert blocks_of(64) == (4, 16)
    for seconds in range(1, 300):
        length, blocks = blocks_of(seconds)
        assert length * blocks >= seconds > length * (blocks - 1)


def test_the_same_run_has_the_same_noise() -> None:
    run = walk(np.random.default_rng(1), 50, 0.5)
    assert noise(run) == noise(run)


def test_a_quantile_lies_within_its_bucket_and_moves_smoothly() -> None:
    bounds, widths = np.array([1.0, 2.0, 4.0]), np.array([1.0, 1.0, 2.0])
    median = quantile_of(0.5, bounds, widths)
    assert median(np.array([[10.0, 10.0, 0.0]]))[0] == pytest.approx(1.0)
    assert median(np.array([[0.0, 10.0, 0.0]]))[0] == pytest.approx(1.5)
    assert median(np.array([[0.0, 0.0, 8.0]]))[0] == pytest.approx(3.0)
    assert median(np.array([[9.0, 11.0, 0.0]]))[0] > median(np.array([[10.0, 10.0, 0.0]]))[0]
    assert np.isnan(median(np.zeros((1, 3)))[0])


def test_a_statistic_knows_its_own_value() -> None:
    assert Statistic(np.array([[1.0, 2.0], [2.0, 2.0]]), ratio).value == 0.75
