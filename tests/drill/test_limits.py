"""Rate limits set back by a failure."""

from __future__ import annotations

from histories import asked, wrote

from amply_capacity.drill.limits import Limits, limits_of
from amply_capacity.drill.standing import Counter

_BROKE, _CHECKED = 100.0, 110.0
_KEPT = {"rate:a": Counter(9, True)}


def _begun(key: str, at_s: float) -> list:  # type: ignore[type-arg]
    return [asked(key, 1, at_s - 0.002), wrote("EXPIRE", key, None, at_s, ttl_s=60.0)]


def _limits(*writes, counters=_KEPT, windows=None):  # type: ignore[no-untyped-def]
    return limits_of(writes, counters, windows or {}, _BROKE, _CHECKED)


def test_a_counter_that_goes_on_counting_has_lost_nothing() -> None:
    found = _limits(*_begun("rate:a", 90.0), asked("rate:a", 5, 99.0), asked("rate:a", 6, 101.0))
    assert found == Limits(followed=1, reset=0, set_back=0, lost_writes=0, endless=0)


def test_a_counter_that_begins_anew_within_its_window_was_reset() -> None:
    found = _limits(*_begun("rate:a", 90.0), asked("rate:a", 5, 99.0), asked("rate:a", 1, 101.0))
    assert (found.reset, found.set_back, found.lost_writes) == (1, 0, 5)


def test_a_counter_that_goes_on_from_less_was_set_back() -> None:
    found = _limits(*_begun("rate:a", 90.0), asked("rate:a", 5, 99.0), asked("rate:a", 4, 101.0))
    assert (found.reset, found.set_back, found.lost_writes) == (0, 1, 2)


def test_where_nobody_asked_again_what_stands_there_tells() -> None:
    history = (*_begun("rate:a", 90.0), asked("rate:a", 5, 99.0))
    assert _limits(*history, counters={"rate:a": Counter(3, True)}).lost_writes == 2
    assert _limits(*history, counters={"rate:a": Counter(None, False)}).reset == 1
    ended = (*_begun("rate:a", 45.0), asked("rate:a", 5, 99.0))
    assert _limits(*ended, counters={"rate:a": Counter(None, False)}).followed == 0


def test_a_window_that_ended_by_itself_is_no_reset() -> None:
    found = _limits(*_begun("rate:a", 35.0), asked("rate:a", 5, 94.0), asked("rate:a", 1, 101.0))
    assert found.followed == 0


def test_a_window_that_was_open_before_the_load_is_known_by_its_end() -> None:
    history = (asked("rate:a", 40, 99.0), asked("rate:a", 1, 101.0))
    assert _limits(*history).followed == 0
    assert _limits(*history, windows={"rate:a": 130.0}).lost_writes == 40
    assert _limits(*history, windows={"rate:a": 100.5}).followed == 0, "it ended before anybody asked again"
    assert _limits(asked("rate:a", 1, 101.0), windows={"rate:a": 130.0}).followed == 0


def test_a_counter_whose_expiry_is_gone_blocks_for_ever() -> None:
    endless = {"rate:a": Counter(9, False)}
    assert _limits(*_begun("rate:a", 90.0), counters=endless).endless == 1
    assert _limits(asked("rate:a", 1, 109.9), counters=endless).endless == 0, "its client is about to set one"
