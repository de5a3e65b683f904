"""What became of the writes to one key."""

from __future__ import annotations

import pytest
from histories import wrote
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.drill.fate import Fate, Judged, fate_of_member, fate_of_string, last_standing

_NOW = 100.0
_FIRST, _SECOND, _THIRD = (wrote("SETEX", "k", number, float(number), ttl_s=600.0) for number in (1, 2, 3))


def _fate(*writes, found):  # type: ignore[no-untyped-def]
    return fate_of_string(writes, found, _NOW)


def test_what_was_written_last_and_is_there_is_intact() -> None:
    assert _fate(_FIRST, _SECOND, found=2) == Judged(Fate.INTACT, 0)


@pytest.mark.parametrize(("found", "fate", "gone"), [
    (2, Fate.STALE, 1), (1, Fate.STALE, 2), (99, Fate.STALE, 3), (None, Fate.LOST, 3)])
def test_the_writes_after_what_is_there_are_gone(found: int | None, fate: Fate, gone: int) -> None:
    assert _fate(_FIRST, _SECOND, _THIRD, found=found) == Judged(fate, gone)


def test_a_deletion_that_is_gone_leaves_a_stale_key() -> None:
    removed = wrote("DEL", "k", None, 5.0)
    assert _fate(_FIRST, removed, found=None) == Judged(Fate.INTACT, 0)
    assert _fate(_FIRST, removed, found=1) == Judged(Fate.STALE, 1)


def test_a_write_that_nobody_got_an_answer_to_may_be_there_or_not() -> None:
    unanswered = wrote("SETEX", "k", 7, 5.0, answered=False, ttl_s=600.0)
    for found in (7, 1):
        assert _fate(_FIRST, unanswered, found=found) == Judged(Fate.INTACT, 0)
    assert _fate(_FIRST, unanswered, found=None) == Judged(Fate.LOST, 1)
    assert _fate(unanswered, found=None) is None, "nobody was promised anything"


def test_of_writes_that_overlap_either_may_be_there() -> None:
    one, other = wrote("SETEX", "k", 1, 5.0, ttl_s=600.0), wrote("SETEX", "k", 2, 5.0005, ttl_s=600.0)
    for found in (1, 2):
        assert _fate(one, other, found=found) == Judged(Fate.INTACT, 0)


def test_what_may_have_expired_is_not_lost() -> None:
    short = wrote("SETEX", "k", 1, 40.0, ttl_s=60.0)
    assert _fate(short, found=None) == Judged(Fate.INTACT, 0)
    assert _fate(wrote("SETEX", "k", 1, 50.0, ttl_s=60.0), found=None) == Judged(Fate.LOST, 1)


def test_a_member_is_where_its_last_write_left_it() -> None:
    added, removed = wrote("SADD", "s", "m", 1.0), wrote("SREM", "s", "m", 2.0)
    whole = wrote("DEL", "s", None, 3.0)
    assert fate_of_member([added], True) == Judged(Fate.INTACT, 0)
    assert fate_of_member([added], False) == Judged(Fate.LOST, 1)
    assert fate_of_member([added, removed], True) == Judged(Fate.STALE, 1)
    assert fate_of_member([added, whole], False) == Judged(Fate.INTACT, 0)


_WRITES = st.lists(st.tuples(st.integers(0, 4), st.floats(0.0, 50.0), st.booleans()), min_size=1, max_size=12)


@given(_WRITES, st.integers(0, 12))
def test_a_server_that_lost_the_last_writes_is_found_to_have_lost_no_more_than_those(
        made: list[tuple[int, float, bool]], kept: int) -> None:
    """Writes one after the other, of which a server kept the first so many."""
    writes = [wrote("SETEX", "k", value, 2.0 * number, answered=answered, ttl_s=1e6)
              for number, (value, _, answered) in enumerate(made)]
    found = writes[min(kept, len(writes)) - 1].argument if kept else None
    judged = fate_of_string(writes, found, _NOW)  # type: ignore[arg-type]
    gone = [one for one in writes[kept:] if one.answered_s is not None]
    if judged is not None:
        assert judged.lost_writes <= len(gone)
        if not gone:
            assert judged.fate is Fate.INTACT


@given(_WRITES)
def test_the_last_acknowledged_write_always_stands(made: list[tuple[int, float, bool]]) -> None:
    writes = [wrote("SETEX", "k", value, sent_s, answered=answered) for value, sent_s, answered in made]
    acknowledged = [one for one in writes if one.answered_s is not None]
    standing = last_standing(writes)
    assert all(one in standing for one in writes if one.answered_s is None)
    if acknowledged:
        assert max(acknowledged, key=lambda one: one.sent_s) in standing
