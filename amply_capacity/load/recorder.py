"""What one generator process measures, in a form that costs the load almost nothing."""

from __future__ import annotations

import json
import time
from array import array
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amply_capacity.load.counts import TIME_BITS, TIME_MASK, counted, sparse
from amply_capacity.load.labels import Labels
from amply_capacity.load.wire import Access, Batch, Kind, Label

__all__ = ["TRACED", "Recorder", "to_us"]

TRACED = frozenset({"GET", "SET", "SETEX", "INCR", "DEL", "EXPIRE", "SADD", "SREM", "SMEMBERS"})
"""The commands whose key accesses are kept."""


def to_us(seconds: float) -> int:
    """Whole microseconds that fit under a label: from 0, to 71 minutes at most."""
    us = int(seconds * 1e6)
    return us if 0 <= us <= TIME_MASK else min(max(us, 0), TIME_MASK)


_THINNING = 0.84
"""What is left of R at each lowering: small steps keep the trace near its bound whatever the traffic."""


class Recorder:
    """Collects times as packed integers and key accesses of a hash-sampled set of keys.

    A time costs an append: `label << 32 | microseconds`, where one label may stand for several rows: the
    time of a command that is a whole operation is the command's, the operation's service and its response.
    How late an operation began follows its time, if it was: microseconds alone (`counts.LATENESS`).
    The second it belongs to is that of its reply; the list is changed when a reply arrives in a new second.

    `max_accesses_per_second` bounds the trace: where more arrive, the sampling rate R is lowered, and the
    writer later drops the keys that the lower rate leaves out. Everything else (rows, hashes, files) is done
    by the recording process, from what `drain` hands over.
    """

    def __init__(self, max_accesses_per_second: int = 1000,
                 clock: Callable[[], float] = time.perf_counter) -> None:
        self.samples = array("q")
        self.second_ends = 0.0
        self.access_below = 1 << 32
        self._epoch_offset = time.time() - clock()
        self._second = 0
        self._filled: list[tuple[int, array[int]]] = []
        self._counts: dict[int, NDArray[np.int64]] = {}
        self._labels: list[Label] = [()]  # no label is 0, which is a lateness; and a look-up may end in `or`
        self._label_ids: dict[Label, int] = {}
        self._by_operation: dict[tuple[str, str], Labels] = {}
        self._accesses: list[Access] = []
        self._access_limit = max_accesses_per_second
        self._accesses_in_second = 0
        self._errors: dict[tuple[str, str, str], int] = defaultdict(int)
        self._events: list[dict[str, Any]] = []
        self.roll(clock())

    def label(self, *kinds: Kind) -> int:
        """The packed prefix for times of those kinds: add the microseconds, append the sum to `samples`."""
        number = self._label_ids.get(kinds)
        if number is None:
            number = self._label_ids[kinds] = len(self._labels)
            self._labels.append(kinds)
        return number << TIME_BITS

    def labels(self, use_case: str, operation: str) -> Labels:
        """The labels of that operation: the same for all clients, whose every operation looks into them."""
        labels = self._by_operation.get((use_case, operation))
        if labels is None:
            labels = self._by_operation[use_case, operation] = Labels(self.label, use_case, operation)
        return labels

    def roll(self, now: float) -> None:
        """Begin the second in which `now`, of the recorder's clock, lies; due when `now >= second_ends`."""
        if self.samples:
            self._filled.append((self._second, self.samples))
            self.samples = array("q")
        self._second = int(now + self._epoch_offset)
        self.second_ends = self._second + 1 - self._epoch_offset
        self._accesses_in_second = 0

    def access(self, now: float, op: str, key: str, value_bytes: int | None, ttl_s: float | None) -> None:
        """Keep one access to a key whose CRC-32 lies below `access_below`."""
        self._accesses_in_second += 1
        if self._accesses_in_second > self._access_limit:
            self.access_below = int(self.access_below * _THINNING)
            self._accesses_in_second = int(self._accesses_in_second * _THINNING)
        self._accesses.append((now + self._epoch_offset, op, key, value_bytes, ttl_s, self.access_below))

    def error(self, use_case: str, operation: str, text: str) -> None:
        """Count a failed operation under the first words of its error."""
        self._errors[(use_case, operation, text[:160])] += 1

    def event(self, kind: str, name: str, **detail: Any) -> None:
        """Note an event of this process, now."""
        self._events.append({"time_s": time.time(), "kind": kind, "name": name, "detail": json.dumps(detail)})

    def merge(self) -> None:
        """Count the times so far. To be called now and then: a second of a fast load takes 3 to 10 ms."""
        filled, self._filled = self._filled, []
        if self.samples:
            filled.append((self._second, self.samples))
            self.samples = array("q")
        for second, samples in filled:
            counts = counted(samples, len(self._labels))
            before = self._counts.get(second)
            if before is not None:  # of fewer labels, maybe
                counts[:len(before)] += before
            self._counts[second] = counts

    def drain(self) -> Batch:
        """Take everything measured so far out of the recorder."""
        self.merge()
        counts, self._counts = self._counts, {}
        accesses, self._accesses = self._accesses, []
        events, self._events = self._events, []
        errors, self._errors = self._errors, defaultdict(int)
        return Batch(
            labels=list(self._labels),
            counts=[(second, sparse(one)) for second, one in counts.items()],
            accesses=accesses,
            errors=[(*key, count) for key, count in errors.items()],
            events=events,
        )
