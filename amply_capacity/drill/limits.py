"""Rate limits that begin anew: counters that a failure set back within their window."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from amply_capacity.drill.journal_file import Write
from amply_capacity.drill.standing import Counter

__all__ = ["Limits", "limits_of"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Of the counters that were counting when it broke, and whose window is known."""

    followed: int
    reset: int
    """Set back to zero: whoever was at the limit is let through again."""
    set_back: int
    """Set back, but not to zero."""
    lost_writes: int
    """Acknowledged counts that are gone, of all of them."""
    endless: int
    """Counters without a TTL: their EXPIRE was lost, and once at the limit they block an API key for ever."""

    def as_json(self) -> dict[str, int]:
        return {"followed": self.followed, "reset": self.reset, "set_back": self.set_back,
                "endless": self.endless}


def limits_of(writes: Iterable[Write], counters: Mapping[str, Counter], windows: Mapping[str, float],
              broke_s: float, checked_s: float) -> Limits:
    """The limits from the writes to counters (INCR, EXPIRE), what stands there now, and when it broke.

    A counter's window is known where it was seen to begin, or from `windows`: when those end that were open
    as the load began. Within it each acknowledged INCR answers with one more than the one before: what it
    answers after the break tells what was kept.
    """
    by_key: dict[str, list[Write]] = defaultdict(list)
    for one in writes:
        if one.command in {"INCR", "EXPIRE"} and one.answered_s is not None:
            by_key[one.key].append(one)
    followed = reset = set_back = lost = 0
    for key, history in by_key.items():
        window = _window(history, windows.get(key), broke_s)
        if window is None:
            continue
        before, after, ends_s = window
        reached = max(before)
        kept = min(after) - 1 if after else None
        if kept is None:
            if ends_s <= checked_s + 1.0:
                continue  # it has ended since, and nobody asked
            kept = counters[key].value or 0
        followed += 1
        gone = max(reached - kept, 0)
        lost += gone
        reset += bool(gone) and kept == 0
        set_back += bool(gone) and kept > 0
    endless = sum(_is_endless(by_key.get(key, ()), counter) for key, counter in counters.items())
    return Limits(followed, reset, set_back, lost, endless)


def _is_endless(history: Sequence[Write], counter: Counter) -> bool:
    """Whether the counter has no TTL though one was acknowledged after it began to count."""
    if counter.value is None or counter.has_ttl:
        return False
    began_s = max((one.sent_s for one in history if one.command == "INCR" and one.argument == 1),
                  default=float("-inf"))
    return any(one.command == "EXPIRE" and one.sent_s >= began_s for one in history)


def _window(history: Sequence[Write], first_ends_s: float | None,
            broke_s: float) -> tuple[list[int], list[int], float] | None:
    """The counts answered before the break and those asked after it in the window that held it; its end.

    None where no window that is known held it, or nothing was counted in it.
    """
    begins = [one for one in history if one.command == "EXPIRE" and one.answered_s is not None
              and one.answered_s < broke_s <= one.sent_s + (one.ttl_s or 0.0)]
    if begins:
        begin = max(begins, key=lambda one: one.sent_s)
        began_s, ends_s = begin.sent_s, begin.sent_s + (begin.ttl_s or 0.0)
    elif first_ends_s is not None and first_ends_s > broke_s:
        began_s, ends_s = float("-inf"), first_ends_s
    else:
        return None
    counts = [one for one in history if one.command == "INCR" and isinstance(one.argument, int)]
    # The window's first INCR comes just before its EXPIRE, in the same operation.
    before = [int(one.argument or 0) for one in counts
              if (one.answered_s or 0.0) < broke_s and one.sent_s >= began_s] or [1] * bool(begins)
    if not before:
        return None
    after = [int(one.argument or 0) for one in counts if broke_s <= one.sent_s < ends_s - 1.0]
    return before, after, ends_s
