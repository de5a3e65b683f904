"""Members of indexes: two distributions with the means asked for, and sizes that a mean alone would miss."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amply_capacity.model.layout import Layout
from amply_capacity.model.members import IndexShape, IndexSizes, Law, of_chance, of_the_population, poisson
from amply_capacity.traffic.population import Population, PopulationShape

SHAPE = IndexShape(26.0, 28.0)


@pytest.mark.parametrize("law", [of_the_population, of_chance])
@given(st.floats(0.0, 12.0), st.floats(0.0, 60.0))
def test_a_law_has_the_means_asked_for(law: Law, live: float, stale: float) -> None:
    shares = law(live, stale)
    assert shares.sum() == pytest.approx(1.0, abs=1e-4)
    assert shares @ np.arange(len(shares)) == pytest.approx(live + stale, rel=1e-3, abs=1e-3)


def test_the_load_tests_population_has_the_law_that_is_called_so() -> None:
    users, live, share = 20_000, 2.5, 0.4
    population = Population(PopulationShape(users, 1, 1, sessions_per_user=live, stale_share=share))
    members = population.session_counts(users) + population.stale_counts(users)
    law = of_the_population(live, live * share / (1.0 - share))
    seen = np.bincount(members, minlength=len(law))[:len(law)] / users
    assert np.abs(seen - law).max() < 0.015


def test_an_index_of_one_session_costs_what_the_specification_leaks() -> None:
    assert IndexSizes(Layout(), SHAPE).of(np.array([0.0, 1.0])) == 216.0
    assert IndexSizes(Layout(), SHAPE, has_ttl=True).of(np.array([0.0, 1.0])) == 240.0
    assert IndexSizes(Layout(), SHAPE).of(np.array([0.5, 0.5])) == 108.0, "who has no session has no index"


def test_the_spread_of_members_changes_the_mean_size() -> None:
    sizes = IndexSizes(Layout(), SHAPE)
    even, uneven = sizes.of(of_the_population(5.5, 8.0)), sizes.of(of_chance(5.5, 8.0))
    assert even != pytest.approx(uneven, rel=0.005)
    assert even == pytest.approx(uneven, rel=0.1)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.floats(0.5, 8.0), st.floats(0.0, 40.0)), min_size=1, max_size=6))
def test_interpolated_means_are_those_of_the_law(pairs: list[tuple[float, float]]) -> None:
    sizes = IndexSizes(Layout(), SHAPE)
    live, stale = np.array(pairs).T
    found = sizes.mean(live, stale, of_the_population)
    wanted = [sizes.of(of_the_population(*pair)) for pair in pairs]
    assert found == pytest.approx(wanted, rel=0.03)


@given(st.floats(0.0, 50.0), st.floats(0.1, 50.0))
def test_more_members_never_take_less(mean: float, more: float) -> None:
    sizes = IndexSizes(Layout(), SHAPE)
    assert sizes.of(poisson(mean + more)) >= sizes.of(poisson(mean)) - 1e-6
