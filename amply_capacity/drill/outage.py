"""Unavailability as clients saw it, from the operations that they played.

The service is away between two successes that lie further apart than they do in health. Of such a gap the
usual distance of two successes is taken off: half of it lies before the last one that the service could have
answered, half after the first. Failures alone say little: who waits for a reply sees none until it is late.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

from amply_capacity.drill.journal_file import Played

__all__ = ["Gap", "Outage", "outage_of"]

_SURE = 5.0
"""Chance makes one of n exponential distances longer than ln n + 5 of their means once in 150 drills."""
_SHORTEST_SECONDS = 0.05
"""What the generator or the host take now and then."""
_FEWEST_BEFORE = 20
_ERRORS = 2.0
_EXPLAINING_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Gap:
    """One stretch without a success, Unix time."""

    from_s: float
    until_s: float

    @property
    def seconds(self) -> float:
        return self.until_s - self.from_s


@dataclass(frozen=True, slots=True)
class Outage:
    """What the clients saw from the moment of the fault on."""

    gaps: tuple[Gap, ...]
    resolution_seconds: float | None
    """Shorter ones cannot be told from chance; None: too few operations to tell of any."""
    is_over: bool
    """False: nothing had succeeded again when the load ended."""

    @property
    def unavailable_seconds(self) -> float | None:
        """None where it cannot be told; the least that it can have been where it is not over."""
        if self.resolution_seconds is None:
            return None
        return sum(gap.seconds for gap in self.gaps)

    @property
    def until_s(self) -> float | None:
        """When the last gap ended; None where there was none."""
        return self.gaps[-1].until_s if self.gaps else None


def outage_of(operations: Iterable[Played], fault_s: float, ended_s: float,
              lags: Mapping[int, float] | None = None) -> Outage:
    """The outage of a group of operations (of one use case, of one shard, of all), from the fault to the
    load's end.

    `lags` are the longest standstills of the generator itself, seconds by Unix second: a gap in which nothing
    failed, and of which one of them explains half or more, is none of the service's.
    """
    chosen = tuple(operations)
    successes = np.array(sorted(one.ended_s for one in chosen if one.is_ok))
    before = successes[successes < fault_s]
    if len(before) < _FEWEST_BEFORE:
        return Outage((), None, is_over=True)
    usual = float((before[-1] - before[0]) / (len(before) - 1))
    most = usual * (1.0 + _ERRORS / sqrt(len(before)))  # it is a mean of so many, itself not known exactly
    unusual = max((log(len(successes)) + _SURE) * most, _SHORTEST_SECONDS)
    seen = _watched(successes, fault_s, unusual)
    gaps = [Gap(before + usual / 2.0, after - usual / 2.0)
            for before, after in pairwise(seen.tolist()) if after - before > unusual]
    gaps = [gap for gap in gaps if not _is_generators(gap, chosen, lags or {})]
    last = float(seen[-1]) if len(seen) else fault_s
    is_over = ended_s - last <= unusual or not _was_wanted(chosen, last)
    if not is_over:
        gaps.append(Gap(last + usual / 2.0, ended_s))
    return Outage(tuple(gaps), unusual, is_over)


def _watched(successes: NDArray[np.float64], fault_s: float, unusual: float) -> NDArray[np.float64]:
    """The successes from the last one before the fault on; the fault itself where that is long ago."""
    first = int(np.searchsorted(successes, fault_s))
    begin = successes[first - 1] if first and fault_s - successes[first - 1] < unusual else fault_s
    return np.concatenate([[begin], successes[first:]])


def _is_generators(gap: Gap, operations: Sequence[Played], lags: Mapping[int, float]) -> bool:
    lag = max((lags.get(second, 0.0) for second in range(int(gap.from_s), int(gap.until_s) + 1)), default=0.0)
    return lag >= _EXPLAINING_SHARE * gap.seconds and not any(
        gap.from_s < one.ended_s < gap.until_s and not one.is_ok for one in operations)


def _was_wanted(operations: Sequence[Played], after_s: float) -> bool:
    """Whether any was begun later on: else the load had simply ended."""
    return any(one.ended_s > after_s and not one.is_ok for one in operations)
