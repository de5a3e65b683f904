"""When a run ends itself: too many errors, or too slow, for too long."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from amply_capacity.run.histogram import quantile_us

__all__ = ["Second", "StopRules", "Stopping"]

_MOST_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class StopRules:
    """The limits of a run; without any, it never stops itself. Every fault of the numbers in a ValueError."""

    error_rate: float | None = None
    """Share of a second's operations that failed, from 0 (one failure is too many) to below 1."""
    p99_ms: float | None = None
    """Of a second's response times."""
    over_seconds: int = 10
    """A limit has to be exceeded in each of so many judged seconds, one after the other."""
    least_operations: int = 10
    """Of a second, whose share and p99 say little with fewer: it is judged with those that come after it."""

    def __post_init__(self) -> None:
        faults = []
        if self.error_rate is not None and not 0.0 <= self.error_rate < 1.0:
            faults.append(f"error_rate must be from 0 to below 1, got {self.error_rate}")
        if self.p99_ms is not None and not 0.0 < self.p99_ms < float("inf"):
            faults.append(f"p99_ms must be above 0, got {self.p99_ms}")
        if not 1 <= self.over_seconds <= _MOST_SECONDS:
            faults.append(f"over_seconds must be from 1 to {_MOST_SECONDS}, got {self.over_seconds}")
        if self.least_operations < 1:
            faults.append(f"least_operations must be at least 1, got {self.least_operations}")
        if faults:
            raise ValueError("; ".join(faults))


@dataclass(frozen=True, slots=True)
class Second:
    """What one second of the load saw."""

    operations: int
    failed: int
    """Of these operations."""
    responses: tuple[tuple[int, int], ...] = ()
    """Rows of the operations' response times: a bucket's upper bound in µs, and how many fell into it."""

    def __add__(self, other: Second) -> Second:
        return Second(self.operations + other.operations, self.failed + other.failed,
                      (*self.responses, *other.responses))

    @property
    def p99_ms(self) -> float | None:
        """None where no response time was measured."""
        rows = [(bucket_us, count) for bucket_us, count in self.responses if count > 0]
        if not rows:
            return None
        buckets, counts = zip(*rows, strict=True)
        return quantile_us(pd.Series(buckets), pd.Series(counts), 0.99) / 1000.0


class Stopping:
    """Judges a run second by second.

    Example: `reason = stopping.feed(Second(operations=200, failed=180))` is None until the limit was exceeded
    for `over_seconds`, and then the sentence to end the run with.
    """

    __slots__ = ("_failures", "_p99s_ms", "_rules", "_thin")

    def __init__(self, rules: StopRules) -> None:
        self._rules = rules
        self._failures: deque[tuple[int, int]] = deque(maxlen=rules.over_seconds)
        self._p99s_ms: deque[float] = deque(maxlen=rules.over_seconds)
        self._thin = Second(0, 0)

    def feed(self, second: Second) -> str | None:
        """Add the next second; why the run should stop now, or None."""
        rules = self._rules
        second = self._thin + second
        if second.operations < rules.least_operations:
            self._thin = second
            return None
        self._thin = Second(0, 0)
        if rules.error_rate is not None:
            self._failures.append((second.failed, second.operations))
        if rules.p99_ms is not None and (p99_ms := second.p99_ms) is not None:
            self._p99s_ms.append(p99_ms)
        return self._error_sentence() or self._p99_sentence()

    def _error_sentence(self) -> str | None:
        limit, window = self._rules.error_rate, self._rules.over_seconds
        if limit is None or len(self._failures) < window or not _all_above(
                (failed / operations for failed, operations in self._failures), limit):
            return None
        failed = sum(one for one, _ in self._failures)
        operations = sum(one for _, one in self._failures)
        return (f"more than {100 * limit:g} % of the operations failed in each of {window} s in a row: "
                f"{failed:,} of {operations:,}, {100 * failed / operations:.1f} %")

    def _p99_sentence(self) -> str | None:
        limit, window = self._rules.p99_ms, self._rules.over_seconds
        if limit is None or len(self._p99s_ms) < window or not _all_above(self._p99s_ms, limit):
            return None
        low, high = min(self._p99s_ms), max(self._p99s_ms)
        return (f"the p99 of the response time was above {limit:g} ms in each of {window} s in a row: "
                f"from {low:.1f} to {high:.1f} ms")


def _all_above(values: Iterable[float], limit: float) -> bool:
    return all(value > limit for value in values)
