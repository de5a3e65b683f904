"""Redis' hash table, dict.c: its bucket arrays, their doubling, and the smaller array that lingers."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["lingering_share", "occupied_buckets", "table_bytes", "tables_bytes"]

_POINTER = 8
_SMALLEST_TABLE = 4
_LARGEST_COUNTED = 1024


def table_bytes(entries: int) -> int:
    """Bytes of a dict's bucket array for so many entries: pointers to the next power of two; 0 for none.

    Redis dict.c. The smaller array that also exists while it is being moved is not counted here.
    """
    if entries == 0:
        return 0
    return _POINTER * max(_SMALLEST_TABLE, 1 << (entries - 1).bit_length())


def tables_bytes(entries: NDArray[np.float64]) -> NDArray[np.float64]:
    """`table_bytes` of many numbers of entries, any shape."""
    exponents = np.ceil(np.log2(np.maximum(np.ceil(entries), _SMALLEST_TABLE)))
    return np.where(entries > 0.0, _POINTER * 2.0**exponents, 0.0)


def lingering_share(entries: int) -> float:
    """How probably the smaller bucket array is still there in a dictionary that grew to so many entries.

    It doubled when its `n` buckets had `n` entries; every entry added since has moved one bucket that was not
    empty (dict.c, _dictRehashStep). Nothing else moves those of a set, but for looking members up.
    """
    if entries <= _SMALLEST_TABLE:
        return 0.0
    before = 1 << ((entries - 1).bit_length() - 1)
    moved = entries - (before + 1)
    if before > _LARGEST_COUNTED:
        return 1.0 if moved < before * (1 - 1 / math.e) else 0.0
    return min(float(_more_occupied(before)[moved]), 1.0)


def occupied_buckets(entries: float, buckets: int) -> float:
    """Buckets that are not empty, mean, of a table with so many entries."""
    return buckets * -math.expm1(entries * math.log1p(-1.0 / buckets)) if buckets > 1 else float(entries > 0)


@lru_cache(maxsize=16)
def _more_occupied(buckets: int) -> NDArray[np.float64]:
    """The probability that more than 0, 1, 2, … buckets are not empty, with as many entries as buckets."""
    occupied = np.zeros(buckets + 1)  # the probability of so many
    occupied[0] = 1.0
    counts = np.arange(buckets + 1)
    for _ in range(buckets):
        grown = np.roll(occupied * (buckets - counts) / buckets, 1)
        occupied = occupied * counts / buckets + grown
    more = np.zeros(buckets + 1)
    more[:-1] = np.cumsum(occupied[::-1])[::-1][1:]
    return more
