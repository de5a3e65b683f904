"""Plays a trace against a real server at its own times, cache-aside, and counts what happened."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.server import Wire
from bench.trace import Trace

__all__ = ["Outcome", "replay"]

_TURN_SECONDS = 0.0005
_VALUE = b"x" * 65536


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a server did with a trace."""

    reads: int
    """Reads of what a miss fills."""
    hits: int
    info_hits: int
    info_misses: int
    evictions: int
    refused: int
    used_memory_bytes: int
    keys: int
    late_seconds: float
    """How late the latest turn was sent."""

    @property
    def hit_rate(self) -> float:
        return self.hits / self.reads

    @property
    def info_hit_rate(self) -> float:
        return self.info_hits / (self.info_hits + self.info_misses)


def replay(trace: Trace, port: int) -> Outcome:
    """Play it on an empty server of our own at that port of this host.

    A turn's commands leave in one write, and what its missed reads fill in another one after it. A turn that
    is a millisecond long has few reads of one key.
    """
    times, columns = trace["time_s"].to_numpy(), _columns(trace)
    with Wire(port) as wire:
        player = _Player(wire)
        before = wire.info()
        began, at, late = time.perf_counter(), 0, 0.0
        while at < len(times):
            now = time.perf_counter() - began
            upto = int(np.searchsorted(times, now, side="right"))
            if upto == at:
                time.sleep(max(_TURN_SECONDS, times[at] - now))
                continue
            late = max(late, now - times[at])
            player.turn(columns[at:upto])
            at = upto
            time.sleep(_TURN_SECONDS)
        after = wire.info()
    return Outcome(
        player.reads, player.hits, after["keyspace_hits"] - before["keyspace_hits"],
        after["keyspace_misses"] - before["keyspace_misses"], after["evicted_keys"] - before["evicted_keys"],
        player.refused, after["used_memory"], after["keys"], late)


def _columns(trace: Trace) -> list[tuple[str, str, int | None, int | None]]:
    sizes = trace["value_bytes"].astype(object).where(trace["value_bytes"].notna(), None)
    ttls = [None if not np.isfinite(ttl) else round(ttl) for ttl in trace["ttl_s"]]
    return list(zip(trace["op"], trace["key"], sizes, ttls, strict=True))


class _Player:
    """One connection, and the counts."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.reads = self.hits = self.refused = 0
        self._members = 0

    def turn(self, accesses: list[tuple[str, str, int | None, int | None]]) -> None:
        commands: list[tuple[Any, ...]] = []
        asked: list[tuple[str, int, int | None] | None] = []
        fills: list[tuple[Any, ...]] = []
        for op, key, size, ttl in accesses:
            for command in self._commands(op, key, size, ttl):
                commands.append(command)
                asked.append((key, size, ttl) if op == "get" and size is not None else None)
        for question, reply in zip(asked, self._wire.ask(commands), strict=True):
            if isinstance(reply, Exception):
                self.refused += 1
            elif question is not None:
                self.reads += 1
                if reply is not None:
                    self.hits += 1
                else:
                    fills.append(_set(*question))
        self.refused += sum(isinstance(reply, Exception) for reply in self._wire.ask(fills))

    def _commands(self, op: str, key: str, size: int | None, ttl: int | None) -> list[tuple[Any, ...]]:
        if op in ("set", "setex"):
            return [_set(key, size or 0, ttl)]
        if op == "sadd":
            self._members += 1
            return [("SADD", key, f"{self._members:0{size}d}")]
        if op == "incr" and ttl is not None:  # the application's: an expiry for a counter that begins
            return [("INCR", key), ("EXPIRE", key, ttl, "NX")]
        return [(op.upper(), key)]


def _set(key: str, size: int, ttl: int | None) -> tuple[Any, ...]:
    value = _VALUE[:size]
    return ("SET", key, value) if ttl is None else ("SETEX", key, ttl, value)
