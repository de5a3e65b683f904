"""What reads returned, which MONITOR does not show, as the writes of the same keys around them tell it.

A read gets size and TTL of the last write of its key, else of the next one. It gets none where the key cannot
have been there: its TTL was over, it had been deleted, or a write follows at once, the fill of a miss. Such a
pair is left as a recorded run has it, a read without a size and a write. It is no miss where the client asked
for the TTL in between; nor in a class whose keys are nearly always written after a read, though they are
there: those are written back, not filled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from amply_capacity.disk import on_disk
from amply_capacity.run.monitor_command import LOOK
from amply_capacity.run.monitor_file import MONITORED_OPS

__all__ = ["ReadSizes"]

_Array = NDArray[Any]

_GET, _SET, _SETEX, _DEL, _EXPIRE, _LOOK = map(
    MONITORED_OPS.index, ("get", "set", "setex", "del", "expire", LOOK))
_SCHEMA = pa.schema([
    ("time_s", pa.float64()), ("op", pa.int8()), ("key_hash", pa.uint64()), ("key_class", pa.int16()),
    ("key_bytes", pa.int64()), ("value_bytes", pa.int64()), ("ttl_s", pa.float64())])
_FILL_SECONDS = 5.0
_WRITTEN_BACK = 0.9
"""Share of a class' reads of keys that are there that a write follows."""
_AT_ONCE = 1_000_000
_UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class _Rows:
    """Accesses of some keys, in order; arrays of one length."""

    place: _Array
    """Their number among all."""
    time_s: _Array
    op: _Array
    key_hash: _Array
    key_class: _Array
    value_bytes: _Array
    ttl_s: _Array


class ReadSizes:
    """Keeps accesses in a file until all are known, then hands them out with what reads returned.

    Memory: 11 bytes an access, and what a million accesses of some keys take.
    """

    def __init__(self, path: Path) -> None:
        """`path` of the file to keep them in."""
        self._path = path
        self._writer = pq.ParquetWriter(path, _SCHEMA, compression="lz4", use_dictionary=False)
        self._count = 0
        self._classes: dict[str, int] = {}

    def add(self, columns: Mapping[str, pa.Array]) -> None:
        """Keep accesses: a run's columns but for the sampling rate, `op` a dictionary of MONITORED_OPS."""
        classes = columns["key_class"]
        numbers = [self._classes.setdefault(name, len(self._classes))
                   for name in classes.dictionary.to_pylist()]
        numbered = {**columns, "op": columns["op"].indices,
                    "key_class": pa.array(numbers, pa.int16()).take(classes.indices)}
        with on_disk(self._path):
            self._writer.write_table(pa.table([numbered[name] for name in _SCHEMA.names], schema=_SCHEMA))
        self._count += len(classes)

    def known(self) -> Iterator[dict[str, pa.Array]]:
        """All accesses of a run's ops in their order, in blocks of the columns that were added."""
        with on_disk(self._path):
            self._writer.close()
        sizes, ttls_s = self._found()
        ops, classes = pa.array(MONITORED_OPS), pa.array(list(self._classes), pa.string())
        at = 0
        for batch in self._batches(_SCHEMA.names):
            mine = slice(at, at + len(batch))
            at += len(batch)
            column = {name: batch.column(name) for name in _SCHEMA.names}
            op = column["op"].to_numpy()
            value_bytes = np.where(op == _GET, sizes[mine], _values(batch))
            ttl_s = np.where(op == _GET, ttls_s[mine], column["ttl_s"].to_numpy(zero_copy_only=False))
            kept = pa.array(np.flatnonzero(op != _LOOK))
            whole = {
                **column, "op": pa.DictionaryArray.from_arrays(column["op"], ops),
                "key_class": pa.DictionaryArray.from_arrays(column["key_class"], classes),
                "value_bytes": pa.array(value_bytes, pa.int64(), mask=value_bytes == _UNKNOWN),
                "ttl_s": pa.array(ttl_s, pa.float64(), mask=np.isnan(ttl_s)),
            }
            yield {name: values.take(kept) for name, values in whole.items()}

    def _batches(self, names: list[str]) -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(self._path) as file:  # its `iter_batches` would read a hundred megabytes ahead
            for number in range(file.num_row_groups):
                yield file.read_row_group(number, columns=names).combine_chunks().to_batches()[0]

    def _found(self) -> tuple[_Array, _Array]:
        """Size and TTL of each access that is a read; _UNKNOWN and NaN where nothing tells them."""
        sizes = np.full(self._count, _UNKNOWN, dtype=np.int32)
        ttls_s = np.full(self._count, math.nan, dtype=np.float32)
        is_followed = np.zeros(self._count, dtype=np.bool_)
        classes = np.zeros(self._count, dtype=np.int16)
        there = np.zeros((2, max(len(self._classes), 1)), dtype=np.int64)
        for rows in self._parts():
            reads, source, is_there, follows = _look_around(rows)
            place = rows.place[reads]
            sizes[place], ttls_s[place] = rows.value_bytes[source], rows.ttl_s[source]
            is_followed[place] = follows
            classes[place] = rows.key_class[reads]
            for number, mask in enumerate((is_there, is_there & follows)):
                there[number] += np.bincount(rows.key_class[reads[mask]], minlength=there.shape[1])
        is_written_back = (there[1] > 0) & (there[1] >= _WRITTEN_BACK * there[0])
        is_miss = is_followed & ~is_written_back[classes]
        sizes[is_miss], ttls_s[is_miss] = _UNKNOWN, math.nan
        return sizes, ttls_s

    def _parts(self) -> Iterator[_Rows]:
        """All accesses, those of one key together, in parts that fit into memory."""
        count = -(-self._count // _AT_ONCE)
        for number in range(count):
            found: list[tuple[_Array, ...]] = []
            at = 0
            for batch in self._batches(["time_s", "op", "key_hash", "key_class", "value_bytes", "ttl_s"]):
                hashes = batch.column("key_hash").to_numpy()
                mine = np.flatnonzero(hashes % np.uint64(count) == number)
                found.append((
                    (mine + at).astype(np.int64), batch.column("time_s").to_numpy()[mine],
                    batch.column("op").to_numpy()[mine], hashes[mine],
                    batch.column("key_class").to_numpy()[mine], _values(batch)[mine].astype(np.int32),
                    batch.column("ttl_s").to_numpy(zero_copy_only=False)[mine].astype(np.float32)))
                at += len(hashes)
            yield _Rows(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _values(batch: pa.RecordBatch) -> _Array:
    return np.asarray(batch.column("value_bytes").fill_null(_UNKNOWN).to_numpy())


def _look_around(rows: _Rows) -> tuple[_Array, _Array, _Array, _Array]:
    """The reads that may have found something, and the write that tells what; places in `rows`.

    Also whether the key must have been there, unless it was evicted, and whether a write follows at once.
    """
    order = np.argsort(rows.key_hash, kind="stable")
    key, op, time_s = rows.key_hash[order], rows.op[order], rows.time_s[order]
    count = len(key)
    places = np.arange(count)
    begins = np.maximum.accumulate(np.where(np.concatenate(([True], key[1:] != key[:-1])), places, 0))
    is_write = (op == _SET) | (op == _SETEX)

    def last(mask: _Array) -> _Array:
        """The last such access of the same key, -1 where there is none before."""
        found = np.maximum.accumulate(np.where(mask, places, -1))
        return np.where(found >= begins, found, -1)

    reads = np.flatnonzero(op == _GET)
    written, deleted = last(is_write)[reads], last(op == _DEL)[reads]
    timed = last(is_write | (op == _EXPIRE))[reads]
    ends_s = np.where(timed >= 0, time_s[timed] + rows.ttl_s[order][timed], np.inf)
    is_gone = (deleted > written) | (ends_s < time_s[reads])
    coming = np.minimum.accumulate(np.where(is_write, places, count)[::-1])[::-1][reads]
    comes = coming < count
    coming[~comes] = 0
    comes &= key[coming] == key[reads]
    follows = comes & (coming == reads + 1) & (time_s[coming] - time_s[reads] <= _FILL_SECONDS)
    source = np.where(written >= 0, written, np.where(comes, coming, -1))
    tells = (source >= 0) & ~is_gone
    return (order[reads[tells]], order[source[tells]], (written >= 0)[tells], follows[tells])


