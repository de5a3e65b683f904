from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amply_capacity.traffic.operation import Command
from amply_capacity.traffic.population import Population, PopulationShape
from amply_capacity.traffic.prefill import PrefillClass, prefill_plan

from .conftest import NOW, NOW_S

SHAPE = PopulationShape(users=3_000, organisations=200, api_keys=400, seed=7)
POPULATION = Population(SHAPE)


def plan(share: float = 1.0, counters: int = 50, results: int = 80, seed: int = 0) -> dict[str, PrefillClass]:
    classes = prefill_plan(POPULATION, share, NOW_S, counters=counters, results=results, seed=seed)
    return {entry.name: entry for entry in classes}


def commands(name: str, share: float = 1.0) -> list[Command]:
    return list(plan(share)[name].commands())


@settings(max_examples=25, deadline=None)
@given(
    share=st.floats(0.001, 1.0),
    sessions_per_user=st.floats(0.0, 3.0),
    stale_share=st.floats(0.0, 0.8),
    counters=st.integers(0, 400),
    cached=st.integers(0, 20),
    results=st.integers(0, 300),
)
def test_every_class_leaves_the_keys_and_sends_the_commands_that_it_states(
    share: float, sessions_per_user: float, stale_share: float, counters: int, cached: int, results: int
) -> None:
    shape = replace(SHAPE, users=400, sessions_per_user=sessions_per_user, stale_share=stale_share)
    classes = prefill_plan(Population(shape), share, NOW_S, counters=counters, results=results, cached=cached)
    assert [entry.name for entry in classes] == ["sessions", "user_sessions", "counters", "cached", "results"]
    for entry in classes:
        written = list(entry.commands())
        assert len(written) == entry.count * entry.commands_per_key
        assert len({command[1] for command in written}) == entry.count


def test_a_plan_is_the_same_twice_and_another_with_another_seed() -> None:
    first, second, other = plan(), plan(), plan(seed=1)
    for name in ("sessions", "counters", "cached", "results"):
        written = list(first[name].commands())
        assert written == list(first[name].commands()) == list(second[name].commands())
        assert written != list(other[name].commands())


def test_a_workers_plan_is_everybodys() -> None:
    worker = prefill_plan(Population(SHAPE, 1, 2), 0.2, NOW_S, counters=5, results=5)
    whole = prefill_plan(POPULATION, 0.2, NOW_S, counters=5, results=5)
    assert [list(entry.commands()) for entry in worker] == [list(entry.commands()) for entry in whole]


def test_sessions_carry_the_ttl_that_their_age_leaves() -> None:
    ttls = []
    for name, key, ttl_seconds, data in commands("sessions"):
        assert (name, str(key)[:12], len(str(key))) == ("SETEX", "session:ses_", 36)
        session = json.loads(data)
        created, expires, active = (
            datetime.fromisoformat(session[field]) for field in ("created_at", "expires_at", "last_activity")
        )
        assert created <= active <= NOW
        assert (expires - created).days == 7
        assert abs((expires - NOW).total_seconds() - ttl_seconds) <= 1.0
        ttls.append(ttl_seconds)
    assert min(ttls) >= 60
    assert max(ttls) <= 604_800
    assert Counter(ttl * 4 // 604_801 for ttl in ttls)[0] == pytest.approx(len(ttls) / 4, rel=0.15)


def test_indexes_hold_exactly_the_live_sessions_and_the_planted_stale_ones() -> None:
    written = {str(key) for _, key, _, _ in commands("sessions")}
    members = {f"session:{member}" for _, _, *ids in commands("user_sessions") for member in ids}
    stale = members - written
    assert written <= members
    assert len(stale) == POPULATION.stale_counts(SHAPE.users).sum()
    assert len(stale) / len(members) == pytest.approx(0.05, abs=0.015)


def test_a_session_belongs_to_the_user_in_whose_index_it_is() -> None:
    owner = {str(key): json.loads(data)["user_id"] for _, key, _, data in commands("sessions")}
    for _, index, *ids in commands("user_sessions"):
        for member in ids:
            assert owner.get(f"session:{member}", str(index)[14:]) == str(index)[14:]


def test_a_share_fills_the_most_popular_users_and_organisations() -> None:
    assert commands("user_sessions", 0.1) == commands("user_sessions")[:300]
    assert commands("sessions", 0.1) == commands("sessions")[: plan(0.1)["sessions"].count]
    assert plan(0.1)["cached"].count == 20


def test_the_short_lived_classes_are_at_all_ages_of_theirs() -> None:
    counters = commands("counters")
    assert [command[0] for command in counters[:4]] == ["INCR", "EXPIRE", "INCR", "EXPIRE"]
    assert all(first[1] == second[1] for first, second in zip(counters[::2], counters[1::2], strict=True))
    windows = [int(command[2]) for command in counters[1::2]]
    cached = [int(command[2]) for command in commands("cached")]
    results = [int(command[2]) for command in commands("results")]
    for ttls, low, high in ((windows, 1, 60), (cached, 1, 300), (results, 60, 3_600)):
        assert low <= min(ttls) <= low + (high - low) * 0.2
        assert high - (high - low) * 0.2 <= max(ttls) <= high


def test_all_faults_of_a_plan_are_told_at_once() -> None:
    with pytest.raises(ValueError, match="share lies above 0") as caught:
        prefill_plan(POPULATION, 0.0, NOW_S, counters=401, results=-1, cached=201)
    for fault in ("counters must be from 0 to 400", "cached must be from 0 to 200", "results must be from 0"):
        assert fault in str(caught.value)
