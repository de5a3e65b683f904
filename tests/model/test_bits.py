"""Sets of keys as bits."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.model.bits import clear_bit, next_bit, set_bit

WORDS = 6
END = 64 * WORDS - 1


def bits_of(numbers: set[int]) -> np.ndarray:
    bits = np.zeros(WORDS, dtype=np.uint64)
    for number in numbers | {END}:
        set_bit(bits, number)
    return bits


@given(st.sets(st.integers(0, END)), st.integers(0, END))
def test_the_next_number_is_the_least_from_there_on(numbers: set[int], start: int) -> None:
    assert next_bit(bits_of(numbers), start) == min(number for number in numbers | {END} if number >= start)


@given(st.sets(st.integers(0, END - 1)), st.integers(0, END - 1))
def test_a_number_that_is_cleared_is_no_more_met(numbers: set[int], gone: int) -> None:
    bits = bits_of(numbers)
    clear_bit(bits, gone)
    met, at = set(), 0
    while (at := int(next_bit(bits, at))) != END:
        met.add(at)
        at += 1
    assert met == numbers - {gone}
