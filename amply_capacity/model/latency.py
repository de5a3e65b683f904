"""Latency of the use cases, from the recorded histograms."""

from __future__ import annotations

import pandas as pd

from amply_capacity.model.evidence import Latency
from amply_capacity.run.histogram import quantiles_us
from amply_capacity.run.reader import Run

__all__ = ["latency_by_use_case", "latency_over_time", "operation_table"]


def latency_by_use_case(run: Run) -> dict[str, Latency]:
    """Service and response time of each use case's operations in the measured phase.

    The response time is absent for a closed loop: without a schedule there is nothing to be late for.
    """
    operations = _operations(run)
    closed = run.manifest["arrivals"] == "closed"
    found = {}
    for use_case, rows in operations.groupby("use_case"):
        service = rows[rows["clock"] == "service"]
        response = rows[rows["clock"] == "response"]
        p50, p99 = quantiles_us(service["bucket_us"], service["count"], [0.5, 0.99]) / 1000.0
        late = None if closed else float(quantiles_us(response["bucket_us"], response["count"], [0.99])[0]) / 1000.0
        found[str(use_case)] = Latency(int(service["count"].sum()), float(p50), float(p99), late)
    return found


def latency_over_time(run: Run, clock: str, q: float) -> pd.Series:
    """The `q` quantile of all operations' times on a clock, ms, indexed by Unix second; the whole recording."""
    rows = run.requests[(run.requests["command"] == "") & (run.requests["clock"] == clock)]
    return rows.groupby("second")[["bucket_us", "count"]].apply(
        lambda second: float(quantiles_us(second["bucket_us"], second["count"], [q])[0]) / 1000.0)


def operation_table(run: Run) -> pd.DataFrame:
    """One row per operation of the measured phase: counts by outcome, rate, service p50/p99/p99.9 in ms."""
    first, last = run.measured_seconds
    seconds = last - first + 1
    service = _operations(run).query("clock == 'service'")
    rows = []
    for (use_case, operation), times in service.groupby(["use_case", "operation"]):
        p50, p99, p999 = quantiles_us(times["bucket_us"], times["count"], [0.5, 0.99, 0.999]) / 1000.0
        outcomes = times.groupby("outcome")["count"].sum().sort_values(ascending=False)
        rows.append({
            "use case": use_case, "operation": operation, "operations": int(times["count"].sum()),
            "per second": times["count"].sum() / seconds, "p50 ms": p50, "p99 ms": p99, "p99.9 ms": p999,
            "outcomes": ", ".join(f"{name} {100 * count / times['count'].sum():.1f} %" for name, count in outcomes.items()),
        })
    return pd.DataFrame(rows).sort_values("operations", ascending=False, ignore_index=True)


def _operations(run: Run) -> pd.DataFrame:
    first, last = run.measured_seconds
    requests = run.requests
    return requests[(requests["command"] == "") & requests["second"].between(first, last)]
