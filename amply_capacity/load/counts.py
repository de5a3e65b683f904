"""How many of a second's recorded times fell into each bucket: what its samples become."""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray

from amply_capacity.load.wire import CLOCKS
from amply_capacity.run.histogram import bucket_number

__all__ = ["LATENESS", "TIME_BITS", "TIME_MASK", "counted", "dense", "sparse"]

TIME_BITS = 32
TIME_MASK = (1 << TIME_BITS) - 1
LATENESS = 0
"""The number of no label: its time is how late the sample before it was; without one that was not late."""

_BUCKET_BITS = 9  # enough for the buckets of every time below 2**32 µs
_BUCKETS = 1 << _BUCKET_BITS


def counted(samples: array[int], labels: int) -> NDArray[np.int64]:
    """How many of the samples fell where: labels x `CLOCKS` x buckets (`histogram.bucket_number`).

    A sample is `label << TIME_BITS | microseconds`. All labels are below `labels`, and no lateness comes
    without the time that it belongs to.
    """
    packed = np.frombuffer(samples, dtype=np.int64)
    counts = np.empty((labels, len(CLOCKS), _BUCKETS), dtype=np.int64)
    service, response, lateness = counts[:, 0], counts[:, 1], counts[:, 2]

    def count(clock_us: NDArray[np.int64]) -> NDArray[np.int64]:
        # In one pass: a second has a hundred thousand samples, but some fifty thousand places for them.
        found = np.bincount(rows | bucket_number(clock_us), minlength=labels << _BUCKET_BITS)
        return found.reshape(-1, _BUCKETS)

    numbers = packed >> TIME_BITS
    places = np.flatnonzero(numbers != LATENESS)
    rows, times = numbers[places] << _BUCKET_BITS, packed[places] & TIME_MASK
    service[:] = count(times)
    if places.size == packed.size:  # a closed loop: who waits for nothing is late for nothing
        response[:] = service
        lateness[:] = 0
        lateness[:, 0] = service.sum(axis=1)
        return counts
    late = np.flatnonzero(numbers == LATENESS)
    late_us = np.zeros_like(times)
    late_us[late - 1 - np.arange(late.size)] = packed[late]  # of the time before each, among the times alone
    response[:] = count(np.minimum(times + late_us, TIME_MASK))
    lateness[:] = count(late_us)
    return counts


def sparse(counts: NDArray[np.int64]) -> bytes:
    """The counts that are not 0, and where they lie, 4 bytes each; the same for any number of labels."""
    flat = counts.reshape(-1)
    places = np.flatnonzero(flat)
    return np.stack([places, flat[places]]).astype("<u4").tobytes()


def dense(data: bytes, labels: int) -> NDArray[np.int64]:
    """What `sparse` was given, with at least as many labels."""
    counts = np.zeros((labels, len(CLOCKS), _BUCKETS), dtype=np.int64)
    places, values = np.frombuffer(data, dtype="<u4").reshape(2, -1)
    counts.reshape(-1)[places] = values
    return counts
