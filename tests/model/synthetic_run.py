"""A run with known answers, written through the toolkit's own writer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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


def synthetic_run(directory: Path, *, seconds: int = SECONDS,
                  classes: dict[str, dict[str, Any]] | None = None,
                  requests: list[dict[str, Any]] | None = None, server: list[dict[str, Any]] | None = None,
                  **manifest: Any) -> Run:
    """Write it and read it back. `requests` are added to the standing load; `server` replaces its samples."""
    writer = RunWriter(directory, {**MANIFEST, **manifest})
    phases = [(BEGAN - 5.0, f"prefill:{name}", detail) for name, detail in (classes or {}).items()]
    phases += [(BEGAN + 0.4, "measured", {}), (BEGAN + seconds + 1.6, "ended", {})]
    writer.append("events", [{"time_s": time_s, "kind": "phase", "name": name, "detail": json.dumps(detail)}
                             for time_s, name, detail in phases])
    # One second before and one after the measured phase, which must not count.
    load = [row for number in range(seconds + 2) for row in one_second(BEGAN + number)]
    writer.append("requests", load + (requests or []))
    samples = [server_second(number) for number in range(seconds + 2)] if server is None else server
    writer.append("server", samples)
    writer.close()
    writer.amend(verdict=manifest.get("verdict", "complete"))
    return read_run(directory)
