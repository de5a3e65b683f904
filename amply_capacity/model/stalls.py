"""The host's stalls, parted from what operations take: while one lasts, nothing that waits goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Base", "Load", "Stalls", "Tail", "base_of", "tail_of", "with_stalls"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_STALL_US, _STALL_TIMES = 500.0, 2.0
"""Beyond its median an operation was stalled from so many µs on, and from so many medians."""
_MOST_HIDDEN = 3.0
"""Times the share that was stalled for longer: what stalls shorter than that add, at most."""
_MOST_STEP = 4.0
"""What one correction changes, at most: a tail of few operations must not decide."""


@dataclass(frozen=True, slots=True)
class Stalls:
    """Times in which the host lets nothing go on: Poisson, of exponential lengths."""

    per_second: float
    length_us: float
    """Mean."""

    def corrected(self, seen: Tail, simulated: Tail) -> Stalls:
        """Stalls that, simulated, would come nearer to the tail that was seen."""
        more, longer = (min(max(a / b, 1.0 / _MOST_STEP), _MOST_STEP) if b > 0.0 else 1.0
                        for a, b in zip(seen, simulated, strict=True))
        return replace(self, per_second=self.per_second * more / longer, length_us=self.length_us * longer)


class Tail(NamedTuple):
    """Operations that took so much longer than their median that they were stalled."""

    share: float
    excess_us: float
    """What they took beyond that, mean."""


@dataclass(frozen=True, slots=True)
class Base:
    """By operation; `times` with the host's stalls, `calm` without."""

    times: Sequence[Floats]
    calm: Sequence[Floats]
    stalls: Stalls | None


class Load(NamedTuple):
    """Operations in the order of their starts, as `queueing.waited_us` takes them."""

    starts_us: Floats
    kinds: Ints
    """-1 for a stall, which is nobody's operation."""
    places: Ints
    services_us: Floats
    between_us: Floats


def base_of(times: Sequence[Floats], shares: Floats, rng: np.random.Generator) -> Base:
    """Parts the host's stalls from times in which nothing waits.

    A stall delays all that comes while it lasts, at any rate by the same share of the time. Of stalls with
    exponential lengths what is left of them when something comes is as long in the mean, so the mean excess
    is their length, and their number follows from the share that was delayed. What comes meanwhile delays
    what comes after it, too: `Stalls.corrected` takes that out.
    """
    tail = tail_of(times, shares)
    if not tail.share:
        return Base(times, times, None)
    bounds = np.array([_least_us(each) for each in times])
    seen = float(np.average(np.exp(-bounds / tail.excess_us), weights=shares))
    stalled = tail.share * min(1.0 / seen, _MOST_HIDDEN)
    calm = []
    for each, bound in zip(times, bounds, strict=True):
        is_calm = each - np.median(each) <= bound
        quiet = each[is_calm]
        calm.append(np.where(is_calm, each, quiet[rng.integers(len(quiet), size=len(each))]))
    return Base(times, calm, Stalls(stalled / tail.excess_us * 1e6, tail.excess_us))


def tail_of(times: Sequence[Floats], shares: Floats, like: Sequence[Floats] | None = None) -> Tail:
    """Of operations in these shares, each beyond the bound that its median gives, or that of its `like`."""
    like = times if like is None else like
    beyond = np.concatenate([each - np.median(usual) - _least_us(usual)
                             for each, usual in zip(times, like, strict=True)])
    weights = np.concatenate([np.full(len(each), share / len(each))
                              for each, share in zip(times, shares, strict=True)])
    is_stalled = beyond > 0.0
    if not is_stalled.any():
        return Tail(0.0, 0.0)
    return Tail(float(weights[is_stalled].sum() / weights.sum()),
                float(np.average(beyond[is_stalled], weights=weights[is_stalled])))


def _least_us(times: Floats) -> float:
    return max(_STALL_US, _STALL_TIMES * float(np.median(times)))


def with_stalls(load: Load, stalls: Stalls, rng: np.random.Generator) -> Load:
    """The same load with stalls among the operations, as commands that keep the server so long.

    At high rates few stalls fall into a simulation. So there are as many as are expected, and their lengths
    are spread evenly over the exponential's quantiles: else chance made a tail three times as long at one
    rate than at the next.
    """
    starts, places = load.starts_us, load.places
    count = int(stalls.per_second * starts[-1] / 1e6 + rng.random())
    at = np.sort(rng.random(count)) * starts[-1]
    lengths = -np.log1p(-rng.permutation(np.arange(count) + rng.random(count)) / count) * stalls.length_us
    where = np.searchsorted(starts, at)  # among the operations
    trips = np.cumsum(np.insert(np.diff(places), where, 1))
    return Load(np.insert(starts, where, at), np.insert(load.kinds, where, -1), np.concatenate([[0], trips]),
                np.insert(load.services_us, places[where], lengths), np.insert(load.between_us, where, 0.0))
