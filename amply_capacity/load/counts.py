"""How many of a second's recorded times fell into each bucket: what its samples become."""

from __future__ import annotations

from array import array

import gevent
import numpy as np
from numpy.typing import NDArray

from amply_capacity.load.recorder import Recorder
from amply_capacity.load.wire import CLOCKS, LATENESS, TIME_BITS, TIME_MASK, Buffer, RawBatch
from amply_capacity.run.histogram import bucket_number

__all__ = ["Merger", "counted", "dense", "sparse"]

_BUCKET_BITS = 9  # enough for the buckets of every time below 2**32 µs
_BUCKETS = 1 << _BUCKET_BITS
_EVERY_SECONDS = 0.1
"""What a fast load records meanwhile takes 0.2 ms to count."""


def counted(samples: Buffer | array[int], labels: int) -> NDArray[np.int64]:
    """How many of the samples (`RawBatch`) fell where: labels x `CLOCKS` x buckets.

    Those of `histogram.bucket_number`. All labels are below `labels`, and no lateness comes without the time
    that it belongs to.
    """
    packed = np.frombuffer(memoryview(samples), dtype="<i8")
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


class Merger:
    """Merges what a worker records while it comes, so that its report is as large for any traffic.

    A little at a time: a whole second of a fast load in one go would hold its clients up for 3 to 10 ms.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._counts: dict[int, NDArray[np.int64]] = {}
        self._greenlet = gevent.spawn(self._run)

    def merged(self, batch: RawBatch) -> RawBatch:
        """What was drained from the recorder, with all that has been merged since the last time as counts."""
        self._add(batch.seconds, len(batch.labels))
        batch.seconds = []
        batch.counts = [(second, sparse(counts)) for second, counts in self._counts.items()]
        self._counts.clear()
        return batch

    def stop(self) -> None:
        """Merge no more but what `merged` is given."""
        self._greenlet.kill(block=False)

    def _run(self) -> None:
        while True:
            gevent.sleep(_EVERY_SECONDS)
            self._add(self._recorder.take_samples(), self._recorder.label_count)

    def _add(self, seconds: list[tuple[int, array[int]]] | list[tuple[int, Buffer]], labels: int) -> None:
        for second, samples in seconds:
            counts = counted(samples, labels)
            before = self._counts.get(second)
            if before is not None:  # of fewer labels, maybe
                counts[:len(before)] += before
            self._counts[second] = counts
