"""Watches the load second by second, in the recording process: searches the knee, and knows when to stop."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from amply_capacity.load.knee import KneeSearch
from amply_capacity.load.knee_step import StepSecond
from amply_capacity.load.stopping import Second, Stopping, StopRules
from amply_capacity.load.wire import Batch, Limits, Search
from amply_capacity.run.bottleneck import bottlenecks
from amply_capacity.run.histogram import quantile_us
from amply_capacity.run.schema import FAILED_OUTCOMES

__all__ = ["Order", "Overseer"]

_SETTLING_SECONDS = 0.2
"""A new rate is in force so long after it was told, at the latest."""
_REPORT_SECONDS = 1.3
"""What workers had to report is here so long after the second's end."""
_WHOLE_SHARE, _WHOLE_DEVIATIONS = 0.9, 3.0
"""Of the starts that a rate wants; fewer, but for Poisson's chance, and not all its clients were there."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the generators have to do: another rate, or to end; and the event that says why."""

    event: tuple[str, dict[str, Any]] | None = None
    """Name and detail of an event `knee`."""
    rate: float | None = None
    knee: dict[str, Any] | None = None
    """The search is over; this is what it found."""
    stop: str | None = None
    """A limit was exceeded."""


class Overseer:
    """Takes what all generators measured, and looks at each second once it is complete.

    With workers that is more than a second later: they report on beats of their own.
    """

    def __init__(self, search: Search | None, limits: Limits | None, arrivals: str,
                 has_workers: bool) -> None:
        self._asked = search
        self._search = None if search is None else _searching(search)
        self._stopping = Stopping(StopRules(limits.error_share, limits.p99_ms)) if limits else None
        self._arrivals = arrivals
        self._grace_seconds = _REPORT_SECONDS if has_workers else 0.0
        self._rates: list[tuple[float, float]] = []
        self._requests: dict[int, list[pd.DataFrame]] = defaultdict(list)
        self._offered: dict[int, int] = defaultdict(int)
        self._loads: dict[int, list[dict[str, Any]]] = defaultdict(list)
        self._next_second: int | None = None
        self._is_whole = False  # whether the clients have offered what they were asked for once
        self._ramp_seconds = 0

    @property
    def is_needed(self) -> bool:
        return self._search is not None or self._stopping is not None

    def begin(self, now_s: float) -> Iterator[Order]:
        """The measured phase begins: the first whole second is the next."""
        self._next_second = int(now_s) + 1
        search, asked = self._search, self._asked
        if search is None or asked is None:
            return
        if search.done:  # the web page has started another load
            self._search = search = _searching(asked)
            self._is_whole, self._ramp_seconds = False, 0
        self._rates = [(now_s, search.rate)]
        yield Order(event=("began", search.as_event()), rate=search.rate)

    def take(self, batch: Batch, requests: pa.Table, loads: list[dict[str, Any]]) -> None:
        """Add a batch: the rows of its requests, and the details of its `load` events."""
        for second, rows in requests.filter(pc.field("command") == "").to_pandas().groupby("second"):
            self._requests[int(str(second))].append(rows)
        for second, count in batch.offered:
            self._offered[second] += count
        for detail in loads:
            self._loads[int(detail["second"])].append(detail)

    def look(self, now_s: float) -> Iterator[Order]:
        """Judge the seconds that are complete by now."""
        while self._next_second is not None and self._next_second + 1 <= now_s - self._grace_seconds:
            second, self._next_second = self._next_second, self._next_second + 1
            frames = self._requests.pop(second, None)
            rows = pd.concat(frames) if frames else _NOTHING
            yield from self._judge_limits(rows)
            yield from self._advance(second, rows, now_s)
            self._offered.pop(second, None)
            self._loads.pop(second, None)

    def end(self, reason: str) -> Iterator[Order]:
        """The load has ended: what the search has found by now, if it goes on."""
        if self._search is not None and not self._search.done:
            if self._ramp_seconds and not self._is_whole:
                reason += " while its clients were still being started: give a higher -r"
            self._search.stop(reason)
            found = self._search.result.as_json()
            yield Order(event=("ended", found), knee=found)

    def _judge_limits(self, rows: pd.DataFrame) -> Iterator[Order]:
        if self._stopping is None:
            return
        times = rows[rows["clock"] == "response"]
        failed = times["outcome"].isin(FAILED_OUTCOMES)
        responses = tuple(zip(times["bucket_us"].tolist(), times["count"].tolist(), strict=True))
        reason = self._stopping.feed(Second(
            int(times["count"].sum()), int(times.loc[failed, "count"].sum()), responses))
        if reason:
            self._stopping = None
            yield Order(stop=reason)

    def _advance(self, second: int, rows: pd.DataFrame, now_s: float) -> Iterator[Order]:
        search = self._search
        if search is None or search.done:
            return
        if not self._is_whole:  # while clients are started, nothing is searched
            self._is_whole = self._is_offered(second, self._rates[0][1])
            self._ramp_seconds += 1
            if not self._is_whole:
                return
        step = search.observe(self._step_second(second, rows))
        if step is not None:
            yield Order(event=("step", step.as_event()))
        if search.done:
            found = search.result.as_json()
            yield Order(event=("ended", found), knee=found)
        elif search.rate != self._rates[-1][1]:
            self._rates.append((now_s, search.rate))
            yield Order(rate=search.rate)

    def _step_second(self, second: int, rows: pd.DataFrame) -> StepSecond:
        times = rows[rows["clock"] == "response"]
        has_failed = times["outcome"].isin(FAILED_OUTCOMES)
        by_use_case = {}
        for use_case, good in times[~has_failed].groupby("use_case"):
            merged = good.groupby("bucket_us")["count"].sum()
            by_use_case[str(use_case)] = (merged.index.to_numpy(np.int64), merged.to_numpy(np.int64))
        failed = times[has_failed].groupby("use_case")["count"].sum()
        late = rows[rows["clock"] == "lateness"]
        late_ms = quantile_us(late["bucket_us"], late["count"], 0.99) / 1000.0 if len(late) else None
        loads = pd.DataFrame({"kind": "generator", "name": "load", "detail": self._loads.get(second, [])})
        return StepSecond(
            second, self._rate_in(second), self._offered.get(second, 0), int(times["count"].sum()),
            by_use_case, {str(use_case): int(count) for use_case, count in failed.items()}, late_ms,
            bool(bottlenecks(loads, rows, self._arrivals, second, second)))

    def _rate_in(self, second: int) -> float | None:
        """The rate that was in force for the whole second, of all clients; None where it was not one."""
        told_s, rate = next((told_s, rate) for told_s, rate in reversed(self._rates) if told_s < second + 1)
        is_settled = told_s + _SETTLING_SECONDS <= second or len(self._rates) == 1
        return rate if is_settled and self._is_offered(second, rate) else None

    def _is_offered(self, second: int, rate: float) -> bool:
        """Whether that many starts were due in it: a worker that is lost, or new, offers less."""
        least = _WHOLE_SHARE * rate - _WHOLE_DEVIATIONS * math.sqrt(rate)
        return self._offered.get(second, 0) >= least


def _searching(asked: Search) -> KneeSearch:
    return KneeSearch(asked.objectives_ms, asked.first_rate)


_NOTHING = pd.DataFrame({"use_case": [], "operation": [], "command": [], "outcome": [], "clock": [],
                         "bucket_us": np.array([], np.int64), "count": np.array([], np.int64), "second": []})
