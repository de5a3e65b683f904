"""How fast traffic is emulated, beside libCacheSim's LRU on the same trace and core; a whole curve;
memory."""

from __future__ import annotations

import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from amply_capacity.interval import Interval
from amply_capacity.model.emulator import GET, Commands, Emulator, scattered
from amply_capacity.model.eviction import Setting, hit_rates
from amply_capacity.model.layout import Layout
from amply_capacity.model.workload import Workload
from bench.apart import apart

__all__ = ["table"]

_ACCESSES, _KEYS, _ZIPF, _BYTES = 10_000_000, 500_000, 1.0, 500
_SECONDS, _LASTING = 4000, 100 * 86_400 * 200
_SHARES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8)
"""Of the memory that all keys take."""
_CURVE_SIZES = 20
_ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
_CORE = 0
_LONGEST_SECONDS = 300.0


def table() -> str:
    """Accesses a second by memory, side by side; a curve of 20 sizes; bytes a key."""
    commands = _commands()
    lines = [f"emulator, a core: {_ACCESSES:,} reads of {_KEYS:,} keys, Zipf {_ZIPF:g}, filled on a miss",
             f"{'memory':>8} {'hit rate':>9} {'ours M/s: median (range)':>27} {'libCacheSim LRU M/s':>27} "
             f"{'ratio':>18}  at least 3 wanted, aim 5"]
    others = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {_CORE})
    try:
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / "trace.bin"
            _write(commands, file)
            for share in _SHARES:
                lines.append(_row(commands, file, share))
    finally:
        os.sched_setaffinity(0, others)
    return "\n".join([*lines, "", _curve(commands), _memory()])


def _commands() -> Commands:
    random = np.random.default_rng(40)
    weights = np.arange(1, _KEYS + 1, dtype=np.float64) ** -_ZIPF
    cumulative = np.cumsum(weights)
    keys = np.searchsorted(cumulative, random.random(_ACCESSES) * cumulative[-1], side="right")
    times = np.sort(random.integers(0, _SECONDS * 100, _ACCESSES)).astype(np.int32)
    whole = Commands(times, np.minimum(keys, _KEYS - 1).astype(np.int32), np.full(_ACCESSES, GET,
                                                                                  dtype=np.int8),
                     np.full(_ACCESSES, _BYTES, dtype=np.int32), np.zeros(_ACCESSES, dtype=np.int32),
                     np.full(_ACCESSES, _LASTING, dtype=np.int32))
    return scattered(whole, _KEYS)[0]


def _row(commands: Commands, file: Path, share: float) -> str:
    memory = round(share * _KEYS * _BYTES)
    ours, theirs, hit_rate = [], [], 0.0
    _emulated(commands, memory)  # once to compile and to warm up
    for _ in range(_ROUNDS):
        seconds, hit_rate = _emulated(commands, memory)
        ours.append(_ACCESSES / seconds / 1e6)
        beside = _lru(file, memory)
        if beside is not None:
            theirs.append(_ACCESSES / beside / 1e6)
    ratios = [one / other for one, other in zip(ours, theirs, strict=False)]
    return (f"{share:>8.0%} {hit_rate:>9.1%} {_spread(ours):>27} "
            f"{_spread(theirs) if theirs else 'not installed':>27} {_spread(ratios) if ratios else '':>18}")


def _emulated(commands: Commands, memory: int) -> tuple[float, float]:
    emulator = Emulator(_KEYS, policy="volatile-lru", limit_bytes=memory, fixed_bytes=0, ttl_entry_bytes=0,
                        bucket_bytes=0, samples=5)
    began = time.perf_counter()
    emulator.play(commands)
    seconds = time.perf_counter() - began
    return seconds, emulator.counts["hits"] / emulator.counts["reads"]


def _write(commands: Commands, file: Path) -> None:
    """The trace in libCacheSim's own binary format, which it reads fastest."""
    rows = np.zeros(_ACCESSES, dtype=[("second", "<u4"), ("key", "<u8"), ("size", "<u4"), ("next", "<i8")])
    rows["second"], rows["key"], rows["size"], rows["next"] = (
        commands.times // 100, commands.keys, _BYTES, -2)
    rows.tofile(file)


def _lru(file: Path, memory: int) -> float | None:
    """Seconds for the trace; None where libCacheSim is not installed."""
    try:
        import libcachesim
    except ImportError:
        return None
    cache: Any = libcachesim.LRU(memory)
    reader: Any = libcachesim.TraceReader(str(file), libcachesim.TraceType.ORACLE_GENERAL_TRACE)
    began = time.perf_counter()
    cache.process_trace(reader)
    return time.perf_counter() - began


def _curve(commands: Commands) -> str:
    """A hit-rate curve as `predict hit-rate` makes it, but for its seeds: a play a size, on two cores."""
    sizes = [round(share * _KEYS * _BYTES) for share in np.linspace(0.05, 1.0, _CURVE_SIZES)]
    began = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda memory: _emulated(commands, memory), sizes))
    plain = time.perf_counter() - began
    workload = Workload(commands, _KEYS, 1.0, None, ("get",), ())
    began = time.perf_counter()
    hit_rates(workload, sizes, Setting(Layout(), Interval.exact(900_000.0)))
    whole = time.perf_counter() - began
    return (f"a curve of {_CURVE_SIZES} sizes over {_ACCESSES:,} accesses: {plain:.1f} s (10 s wanted); "
            f"with the seeds of its intervals, as `predict hit-rate` plays it: {whole:.1f} s")


_MEMORY_PROBE = """
import sys
from amply_capacity.model.emulator import Emulator
Emulator(int(sys.argv[1]), policy="allkeys-lru", limit_bytes=None, fixed_bytes=0, ttl_entry_bytes=0)
"""


def _memory(count: int = 20_000_000) -> str:
    """Peak resident memory that an emulator of many keys adds to one of a single key."""
    many, single = (apart("-c", _MEMORY_PROBE, str(keys), longest_seconds=_LONGEST_SECONDS).resident_mb
                    for keys in (count, 1))
    return f"memory: {1e6 * (many - single) / count:.0f} bytes a distinct key (100 allowed)"


def _spread(values: list[float]) -> str:
    return f"{median(values):.1f} ({min(values):.1f}–{max(values):.1f})"
