"""Commands at a bounded rate, on a clock of the test's own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.target.pace import Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0.0
        self.now += seconds


@given(st.lists(st.tuples(st.integers(1, 500), st.floats(0.0, 0.2)), min_size=2, max_size=40),
       st.floats(10.0, 1e5))
def test_no_more_commands_leave_than_the_rate_allows(steps: list[tuple[int, float]],
                                                     per_second: float) -> None:
    clock = Clock()
    pace = Pace(per_second, clock=clock, sleep=clock.sleep)
    sent, began = 0, clock.now
    for commands, busy_seconds in steps:
        pace.ask(commands)
        assert sent <= per_second * (clock.now - began) * (1.0 + 1e-6) + 1e-3  # those before have had theirs
        sent += commands
        clock.now += busy_seconds


def test_time_in_which_nothing_was_asked_is_not_saved_up() -> None:
    clock = Clock()
    pace = Pace(100.0, clock=clock, sleep=clock.sleep)
    clock.now += 60.0
    pace.ask(50)
    pace.ask(50)
    assert clock.now == 160.5
