"""Parameter worlds: one value of every uncertain number for each world, the same ones for the same seed."""

from __future__ import annotations

import functools
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, StrictStr

from amply_capacity.errors import BadInput
from amply_capacity.interval import Interval

__all__ = ["Correlated", "Floats", "Worlds"]

Floats = NDArray[np.float64]

# So many worlds of 37 months are 30 MB for each quantity; quantiles are steady long before.
_MOST_WORLDS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlated:
    """`[[correlated]]`: numbers that are high together; one with a minus before it is low then.

    Every two of them have that correlation of their normal scores (a Gaussian copula with one common factor),
    so that each keeps its own stated quantiles.
    """

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}
    inputs: list[StrictStr]
    correlation: Annotated[float, Field(strict=True, ge=0.0, lt=1.0)]

    def sign(self, name: str) -> float | None:
        """1 or -1 for one of them, None for another number."""
        return 1.0 if name in self.inputs else -1.0 if f"-{name}" in self.inputs else None


@dataclass(frozen=True, slots=True)
class Worlds:
    """`count` worlds drawn by `seed`.

    Each number has its own stream, made from the seed and its name: another number more, or another value of
    this one, leaves the rest as they were, so that two plans differ by what was changed and not by chance.
    """

    count: int = 10_000
    seed: int = 1
    correlated: Sequence[Correlated] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.count <= _MOST_WORLDS or self.seed < 0:
            raise BadInput("these worlds cannot be drawn", got=f"worlds {self.count}, seed {self.seed}",
                           do=f"give 1 to {_MOST_WORLDS:,} worlds and a seed of 0 or more")

    def draw(self, name: str, interval: Interval, at_least: float = 0.0) -> Floats:
        """The values of the number called `name`, shape (count,); tails beyond `at_least` are cut there."""
        return np.maximum(interval.at(self.scores(name)), at_least)

    def scores(self, name: str) -> Floats:
        """The standard-normal scores of the number called `name`, shape (count,)."""
        own = _normal(self.seed, name, self.count)
        for number, group in enumerate(self.correlated):
            sign = group.sign(name)
            if sign is not None:
                common = _normal(self.seed, f"correlated.{number}", self.count)
                return np.asarray(sign * math.sqrt(group.correlation) * common
                                  + math.sqrt(1.0 - group.correlation) * own)
        return own

    def pick(self, name: str, of: int) -> NDArray[np.int64]:
        """One of so many equally likely things in each world, by number, shape (count,)."""
        return _stream(self.seed, name).integers(of, size=self.count)


@functools.lru_cache(maxsize=128)
def _normal(seed: int, name: str, count: int) -> Floats:
    """Kept, since many plans are drawn from the same worlds: a fleet's, a slider's."""
    scores = _stream(seed, name).standard_normal(count)
    scores.flags.writeable = False
    return scores


def _stream(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])
