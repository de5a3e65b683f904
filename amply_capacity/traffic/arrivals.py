"""When operations are meant to start: schedules as pure functions of a seed, never of the server."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

__all__ = ["ARRIVALS", "intended_starts"]

ARRIVALS = ("closed", "poisson", "constant")


def intended_starts(arrivals: str, rate_per_second: float, rng: random.Random) -> Iterator[float]:
    """Endless intended starts in seconds from the schedule's beginning, for one client with its own rate.

    `poisson` has exponential gaps; `constant` has equal gaps and a random phase, so that many clients do not
    march in step. `closed` has no schedule. Raises ValueError for that, for another name, or for a rate that
    is not positive.
    """
    if not 0.0 < rate_per_second < math.inf:
        raise ValueError(f"a rate has to be positive and finite, got {rate_per_second}")
    if arrivals == "poisson":
        return _poisson(rate_per_second, rng)
    if arrivals == "constant":
        return _constant(rate_per_second, rng)
    raise ValueError(f"arrivals {arrivals!r} have no schedule; use poisson or constant")


def _poisson(rate_per_second: float, rng: random.Random) -> Iterator[float]:
    start = 0.0
    while True:
        start += rng.expovariate(rate_per_second)
        yield start


def _constant(rate_per_second: float, rng: random.Random) -> Iterator[float]:
    phase, step = rng.random(), 0
    while True:
        yield (step + phase) / rate_per_second
        step += 1
