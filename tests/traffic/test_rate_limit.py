from __future__ import annotations

import pytest

from amply_capacity.traffic import rate_limit
from amply_capacity.traffic.operation import ALLOWED, LIMITED, play


def test_the_first_request_of_a_window_starts_its_sixty_seconds() -> None:
    outcome, steps = play(rate_limit.check("key_1"), lambda command: 1)
    assert outcome == ALLOWED
    assert steps == (("INCR", "rate:api:key_1"), ("EXPIRE", "rate:api:key_1", 60))


@pytest.mark.parametrize(("count", "outcome"), [(2, ALLOWED), (300, ALLOWED), (301, LIMITED), (999, LIMITED)])
def test_the_three_hundredth_request_is_the_last_one_allowed(count: int, outcome: str) -> None:
    played = play(rate_limit.check("key_1"), lambda command: count)
    assert played == (outcome, (("INCR", "rate:api:key_1"),))


def test_limit_and_window_can_be_others() -> None:
    outcome, steps = play(rate_limit.check("key_1", limit=0, window=10), lambda command: 1)
    assert outcome == LIMITED
    assert steps[-1] == ("EXPIRE", "rate:api:key_1", 10)
