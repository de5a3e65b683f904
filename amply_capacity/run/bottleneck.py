"""The seconds of a run in which the generator, and not the server, was the bottleneck.

Told from what each generator process noted of itself every second (`load` events: CPU, wait for a CPU, lag of
its event loop) and, for an open loop, from the lateness of the operations.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from amply_capacity.run.histogram import quantile_us

__all__ = ["BUSY_PERCENT", "LATE_MS", "STALL_MS", "STARVED_PERCENT", "Bottleneck", "bottleneck_rows",
           "bottlenecks"]

BUSY_PERCENT = 90.0
"""Of a core, used or waited for: a process that had no time to spare."""
STARVED_PERCENT = 25.0
"""Of a second, spent ready to run but without a CPU: every time that was taken meanwhile holds the wait."""
STALL_MS = 100.0
"""Lag of an event loop in a closed loop: a tenth of the second was lost."""
LATE_MS = 10.0
"""Lateness of 1 % of a second's operations, in an open loop."""
_LATE_SHARE = 0.01
# A loop that lagged by less than this share of the lateness does not explain it.
_EXPLAINING_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """One generator process that held the load back in one second."""

    second: int
    pid: int
    worker: int | None
    """The worker's share of the population; None for the only process."""
    cause: str
    """cpu: it used up its core; starved: it wanted a core and was not given one; stolen: the core itself was
    not, since the hypervisor ran others; stalled: its event loop stood still."""
    cpu_percent: float
    wait_percent: float | None
    """Time on the run queue, in percent of the second; None where the system does not tell."""
    stolen_percent: float | None
    """Its core's time that the hypervisor gave to others, likewise."""
    lag_ms: float
    """The longest delay of the event loop in that second."""
    late_ms: float | None
    """What 1 % of the operations left late by, or more; None in a closed loop."""


def bottlenecks(events: pd.DataFrame, requests: pd.DataFrame, arrivals: str,
                first: int, last: int) -> list[Bottleneck]:
    """The bottlenecks from second `first` to `last`; `events` with their details as dicts.

    Closed loop: a process set the pace when it had no time to spare, waited a quarter of the second for a
    CPU, its own machine's or the host's, or stood still for a tenth of it. Open loop: only where operations
    left late, and the process explains it. A connection that was busy, since the server was slow, makes them
    late too: the process then has CPU to spare and its loop does not lag.
    """
    late = None if arrivals == "closed" else _late_ms(requests, first, last)
    found = []
    for detail in events.loc[(events["kind"] == "generator") & (events["name"] == "load"), "detail"]:
        if "second" not in detail or detail.get("role") == "master":  # a master sends no operations
            continue
        covered = range(int(detail["second"]), int(detail["second"]) + max(round(detail["seconds"]), 1))
        for second in covered:
            late_ms = None if late is None else late.get(second, 0.0)
            cause = _cause(detail, late_ms) if first <= second <= last else None
            if cause is not None:
                found.append(Bottleneck(
                    second, int(detail["pid"]), detail.get("worker"), cause,
                    float(detail["cpu_percent"]), detail.get("wait_percent"), detail.get("stolen_percent"),
                    float(detail["lag_ms"]), late_ms))
    return found


def bottleneck_rows(found: Iterable[Bottleneck]) -> list[dict[str, Any]]:
    """Rows of `events.parquet`."""
    rows = []
    for one in found:
        detail = {name: value for name, value in asdict(one).items() if value is not None}
        rows.append({"time_s": float(one.second), "kind": "generator", "name": "bottleneck",
                     "detail": json.dumps(detail)})
    return rows


def _cause(detail: dict[str, Any], late_ms: float | None) -> str | None:
    cpu, lag_ms, stolen = detail["cpu_percent"], detail["lag_ms"], detail.get("stolen_percent") or 0.0
    wait = (detail.get("wait_percent") or 0.0) + stolen
    for_want_of_cpu = "stolen" if stolen > 0.5 * wait else "starved"
    if late_ms is not None and late_ms < LATE_MS:
        return None
    if cpu >= BUSY_PERCENT:
        return "cpu"
    if cpu + wait >= BUSY_PERCENT or wait >= STARVED_PERCENT:
        return for_want_of_cpu
    stalled_ms = STALL_MS if late_ms is None else max(LATE_MS, _EXPLAINING_SHARE * late_ms)
    if lag_ms < stalled_ms:
        return None
    # A loop that stood still for want of a CPU shows its wait; else it was stopped, or blocked by itself.
    waited_ms = 10.0 * wait * detail["seconds"]
    return for_want_of_cpu if waited_ms >= _EXPLAINING_SHARE * lag_ms else "stalled"


def _late_ms(requests: pd.DataFrame, first: int, last: int) -> dict[int, float]:
    """By second, the lateness that 1 % of its operations reached or exceeded, ms."""
    late = requests[(requests["clock"] == "lateness") & (requests["command"] == "")
                    & requests["second"].between(first, last)]
    return {int(str(second)): quantile_us(times["bucket_us"], times["count"], 1.0 - _LATE_SHARE) / 1000.0
            for second, times in late.groupby("second")}
