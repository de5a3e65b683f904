"""A server that is simulated, so that its knee is known: one queue, one second at a time."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amply_capacity.load.knee import KneeSearch
from amply_capacity.load.knee_step import Step, StepSecond
from amply_capacity.run.histogram import bucket_upper_us
from amply_capacity.run.writer import RunWriter

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Service:
    """Service times: exponential with a mean, or constant; some operations are longer, or a stall is served.

    `long_share` of the operations take a mean of `long_s`; a stall of a mean of `stall_s` comes in Poisson
    times and is served like an operation.
    """

    mean_s: float
    is_constant: bool = False
    long_share: float = 0.0
    long_s: float = 0.0
    stalls_per_second: float = 0.0
    stall_s: float = 0.0

    def times(self, rng: np.random.Generator, size: int) -> Array:
        if self.is_constant:
            return np.full(size, self.mean_s)
        return rng.exponential(np.where(rng.random(size) < self.long_share, self.long_s, self.mean_s))

    def share_beyond(self, limit_s: float, rate: float) -> float:
        """P(response time > limit) in equilibrium, exact: Pollaczek and Khinchine's transform."""
        if self.is_constant:
            return self._constant_beyond(limit_s, rate)
        both = rate + self.stalls_per_second
        share = self.long_share if self.long_share else self.stalls_per_second / both
        short, long = 1.0 / self.mean_s, 1.0 / (self.long_s or self.stall_s or self.mean_s)
        spare = 1.0 - both * ((1.0 - share) / short + share / long)
        if spare <= 0.0:
            return 1.0
        poles = np.polymul([1.0, short], [1.0, long])
        served = np.polyadd((1.0 - share) * short * np.array([1.0, long]),
                            share * long * np.array([1.0, short]))
        quotient = np.polyadd(np.polymul([1.0, -both], poles), both * served)[:-1]  # less its root at 0
        own = served if self.long_share else short * np.array([1.0, long])
        roots = np.roots(quotient)
        residues = spare * np.polyval(own, roots) / np.polyval(np.polyder(quotient), roots)
        return float(np.real((residues / -roots * np.exp(roots * limit_s)).sum()))

    def _constant_beyond(self, limit_s: float, rate: float) -> float:
        """Erlang's formula for the wait in M/D/1."""
        load, wait = rate * self.mean_s, limit_s / self.mean_s - 1.0
        if load >= 1.0:
            return 1.0
        terms = [(load * (k - wait)) ** k / math.factorial(k) * math.exp(-load * (k - wait))
                 for k in range(math.floor(wait) + 1)]
        return 1.0 - (1.0 - load) * math.fsum(terms)

    def knee(self, limit_ms: float) -> float:
        """The rate at which 1 % take longer."""
        low, high = 1.0, 1.0 / self.mean_s
        for _ in range(60):
            middle = (low + high) / 2.0
            is_beyond = self.share_beyond(limit_ms / 1000.0, middle) > 0.01
            low, high = (low, middle) if is_beyond else (middle, high)
        return low


@dataclass
class SimulatedServer:
    """First come, first served, by Lindley's recursion; what is unfinished waits for the next second."""

    service: Service
    rng: np.random.Generator
    capacity_of_generator: float = math.inf
    """Operations a second that the generator can send; what it sends late is counted from its schedule."""
    shares: dict[str, float] = field(default_factory=lambda: {"sessions": 1.0})
    """Share of each use case in the operations."""
    now: int = 0
    _free_s: float = 0.0
    _waiting: Array = field(default_factory=lambda: np.empty((0, 2)))
    _sent_s: float = 0.0

    def second(self, rate: float, is_whole: bool = True) -> StepSecond:
        intended = np.sort(self.now + self.rng.random(self.rng.poisson(rate)))
        sent = self._send(intended)
        stalls = self.now + self.rng.random(self.rng.poisson(self.service.stalls_per_second))
        arrived = np.concatenate([sent, stalls])
        work = np.concatenate([self.service.times(self.rng, len(sent)),
                               self.rng.exponential(self.service.stall_s, len(stalls))])
        order = np.argsort(arrived, kind="stable")
        total = np.cumsum(work[order])
        begins = np.maximum.accumulate(arrived[order] - (total - work[order]))
        ended = np.empty(len(arrived))
        ended[order] = total + np.maximum(begins, self._free_s)
        self._free_s = float(ended.max(initial=self._free_s))
        everything = np.concatenate([self._waiting, np.stack([intended, ended[:len(sent)]], axis=1)])
        self.now += 1
        is_done = everything[:, 1] < self.now
        self._waiting = everything[~is_done]
        done = everything[is_done]
        return StepSecond(
            second=self.now - 1, rate_per_second=rate if is_whole else None, offered=len(intended),
            finished=len(done), times=self._times(done[:, 1] - done[:, 0]),
            lateness_p99_ms=float(np.quantile(sent - intended, 0.99) * 1e3) if len(sent) else None,
            is_generator_bound=rate > self.capacity_of_generator)

    def _send(self, intended: Array) -> Array:
        """When the operations leave the generator, which takes its time for each."""
        if math.isinf(self.capacity_of_generator) or not len(intended):
            return intended
        cost = np.full(len(intended), 1.0 / self.capacity_of_generator)
        total = np.cumsum(cost)
        sent = total + np.maximum(np.maximum.accumulate(intended - (total - cost)), self._sent_s)
        self._sent_s = float(sent[-1])
        return sent

    def _times(self, responses_s: Array) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]:
        buckets = bucket_upper_us((responses_s * 1e6).astype(np.int64))
        which = self.rng.choice(len(self.shares), len(buckets), p=list(self.shares.values()))
        return {name: np.unique(buckets[which == number], return_counts=True)
                for number, name in enumerate(self.shares)}


Watch = Callable[[StepSecond, Step | None], None]


def drive(search: KneeSearch, server: SimulatedServer, watch: Watch | None = None,
          most_seconds: int = 300) -> None:
    """Offer what the search asks for until it is done; seconds in which the rate changes are mixed."""
    before = None
    for _ in range(most_seconds):
        rate = search.rate
        second = server.second(rate, is_whole=rate == before)
        before = rate
        step = search.observe(second)
        if watch is not None:
            watch(second, step)
        if search.done:
            return
    raise AssertionError(f"no end after {most_seconds} seconds")


def record_search(directory: Path, search: KneeSearch, server: SimulatedServer, **manifest: Any) -> None:
    """Drive the search and write the run that a load generator would."""
    facts = {"run": directory.name, "scenario": "mixed", "started_at": "2026-11-23T10:00:00.000+00:00",
             "arrivals": "poisson", **manifest}
    writer = RunWriter(directory, facts)

    def note(kind: str, name: str, time_s: float, detail: dict[str, Any]) -> None:
        row = {"time_s": time_s, "kind": kind, "name": name, "detail": json.dumps(detail)}
        writer.append("events", [row])

    def watch(second: StepSecond, step: Step | None) -> None:
        rows = [{"second": second.second, "use_case": use_case, "operation": "any", "command": "",
                 "outcome": outcome, "clock": clock, "bucket_us": int(bucket), "count": int(count)}
                for clock in ("service", "response") for use_case, (buckets, counts) in second.times.items()
                for outcome, bucket, count in zip(["ok"] * len(buckets), buckets, counts, strict=True)]
        writer.append("requests", rows)
        if step is not None:
            note("knee", "step", second.second + 1.0, step.as_event())

    note("phase", "measured", server.now - 0.5, {})
    note("knee", "began", float(server.now), search.as_event())
    drive(search, server, watch)
    note("knee", "ended", server.now + 0.1, search.result.as_json())
    note("phase", "ended", server.now + 0.5, {})
    writer.close(knee=search.result.as_json())
    writer.amend(verdict="complete")
