"""A number that is not known exactly: low, mid, high and how often the truth lies between."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

__all__ = ["Interval"]

_LARGEST = float(np.log(np.finfo(np.float64).max))


@dataclass(frozen=True, slots=True)
class Interval:
    """`mid` is the median; the truth lies in [low, high] with probability `confidence`.

    Sampling meets all three stated quantiles exactly: each half is a half-normal scaled so that the stated
    bound falls on its quantile, on the logarithm of the number where `low` is positive and on the number
    itself otherwise.

    Example: `Interval(1_000, 10_000, 100_000).sample(rng, 10_000)` has 5 % below 1,000 and 5 % above 100,000.
    """

    low: float
    mid: float
    high: float
    confidence: float = 0.9

    def __post_init__(self) -> None:
        if not self.low <= self.mid <= self.high:
            raise ValueError(f"an interval needs low <= mid <= high, got {self.low}, {self.mid}, {self.high}")
        if not 0.0 < self.confidence < 1.0:
            raise ValueError(f"confidence must lie between 0 and 1, got {self.confidence}")

    @classmethod
    def exact(cls, value: float) -> Interval:
        """A number that is known, or taken as given."""
        return cls(value, value, value)

    @property
    def is_exact(self) -> bool:
        return self.low == self.high

    def at(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """The values at standard-normal scores `z`, any shape; monotone in `z`."""
        if self.is_exact:
            return np.full_like(z, self.mid)
        z_bound = NormalDist().inv_cdf(0.5 + self.confidence / 2.0)
        logarithmic = self.low > 0.0
        bounds = np.array([self.low, self.mid, self.high])
        low, mid, high = np.log(bounds) if logarithmic else bounds
        values: NDArray[np.float64] = mid + np.where(z < 0.0, (mid - low) * z, (high - mid) * z) / z_bound
        return np.exp(np.minimum(values, _LARGEST)) if logarithmic else values

    def sample(self, rng: np.random.Generator, size: int) -> NDArray[np.float64]:
        """`size` independent draws."""
        return self.at(rng.standard_normal(size))

    def rounded(self, digits: int) -> dict[str, float]:
        """`low`, `mid` and `high`, as JSON shows them."""
        return {"low": round(self.low, digits), "mid": round(self.mid, digits),
                "high": round(self.high, digits)}

    def scaled(self, factor: float) -> Interval:
        """The interval of this number times a known non-negative factor."""
        return Interval(self.low * factor, self.mid * factor, self.high * factor, self.confidence)
