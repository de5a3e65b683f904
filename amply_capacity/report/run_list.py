"""The runs of this checkout at a glance: verdict, scenario, rate, p99 and date of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amply_capacity.errors import BadRun
from amply_capacity.run.histogram import quantile_us
from amply_capacity.run.reader import Run, all_runs

__all__ = ["listed", "run_label", "run_row"]


def listed(most: int | None = None) -> list[dict[str, Any]]:
    """A row for each whole run under `data/runs/`, newest first, so many at most."""
    return [run_row(run) for run in all_runs()[:most]]


def run_row(run: Run) -> dict[str, Any]:
    """What is known of a run without modelling anything.

    `operations_per_second` were answered in the measured phase; `p99_ms` is over all operations, response
    time in an open loop and service time in a closed one. None where the run holds no load, or a damaged
    table.
    """
    row: dict[str, Any] = {
        "run": run.name, "scenario": run.manifest["scenario"], "verdict": run.verdict,
        "started_at": run.manifest["started_at"], "directory": str(run.directory),
        "arrivals": run.manifest.get("arrivals"), "rate_per_second": run.manifest.get("rate_per_second"),
        "operations_per_second": None, "p99_ms": None, "clock": None, "note": None,
    }
    try:
        first, last = run.measured_seconds
        rows = run.requests[run.requests["command"] == ""]
    except BadRun as error:
        return row | {"note": error.what}
    clock = "service" if row["arrivals"] == "closed" else "response"
    rows = rows[rows["second"].between(first, last)]
    done = int(rows.loc[rows["clock"] == "service", "count"].sum())
    times = rows[rows["clock"] == clock]
    p99_ms = quantile_us(times["bucket_us"], times["count"], 0.99) / 1000.0 if len(times) else None
    return row | {"operations_per_second": round(done / (last - first + 1), 1), "clock": clock,
                  "p99_ms": p99_ms}


def run_label(row: Mapping[str, Any]) -> str:
    """A run in a line: `2026-11-23 21:05 · mixed · complete · 1,000/s · p99 0.61 ms`."""
    parts = [str(row["started_at"])[:16].replace("T", " "), str(row["scenario"]), str(row["verdict"])]
    if row["operations_per_second"] is not None:
        parts.append(f"{row['operations_per_second']:,.0f}/s")
    if row["p99_ms"] is not None:
        parts.append(f"p99 {row['p99_ms']:.3g} ms")
    return " · ".join(parts)
