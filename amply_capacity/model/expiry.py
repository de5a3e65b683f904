"""Keys that have expired and still take memory, since Redis' own cycle has not come to them yet.

The cycle (expire.c, activeExpireCycle) looks at twenty keys ten times a second, and goes on only where more
than one in ten of them has expired: a key that nobody asks for again stays until the cycle comes round.
Played by the emulator, whose cycle is that of Redis 7.0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from amply_capacity.interval import Interval
from amply_capacity.model.accesses import HUNDREDTHS
from amply_capacity.model.emulator import Emulator
from amply_capacity.model.synthesis import KeyClass, synthesise

__all__ = ["Standing", "standing_keys"]

_KEYS_PER_SECOND = 200.0
_SWEEPS = 2.0
_MOST_STALE = 0.3
"""Of the volatile keys: of twenty then fewer than three have expired once in 28 times (binomial), so that the
cycle goes on as fast as it has to."""
_MOST_USES = 8_000_000
_LOOKS = 20
_SEEDS = 3
_CYCLE_ERROR = 0.06
"""Of what is unreclaimed: the emulated cycle against redis 7.0.15 (bench accuracy)."""
_SPREAD = 1.645
_COUNT_ERROR = 0.003
"""Of what lives: chance in the arrivals."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Keys of one class that are there at a time like any other."""

    name: str
    live: float
    unreclaimed: Interval
    """Those beside them that have expired."""

    @property
    def present(self) -> Interval:
        """What DBSIZE counts of the class."""
        error = _COUNT_ERROR * self.live
        return Interval(max(self.live - error, 0.0) + self.unreclaimed.low, self.live + self.unreclaimed.mid,
                        self.live + error + self.unreclaimed.high)


def standing_keys(classes: Sequence[KeyClass], *, after_seconds: float | None = None,
                  over_seconds: float = 0.0,
                  seed: int = 0, seeds: int = _SEEDS) -> list[Standing]:
    """The keys of each class in the last `over_seconds` of so many seconds of traffic, mean over `seeds`.

    Without `after_seconds`: once their number is steady, so in the last quarter of two rounds of the cycle.
    Where that is more than can be played, a share of the keys is, in as much less time (`_miniature`). The
    uses of sessions are left out, since they change no count; so is memory that ends.
    """
    quiet = [replace(each, uses_per_second=0.0) if each.kind == "session" else each for each in classes]
    seconds, span, share = after_seconds, over_seconds, 1.0
    if seconds is None:
        seconds = _seconds_until_steady(quiet)
        share = _playable_share(quiet, seconds)
        quiet, seconds = [_miniature(each, share) for each in quiet], share * seconds
        span = seconds / 4.0
    seen: dict[str, list[tuple[int, int]]] = {each.name: [] for each in classes}
    for number in range(seeds):
        workload = synthesise(quiet, seconds=seconds, share=share, seed=seeds * seed + number)
        emulator = Emulator(workload.key_count, policy="noeviction", limit_bytes=None, fixed_bytes=0,
                            ttl_entry_bytes=0, seed=seeds * seed + number)
        times = workload.commands.times
        began = int(times[workload.measured_from]) if len(times) > workload.measured_from else 0
        at = 0
        for moment in began + np.linspace(seconds - span, seconds, _LOOKS if span else 1) * HUNDREDTHS:
            upto = int(np.searchsorted(times, moment, side="right"))
            emulator.play(workload.commands, at, upto)
            emulator.wait_until(int(moment))
            at = upto
            present, live = emulator.present(), emulator.live()
            for name, keys in workload.key_classes.items():
                alive = int(np.count_nonzero(live[keys]))
                seen[name].append((alive, int(np.count_nonzero(present[keys])) - alive))
    return [_standing(name, np.array(counts, dtype=np.float64) / share, seeds)
            for name, counts in seen.items()]


def _standing(name: str, counts: NDArray[np.float64], seeds: int) -> Standing:
    live, mid = float(counts[:, 0].mean()), float(counts[:, 1].mean())
    spread = _SPREAD * float(counts[:, 1].std()) / seeds**0.5 + _CYCLE_ERROR * mid
    return Standing(name, live, Interval(max(mid - spread, 0.0), mid, mid + spread))


def _seconds_until_steady(classes: Sequence[KeyClass]) -> float:
    """Two rounds of the cycle and twice the longest TTL that ends.

    A round ends at the latest when _MOST_STALE of the keys have expired since the one before.
    """
    volatile = sum(each.keys if each.kind != "written" else each.uses_per_second * each.ttl_s
                   for each in classes)
    expiring_per_second = sum(each.keys / each.ttl_s if each.kind == "session" else each.uses_per_second
                              for each in classes if each.kind in {"session", "written"})
    round_s = volatile / max(_KEYS_PER_SECOND, expiring_per_second / _MOST_STALE)
    ending = [each.ttl_s for each in classes if each.kind != "session"]
    return _SWEEPS * round_s + 2.0 * max(ending, default=0.0)


def _playable_share(classes: Sequence[KeyClass], seconds: float) -> float:
    """Of the keys, so that so many seconds can be played at once.

    A power of two, by which hash tables grow: those of the share are then as full as those of the whole.
    """
    uses = seconds * sum(each.uses_per_second for each in classes)
    return 0.5 ** math.ceil(math.log2(max(uses / _MOST_USES, 1.0)))


def _miniature(each: KeyClass, share: float) -> KeyClass:
    """What it is for a share of its keys, where a second stands for 1 / share seconds.

    A tick of the cycle looks at as many keys whatever their number. Of a share of them, ticks would have to
    be as much rarer for a round to take as long; instead all else is faster: TTLs, and a key's uses.
    """
    return replace(each, uses_per_second=each.uses_per_second / share, ttl_s=share * each.ttl_s)
