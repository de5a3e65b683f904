"""Traffic that nobody recorded, made from how many keys there are, how often they are used and how unevenly.

What it leaves out: the shape of the day (rates are constant), and that a user whose session was evicted logs
in again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from amply_capacity.model.emulator import GET, INCR, LEAVE, SET, Commands, scattered
from amply_capacity.model.workload import Workload

__all__ = ["KeyClass", "Kind", "synthesise"]

_Array = NDArray[Any]
Kind = Literal["cached", "counter", "written", "session"]
"""cached: read, and filled on a miss; counter: INCR, with a TTL from its first; written: each use is a key of
its own; session: written long ago, read, and now and then rewritten."""

_HUNDREDTHS = 100
_LONGEST_IDLE_S = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class KeyClass:
    """Keys that are used alike."""

    name: str
    kind: Kind
    keys: int
    """That may be asked for (cached, counter) or stand at the start (session); not of what is written."""
    uses_per_second: float
    """Of all of them together."""
    bytes: int
    """`used_memory` of one, without tables and its TTL's entry."""
    ttl_s: float
    zipf: float = 0.0
    """Exponent of their popularity; 0 is even."""
    rewritten_share: float = 0.0
    """Of the uses of a session."""


@dataclass(frozen=True, slots=True)
class _Uses:
    """Accesses of one class; times in seconds from the start, keys from 0 on."""

    times_s: _Array
    keys: _Array
    op: int | _Array
    bytes: int | _Array
    ttl_s: float | _Array
    key_count: int

    def __len__(self) -> int:
        return len(self.times_s)


def synthesise(classes: Sequence[KeyClass], *, seconds: float, warm_up_seconds: float = 0.0,
               share: float = 1.0,
               seed: int = 0) -> Workload:
    """`seconds` of traffic after a warm-up, of a random `share` of the keys.

    Sessions are there from the start, each idle for as long as its popularity makes likely (six hours at
    most).
    """
    random = np.random.default_rng((seed, 30))
    standing = [each for each in classes if each.kind == "session"]
    idle_s = _LONGEST_IDLE_S if standing else 0.0
    total_s = warm_up_seconds + seconds
    parts: list[_Uses] = []
    expected_reads = 0.0
    for each in classes:
        match each.kind:
            case "written":
                parts.append(_written(each, random, idle_s, total_s, share))
            case "session":
                parts.append(_sessions(each, random, idle_s, total_s, share))
            case _:
                parts.append(_asked_for(each, random, idle_s, total_s, share))
        expected_reads += each.uses_per_second * seconds * share if each.kind == "cached" else 0.0
    key_count = sum(part.key_count for part in parts)
    commands, numbers = scattered(_joined(parts), key_count, seed)
    measured_from = int(np.searchsorted(commands.times, round((idle_s + warm_up_seconds) * _HUNDREDTHS)))
    return Workload(
        commands, key_count, share, expected_reads if share < 1.0 else None,
        tuple(sorted({each.kind for each in classes})), (), measured_from=measured_from,
        key_classes=dict(zip((each.name for each in classes),
                             np.split(numbers, np.cumsum([part.key_count for part in parts])[:-1]),
                             strict=True)))


def _asked_for(each: KeyClass, random: np.random.Generator, begin_s: float, seconds: float,
               share: float) -> _Uses:
    keys, times = _draws(each, random, begin_s, seconds, share)
    return _Uses(times, keys, GET if each.kind == "cached" else INCR, each.bytes, each.ttl_s,
                 int(keys.max()) + 1 if len(keys) else 0)


def _written(each: KeyClass, random: np.random.Generator, begin_s: float, seconds: float,
             share: float) -> _Uses:
    count = random.poisson(each.uses_per_second * share * seconds)
    times = np.sort(random.uniform(begin_s, begin_s + seconds, count))
    return _Uses(times, np.arange(count), SET, each.bytes, each.ttl_s, count)


def _sessions(each: KeyClass, random: np.random.Generator, idle_s: float, seconds: float,
              share: float) -> _Uses:
    """Those that stand, their uses, and those that take the place of the ones that expire."""
    standing = round(each.keys * share)
    keys, times = _draws(replace(each, keys=max(standing, 1)), random, idle_s, seconds, 1.0, share)
    weights = _weights(max(standing, 1), each.zipf)
    rates = each.uses_per_second * share * weights / weights.sum()
    idle = np.minimum(random.exponential(1.0, standing) / np.maximum(rates[:standing], 1e-12), idle_s)
    began, left = idle_s - idle, random.uniform(0.0, each.ttl_s, standing)
    births = random.poisson(each.keys * share / each.ttl_s * seconds)
    rewritten = random.random(len(times)) < each.rewritten_share
    return _Uses(
        np.concatenate([began, times, random.uniform(idle_s, idle_s + seconds, births)]),
        np.concatenate([np.arange(standing), keys, standing + np.arange(births)]),
        np.concatenate([np.full(standing, SET), np.where(rewritten, SET, GET), np.full(births, SET)]),
        np.concatenate([np.full(standing, each.bytes), np.where(rewritten, each.bytes, 0),
                        np.full(births, each.bytes)]),
        np.concatenate([left + idle, np.where(rewritten, each.ttl_s, np.nan), np.full(births, each.ttl_s)]),
        standing + births)


def _draws(each: KeyClass, random: np.random.Generator, begin_s: float, seconds: float, share: float,
           rate_share: float = 1.0) -> tuple[_Array, _Array]:
    """Keys and times of the uses of a random share of the keys, which have their own part of the whole
    rate."""
    weights = _weights(each.keys, each.zipf)
    chosen = weights if share >= 1.0 else weights[random.random(len(weights)) < share]
    rate = each.uses_per_second * rate_share * (chosen.sum() / weights.sum() if len(chosen) else 0.0)
    count = random.poisson(rate * seconds)
    cumulative = np.cumsum(chosen)
    keys = np.searchsorted(cumulative, random.random(count) * (cumulative[-1] if count else 0.0),
                           side="right")
    return np.minimum(keys, max(len(chosen) - 1, 0)), random.uniform(begin_s, begin_s + seconds, count)


def _weights(keys: int, zipf: float) -> _Array:
    return np.arange(1, max(keys, 1) + 1, dtype=np.float64) ** -zipf


def _joined(parts: Sequence[_Uses]) -> Commands:
    """The uses of all classes in the order of their times, with keys of their own."""
    def column(name: str, kind: Any) -> _Array:
        return np.concatenate([np.broadcast_to(np.asarray(getattr(part, name)), len(part)) for part in parts]
                              or [np.zeros(0)]).astype(kind)

    times_s = column("times_s", np.float64)
    order = np.argsort(times_s, kind="stable")
    firsts = np.cumsum([0, *(part.key_count for part in parts)])
    keys = np.concatenate([part.keys + first for part, first in zip(parts, firsts, strict=False)]
                          or [np.zeros(0)]).astype(np.int32)
    ttl_s = column("ttl_s", np.float64)
    ttls = np.where(np.isnan(ttl_s), LEAVE, np.nan_to_num(ttl_s) * _HUNDREDTHS).astype(np.int32)
    return Commands((times_s[order] * _HUNDREDTHS).astype(np.int32), keys[order], column("op",
                                                                                         np.int8)[order],
                    column("bytes", np.int32)[order], np.zeros(len(order), dtype=np.int32), ttls[order])
