from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.traffic import mix
from amply_capacity.traffic.application import OPERATIONS

MIXES = st.dictionaries(st.sampled_from(sorted(OPERATIONS)), st.integers(0, 10_000), min_size=1).filter(
    lambda weights: any(weights.values())
)


def test_the_default_mix_is_the_designs() -> None:
    assert dict(mix.DEFAULT_MIX) == {
        "validate": 400, "check": 300, "cached_read": 120, "touch": 100, "create": 30, "store_result": 15,
        "get_result": 15, "log_out": 10, "list_active": 8, "log_out_everywhere": 2,
    }


@pytest.mark.parametrize(
    ("scenario", "use_cases"),
    [
        (mix.DEFAULT_MIX, {"sessions", "rate_limit", "cache", "celery_results"}),
        (mix.SESSIONS_MIX, {"sessions"}),
        (mix.RATE_LIMIT_MIX, {"rate_limit"}),
        (mix.CACHE_MIX, {"cache"}),
        (mix.CELERY_MIX, {"celery_results"}),
    ],
)
def test_a_scenarios_mix_adds_up_to_a_thousand_of_its_own_use_cases(
    scenario: mix.Mix, use_cases: set[str]
) -> None:
    assert sum(scenario.values()) == 1_000
    assert {OPERATIONS[name].use_case for name in scenario} == use_cases


def test_a_scenario_of_one_use_case_has_all_its_operations() -> None:
    for scenario in (mix.SESSIONS_MIX, mix.RATE_LIMIT_MIX, mix.CACHE_MIX, mix.CELERY_MIX):
        use_case = OPERATIONS[next(iter(scenario))].use_case
        assert set(scenario) == {name for name, entry in OPERATIONS.items() if entry.use_case == use_case}


@given(MIXES)
def test_a_mix_is_read_back_as_it_was_written(weights: dict[str, int]) -> None:
    assert mix.parse_mix(mix.format_mix(weights)) == weights


def test_blanks_around_names_and_numbers_do_not_matter() -> None:
    assert mix.parse_mix(" validate = 4 , touch=1") == {"validate": 4, "touch": 1}


def test_all_faults_of_a_mix_are_told_at_once() -> None:
    with pytest.raises(ValueError, match="no operation 'valdate'") as caught:
        mix.parse_mix("valdate=1,touch=-1,create,check=1,check=2,,cached_read=x")
    message = str(caught.value)
    assert "use validate" in message
    assert "weight of touch must be a whole number from 0, got '-1'" in message
    assert "'create' is not of the form" in message
    assert "check is given twice" in message
    assert "'' is not of the form" in message
    assert "weight of cached_read must be a whole number from 0, got 'x'" in message


def test_a_mix_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="every weight is 0"):
        mix.parse_mix("validate=0")
    with pytest.raises(ValueError, match="one above"):
        mix.MixDraw({"validate": 0}, seed=1)


@given(MIXES, st.integers(0, 2**40))
def test_draws_are_of_the_mix_and_repeat_with_the_seed(weights: dict[str, int], seed: int) -> None:
    first, second = mix.MixDraw(weights, seed), mix.MixDraw(weights, seed)
    drawn = [first.draw() for _ in range(300)]
    assert {weights[name] > 0 for name in drawn} == {True}
    assert drawn == [second.draw() for _ in range(300)]


def test_draws_keep_the_proportions_and_workers_differ() -> None:
    draw = mix.MixDraw(mix.DEFAULT_MIX, seed=1, worker_index=0)
    drawn = [draw.draw() for _ in range(100_000)]
    counts = Counter(drawn)
    for name, per_mille in mix.DEFAULT_MIX.items():
        assert counts[name] == pytest.approx(per_mille * 100, abs=5 * (per_mille * 100) ** 0.5)
    other = mix.MixDraw(mix.DEFAULT_MIX, seed=1, worker_index=1)
    assert drawn[:100] != [other.draw() for _ in range(100)]
