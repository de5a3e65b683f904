"""Every acknowledged write checked by its key afterwards: which sessions, results and counts are gone."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from amply_capacity.drill.fate import Fate, Judged, fate_of_member, fate_of_string
from amply_capacity.drill.journal_file import Journal, Write
from amply_capacity.drill.limits import Limits, limits_of
from amply_capacity.drill.standing import Standing, look
from amply_capacity.target.primaries import Primary
from amply_capacity.traffic.cache import CACHE_PREFIX
from amply_capacity.traffic.celery_results import TASK_KEY_PREFIX
from amply_capacity.traffic.rate_limit import RATE_LIMIT_PREFIX
from amply_capacity.traffic.sessions import SESSION_PREFIX, USER_SESSIONS_PREFIX

__all__ = ["CheckedWrites", "Tally", "check_writes", "judge_writes"]

_CLASSES = {SESSION_PREFIX: "sessions", USER_SESSIONS_PREFIX: "user_sessions", RATE_LIMIT_PREFIX: "counters",
            CACHE_PREFIX: "cached", TASK_KEY_PREFIX: "results"}
_OTHER = "other"


@dataclass(frozen=True, slots=True)
class Tally:
    """Keys of one class by their fate."""

    checked: int
    written: int
    """Of them, during the load."""
    intact: int
    stale: int
    lost: int

    def as_json(self) -> dict[str, int]:
        return {"checked": self.checked, "written": self.written, "intact": self.intact, "stale": self.stale,
                "lost": self.lost}


@dataclass(frozen=True, slots=True)
class CheckedWrites:
    """What became of what the load wrote."""

    acknowledged: int
    """Writes to a key, or to a member of a set, that were answered."""
    unanswered: int
    lost: int
    by_class: Mapping[str, tuple[int, int]]
    """Acknowledged and lost, by class of keys."""
    sessions: Tally
    """Those that were filled in before, and not ended since, with those that were written."""
    results: Tally
    limits: Limits

    def as_json(self) -> dict[str, Any]:
        return {"writes": {"acknowledged": self.acknowledged, "unanswered": self.unanswered,
                           "lost": self.lost, "by_class": {name: {"acknowledged": done, "lost": lost}
                                        for name, (done, lost) in sorted(self.by_class.items())}},
                "sessions": self.sessions.as_json(), "celery_results": self.results.as_json(),
                "limits": self.limits.as_json()}


def check_writes(primaries: Sequence[Primary], journal: Journal, filled_in: Sequence[str],
                 windows: Mapping[str, float], broke_s: float) -> CheckedWrites:
    """Ask the servers for every key that the journal names, and for the sessions filled in before it.

    Raises TargetError where a server does not answer.
    """
    strings, members, counters = _by_kind(journal.writes)
    standing = look(primaries, strings=strings, members=members, counters=counters,
                    present=[key for key in filled_in if _is_untouched(strings.get(key, ()))])
    # After the look, which may be long: what ended by itself meanwhile is not lost.
    return judge_writes(journal, standing, windows, broke_s, time.time())


def judge_writes(journal: Journal, standing: Standing, windows: Mapping[str, float], broke_s: float,
                 checked_s: float) -> CheckedWrites:
    """What became of the writes, from what stands there; `standing.present` are sessions nobody wrote, and
    `windows` says when the rate limits' windows end that were open as the load began."""
    strings, members, counters = _by_kind(journal.writes)
    judged: dict[str, list[Judged]] = defaultdict(list)
    for key, writes in strings.items():
        found = fate_of_string(writes, standing.strings[key], checked_s)
        if found is not None:
            judged[_class_of(key)].append(found)
    for (key, member), writes in members.items():
        found = fate_of_member(writes, standing.members[key, member])
        if found is not None:
            judged[_class_of(key)].append(found)
    limits = limits_of((one for history in counters.values() for one in history), standing.counters, windows,
                       broke_s, checked_s)
    lost = {name: sum(one.lost_writes for one in group) for name, group in judged.items()}
    lost[_CLASSES[RATE_LIMIT_PREFIX]] = limits.lost_writes
    done: dict[str, int] = defaultdict(int)
    for one in journal.acknowledged:
        done[_class_of(one.key)] += 1
    untouched = [Judged(Fate.INTACT if there else Fate.LOST, 0) for there in standing.present.values()]
    return CheckedWrites(
        sum(done.values()), sum(one.answered_s is None for one in journal.writes), sum(lost.values()),
        {name: (done.get(name, 0), lost.get(name, 0)) for name in done.keys() | lost.keys()},
        _tally(judged["sessions"], untouched), _tally(judged["results"], ()), limits)


def _by_kind(writes: Sequence[Write]) -> tuple[
        dict[str, list[Write]], dict[tuple[str, str], list[Write]], dict[str, list[Write]]]:
    """The writes to strings and to counters by key, and to sets by key and member, deletions with each."""
    strings: dict[str, list[Write]] = defaultdict(list)
    members: dict[tuple[str, str], list[Write]] = defaultdict(list)
    counters: dict[str, list[Write]] = defaultdict(list)
    removals: dict[str, list[Write]] = defaultdict(list)
    members_of: dict[str, set[str]] = defaultdict(set)
    for one in writes:
        if one.command in {"SADD", "SREM"}:
            members[one.key, str(one.argument)].append(one)
            members_of[one.key].add(str(one.argument))
        elif one.command in {"INCR", "EXPIRE"}:
            counters[one.key].append(one)
        elif one.command in {"DEL", "UNLINK"} and _class_of(one.key) == "user_sessions":
            removals[one.key].append(one)
        else:
            strings[one.key].append(one)
    for key, removed in removals.items():
        for member in members_of[key]:
            members[key, member] += removed
    return strings, members, counters


def _is_untouched(writes: Sequence[Write]) -> bool:
    """Whether the key should be there as it was filled in, or as something unanswered left it."""
    return all(one.answered_s is None and one.command not in {"DEL", "UNLINK"} for one in writes)


def _class_of(key: str) -> str:
    return next((name for prefix, name in _CLASSES.items() if key.startswith(prefix)), _OTHER)


def _tally(written: Sequence[Judged], untouched: Sequence[Judged]) -> Tally:
    every = [*written, *untouched]
    return Tally(len(every), len(written), *(sum(one.fate is fate for one in every)
                                             for fate in (Fate.INTACT, Fate.STALE, Fate.LOST)))
