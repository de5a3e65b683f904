"""Hit rate and evictions at memories that were not measured: a run's accesses played by the emulator.

Where only a share R of the keys is known, or N times the users are asked for, a server with the same share of
the memory is played (miniature simulation: Waldspurger et al., ATC'17), and the reads that the sample has too
many or too few of are counted as hits, since it is the luck with the hottest keys that makes them so
(SHARDS-adj: Waldspurger et al., FAST'15).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from amply_capacity.interval import Interval
from amply_capacity.model.emulator import Commands, Emulator
from amply_capacity.model.layout import Layout
from amply_capacity.model.scaling import with_more_keys
from amply_capacity.model.workload import Workload

__all__ = ["MOST_PLAYS", "Outcome", "Prediction", "Setting", "emulated", "hit_rates"]

_SEEDS = 3
_PARTS = 8
MOST_PLAYS = _SEEDS + 2 + _PARTS
_HUNDREDTHS = 100
_HIT_RATE_ERROR = 0.001
_EVICTIONS_ERROR = 0.01
"""What the emulator itself was off by against real servers (bench accuracy), beside chance."""
_OF_SEEDS, _OF_PARTS = 2.0, 1.75
"""Standard deviations to either side, of so many draws."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How the server is set up, its memory apart."""

    layout: Layout
    fixed_bytes: Interval
    """What it takes beside keys and tables: itself, its connections, its histograms."""
    policy: str = "volatile-lru"
    samples: int = 5
    """maxmemory-samples."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What would have happened, over the whole time of the accesses, from an empty server on."""

    maxmemory_bytes: int
    hit_rate: Interval | None
    """Of the application's reads that a miss fills; None where there are none."""
    info_hit_rate: Interval | None
    """As INFO counts: keyspace_hits of all look-ups that it counts."""
    evictions: Interval
    refused_writes: Interval
    """Writes answered with an OOM error."""
    expired: float
    used_bytes: float
    """`used_memory` at the end."""
    seconds: float

    @property
    def evictions_per_minute(self) -> Interval:
        return self.evictions.scaled(60.0 / self.seconds if self.seconds else 0.0)


def hit_rates(workload: Workload, memories_bytes: Sequence[int], setting: Setting, *, scale: float = 1.0,
              workers: int = 2, advance: Callable[[], object] = lambda: None) -> list[Prediction]:
    """A prediction for each maxmemory, with `scale` times the users, several played at a time.

    `advance` is called after each play, of which a memory takes up to MOST_PLAYS.
    """
    share = workload.sampling_rate / scale
    if scale > 1.0:
        workload = with_more_keys(workload, scale)
    games = [(memory, _Game(workload, setting, memory, share)) for memory in memories_bytes]
    plays = [partial(game.play, *variant) for _, game in games for variant in game.variants()]

    def played(play: Callable[[], Outcome]) -> Outcome:
        outcome = play()
        advance()
        return outcome

    with ThreadPoolExecutor(workers) as pool:
        outcomes = list(pool.map(played, plays))
    predictions = []
    for memory, game in games:
        count = len(game.variants())
        predictions.append(game.judge(memory, outcomes[:count]))
        outcomes = outcomes[count:]
    return predictions


def emulated(workload: Workload, setting: Setting, memory_bytes: int, *, seed: int = 0) -> Outcome:
    """One play at one maxmemory, without an interval."""
    return _Game(workload, setting, memory_bytes, workload.sampling_rate).play(
        "seed", setting.fixed_bytes.mid, seed, -1)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one play came to, in figures of the whole; NaN for a rate of nothing."""

    kind: str
    hit_rate: float
    info_hit_rate: float
    evictions: float
    refused: float
    expired: float
    used_bytes: float


class _Game:
    """One memory size: how it is played, and what the plays say together."""

    def __init__(self, workload: Workload, setting: Setting, memory: int, share: float) -> None:
        self._workload, self._setting, self._memory, self._share = workload, setting, memory, share

    def variants(self) -> list[tuple[str, float, int, int]]:
        """Kind, fixed bytes, seed, and which part of the keys (-1: all)."""
        fixed = self._setting.fixed_bytes
        seeds = [("seed", fixed.mid, seed, -1) for seed in range(_SEEDS)]
        bounds = [] if fixed.is_exact else [("low", fixed.low, 0, -1), ("high", fixed.high, 0, -1)]
        parts = [("part", fixed.mid, 0, part) for part in range(_PARTS)] if self._share < 1.0 else []
        return [*seeds, *bounds, *parts]

    def play(self, kind: str, fixed_bytes: float, seed: int, part: int) -> Outcome:
        workload, share = self._workload, self._share
        commands, expected, first = workload.commands, workload.expected_reads, workload.measured_from
        if part >= 0:
            mine = _part_of(commands, part)
            first, share = int(np.count_nonzero(mine[:first])), share / _PARTS
            # Where all reads are not known, a part's own number of them is of the same chance as the whole's.
            expected = None if expected is None else expected / _PARTS
            commands = Commands(*(column[mine] for column in commands))
        if share == 1.0:
            emulator = self._emulator(self._memory, fixed_bytes, 8, seed)
            return self._outcome(kind, emulator, emulator.played(commands, first), share, expected)
        tables = 0.0
        for _ in range(2):  # the tables are as large as the whole needs them, whose keys come out of a play
            room = max((self._memory - fixed_bytes - tables) * share, 1.0)
            emulator = self._emulator(round(room), 0.0, 0, seed)
            counts = emulator.played(commands, first)
            tables = self._tables(emulator, share, fixed_bytes)
        return self._outcome(kind, emulator, counts, share, expected, beside=fixed_bytes + tables)

    def _emulator(self, limit: int, fixed_bytes: float, bucket_bytes: int, seed: int) -> Emulator:
        setting = self._setting
        layout = setting.layout
        return Emulator(self._workload.key_count, policy=setting.policy, limit_bytes=limit,
                        fixed_bytes=round(fixed_bytes), samples=setting.samples, seed=seed,
                        ttl_entry_bytes=layout.key(8, True) - layout.key(8, False),
                        bucket_bytes=bucket_bytes, phase=(37 * seed + 11) % _HUNDREDTHS)

    def _tables(self, emulator: Emulator, share: float, fixed_bytes: float) -> float:
        """Bytes of the whole's tables: one that would not have fitted was not doubled until it had to be."""
        keys, total = emulator.key_count / share, 0.0
        each = emulator.used_bytes / share / keys if keys else 0.0
        for entries in (keys, emulator.volatile_count / share):
            size = 4
            while entries > size and (entries > self._setting.layout.refused_load * size
                                      or fixed_bytes + size * each + 16 * size <= self._memory):
                size *= 2
            total += 8 * size
        return total

    def _outcome(self, kind: str, emulator: Emulator, counts: Mapping[str, int], share: float,
                 expected_reads: float | None, beside: float = 0.0) -> Outcome:
        surplus = (expected_reads - counts["reads"]) if expected_reads is not None else 0.0
        more_hits = surplus * self._workload.hot_hit_rate
        reads, hits = counts["reads"] + surplus, counts["hits"] + more_hits
        looked_up = counts["info_hits"] + counts["info_misses"] + surplus
        return Outcome(
            kind, max(hits, 0.0) / reads if reads else math.nan,
            max(counts["info_hits"] + more_hits, 0.0) / looked_up if looked_up else math.nan,
            counts["evictions"] / share, counts["refused"] / share, counts["expired"] / share,
            emulator.used_bytes / share + beside)

    def judge(self, memory: int, outcomes: list[Outcome]) -> Prediction:
        """The plays as one prediction."""
        seeds = [one for one in outcomes if one.kind == "seed"]
        last = seeds[0]

        def interval(name: str, error: float, relative: float) -> Interval:
            values = {kind: [getattr(one, name) for one in outcomes if one.kind == kind]
                      for kind in ("seed", "low", "high", "part")}
            mid = float(np.mean(values["seed"]))
            around = error + relative * mid + _OF_SEEDS * float(np.std(values["seed"], ddof=1))
            if values["part"]:  # which keys are in the sample, of a number that is not without end
                known = [value for value in values["part"] if not math.isnan(value)]
                # A single part that has a rate says nothing of how far parts lie apart.
                spread = float(np.std(known, ddof=1)) / math.sqrt(len(known)) if len(known) > 1 else math.inf
                around += _OF_PARTS * math.sqrt(1.0 - self._share) * spread
            edges = [*values["low"], *values["high"], mid]
            return Interval(max(min(edges) - around, 0.0), mid, max(edges) + around)

        def share(name: str) -> Interval | None:
            if math.isnan(getattr(last, name)):
                return None
            found = interval(name, _HIT_RATE_ERROR, 0.0)
            return Interval(found.low, found.mid, min(found.high, 1.0))

        return Prediction(memory, share("hit_rate"), share("info_hit_rate"),
                          interval("evictions", 0.0, _EVICTIONS_ERROR),
                          interval("refused", 0.0, _EVICTIONS_ERROR), last.expired, last.used_bytes,
                          self._workload.seconds)


def _part_of(commands: Commands, part: int) -> NDArray[np.bool_]:
    """Which commands are of one eighth of the keys, chosen by a hash of them."""
    mixed = commands.keys.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return np.asarray((mixed >> np.uint64(61)) % np.uint64(_PARTS) == part)
