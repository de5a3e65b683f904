"""Writes a run while it happens: parts that grow every second, then one Parquet file per table."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from amply_capacity.disk import on_disk, replacing
from amply_capacity.run.folder import check_free
from amply_capacity.run.schema import SCHEMA_VERSION, TABLES

__all__ = ["RunWriter", "arrow_schema", "finish", "is_being_written", "write_manifest"]

_MANIFEST = "run.json"
_WHEN_FULL = "free space and `amply-capacity runs recover` what was recorded"


def arrow_schema(table: str) -> pa.Schema:
    """The Arrow schema of a table."""
    return pa.schema([pa.field(column.name, pa.type_for_alias(column.type)) for column in TABLES[table]])


class RunWriter:
    """Appends rows to the tables of one run directory.

    Each table is an Arrow stream under `parts/` that grows by whole batches, so that whatever was appended
    before a kill can be read back. `close` turns the parts into Parquet. Raises BadInput for a directory
    that holds something, and DiskFull when the disk is full; what was appended before stays readable.
    """

    def __init__(self, directory: Path, manifest: Mapping[str, Any]) -> None:
        check_free(directory)
        self.directory = directory
        self.manifest: dict[str, Any] = {"schema": SCHEMA_VERSION, "verdict": "partial", **manifest}
        existed = directory.exists()
        with on_disk(directory):
            try:
                (directory / "parts").mkdir(parents=True, exist_ok=True)
                self._lock = _lock(directory)
                write_manifest(directory, self.manifest)
            except OSError:
                shutil.rmtree(directory / "parts" if existed else directory, ignore_errors=True)
                raise

    def append(self, table: str, rows: pd.DataFrame | list[dict[str, Any]]) -> None:
        """Add rows, columns by name; a missing column is null. Handed to the system before it returns."""
        if len(rows) == 0:
            return
        schema = arrow_schema(table)
        frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows)
        frame = frame.reindex(columns=schema.names)
        whole = pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
        # An Arrow stream is its schema's message and a message per batch, one after the other.
        messages = [bytes(batch.serialize()) for batch in whole.to_batches()]
        with on_disk(self.directory, do=_WHEN_FULL):
            _grow(self.directory / "parts" / f"{table}.arrows", bytes(schema.serialize()), messages)

    def close(self, **facts: Any) -> None:
        """End the recording: add `facts` (verdict, generator, …) to the manifest, write the Parquet files."""
        self.manifest.update(facts)
        finish(self.directory, self.manifest)
        os.close(self._lock)

    def amend(self, **facts: Any) -> None:
        """Add facts to the manifest of a run that has been closed."""
        manifest = json.loads((self.directory / _MANIFEST).read_text())
        with on_disk(self.directory):
            write_manifest(self.directory, {**manifest, **facts})


def is_being_written(directory: Path) -> bool:
    """Whether another process still writes the run; its lock falls with the process, however it ends."""
    try:
        os.close(_lock(directory))
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def finish(directory: Path, manifest: Mapping[str, Any]) -> None:
    """Turn a run's parts into its Parquet files, each table's, maybe empty; then write the final manifest.

    Raises DiskFull; the parts are there until all is written.
    """
    files: dict[str, str] = {}
    with on_disk(directory, do=_WHEN_FULL):
        for table in TABLES:
            rows = _compact(table, _read_part(directory / "parts" / f"{table}.arrows", table))
            path = directory / f"{table}.parquet"
            with replacing(path) as partial:
                pq.write_table(rows, partial, compression="zstd", compression_level=9)
            files[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        write_manifest(directory, {**manifest, "files": files})
        shutil.rmtree(directory / "parts", ignore_errors=True)


def write_manifest(directory: Path, manifest: Mapping[str, Any]) -> None:
    """Write `run.json` in one step: a reader sees the old one or the new one, whole. Raises OSError."""
    with replacing(directory / _MANIFEST) as partial:
        partial.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")


def _lock(directory: Path) -> int:
    """Hold the run as its writer, by this descriptor. Raises OSError where another process does."""
    descriptor = os.open(directory / "parts" / "writer.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _grow(path: Path, head: bytes, messages: list[bytes]) -> None:
    """Append whole messages, `head` first in a new file; where one does not fit, the file stays as it was."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        length = os.fstat(descriptor).st_size
        rest = memoryview(b"".join(messages if length else [head, *messages]))
        try:
            while rest:
                rest = rest[os.write(descriptor, rest):]
        except OSError:
            os.ftruncate(descriptor, length)
            raise
    finally:
        os.close(descriptor)


def _read_part(path: Path, table: str) -> pa.Table:
    batches: list[pa.RecordBatch] = []
    if path.exists():
        # A kill leaves a half-written last batch: everything before it is whole.
        with contextlib.suppress(pa.ArrowInvalid, OSError), pa.ipc.open_stream(path.read_bytes()) as stream:
            batches.extend(iter(stream))
    return pa.Table.from_batches(batches, schema=arrow_schema(table))


def _compact(table: str, rows: pa.Table) -> pa.Table:
    if table == "requests" and rows.num_rows:
        keys = [name for name in rows.column_names if name != "count"]
        rows = rows.group_by(keys).aggregate([("count", "sum")]).rename_columns([*keys, "count"])
        rows = rows.sort_by([(name, "ascending") for name in keys])
    if table == "accesses" and rows.num_rows:
        rows = _thin(rows)
    return rows.cast(arrow_schema(table))


def _thin(accesses: pa.Table) -> pa.Table:
    """Keep the keys of the lowest sampling rate in force: one that fell must not favour keys seen before."""
    frame = accesses.to_pandas()
    rate = frame["sampling_rate"].min()
    kept = frame[(frame["key_hash"].to_numpy() >> np.uint64(32)) < rate * 2**32].assign(sampling_rate=rate)
    return pa.Table.from_pandas(kept, schema=arrow_schema("accesses"), preserve_index=False)
