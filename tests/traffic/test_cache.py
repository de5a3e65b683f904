from __future__ import annotations

import json
from statistics import median

import pytest

from amply_capacity.traffic import cache
from amply_capacity.traffic.operation import HIT, MISS, Compute, play


def test_a_hit_is_one_get_and_computes_nothing() -> None:
    def never(org_id: str) -> None:
        raise AssertionError(org_id)

    outcome, steps = play(cache.cached_read("org_1", never, 0.2), lambda command: '{"a": 1}')
    assert (outcome, steps) == (HIT, (("GET", "cache:org:stats:org_1"),))


@pytest.mark.parametrize("nothing", [None, ""])
def test_a_miss_computes_and_stores_for_five_minutes(nothing: str | None) -> None:
    operation = cache.cached_read("org_1", lambda org_id: {"of": org_id}, 0.2)
    outcome, steps = play(operation, lambda command: nothing)
    assert outcome == MISS
    assert steps == (
        ("GET", "cache:org:stats:org_1"),
        Compute(0.2),
        ("SETEX", "cache:org:stats:org_1", 300, '{"of": "org_1"}'),
    )


def test_statistics_are_the_same_for_the_same_organisation_and_others_for_another() -> None:
    assert cache.organisation_statistics("org_1") == cache.organisation_statistics("org_1")
    assert cache.organisation_statistics("org_1") != cache.organisation_statistics("org_2")


def test_statistics_take_from_three_hundred_bytes_to_three_kilobytes_with_a_long_tail() -> None:
    sizes = [len(json.dumps(cache.organisation_statistics(f"org_{number:08x}"))) for number in range(3_000)]
    assert min(sizes) >= 290
    assert max(sizes) <= 3_000
    assert max(sizes) > 3 * median(sizes)
    assert sum(sizes) / len(sizes) > 1.1 * median(sizes)
