"""Locust's own statistics, fed from merged histograms instead of one event per request.

Locust's console, `--csv`, `--html` and exit code then say what the run says, to Locust's whole milliseconds.
"""

from __future__ import annotations

from typing import Any, cast

import pandas as pd
from locust.stats import RequestStats, StatsError, bucket_response_time

from amply_capacity.load.player import FAILURES

__all__ = ["feed"]


def feed(stats: RequestStats, requests: pd.DataFrame, errors: list[tuple[str, str, str, int]]) -> None:
    """Add the operations' response times to `stats`, and failures as (use case, operation, text, count)."""
    operations = requests[(requests["command"] == "") & (requests["clock"] == "response")]
    for key, rows in operations.groupby(["second", "use_case", "operation"], sort=False):
        second, use_case, operation = cast(tuple[int, str, str], key)
        times_ms = rows["bucket_us"].to_numpy() / 1000.0
        counts = rows["count"].to_numpy()
        failed = int(counts[rows["outcome"].isin(FAILURES).to_numpy()].sum())
        for entry in (stats.get(operation, use_case), stats.total):
            _add(entry, int(second), times_ms, counts, failed)
    for use_case, operation, text, count in errors:
        name = StatsError.create_key(use_case, operation, text)
        known = stats.errors.setdefault(name, StatsError(use_case, operation, text))
        known.occurrences += count


def _add(entry: Any, second: int, times_ms: Any, counts: Any, failed: int) -> None:
    total = int(counts.sum())
    entry.num_requests += total
    entry.num_failures += failed
    entry.num_reqs_per_sec[second] += total
    if failed:
        entry.num_fail_per_sec[second] += failed
    entry.last_request_timestamp = max(entry.last_request_timestamp or 0.0, float(second + 1))
    entry.total_response_time += float((times_ms * counts).sum())
    least, most = float(times_ms.min()), float(times_ms.max())
    known = entry.min_response_time
    entry.min_response_time = least if known is None else min(known, least)
    entry.max_response_time = max(entry.max_response_time, most)
    for time_ms, count in zip(times_ms.tolist(), counts.tolist(), strict=True):
        entry.response_times[bucket_response_time(time_ms)] += count
