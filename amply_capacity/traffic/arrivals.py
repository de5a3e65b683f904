"""When operations are meant to start: schedules from a seed and a rate, never from the server."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["ARRIVALS", "BUSIEST", "DayRate", "SteadyRate", "day_weights", "positions"]

ARRIVALS = ("closed", "poisson", "constant", "day")
"""`closed` has no schedule; the others are open loops."""

_BLOCK = 256
_DAY_STEPS = 1440
BUSIEST = 14 / 24
"""When a day has its peak, as a share of it: early afternoon."""


def positions(arrivals: str, rng: random.Random) -> Iterator[float]:
    """Where one client's operations lie on an endless scale with one of them per unit on average, in order.

    A rate makes moments of them. `poisson` and `day` have exponential gaps, so that the moments are a Poisson
    process of that rate, also of one that changes (time rescaling: Çinlar, Introduction to Stochastic
    Processes, 1975, section 4.7); `constant` has equal gaps and a random phase, so that many clients do not
    march in step. Raises ValueError for another name.
    """
    if arrivals in {"poisson", "day"}:
        return _exponential(rng)
    if arrivals == "constant":
        return _equal(rng)
    raise ValueError(f"arrivals {arrivals!r} have no schedule; use poisson, constant or day")


class SteadyRate:
    """A rate that holds until it is changed; begins at `began_s`, in seconds of whichever clock."""

    __slots__ = ("_per_second", "_position", "_since_s")

    def __init__(self, per_second: float, began_s: float) -> None:
        self._per_second, self._since_s, self._position = _checked(per_second), began_s, 0.0

    def moments(self, positions: Sequence[float]) -> list[float]:
        """The seconds at which the schedule reaches the positions."""
        places = np.asarray(positions, dtype=np.float64)
        moments: list[float] = (self._since_s + (places - self._position) / self._per_second).tolist()
        return moments

    def position(self, moment_s: float) -> float:
        """Where the schedule is at that second."""
        return self._position + (moment_s - self._since_s) * self._per_second

    def change(self, per_second: float, now_s: float) -> None:
        """Another rate from `now_s` on; positions before stay where they were."""
        self._position, self._since_s = self.position(now_s), now_s
        self._per_second = _checked(per_second)


class DayRate:
    """A day's shape, compressed: slow at night, `peak_to_mean` times the mean in the early afternoon.

    The rate over the day is the density of the von Mises distribution, the circular normal; `per_second` is
    its mean, `day_seconds` what a day takes. The first begins at midnight, `began_s`; days repeat.
    """

    __slots__ = ("_began_s", "_cumulative", "_day_seconds", "_per_day")

    def __init__(self, per_second: float, began_s: float, day_seconds: float, peak_to_mean: float) -> None:
        if not 0.0 < day_seconds < math.inf:
            raise ValueError(f"a day has to last some seconds, got {day_seconds}")
        self._began_s, self._day_seconds = began_s, day_seconds
        self._per_day = _checked(per_second) * day_seconds
        self._cumulative = _day_shape(peak_to_mean)

    def moments(self, positions: Sequence[float]) -> list[float]:
        """The seconds at which the schedule reaches the positions."""
        days, rests = np.divmod(np.array(positions, dtype=np.float64) / self._per_day, 1.0)
        places = np.interp(rests, self._cumulative, _PLACES)
        moments: list[float] = (self._began_s + (days + places) * self._day_seconds).tolist()
        return moments

    def position(self, moment_s: float) -> float:
        """Where the schedule is at that second."""
        days, rest = divmod((moment_s - self._began_s) / self._day_seconds, 1.0)
        return (days + float(np.interp(rest, _PLACES, self._cumulative))) * self._per_day


_PLACES = np.arange(_DAY_STEPS + 1) / _DAY_STEPS


def day_weights(peak_to_mean: float, steps: int = _DAY_STEPS) -> NDArray[np.float64]:
    """The rate in each of so many equal steps of a day, midnight first, over the day's mean: their mean is 1.

    The shape of `DayRate`. Few steps flatten its peak. Raises ValueError for a peak below 1 or above 20 times
    the mean, and for less than one step.
    """
    if steps < 1:
        raise ValueError(f"a day has at least one step, got {steps}")
    weights = _weights(_day_sharpness(peak_to_mean), _day_angles(steps))
    result: NDArray[np.float64] = weights / weights.mean()
    return result


def _checked(per_second: float) -> float:
    if not 0.0 < per_second < math.inf:
        raise ValueError(f"a rate has to be positive and finite, got {per_second}")
    return per_second


def _exponential(rng: random.Random) -> Iterator[float]:
    generator, position = np.random.default_rng(rng.getrandbits(64)), 0.0
    while True:  # in blocks: one by one they would cost a tenth of what an operation does
        block = (position + np.cumsum(generator.standard_exponential(_BLOCK))).tolist()
        yield from block
        position = block[-1]


def _equal(rng: random.Random) -> Iterator[float]:
    phase, step = rng.random(), 0
    while True:
        yield step + phase
        step += 1


@lru_cache(maxsize=8)
def _day_shape(peak_to_mean: float) -> NDArray[np.float64]:
    """The share of a day's operations before each minute."""
    weights = _weights(_day_sharpness(peak_to_mean), _day_angles(_DAY_STEPS))
    return np.concatenate([[0.0], np.cumsum(weights) / weights.sum()])


@lru_cache(maxsize=8)
def _day_sharpness(peak_to_mean: float) -> float:
    """The k of exp(k cos) that has that peak."""
    if not 1.0 <= peak_to_mean <= 20.0:
        raise ValueError(f"the peak is 1 to 20 times the mean, got {peak_to_mean}")
    angles = _day_angles(_DAY_STEPS)
    low, high = 0.0, 4.0 * peak_to_mean**2  # a sharp peak is near sqrt(2 pi k) times the mean
    while high - low > 1e-9:
        middle = (low + high) / 2.0
        if 1.0 / _weights(middle, angles).mean() < peak_to_mean:
            low = middle
        else:
            high = middle
    return low


def _day_angles(steps: int) -> NDArray[np.float64]:
    """The middle of each step of a day on the circle, 0 at the peak."""
    angles: NDArray[np.float64] = 2.0 * math.pi * ((np.arange(steps) + 0.5) / steps - BUSIEST)
    return angles


def _weights(sharpness: float, angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """The day's rate at each angle, as a share of its peak."""
    weights: NDArray[np.float64] = np.exp(sharpness * (np.cos(angles) - 1.0))
    return weights
