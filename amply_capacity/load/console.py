"""Locust's own statistics, fed from merged histograms instead of one event per request.

Locust's console, `--csv`, `--html` and exit codes then say what the run says, to Locust's whole milliseconds.
"""

from __future__ import annotations

from typing import Any

from locust.stats import RequestStats, StatsError, bucket_response_time

__all__ = ["feed"]


def feed(stats: RequestStats, rows: list[dict[str, Any]], errors: list[list[Any]]) -> None:
    """Add rows of `tally.console_rows`, and failures as (use case, operation, text, count), to `stats`."""
    for row in rows:
        for entry in (stats.get(row["operation"], row["use_case"]), stats.total):
            _add(entry, row)
    for use_case, operation, text, count in errors:
        key = StatsError.create_key(use_case, operation, text)
        known = stats.errors.setdefault(key, StatsError(use_case, operation, text))
        known.occurrences += count


def _add(entry: Any, row: dict[str, Any]) -> None:
    second = row["second"]
    entry.num_requests += row["count"]
    entry.num_failures += row["failed"]
    entry.num_reqs_per_sec[second] += row["count"]
    if row["failed"]:
        entry.num_fail_per_sec[second] += row["failed"]
    entry.last_request_timestamp = max(entry.last_request_timestamp or 0.0, float(second + 1))
    entry.total_response_time += row["total_ms"]
    known = entry.min_response_time
    entry.min_response_time = row["min_ms"] if known is None else min(known, row["min_ms"])
    entry.max_response_time = max(entry.max_response_time, row["max_ms"])
    for time_ms, count in row["times"]:
        entry.response_times[bucket_response_time(time_ms)] += count
