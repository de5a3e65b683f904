"""How often each member of a population is asked for: a bounded Zipf law, drawn in blocks."""

from __future__ import annotations

import numpy as np

__all__ = ["BLOCK_DRAWS", "Zipf"]

BLOCK_DRAWS = 4096


class Zipf:
    """Draws indices below `size`, index i with a probability proportional to (i + 1) ** -`exponent`.

    Index 0 is the most popular; exponent 0 is uniform. With a `start` and a `step`, only the indices start,
    start + step, … are drawn, in the proportions that they have among all: the stripe of one worker. Exact
    inversion of the distribution function (8 bytes an index), `BLOCK_DRAWS` at a time; the same `seed` gives
    the same draws.
    """

    __slots__ = ("_block", "_cumulative", "_generator", "_start", "_step")

    def __init__(
        self, size: int, exponent: float, seed: tuple[int, ...], start: int = 0, step: int = 1
    ) -> None:
        if not 0 <= start < size:
            raise ValueError(f"a stripe that starts at index {start} is empty among {size}")
        weights = np.arange(start + 1, size + 1, step, dtype=np.float64) ** -exponent
        cumulative = np.cumsum(weights)
        self._cumulative = cumulative / cumulative[-1]
        self._cumulative[-1] = np.inf  # a uniform number that rounds to 1 still falls on the last index
        self._generator = np.random.default_rng(seed)
        self._start, self._step = start, step
        self._block: list[int] = []

    def draw(self) -> int:
        """The next index."""
        if not self._block:
            self._refill()
        return self._block.pop()

    def _refill(self) -> None:
        # Ascending uniform numbers (running sums of exponential ones: Devroye 1986, V.3) are looked up
        # faster than unordered ones, being neighbours in memory. The shuffle makes them independent again.
        sums = np.cumsum(self._generator.standard_exponential(BLOCK_DRAWS + 1))
        places = np.searchsorted(self._cumulative, sums[:-1] / sums[-1], side="right")
        self._generator.shuffle(places)
        self._block = (self._start + self._step * places).tolist()
