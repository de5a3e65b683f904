"""Raw samples of generator processes, turned into rows of the run's tables and of Locust's statistics."""

from __future__ import annotations

import json
import math
from hashlib import blake2b
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from amply_capacity.load.wire import TIME_BITS, TIME_MASK, Label, RawBatch
from amply_capacity.run.histogram import bucket_number, upper_us
from amply_capacity.run.schema import FAILED_OUTCOMES

__all__ = ["access_rows", "console_rows", "error_events", "histogram_rows",
           "offered_events"]

_BUCKET_BITS = 9  # enough for the buckets of every time below 2**32 µs


def histogram_rows(batch: RawBatch) -> pd.DataFrame:
    """Rows of `requests.parquet`."""
    frames = [_histogram(second, samples, batch.labels) for second, samples in batch.seconds if samples]
    columns = ["second", "use_case", "operation", "command", "outcome", "clock", "bucket_us", "count"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def access_rows(batch: RawBatch) -> pd.DataFrame:
    """Rows of `accesses.parquet`. The upper half of the hash is the CRC-32 that decided the sample."""
    rows = []
    for time_s, op, key, value_bytes, ttl_s, below in batch.accesses:
        raw = key.encode()
        low = int.from_bytes(blake2b(raw, digest_size=4).digest(), "big")
        key_class = "celery-task-meta" if key.startswith("celery-task-meta-") else key.split(":", 1)[0]
        key_hash = (crc32(raw) << 32) | low
        rows.append((time_s, op, key_hash, key_class, len(raw), value_bytes, ttl_s, below / 2**32))
    columns = ["time_s", "op", "key_hash", "key_class", "key_bytes", "value_bytes", "ttl_s", "sampling_rate"]
    return pd.DataFrame(rows, columns=columns)


def error_events(batch: RawBatch, now_s: float) -> list[dict[str, Any]]:
    """Rows of `events.parquet` for the failed operations, one per kind of failure."""
    return [{"time_s": now_s, "kind": "error", "name": text,
             "detail": json.dumps({"use_case": use_case, "operation": operation, "count": count})}
            for use_case, operation, text, count in batch.errors]


def offered_events(batch: RawBatch) -> list[dict[str, Any]]:
    """Rows of `events.parquet` for what the schedule wanted, a row a second."""
    return [{"time_s": float(second), "kind": "generator", "name": "offered",
             "detail": json.dumps({"second": second, "operations": count})}
            for second, count in batch.offered]


def console_rows(requests: pd.DataFrame) -> list[dict[str, Any]]:
    """The operations' response times by second and operation, to Locust's whole milliseconds."""
    own = requests[((requests["command"] == "") & (requests["clock"] == "response")).to_numpy()]
    rows: dict[tuple[int, str, str], dict[str, Any]] = {}
    # A loop over some hundred rows costs a tenth of what pandas' groups do, every second.
    names = ("second", "use_case", "operation", "outcome", "bucket_us", "count")
    for second, use_case, operation, outcome, bucket_us, count in zip(
            *(own[name].tolist() for name in names), strict=True):
        row = rows.get((second, use_case, operation))
        if row is None:
            row = rows[second, use_case, operation] = {
                "second": second, "use_case": use_case, "operation": operation, "count": 0, "failed": 0,
                "total_ms": 0.0, "min_ms": math.inf, "max_ms": 0.0, "times": {}}
        time_ms = bucket_us / 1000.0
        row["count"] += count
        row["total_ms"] += time_ms * count
        row["min_ms"], row["max_ms"] = min(row["min_ms"], time_ms), max(row["max_ms"], time_ms)
        if outcome in FAILED_OUTCOMES:
            row["failed"] += count
        whole_ms = round(time_ms)
        row["times"][whole_ms] = row["times"].get(whole_ms, 0) + count
    return [{**row, "times": list(row["times"].items())} for row in rows.values()]


def _histogram(second: int, samples: bytes, labels: list[Label]) -> pd.DataFrame:
    """The rows of one second. Each bucket of a label counts for each of the label's kinds."""
    packed = np.frombuffer(samples, dtype="<i8")
    numbers = bucket_number(packed & TIME_MASK)
    # Counted in one pass: a second has a hundred thousand samples, but some fifty thousand places for them.
    places = (packed >> TIME_BITS) << _BUCKET_BITS | numbers
    counts = np.bincount(places, minlength=len(labels) << _BUCKET_BITS)
    by_label = counts.reshape(-1, 1 << _BUCKET_BITS)
    by_kind: dict[tuple[Any, ...], NDArray[np.int64]] = {}
    for number in np.flatnonzero(by_label.any(axis=1)).tolist():
        for *parts, factor in labels[number]:
            kind = tuple(parts)
            row = by_kind.get(kind)
            if row is None:
                row = by_kind[kind] = np.zeros(1 << _BUCKET_BITS, dtype=np.int64)
            if factor:
                row += by_label[number]
            else:
                row[0] += by_label[number].sum()
    table = np.stack(list(by_kind.values()))
    rows, buckets = np.nonzero(table)
    kinds = np.array(list(by_kind), dtype=object)[rows]
    names = ("use_case", "operation", "command", "outcome", "clock")
    return pd.DataFrame({
        "second": np.int64(second), **{name: kinds[:, place] for place, name in enumerate(names)},
        "bucket_us": upper_us(buckets), "count": table[rows, buckets],
    })
