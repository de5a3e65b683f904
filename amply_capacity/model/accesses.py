"""A run's key accesses as arrays, read batch by batch, so that their strings are never all in memory."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from amply_capacity.errors import BadRun
from amply_capacity.model.emulator import (
    DEL,
    EXPIRE,
    GET,
    INCR,
    LEAVE,
    NEVER,
    SADD,
    SET,
    SMEMBERS,
    SREM,
)
from amply_capacity.run.reader import Run

__all__ = ["HUNDREDTHS", "UNKNOWN", "Accesses", "Source", "read_accesses"]

_Array = NDArray[Any]
_OPS = {"get": GET, "set": SET, "setex": SET, "incr": INCR, "del": DEL, "expire": EXPIRE, "sadd": SADD,
        "srem": SREM, "smembers": SMEMBERS}
HUNDREDTHS = 100
"""The unit of times and TTLs, of a second."""
_LONGEST_SECONDS = 200 * 86_400  # times and TTLs of a week fit into 31 bits of hundredths
UNKNOWN = -1
"""A size or TTL that the access does not say; the latter is LEAVE to the emulator."""


@dataclass(frozen=True, slots=True)
class Accesses:
    """The columns as arrays of one length; a size or TTL is UNKNOWN where it is null."""

    times: _Array
    keys: _Array
    ops: _Array
    classes: _Array
    key_bytes: _Array
    values: _Array
    ttls: _Array

    def where(self, mask: _Array) -> Accesses:
        """Those at the places, or of the truth values, given."""
        return Accesses(*(getattr(self, field.name)[mask] for field in fields(self)))

    def followed_by(self, others: Accesses) -> Accesses:
        """These, then the others."""
        return Accesses(*(np.concatenate([getattr(self, field.name), getattr(others, field.name)])
                          for field in fields(self)))


@dataclass(frozen=True, slots=True)
class Source:
    """A run's table of accesses, and what of it is used."""

    accesses: Accesses
    key_count: int
    op_names: tuple[str, ...]
    class_names: tuple[str, ...]
    recorded_rate: float
    used_share: float
    """Of the keys."""
    all_accesses: int
    all_reads: int
    """Reads that say what fills them, of all accesses."""


def read_accesses(run: Run, most_accesses: int) -> Source:
    """The table batch by batch, so that its strings are never all in memory."""
    try:
        file = pq.ParquetFile(run.directory / "accesses.parquet", read_dictionary=["op", "key_class"],
                              pre_buffer=False)  # it would hold what it has read ahead, to the whole file
    except (OSError, ValueError) as error:
        raise BadRun(f"run {run.name} has no readable accesses.parquet", got=str(error)[:120],
                     do="restore the file, or choose another run") from None
    count = file.metadata.num_rows
    if count == 0:
        raise BadRun(f"run {run.name} holds no key accesses", got="an empty accesses.parquet",
                     do="record one with Locust, or import a trace")
    share = min(1.0, most_accesses / count)
    parts: list[Accesses] = []
    hashes: list[_Array] = []
    ops: dict[str, int] = {}
    classes: dict[str, int] = {}
    rate, reads, first_s = 1.0, 0, None
    for batch in file.iter_batches(1 << 18):
        column = {name: batch.column(name) for name in batch.schema.names}
        hashed = column["key_hash"].to_numpy(zero_copy_only=False)
        times_s = column["time_s"].to_numpy(zero_copy_only=False)
        first_s = times_s[0] if first_s is None else first_s
        if times_s[-1] - first_s > _LONGEST_SECONDS:
            raise BadRun(f"run {run.name} is too long to be emulated",
                         got=f"{(times_s[-1] - first_s) / 86_400:,.0f} days",
                         do="import 200 days of it at most")
        rate = min(rate, float(np.min(column["sampling_rate"].to_numpy(zero_copy_only=False))))
        part = Accesses(
            np.rint((times_s - first_s) * HUNDREDTHS).astype(np.int32),
            np.zeros(len(hashed), dtype=np.int32),
            _numbers(column["op"], ops).astype(np.int8),
            _numbers(column["key_class"], classes).astype(np.int16),
            _whole(column["key_bytes"]), _whole(column["value_bytes"]), _hundredths(column["ttl_s"]))
        reads += int(np.count_nonzero((part.ops == ops.get("get", -1)) & (part.values != UNKNOWN)))
        kept = (hashed >> np.uint64(32)) < share * rate * 2**32
        parts.append(part.where(kept))
        hashes.append(hashed[kept])
    keys = pa.chunked_array(hashes).dictionary_encode().combine_chunks()
    del hashes, hashed, kept, part
    whole = _joined(parts)
    to_op = np.array([_OPS[name] for name in ops], dtype=np.int8)
    whole = replace(whole, ops=to_op[whole.ops], keys=keys.indices.to_numpy(zero_copy_only=False))
    if np.any(whole.times[1:] < whole.times[:-1]):  # a recording's, of several processes
        whole = whole.where(np.argsort(whole.times, kind="stable"))
    return Source(whole, len(keys.dictionary), tuple(sorted(ops)), tuple(classes), rate, share, count, reads)


def _joined(parts: list[Accesses]) -> Accesses:
    """All of the parts, which are given back column by column: both would not have to be held at once."""
    columns = {field.name: [getattr(part, field.name) for part in parts] for field in fields(Accesses)}
    parts.clear()
    return Accesses(*(np.concatenate(columns.pop(field.name)) for field in fields(Accesses)))


def _numbers(column: pa.DictionaryArray, numbers: dict[str, int]) -> _Array:
    """The strings as their numbers in `numbers`, to which new ones are added."""
    names = column.dictionary.to_pylist()
    own = np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int32)
    return np.asarray(own[column.indices.to_numpy(zero_copy_only=False)])


def _whole(column: pa.Array) -> _Array:
    return np.asarray(pc.fill_null(column, UNKNOWN), dtype=np.int32)


def _hundredths(column: pa.Array) -> _Array:
    """A TTL in hundredths of a second; NEVER for an infinite one."""
    seconds = column.to_numpy(zero_copy_only=False)  # null becomes NaN
    clipped = np.minimum(np.nan_to_num(seconds, nan=0.0, posinf=1e9) * HUNDREDTHS, NEVER - 1)
    ttls = np.where(np.isinf(seconds), NEVER, np.maximum(np.rint(clipped), 1)).astype(np.int32)
    ttls[np.isnan(seconds)] = LEAVE
    return ttls
