"""What worlds are drawn from: stated quantiles, and numbers that go together."""

from __future__ import annotations

import numpy as np
import pytest

from amply_capacity.interval import Interval
from amply_capacity.plan.contradictions import correlation_faults
from amply_capacity.plan.worlds import Correlated, Worlds

STATED = (Interval(1_000, 10_000, 100_000), Interval(40_000, 50_000, 60_000), Interval(0.05, 0.2, 0.4))


@pytest.mark.parametrize("interval", STATED)
def test_both_stated_quantiles_are_met(interval: Interval) -> None:
    drawn = Worlds(100_000, seed=1).draw("x", interval)
    assert np.mean(drawn < interval.low) == pytest.approx(0.05, abs=0.005)
    assert np.mean(drawn > interval.high) == pytest.approx(0.05, abs=0.005)
    assert np.median(drawn) == pytest.approx(interval.mid, rel=0.02)


@pytest.mark.parametrize("interval", STATED)
def test_correlated_numbers_keep_their_quantiles(interval: Interval) -> None:
    together = Worlds(100_000, 1, (Correlated(inputs=["x", "-y"], correlation=0.7),))
    for name in ("x", "y"):
        drawn = together.draw(name, interval)
        assert np.mean(drawn < interval.low) == pytest.approx(0.05, abs=0.005)
        assert np.mean(drawn > interval.high) == pytest.approx(0.05, abs=0.005)


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.9])
def test_their_correlation_is_the_stated_one(correlation: float) -> None:
    worlds = Worlds(100_000, 1, (Correlated(inputs=["a", "b", "-c"], correlation=correlation),))
    a, b, c, alone = (worlds.scores(name) for name in ("a", "b", "c", "alone"))
    assert np.corrcoef(a, b)[0, 1] == pytest.approx(correlation, abs=0.015)
    assert np.corrcoef(a, c)[0, 1] == pytest.approx(-correlation, abs=0.015)
    assert abs(np.corrcoef(a, alone)[0, 1]) < 0.015


def test_a_number_that_is_in_no_group_stays_as_it_was() -> None:
    group = (Correlated(inputs=["a", "b"], correlation=0.5),)
    assert np.array_equal(Worlds(50, 1).scores("c"), Worlds(50, 1, group).scores("c"))


def test_faulty_groups_are_all_named() -> None:
    groups = [Correlated(inputs=["users.registred", "users.registered"], correlation=0.5),
              Correlated(inputs=["-users.registered"], correlation=0.5)]
    faults = list(correlation_faults(groups, ["users.registered", "money.usd"]))
    assert faults == [
        "correlated.0.inputs: unknown number 'users.registred' (nearest: users.registered)",
        "correlated.1.inputs: users.registered may stand in one group only, and once",
        "correlated.1.inputs: name at least two numbers, got 1"]
