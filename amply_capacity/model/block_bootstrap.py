"""The noise of a figure within one run: a block bootstrap over its seconds.

Neighbouring seconds resemble each other (a stall, a neighbour on the host, keys that expire together), so
blocks of seconds in a row are drawn, not seconds (Künsch 1989; circular: Politis and Romano 1992). Their
length grows with the cube root of the seconds, which is the best rate for a variance (Hall, Horowitz and Jing
1995).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["DRAWS", "Statistic", "blocks_of", "drawn", "quantile_of"]

Floats = NDArray[np.float64]

DRAWS = 1_000
_CHUNK = 100
"""Draws at once: what bounds the memory of a run of hours."""


@dataclass(frozen=True, slots=True)
class Statistic:
    """A figure of sums over seconds: `of` takes sums, (draws, quantities), and gives the figure, (draws,)."""

    by_second: Floats
    """(seconds, quantities), in the order of time."""
    of: Callable[[Floats], Floats]

    @property
    def value(self) -> float:
        """Of the seconds as they were; NaN where nothing was counted."""
        return float(self.of(self.by_second.sum(axis=0)[None, :])[0])


def blocks_of(seconds: int) -> tuple[int, int]:
    """Length of a block, and how many make up so many seconds."""
    length = max(1, math.ceil(seconds ** (1.0 / 3.0)))
    return length, math.ceil(seconds / length)


def drawn(statistic: Statistic, rng: np.random.Generator) -> Floats:
    """The figure in DRAWS runs put together of blocks of this one, (draws,)."""
    seconds = len(statistic.by_second)
    length, blocks = blocks_of(seconds)
    found = []
    for _ in range(DRAWS // _CHUNK):
        starts = rng.integers(seconds, size=(_CHUNK, blocks, 1))
        picked = ((starts + np.arange(length)) % seconds).reshape(_CHUNK, -1)[:, :seconds]
        places = (picked + seconds * np.arange(_CHUNK)[:, None]).ravel()
        times = np.bincount(places, minlength=_CHUNK * seconds).reshape(_CHUNK, seconds)
        found.append(statistic.of(times.astype(np.float64) @ statistic.by_second))
    return np.concatenate(found)


def quantile_of(q: float, bounds: Floats, widths: Floats) -> Callable[[Floats], Floats]:
    """The `q` quantile of summed histograms, (draws, buckets), buckets from low to high.

    Within a bucket times are taken to be even: else the quantile would jump from bound to bound.
    """

    def of(sums: Floats) -> Floats:
        below = np.cumsum(sums, axis=1)
        rank = q * below[:, -1]
        at = np.argmax(below >= rank[:, None], axis=1)
        rows = np.arange(len(sums))
        inside = sums[rows, at]
        with np.errstate(divide="ignore", invalid="ignore"):
            part = (rank - (below[rows, at] - inside)) / inside
            return np.asarray(np.where(below[:, -1] > 0.0, bounds[at] - widths[at] * (1.0 - part), np.nan))

    return of
