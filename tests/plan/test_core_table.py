"""The table of cores, read both ways."""

from __future__ import annotations

import numpy as np
import pytest

from amply_capacity.plan.cores import CoreTable

WORLDS, KNOTS = 50, 20
STEP = 0.4


@pytest.fixture(scope="module")
def table() -> CoreTable:
    """Cores that grow with the rate, in each world otherwise."""
    rises = np.random.default_rng(1).uniform(0.05, 0.4, (WORLDS, KNOTS))
    return CoreTable(1.0, STEP, -6.0 + rises.cumsum(axis=1))


@pytest.mark.parametrize("at", [0.0, 0.5, 7.3, KNOTS - 1.0, KNOTS + 2.0])
def test_the_rate_of_the_cores_of_a_rate_is_that_rate(table: CoreTable, at: float) -> None:
    rates = np.full((WORLDS, 1), np.exp(1.0 + STEP * at))
    np.testing.assert_allclose(table.rates_of(table.at(rates)[:, 0]), rates[:, 0], rtol=1e-9)


def test_fewer_cores_than_the_slowest_rate_takes_have_no_rate(table: CoreTable) -> None:
    least = np.exp(table.values[:, 0])
    assert (table.rates_of(0.99 * least) == -1.0).all()
    assert (table.rates_of(np.zeros(WORLDS)) == -1.0).all()
    assert (table.rates_of(1.01 * least) > 0.0).all()
