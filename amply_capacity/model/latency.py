"""Latency of the use cases, from the recorded histograms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from amply_capacity.model.evidence import Latency
from amply_capacity.run.histogram import quantile_us, quantiles_us
from amply_capacity.run.reader import Run

__all__ = ["latency_by_use_case", "latency_over_time", "operation_table"]

_COLUMNS = ["use case", "operation", "operations", "per second", "p50 ms", "p99 ms", "p99.9 ms", "outcomes"]


def latency_by_use_case(run: Run) -> dict[str, Latency]:
    """Service and response time of each use case's operations in the sound seconds.

    The response time is absent for a closed loop: without a schedule there is nothing to be late for. A knee
    search went to where the times are bad, on purpose: nothing is said of it here (`knee_curve`).
    """
    if (run.events["kind"] == "knee").any():
        return {}
    operations = run.sound_totals[run.sound_totals["command"] == ""]
    closed = run.manifest["arrivals"] == "closed"
    found = {}
    for use_case, rows in operations.groupby("use_case"):
        service = rows[rows["clock"] == "service"]
        response = rows[rows["clock"] == "response"]
        p50, p99 = quantiles_us(service["bucket_us"], service["count"], [0.5, 0.99]) / 1000.0
        late_p99 = None if closed else quantile_us(response["bucket_us"], response["count"], 0.99) / 1000.0
        found[str(use_case)] = Latency(int(service["count"].sum()), float(p50), float(p99), late_p99)
    return found


def latency_over_time(run: Run, clock: str, qs: Sequence[float]) -> pd.DataFrame:
    """These quantiles of all operations' times on a clock, ms: a row a Unix second, a column a quantile."""
    rows = run.requests[(run.requests["command"] == "") & (run.requests["clock"] == clock)]
    rows = rows[["second", "bucket_us", "count"]].sort_values(["second", "bucket_us"], kind="stable")
    seconds, firsts = np.unique(rows["second"].to_numpy(), return_index=True)
    cumulated = np.cumsum(rows["count"].to_numpy())
    before = np.append(0, cumulated)[firsts]
    totals = np.diff(np.append(before, cumulated[-1:]))
    bounds_ms = rows["bucket_us"].to_numpy() / 1000.0
    # As `run.histogram.quantiles_us`, of all seconds at once: an hour has thousands.
    rank_of = {q: before + np.maximum(np.ceil(q * totals - 1e-9), 1) for q in qs}
    return pd.DataFrame({q: bounds_ms[np.searchsorted(cumulated, rank)] for q, rank in rank_of.items()},
                        index=pd.Index(seconds, name="second"), dtype=float)


def operation_table(run: Run) -> pd.DataFrame:
    """One row per operation of the sound seconds: counts by outcome, rate, service p50/p99/p99.9 in ms."""
    seconds = len(run.sound_seconds)
    totals = run.sound_totals
    service = totals[(totals["command"] == "") & (totals["clock"] == "service")]
    rows = []
    for (use_case, operation), times in service.groupby(["use_case", "operation"]):
        p50, p99, p999 = quantiles_us(times["bucket_us"], times["count"], [0.5, 0.99, 0.999]) / 1000.0
        count = int(times["count"].sum())
        outcomes = times.groupby("outcome")["count"].sum().sort_values(ascending=False, kind="stable")
        shares = [f"{name} {100 * share / count:.1f} %" for name, share in outcomes.items()]
        rows.append({
            "use case": use_case, "operation": operation, "operations": count, "per second": count / seconds,
            "p50 ms": p50, "p99 ms": p99, "p99.9 ms": p999, "outcomes": ", ".join(shares),
        })
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    return frame.sort_values("operations", ascending=False, ignore_index=True, kind="stable")

