"""What became of acknowledged writes to one key: intact, stale or lost, and how many of them are gone.

Several clients write one key at a time, and nobody sees the server's order of two that overlap. A write is
superseded only by one that was sent after it was answered; what is there has to be any of those that are not,
or of those that nobody knows the end of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from amply_capacity.drill.journal_file import Write

__all__ = ["ABSENT", "Fate", "Judged", "fate_of_member", "fate_of_string", "last_standing"]

ABSENT = None
"""What a key holds that does not exist."""
_REMOVING = frozenset({"DEL", "UNLINK", "SREM"})
_EXPIRY_SLACK_SECONDS = 2.0


class Fate(StrEnum):
    """Of a key, as its users find it."""

    INTACT = "intact"
    STALE = "stale"
    """An older state is there: an activity that was noted is not, or what was removed is back."""
    LOST = "lost"
    """It is gone."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A key's fate, and its acknowledged writes that are gone: later than what is there, and not superseded
    by one that is."""

    fate: Fate
    lost_writes: int


def last_standing(writes: Sequence[Write]) -> list[Write]:
    """Those that no acknowledged write has superseded, the unanswered ones included."""
    sent_last_s = max((one.sent_s for one in writes if one.answered_s is not None), default=float("-inf"))
    return [one for one in writes if one.answered_s is None or one.answered_s >= sent_last_s]


def fate_of_string(writes: Sequence[Write], found: int | None, checked_s: float) -> Judged | None:
    """The fate of a string by its writes (SET, SETEX, DEL, UNLINK) and the CRC-32 of what is there.

    None where no write was acknowledged: nobody was promised anything.
    """

    def leaves(one: Write) -> bool:
        if one.command in _REMOVING:
            return found is ABSENT
        return found == one.argument or (found is ABSENT and _may_have_expired(one, checked_s))

    return _judged(writes, leaves, is_there=found is not ABSENT)


def fate_of_member(writes: Sequence[Write], is_member: bool) -> Judged | None:
    """The fate of one member of a set by what added or removed it, or deleted the set (SADD, SREM, DEL).

    A member that should not be there counts as stale.
    """
    return _judged(writes, lambda one: (one.command not in _REMOVING) == is_member, is_there=is_member)


def _judged(writes: Sequence[Write], leaves: Callable[[Write], bool], *, is_there: bool) -> Judged | None:
    acknowledged = sorted((one for one in writes if one.answered_s is not None), key=lambda one: one.sent_s)
    if not acknowledged:
        return None
    if any(map(leaves, last_standing(writes))):
        return Judged(Fate.INTACT, 0)
    survivor_s = max((one.sent_s for one in writes if leaves(one)), default=float("-inf"))
    gone = sum(one.sent_s > survivor_s for one in acknowledged)
    return Judged(Fate.STALE if is_there else Fate.LOST, gone)


def _may_have_expired(one: Write, checked_s: float) -> bool:
    """Whether its TTL has run out by now, or nobody knows when it does."""
    if one.ttl_s is None:
        return False
    return one.sent_s + one.ttl_s <= checked_s + _EXPIRY_SLACK_SECONDS
