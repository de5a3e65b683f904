"""What one generator process measures, second by second, in a form that costs the load almost nothing."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd

from amply_capacity.run.histogram import bucket_upper_us

__all__ = ["ACCESS_OPS", "CLOCKS", "Batch", "Label", "Recorder", "to_us"]

CLOCKS = ("service", "response", "lateness")
ACCESS_OPS = frozenset({"get", "set", "setex", "incr", "del", "expire", "sadd", "srem", "smembers"})
_TIME_BITS = 32
_TIME_MASK = (1 << _TIME_BITS) - 1

Label = tuple[str, str, str, str, str]
"""use case, operation, command (empty for the operation itself), outcome, clock"""


@dataclass(slots=True)
class Batch:
    """What was measured since the last drain: rows of the run's tables."""

    requests: pd.DataFrame
    accesses: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)


def to_us(seconds: float) -> int:
    """Whole microseconds that fit under a label: from 0, to 71 minutes at most."""
    return min(max(int(seconds * 1e6), 0), _TIME_MASK)


class Recorder:
    """Collects times as packed integers and key accesses of a hash-sampled set of keys.

    A time costs a list append: `label << 32 | microseconds`. The second it belongs to is that of its reply;
    the list is changed when a reply arrives in a new second. `max_accesses_per_second` bounds the trace:
    where more arrive, the sampling rate R is halved, and the writer later drops the keys that the lower rate
    leaves out.
    """

    def __init__(self, max_accesses_per_second: int = 2000,
                 clock: Callable[[], float] = time.perf_counter) -> None:
        self.samples: list[int] = []
        self.second_ends = 0.0
        self.access_below = 1 << 32
        self._epoch_offset = time.time() - clock()
        self._second = 0
        self._filled: list[tuple[int, list[int]]] = []
        self._labels: list[Label] = []
        self._label_ids: dict[Label, int] = {}
        self._accesses: list[tuple[float, str, str, int | None, float | None, int]] = []
        self._access_limit = max_accesses_per_second
        self._accesses_in_second = 0
        self._errors: dict[tuple[str, str, str], int] = defaultdict(int)
        self._events: list[dict[str, Any]] = []
        self._clock = clock
        self.roll(clock())

    def label(self, use_case: str, operation: str, command: str, outcome: str, clock: str) -> int:
        """The packed prefix for times of that kind: add microseconds and append the sum to `samples`."""
        key = (use_case, operation, command, outcome, clock)
        number = self._label_ids.get(key)
        if number is None:
            number = self._label_ids[key] = len(self._labels)
            self._labels.append(key)
        return number << _TIME_BITS

    def roll(self, now: float) -> None:
        """Begin the second in which `now`, of the recorder's clock, lies; due when `now >= second_ends`."""
        if self.samples:
            self._filled.append((self._second, self.samples))
            self.samples = []
        self._second = int(now + self._epoch_offset)
        self.second_ends = self._second + 1 - self._epoch_offset
        self._accesses_in_second = 0

    def access(self, now: float, op: str, key: str, value_bytes: int | None, ttl_s: float | None) -> None:
        """Keep one access to a key whose CRC-32 lies below `access_below`."""
        self._accesses_in_second += 1
        if self._accesses_in_second > self._access_limit:
            self.access_below //= 2
            self._accesses_in_second //= 2
        self._accesses.append((now, op, key, value_bytes, ttl_s, self.access_below))

    def error(self, use_case: str, operation: str, text: str) -> None:
        """Count a failed operation under the first words of its error."""
        self._errors[(use_case, operation, text[:160])] += 1

    def event(self, kind: str, name: str, **detail: Any) -> None:
        """Note an event of this process, now."""
        self._events.append({"time_s": time.time(), "kind": kind, "name": name, "detail": json.dumps(detail)})

    def drain(self) -> Batch:
        """Take everything measured so far out of the recorder."""
        filled, self._filled = self._filled, []
        if self.samples:
            filled.append((self._second, self.samples))
            self.samples = []
        accesses, self._accesses = self._accesses, []
        events, self._events = self._events, []
        errors, self._errors = self._errors, defaultdict(int)
        now = time.time()
        for (use_case, operation, text), count in errors.items():
            detail = json.dumps({"use_case": use_case, "operation": operation, "count": count})
            events.append({"time_s": now, "kind": "error", "name": text, "detail": detail})
        frames = [self._histogram(second, samples) for second, samples in filled]
        columns = ["second", "use_case", "operation", "command", "outcome", "clock", "bucket_us", "count"]
        requests = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)
        return Batch(requests, [self._access_row(*access) for access in accesses], events)

    def _histogram(self, second: int, samples: list[int]) -> pd.DataFrame:
        packed = np.array(samples, dtype=np.int64)
        keyed = (packed & ~_TIME_MASK) | bucket_upper_us(packed & _TIME_MASK)
        unique, counts = np.unique(keyed, return_counts=True)
        use_case, operation, command, outcome, clock = zip(
            *(self._labels[number] for number in unique >> _TIME_BITS), strict=True)
        return pd.DataFrame({
            "second": np.int64(second), "use_case": use_case, "operation": operation, "command": command,
            "outcome": outcome, "clock": clock, "bucket_us": unique & _TIME_MASK, "count": counts,
        })

    def _access_row(
        self, now: float, op: str, key: str, value_bytes: int | None, ttl_s: float | None, below: int
    ) -> dict[str, Any]:
        raw = key.encode()
        low = int.from_bytes(blake2b(raw, digest_size=4).digest(), "big")
        key_class = "celery-task-meta" if key.startswith("celery-task-meta-") else key.split(":", 1)[0]
        return {
            "time_s": now + self._epoch_offset, "op": op,
            "key_hash": (crc32(raw) << 32) | low, "key_class": key_class,
            "key_bytes": len(raw), "value_bytes": value_bytes, "ttl_s": ttl_s, "sampling_rate": below / 2**32,
        }
