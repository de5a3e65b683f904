"""Raw samples of generator processes, turned into rows of the run's tables and of Locust's statistics."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any, cast
from zlib import crc32

import numpy as np
import pandas as pd

from amply_capacity.load.wire import TIME_BITS, TIME_MASK, Label, RawBatch
from amply_capacity.run.histogram import bucket_upper_us
from amply_capacity.run.schema import FAILED_OUTCOMES

__all__ = ["access_rows", "console_rows", "error_events", "histogram_rows"]

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


def console_rows(requests: pd.DataFrame) -> list[dict[str, Any]]:
    """The operations' response times by second and operation, to Locust's whole milliseconds."""
    operations = requests[(requests["command"] == "") & (requests["clock"] == "response")]
    rows = []
    for key, times in operations.groupby(["second", "use_case", "operation"], sort=False):
        second, use_case, operation = cast(tuple[int, str, str], key)
        times_ms, counts = times["bucket_us"].to_numpy() / 1000.0, times["count"].to_numpy()
        whole, inverse = np.unique(np.rint(times_ms).astype(np.int64), return_inverse=True)
        of_each = np.bincount(inverse, weights=counts).astype(int)
        rows.append({
            "second": int(second), "use_case": use_case, "operation": operation, "count": int(counts.sum()),
            "failed": int(counts[times["outcome"].isin(FAILED_OUTCOMES).to_numpy()].sum()),
            "total_ms": float((times_ms * counts).sum()), "min_ms": float(times_ms.min()),
            "max_ms": float(times_ms.max()),
            "times": list(zip(whole.tolist(), of_each.tolist(), strict=True)),
        })
    return rows


def _histogram(second: int, samples: bytes, labels: list[Label]) -> pd.DataFrame:
    packed = np.frombuffer(samples, dtype="<i8")
    bucketed = (packed & ~TIME_MASK) | bucket_upper_us(packed & TIME_MASK)
    unique, counts = np.unique(bucketed, return_counts=True)
    use_case, operation, command, outcome, clock = zip(
        *(labels[number] for number in unique >> TIME_BITS), strict=True)
    return pd.DataFrame({
        "second": np.int64(second), "use_case": use_case, "operation": operation, "command": command,
        "outcome": outcome, "clock": clock, "bucket_us": unique & TIME_MASK, "count": counts,
    })
