from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amply_capacity.traffic.popularity import BLOCK_DRAWS, Zipf


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 5_000),
    exponent=st.floats(0.0, 5.0),
    seed=st.integers(0, 2**64),
    stripe=st.tuples(st.integers(0, 7), st.integers(1, 8)),
)
def test_draws_stay_inside_their_stripe_and_repeat_with_the_seed(
    size: int, exponent: float, seed: int, stripe: tuple[int, int]
) -> None:
    start, step = stripe[0] % min(stripe[1], size), stripe[1]
    first, second = (Zipf(size, exponent, (seed, 1), start, step) for _ in range(2))
    drawn = [first.draw() for _ in range(500)]
    assert all(0 <= index < size and index % step == start for index in drawn)
    assert drawn == [second.draw() for _ in range(500)]


@pytest.mark.parametrize("exponent", [0.0, 0.7, 1.2])
@pytest.mark.parametrize(("start", "step"), [(0, 1), (1, 3)])
def test_frequencies_follow_the_law(exponent: float, start: int, step: int) -> None:
    size, draws = 40, 50 * BLOCK_DRAWS
    law = Zipf(size, exponent, (5, 6), start, step)
    counts = Counter(law.draw() for _ in range(draws))
    indices = np.arange(start, size, step)
    expected = (indices + 1.0) ** -exponent
    expected *= draws / expected.sum()
    found = np.array([counts[int(index)] for index in indices])
    assert found.sum() == draws
    # Five standard deviations of each count: one test in tens of thousands of seeds would miss.
    assert np.all(np.abs(found - expected) < 5.0 * np.sqrt(expected))


def test_successive_draws_do_not_hang_together() -> None:
    law = Zipf(1_000, 0.0, (1, 2))
    drawn = np.array([law.draw() for _ in range(10 * BLOCK_DRAWS)], dtype=np.float64)
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.03


def test_an_empty_stripe_is_refused() -> None:
    with pytest.raises(ValueError, match="starts at index 3 is empty among 3"):
        Zipf(3, 1.0, (1,), start=3, step=4)
