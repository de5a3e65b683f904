"""Parameter worlds: one value of every uncertain number for each world, the same ones for the same seed."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amply_capacity.errors import BadInput
from amply_capacity.interval import Interval

__all__ = ["Floats", "Worlds"]

Floats = NDArray[np.float64]

# So many worlds of 25 months are 20 MB for each quantity; quantiles are steady long before.
_MOST_WORLDS = 100_000


@dataclass(frozen=True, slots=True)
class Worlds:
    """`count` worlds drawn by `seed`.

    Each number has its own stream, made from the seed and its name: another number more, or another value of
    this one, leaves the rest as they were, so that two plans differ by what was changed and not by chance.
    """

    count: int = 10_000
    seed: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.count <= _MOST_WORLDS or self.seed < 0:
            raise BadInput("these worlds cannot be drawn", got=f"worlds {self.count}, seed {self.seed}",
                           do=f"give 1 to {_MOST_WORLDS:,} worlds and a seed of 0 or more")

    def draw(self, name: str, interval: Interval, at_least: float = 0.0) -> Floats:
        """The values of the number called `name`, shape (count,); tails beyond `at_least` are cut there."""
        rng = np.random.default_rng([self.seed, zlib.crc32(name.encode())])
        return np.maximum(interval.sample(rng, self.count), at_least)

    def pick(self, name: str, of: int) -> NDArray[np.int64]:
        """One of so many equally likely things in each world, by number, shape (count,)."""
        rng = np.random.default_rng([self.seed, zlib.crc32(name.encode())])
        return rng.integers(of, size=self.count)
