from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amply_capacity.traffic.population import Population, PopulationShape
from amply_capacity.traffic.sessions import MultiKey

SHAPE = PopulationShape(users=20_000, organisations=500, api_keys=800, seed=7)


def test_ids_have_the_lengths_of_the_spec_and_none_is_shared() -> None:
    population = Population(SHAPE)
    users = {population.user_id(user) for user in range(SHAPE.users)}
    sessions = {population.session_id(user, 0) for user in range(SHAPE.users)}
    assert len(users) == len(sessions) == SHAPE.users
    assert all(re.fullmatch(r"usr_~[0-9a-f]{7}", user) for user in users)
    assert all(re.fullmatch(r"ses_~~[0-9a-f]{22}", session) for session in sessions)
    assert len({population.organisation_id(number) for number in range(500)}) == 500
    assert len({population.api_key(number) for number in range(800)}) == 800


def test_with_hash_tags_a_users_sessions_and_index_carry_the_users_id() -> None:
    population = Population(replace(SHAPE, multi_key="hash-tag"))
    for user in range(200):
        tag = f"{{{population.user_id(user)}}}"
        assert population.index_id(user) == tag
        assert population.session_id_of(user, "0" * 22) == f"ses_{tag}~~{'0' * 22}"
        for session in population.session_ids(user) + population.stale_session_ids(user):
            assert re.fullmatch(rf"ses_{re.escape(tag)}~~[0-9a-f]{{22}}", session)


@pytest.mark.parametrize("form", ["spec", "per-key"])
def test_without_hash_tags_the_form_changes_no_id(form: MultiKey) -> None:
    one, other = Population(SHAPE), Population(replace(SHAPE, multi_key=form))
    for user in range(200):
        assert one.index_id(user) == one.user_id(user) == other.index_id(user)
        assert one.session_ids(user) == other.session_ids(user)


def test_ids_follow_from_the_seed_alone() -> None:
    one, other = Population(SHAPE, 0, 4), Population(SHAPE, 3, 4)
    reseeded = Population(replace(SHAPE, seed=8))
    methods = ("user_id", "organisation_id", "api_key", "session_ids", "stale_session_ids", "security_stamp")
    for name in methods:
        mine = [getattr(one, name)(index) for index in range(200)]
        assert mine == [getattr(other, name)(index) for index in range(200)]
        assert mine != [getattr(reseeded, name)(index) for index in range(200)]


@settings(max_examples=25, deadline=None)
@given(workers=st.integers(1, 6), users=st.integers(6, 3_000), seed=st.integers(0, 2**40))
def test_workers_draw_disjoint_users_and_repeat_with_the_seed(workers: int, users: int, seed: int) -> None:
    shape = replace(SHAPE, users=users, seed=seed)
    drawn = []
    for index in range(workers):
        worker, again = Population(shape, index, workers), Population(shape, index, workers)
        mine = [worker.draw_user() for _ in range(300)]
        assert mine == [again.draw_user() for _ in range(300)]
        assert all(0 <= user < users for user in mine)
        drawn.append(set(mine))
    assert sum(map(len, drawn)) == len(set.union(*drawn))


def test_workers_share_organisations_and_api_keys_but_not_their_order() -> None:
    first, second = Population(SHAPE, 0, 2), Population(SHAPE, 1, 2)
    for name, size in (("draw_organisation", 500), ("draw_api_key", 800)):
        mine = [getattr(first, name)() for _ in range(2_000)]
        theirs = [getattr(second, name)() for _ in range(2_000)]
        assert mine != theirs
        assert set(mine) & set(theirs)
        assert all(0 <= index < size for index in mine + theirs)


@pytest.mark.parametrize("mean", [0.0, 0.4, 1.0, 1.5, 6.0])
def test_sessions_of_a_user_average_the_stated_mean(mean: float) -> None:
    population = Population(replace(SHAPE, sessions_per_user=mean))
    counts = population.session_counts(SHAPE.users)
    assert counts.mean() == pytest.approx(mean, abs=0.03 * max(mean, 0.4))
    assert counts.min() == (1 if mean >= 1.0 else 0)
    assert counts[:500].tolist() == [population.session_count(user) for user in range(500)]


@pytest.mark.parametrize(("mean", "share"), [(1.5, 0.05), (1.5, 0.6), (0.5, 0.2), (1.5, 0.0)])
def test_the_stated_share_of_index_entries_is_stale(mean: float, share: float) -> None:
    population = Population(replace(SHAPE, sessions_per_user=mean, stale_share=share))
    live = int(population.session_counts(SHAPE.users).sum())
    stale = population.stale_counts(SHAPE.users)
    assert stale.sum() / (live + stale.sum()) == pytest.approx(share, abs=0.006)
    assert stale[:500].tolist() == [len(population.stale_session_ids(user)) for user in range(500)]


def test_stale_entries_are_not_live_sessions() -> None:
    population = Population(replace(SHAPE, stale_share=0.6))
    for user in range(100):
        assert not set(population.session_ids(user)) & set(population.stale_session_ids(user))


def test_a_scaled_population_keeps_its_laws() -> None:
    scaled = SHAPE.scaled(0.1)
    assert (scaled.users, scaled.organisations, scaled.api_keys) == (2_000, 50, 80)
    assert replace(scaled, users=20_000, organisations=500, api_keys=800) == SHAPE
    assert SHAPE.scaled(1e-9).users == 1
    for share in (0.0, 1.1, -1.0, float("nan")):
        with pytest.raises(ValueError, match="a share lies above 0"):
            SHAPE.scaled(share)


def test_all_faults_of_a_shape_are_told_at_once() -> None:
    with pytest.raises(ValueError, match="users must") as caught:
        PopulationShape(0, -1, 1, sessions_per_user=float("nan"), user_zipf=-0.1, seed=-3, stale_share=1.0)
    for name in ("users", "organisations", "sessions_per_user", "user_zipf", "seed", "stale_share"):
        assert f"{name} must be" in str(caught.value)
    assert "api_key" not in str(caught.value)
    with pytest.raises(ValueError, match="multi_key must be one of spec, per-key, hash-tag"):
        replace(SHAPE, multi_key="one-by-one")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("index", "count", "fault"), [(2, 2, "below 2"), (-1, 2, "below 2"), (0, 30_000, "as many users")]
)
def test_a_worker_outside_the_workers_is_refused(index: int, count: int, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Population(SHAPE, index, count)
