"""Raw samples of generator processes, turned into rows of the run's tables and of Locust's statistics."""

from __future__ import annotations

import json
import math
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from amply_capacity.load.counts import dense
from amply_capacity.load.wire import CLOCKS, Batch, Label
from amply_capacity.run.histogram import upper_us
from amply_capacity.run.key import key_class, key_hashes
from amply_capacity.run.schema import FAILED_OUTCOMES
from amply_capacity.run.writer import arrow_schema

__all__ = ["access_rows", "console_rows", "error_events", "histogram_rows",
           "offered_events"]


def histogram_rows(batch: Batch) -> pa.Table:
    """Rows of `requests.parquet`."""
    seconds = [_histogram(second, dense(counts, len(batch.labels)), batch.labels)
               for second, counts in batch.counts]
    return pa.concat_tables(seconds) if seconds else arrow_schema("requests").empty_table()


def access_rows(batch: Batch) -> pa.Table:
    """Rows of `accesses.parquet`. The upper half of the hash is the CRC-32 that decided the sample."""
    schema = arrow_schema("accesses")
    if not batch.accesses:
        return schema.empty_table()
    times_s, ops, keys, values_bytes, ttls_s, below = zip(*batch.accesses, strict=True)
    raw = [key.encode() for key in keys]
    columns = {
        "time_s": times_s, "op": ops, "key_hash": key_hashes(raw),
        "key_class": [key_class(one) for one in raw],
        "key_bytes": [len(one) for one in raw], "value_bytes": values_bytes, "ttl_s": ttls_s,
        "sampling_rate": np.array(below) / 2**32,
    }
    return pa.table([pa.array(columns[field.name], field.type) for field in schema], schema=schema)


def error_events(batch: Batch, now_s: float) -> list[dict[str, Any]]:
    """Rows of `events.parquet` for the failed operations, one per kind of failure."""
    return [{"time_s": now_s, "kind": "error", "name": text,
             "detail": json.dumps({"use_case": use_case, "operation": operation, "count": count})}
            for use_case, operation, text, count in batch.errors]


def offered_events(batch: Batch) -> list[dict[str, Any]]:
    """Rows of `events.parquet` for what the schedule wanted, a row a second."""
    return [{"time_s": float(second), "kind": "generator", "name": "offered",
             "detail": json.dumps({"second": second, "operations": count})}
            for second, count in batch.offered]


def console_rows(requests: pa.Table) -> list[dict[str, Any]]:
    """The operations' response times by second and operation, to Locust's whole milliseconds."""
    own = requests.filter(pc.and_(pc.equal(requests["command"], ""), pc.equal(requests["clock"], "response")))
    names = ("second", "use_case", "operation", "outcome")
    kinds = list(zip(*(own[name].to_pylist() for name in names), strict=True))
    times_ms, counts = own["bucket_us"].to_numpy() / 1000.0, own["count"].to_numpy()
    whole_ms = np.rint(times_ms).astype(np.int64).tolist()
    rows: dict[tuple[int, str, str], dict[str, Any]] = {}
    end = 0
    for (second, use_case, operation, outcome), alike in groupby(kinds):  # they lie together, times ascending
        start, end = end, end + len(list(alike))
        row = rows.setdefault((second, use_case, operation), {
            "second": second, "use_case": use_case, "operation": operation, "count": 0, "failed": 0,
            "total_ms": 0.0, "min_ms": math.inf, "max_ms": 0.0, "times": {}})
        count = int(counts[start:end].sum())
        row["count"] += count
        row["failed"] += count if outcome in FAILED_OUTCOMES else 0
        row["total_ms"] += float(times_ms[start:end] @ counts[start:end])
        row["min_ms"] = min(row["min_ms"], float(times_ms[start]))
        row["max_ms"] = max(row["max_ms"], float(times_ms[end - 1]))
        times = row["times"]
        for time_ms, number in zip(whole_ms[start:end], counts[start:end].tolist(), strict=True):
            times[time_ms] = times.get(time_ms, 0) + number
    return [{**row, "times": list(row["times"].items())} for row in rows.values()]


def _histogram(second: int, counts: NDArray[np.int64], labels: list[Label]) -> pa.Table:
    """The rows of one second. Each bucket of a label counts for each of the label's kinds."""
    by_kind: dict[tuple[str, ...], NDArray[np.int64]] = {}
    for number in np.flatnonzero(counts[:, 0].any(axis=1)).tolist():
        for kind in labels[number]:
            own = counts[number, CLOCKS.index(kind[-1])]
            if kind in by_kind:
                by_kind[kind] += own
            else:
                by_kind[kind] = own.copy()
    table = np.stack(list(by_kind.values()))
    rows, buckets = np.nonzero(table)
    names = ("use_case", "operation", "command", "outcome", "clock")
    columns: dict[str, Any] = {
        "second": np.full(len(rows), second), "bucket_us": upper_us(buckets), "count": table[rows, buckets],
        **{name: pa.array(values).take(pa.array(rows))
           for name, values in zip(names, zip(*by_kind, strict=True), strict=True)}}
    schema = arrow_schema("requests")
    return pa.table([columns[name] for name in schema.names], schema=schema)
