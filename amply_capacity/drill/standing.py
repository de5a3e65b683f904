"""What the servers hold now of the keys that were written: asked by name, of the primary that serves each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from amply_capacity.target.endpoint import explained
from amply_capacity.target.primaries import Primary
from amply_capacity.traffic.rate_limit import RATE_LIMIT_PREFIX

__all__ = ["Counter", "Standing", "look", "open_windows"]

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Counter:
    """A rate limit's counter as it stands."""

    value: int | None
    """None where there is none."""
    has_ttl: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """The answers, by key."""

    strings: Mapping[str, int | None] = field(default_factory=dict)
    """CRC-32 of the value; None where there is no such key."""
    present: Mapping[str, bool] = field(default_factory=dict)
    members: Mapping[tuple[str, str], bool] = field(default_factory=dict)
    """By set and member."""
    counters: Mapping[str, Counter] = field(default_factory=dict)


def look(primaries: Sequence[Primary], *, strings: Iterable[str], present: Iterable[str],
         members: Iterable[tuple[str, str]], counters: Iterable[str]) -> Standing:
    """Ask for all of them: values of strings, mere presence, membership, counters with whether they end.

    Raises TargetError where a server does not answer.
    """
    values = _ask(primaries, strings, lambda key: key, lambda pipe, key: pipe.get(key))
    there = _ask(primaries, present, lambda key: key, lambda pipe, key: pipe.exists(key))
    belonging = _ask(primaries, members, lambda pair: pair[0], lambda pipe, pair: pipe.sismember(*pair))
    counts = _ask(primaries, counters, lambda key: key, lambda pipe, key: pipe.get(key))
    ends = _ask(primaries, counts, lambda key: key, lambda pipe, key: pipe.pttl(key))
    return Standing(
        {key: None if value is None else crc32(value.encode()) for key, value in values.items()},
        {key: bool(answer) for key, answer in there.items()},
        {pair: bool(answer) for pair, answer in belonging.items()},
        {key: Counter(None if value is None else int(value), ends[key] >= 0)
         for key, value in counts.items()})


def open_windows(primaries: Sequence[Primary]) -> dict[str, float]:
    """When the windows of the rate limits end that are open now, Unix time, by the counter's key.

    Raises TargetError where a server does not answer.
    """
    keys: list[str] = []
    for primary in primaries:
        with explained(primary.endpoint):
            keys += primary.client.scan_iter(f"{RATE_LIMIT_PREFIX}*", count=_BATCH)
    now_s = time.time()
    left_ms = _ask(primaries, dict.fromkeys(keys), lambda key: key, lambda pipe, key: pipe.pttl(key))
    return {key: now_s + ttl_ms / 1000.0 for key, ttl_ms in left_ms.items() if ttl_ms >= 0}


def _ask(primaries: Sequence[Primary], what: Iterable[Any], key_of: Callable[[Any], str],
         ask: Callable[[Any, Any], object]) -> dict[Any, Any]:
    answers: dict[Any, Any] = {}
    by_primary: dict[int, list[Any]] = {}
    for one in what:
        number = next(number for number, primary in enumerate(primaries) if primary.serves(key_of(one)))
        by_primary.setdefault(number, []).append(one)
    for number, asked in by_primary.items():
        with explained(primaries[number].endpoint):
            for start in range(0, len(asked), _BATCH):
                batch = asked[start:start + _BATCH]
                pipe = primaries[number].client.pipeline(transaction=False)
                for one in batch:
                    ask(pipe, one)
                answers |= dict(zip(batch, pipe.execute(), strict=True))
    return answers
