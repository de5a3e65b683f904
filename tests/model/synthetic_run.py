"""A run with known answers, written through the toolkit's own writer."""

from __future__ import annotations

import heapq
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import log1p
from pathlib import Path
from typing import Any

import numpy as np

from amply_capacity.run.histogram import bucket_upper_us
from amply_capacity.run.reader import Run, read_run
from amply_capacity.run.schema import RAW_INFO
from amply_capacity.run.writer import RunWriter

NODE = "127.0.0.1:7000"
BEGAN = 1_700_000_000
"""Unix second in which the measured phase begins; its first whole second is the next."""
SECONDS = 10
"""Whole seconds of the measured phase."""
COMMANDS_PER_SECOND = 1_000.0
CPU_SECONDS_PER_SECOND = 0.02
BYTES_IN_PER_SECOND, BYTES_OUT_PER_SECOND = 50_000.0, 200_000.0
CLIENTS, BYTES_PER_CLIENT = 5, 22_000.0
HITS_PER_SECOND, MISSES_PER_SECOND = 90, 10

MANIFEST: dict[str, Any] = {
    "run": "synthetic", "scenario": "mixed", "started_at": "2026-11-23T10:00:00.000+00:00",
    "verdict": "complete",
    "arrivals": "poisson", "rate_per_second": 200.0, "seed": 1, "emulated": ["FreeableMemory"],
    "target": {"url": f"redis://{NODE}/0", "node_type": "cache.t3.micro"}, "prefill": {"share": 1.0},
    "population": {"users": 100, "sessions_per_user": 5.5, "stale_share": 0.5},
    "server": {"engine": "redis", "version": "7.0.15", "allocator": "jemalloc-5.3.0",
               "used_memory_startup": 900_000},
}


def prefill(keys: int, *, bytes_of_keys: int, volatile: int | None = None, before: int = 0,
            volatile_before: int = 0, tables: int = 0) -> dict[str, Any]:
    """What the pre-fill notes of a class whose keys took so many bytes, and hash tables so many on top."""
    return {"keys": keys, "volatile_keys": keys if volatile is None else volatile, "keys_before": before,
            "volatile_before": volatile_before, "used_before_bytes": 1_000_000,
            "used_after_bytes": 1_000_000 + bytes_of_keys + tables}


def times(second: int, operation: str, use_case: str, *, command: str = "", outcome: str = "ok",
          clock: str = "service", us: int = 100, count: int = 1) -> dict[str, Any]:
    return {"second": second, "use_case": use_case, "operation": operation, "command": command,
            "outcome": outcome, "clock": clock, "bucket_us": us, "count": count}


def one_second(second: int) -> list[dict[str, Any]]:
    """100 cached reads, of which 10 are filled, and 50 rate-limit checks."""
    rows = [
        times(second, "cached_read", "cache", outcome="hit", us=100, count=HITS_PER_SECOND),
        times(second, "cached_read", "cache", outcome="miss", us=5_000, count=MISSES_PER_SECOND),
        times(second, "cached_read", "cache", command="GET", us=90, count=100),
        times(second, "cached_read", "cache", command="SETEX", us=90, count=MISSES_PER_SECOND),
        times(second, "check", "rate_limit", outcome="allowed", us=200, count=50),
        times(second, "check", "rate_limit", command="INCR+EXPIRE", us=200, count=50),
    ]
    late = [{**row, "clock": "response", "bucket_us": row["bucket_us"] + 1_000}
            for row in rows if not row["command"]]
    return rows + late


def server_second(number: int) -> dict[str, Any]:
    """The sample at the end of that second: cumulated counts, and this second's rates."""
    raw = {name: 0.0 for name, _ in RAW_INFO}
    raw |= {"info_total_commands_processed": 5_000.0 + COMMANDS_PER_SECOND * number,
            "info_used_cpu_user": 1.0 + 0.75 * CPU_SECONDS_PER_SECOND * number,
            "info_used_cpu_sys": 2.0 + 0.25 * CPU_SECONDS_PER_SECOND * number,
            "info_mem_clients_normal": CLIENTS * BYTES_PER_CLIENT}
    return {"second": BEGAN + number, "node": NODE, "CurrConnections": float(CLIENTS), "Evictions": 2.0,
            "EngineCPUUtilization": 100 * CPU_SECONDS_PER_SECOND, "NetworkBytesIn": BYTES_IN_PER_SECOND,
            "NetworkBytesOut": BYTES_OUT_PER_SECOND, **raw}


@dataclass(frozen=True)
class KnownServer:
    """A server whose CPU obeys the law of `model/cpu_curve.py`; the values are those of an ordinary host."""

    idle_us: float = 4_500.0
    own_us: float = 4.6
    wake_us: float = 8.0
    gap_us: float = 50.0

    def saturation(self, execution_us: float) -> float:
        return (1e6 - self.idle_us) / (self.own_us + execution_us)

    def us_per_round(self, rate: float, execution_us: float) -> float:
        """By bisection; without the idle server's part."""
        warm = self.own_us + execution_us
        low, high = warm, warm + self.wake_us * log1p(1e6 / rate / self.gap_us)
        for _ in range(100):
            middle = (low + high) / 2.0
            left = max(1e6 / rate - middle, 0.0)
            is_below = middle < warm + self.wake_us * log1p(left / self.gap_us)
            low, high = (middle, high) if is_below else (low, middle)
        return low

    def cores(self, rate: float, execution_us: float) -> float:
        return (rate * self.us_per_round(rate, execution_us) + self.idle_us) / 1e6


@dataclass(frozen=True)
class Asked:
    """An operation: its share of all, and its round trips, each with its chance."""

    use_case: str
    operation: str
    share: float
    trips: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Answered:
    """Operations of one kind: when they were due, and how long they and their round trips took."""

    due_us: list[float] = field(default_factory=list)
    response_us: list[float] = field(default_factory=list)
    trips_us: list[list[tuple[str, float]]] = field(default_factory=list)


@dataclass(frozen=True)
class KnownApplication:
    """Operations on a known server over a known network: log-normal times, the same at every rate."""

    server: KnownServer
    operations: tuple[Asked, ...]
    execution_us: Mapping[tuple[str, str], float]
    """Of each round trip, by its operation and commands."""
    network_us: float = 60.0
    network_deviation: float = 0.3

    @property
    def rounds(self) -> float:
        return sum(one.share * chance for one in self.operations for _, chance in one.trips)

    @property
    def mean_execution_us(self) -> float:
        return sum(one.share * chance * self.execution_us[one.operation, name]
                   for one in self.operations for name, chance in one.trips) / self.rounds

    @property
    def saturation(self) -> float:
        """Operations a second."""
        return self.server.saturation(self.mean_execution_us) / self.rounds

    def cores(self, rate: float) -> float:
        return self.server.cores(rate * self.rounds, self.mean_execution_us)

    def answered(self, rate: float, seconds: float, seed: int,
                 stalls_us: Mapping[int, float] | None = None) -> dict[str, Answered]:
        """Simulate it, event by event: a turn reads all that is there, executes it, and then answers.

        `stalls_us` are the host's, added to one in twenty operations of a second, by its number.
        """
        rng = np.random.default_rng(seed)
        size = rng.poisson(rate * seconds)
        due = np.sort(rng.random(size)) * seconds * 1e6
        kinds = rng.choice(len(self.operations), size, p=[one.share for one in self.operations])
        network = self.network_us * np.exp(self.network_deviation * rng.standard_normal(size))
        cost = self.server.us_per_round(rate * self.rounds, self.mean_execution_us) - self.mean_execution_us
        found = {one.operation: Answered() for one in self.operations}
        names = [[name for name, chance in self.operations[kind].trips if rng.random() < chance]
                 for kind in kinds]
        coming = [(time, number, 0, 0.0) for number, time in enumerate(due.tolist())]
        told: list[list[tuple[str, float]]] = [[] for _ in coming]
        now = 0.0
        while coming:
            now = max(now, coming[0][0])
            opened, turn = now, []
            while coming and coming[0][0] <= opened:
                turn.append(heapq.heappop(coming))
                _, number, trip, _ = turn[-1]
                now += cost + self.execution_us[self.operations[kinds[number]].operation, names[number][trip]]
            for time, number, trip, waited in turn:
                part = network[number] / len(names[number])
                told[number].append((names[number][trip], now - time + part))
                if trip + 1 < len(names[number]):
                    heapq.heappush(coming, (now + part, number, trip + 1, waited + now - time))
                    continue
                stall = (stalls_us or {}).get(int(due[number] // 1e6), 0.0) * (number % 20 == 0)
                ours = found[self.operations[kinds[number]].operation]
                ours.due_us.append(due[number])
                ours.response_us.append(waited + now - time + network[number] + stall)
                ours.trips_us.append(told[number])
        return found

    def requests(self, rate: float, seconds: int = SECONDS, seed: int = 1, first: int = BEGAN,
                 stalls_us: Mapping[int, float] | None = None) -> list[dict[str, Any]]:
        """What the recorder would write of it, `first` being the Unix second in which it begins."""
        rows = []
        answered = self.answered(rate, seconds, seed, stalls_us)
        for one in self.operations:
            ours = answered[one.operation]
            second = first + np.array(ours.due_us, dtype=np.float64).astype(np.int64) // 1_000_000
            for clock in ("service", "response"):
                rows += _rows(one, second, np.array(ours.response_us), "", clock)
            for name, _ in one.trips:
                some = [(when, us) for when, told in zip(second, ours.trips_us, strict=True)
                        for asked, us in told if asked == name]
                rows += _rows(one, *map(np.array, zip(*some, strict=True)), name, "service")
        return rows

    def options(self, rate: float, seconds: int = SECONDS, seed: int = 1,
                stalls_us: Mapping[int, float] | None = None) -> dict[str, Any]:
        """Of a steady run of it, for `synthetic_run`."""
        asked: dict[str, list[float]] = {}
        commands = 0.0
        for one in self.operations:
            for name, chance in one.trips:
                each = self.execution_us[one.operation, name] / len(name.split("+"))
                for part in name.lower().split("+"):
                    commands += one.share * chance
                    count, usec = asked.get(part, [0.0, 0.0])
                    asked[part] = [count + one.share * chance, usec + one.share * chance * each]
        return {
            "seconds": seconds, "is_standing": False, "rate_per_second": rate, "run": f"known-{rate:g}",
            "requests": self.requests(rate, seconds + 2, seed, stalls_us=stalls_us),
            "server": server_samples([rate * commands] * (seconds + 1), [self.cores(rate)] * (seconds + 1)),
            "commands": command_stats({name: usec / count for name, (count, usec) in asked.items()})}


def _rows(one: Asked, second: Any, us: Any, command: str, clock: str) -> list[dict[str, Any]]:
    both = np.stack([second, bucket_upper_us(us.astype(np.int64))], axis=1)
    found, counts = np.unique(both, axis=0, return_counts=True)
    return [times(int(when), one.operation, one.use_case, command=command, clock=clock, us=int(bucket),
                  count=int(count)) for (when, bucket), count in zip(found, counts, strict=True)]


def server_samples(commands_per_second: Sequence[float], cores: Sequence[float],
                   **columns: Any) -> list[dict[str, Any]]:
    """Samples of a server whose commands and CPU differ from second to second, from `BEGAN` on; INFO, which
    the toolkit asks every second, is added to the commands."""
    done = [0.0, *accumulate(rate + 1.0 for rate in commands_per_second)]
    used = [0.0, *accumulate(cores)]
    return [{**server_second(number), "info_total_commands_processed": 5_000.0 + commands,
             "info_used_cpu_user": 1.0 + 0.75 * cpu, "info_used_cpu_sys": 2.0 + 0.25 * cpu, **columns}
            for number, (commands, cpu) in enumerate(zip(done, used, strict=True))]


def command_stats(execution_us: Mapping[str, float], calls: int = 1_000_000) -> list[dict[str, Any]]:
    """Rows of `commands`, of commands that took so long, mean."""
    return [{"node": NODE, "command": name, "calls": calls, "usec": round(calls * each), "rejected_calls": 0,
             "failed_calls": 0} for name, each in execution_us.items()]


def synthetic_run(directory: Path, *, seconds: int = SECONDS,
                  classes: dict[str, dict[str, Any]] | None = None,
                  requests: list[dict[str, Any]] | None = None, server: list[dict[str, Any]] | None = None,
                  commands: list[dict[str, Any]] | None = None, is_standing: bool = True,
                  **manifest: Any) -> Run:
    """Write it and read it back. `requests` are added to the standing load, or are all where that is not;
    `server` replaces its samples."""
    writer = RunWriter(directory, {**MANIFEST, **manifest})
    phases = [(BEGAN - 5.0, f"prefill:{name}", detail) for name, detail in (classes or {}).items()]
    phases += [(BEGAN + 0.4, "measured", {}), (BEGAN + seconds + 1.6, "ended", {})]
    writer.append("events", [{"time_s": time_s, "kind": "phase", "name": name, "detail": json.dumps(detail)}
                             for time_s, name, detail in phases])
    # One second before and one after the measured phase, which must not count.
    load = [row for number in range(seconds + 2) for row in one_second(BEGAN + number)]
    writer.append("requests", (load if is_standing else []) + (requests or []))
    writer.append("commands", commands or [])
    samples = [server_second(number) for number in range(seconds + 2)] if server is None else server
    writer.append("server", samples)
    writer.close()
    writer.amend(verdict=manifest.get("verdict", "complete"))
    return read_run(directory)
