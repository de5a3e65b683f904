"""Writes a run while it happens: parts that grow every second, then one Parquet file per table."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from amply_capacity.disk import on_disk, replacing
from amply_capacity.run.conclusion import conclusion, with_details
from amply_capacity.run.folder import check_free
from amply_capacity.run.schema import SCHEMA_VERSION, TABLES

__all__ = ["PARTS", "BeingWritten", "RunWriter", "Verdict", "arrow_schema", "drop_parts", "finish",
           "is_being_written", "is_finished", "sole_writer", "write_manifest"]

Verdict = Callable[[Mapping[str, pd.DataFrame], Mapping[str, Any]], Mapping[str, Any]]
"""More facts, from the tables `requests`, `server` and `events` (its details as dicts) and the manifest."""

PARTS = "parts"
_DROPPED = ".parts-dropped"
_MANIFEST = "run.json"
_WHEN_FULL = "free space and `amply-capacity runs recover` what was recorded"
_LOOK_SECONDS = 0.05


class BeingWritten(Exception):
    """Another process still writes the run."""


def arrow_schema(table: str) -> pa.Schema:
    """The Arrow schema of a table."""
    return pa.schema([pa.field(column.name, pa.type_for_alias(column.type)) for column in TABLES[table]])


class RunWriter:
    """Appends rows to the tables of one run directory.

    Each table is an Arrow stream under `parts/` that grows by whole batches, so that whatever was appended
    before a kill can be read back. `close` turns the parts into Parquet. Raises BadInput for a directory
    that holds something, and DiskFull when the disk is full; what was appended before stays readable.

    A kill of the process loses nothing that was appended, since the system has it. A crash of the machine
    loses what the system had not yet written to the disk, on Linux half a minute at most; a closed run is on
    the disk whole.
    """

    def __init__(self, directory: Path, manifest: Mapping[str, Any]) -> None:
        check_free(directory)
        self.directory = directory
        self.manifest: dict[str, Any] = {"schema": SCHEMA_VERSION, "verdict": "partial", **manifest}
        existed = directory.exists()
        with on_disk(directory):
            try:
                (directory / PARTS).mkdir(parents=True, exist_ok=True)
                self._lock = _lock(directory)
                write_manifest(directory, self.manifest)
            except OSError:
                shutil.rmtree(directory / PARTS if existed else directory, ignore_errors=True)
                raise

    def append(self, table: str, rows: pa.Table | list[dict[str, Any]]) -> None:
        """Add rows, columns by name; of dicts, a missing key is null. Handed to the system before it returns.
        """
        if len(rows) == 0:
            return
        schema = arrow_schema(table)
        whole = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows, schema=schema)
        # An Arrow stream is its schema's message and a message per batch, one after the other.
        messages = [bytes(batch.serialize()) for batch in whole.to_batches()]
        with on_disk(self.directory, do=_WHEN_FULL):
            _grow(self.directory / PARTS / f"{table}.arrows", bytes(schema.serialize()), messages)

    def close(self, judge: Verdict | None = None, **facts: Any) -> dict[str, Any]:
        """End the recording: write the Parquet files and the manifest with `facts` and what `judge` finds.

        Returns the final manifest.
        """
        self.manifest.update(facts)
        final = finish(self.directory, self.manifest, judge)
        os.close(self._lock)
        return final

    def amend(self, **facts: Any) -> None:
        """Add facts to the manifest of a run that has been closed."""
        manifest = json.loads((self.directory / _MANIFEST).read_text())
        with on_disk(self.directory):
            write_manifest(self.directory, {**manifest, **facts})


@contextlib.contextmanager
def sole_writer(directory: Path, *, patience_seconds: float = 0.0) -> Iterator[None]:
    """Within: no other process writes the run. Whoever did before may have finished it: then it has no parts.

    Raises BeingWritten where another process still does after that time; its lock falls with it, however it
    ends.
    """
    deadline = time.monotonic() + patience_seconds
    with contextlib.ExitStack() as held:
        while True:
            try:
                held.callback(os.close, _lock(directory))
                break
            except FileNotFoundError:  # without parts there is nothing that anybody could write
                break
            except OSError:
                if time.monotonic() >= deadline:
                    raise BeingWritten(directory) from None
            time.sleep(_LOOK_SECONDS)
        yield


def is_being_written(directory: Path) -> bool:
    """Whether another process still writes the run."""
    try:
        with sole_writer(directory):
            return False
    except BeingWritten:
        return True


def finish(directory: Path, manifest: Mapping[str, Any], judge: Verdict | None = None) -> dict[str, Any]:
    """Turn a run's parts into its Parquet files, each table's, maybe empty; then write the final manifest.

    The seconds in which the generator was the bottleneck are marked (`run.conclusion`), and `judge` may add
    facts. Raises DiskFull; the parts are there until all is written, to the disk. Returns the manifest.
    """
    files: dict[str, str] = {}
    frames: dict[str, pd.DataFrame] = {}
    facts: dict[str, Any] = {}
    with on_disk(directory, do=_WHEN_FULL):
        for table in ("requests", "server", "events", "commands", "accesses"):
            rows = _compact(table, _read_part(directory / PARTS / f"{table}.arrows", table))
            if table in {"requests", "server"}:
                frames[table] = rows.to_pandas()
            if table == "events":
                events = rows.to_pandas()
                facts, marks = conclusion(events, frames["requests"], str(manifest.get("arrivals")))
                frames["events"] = pd.concat([events, pd.DataFrame(marks)]) if marks else events
                rows = pa.Table.from_pandas(frames["events"], schema=rows.schema, preserve_index=False)
            path = directory / f"{table}.parquet"
            with replacing(path) as partial:
                pq.write_table(rows, partial, compression="zstd", compression_level=9)
                _to_disk(partial)
            files[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        final = {**manifest, **facts, "files": dict(sorted(files.items()))}
        if judge is not None:
            final |= judge(frames | {"events": with_details(frames["events"])}, final)
        write_manifest(directory, final)
        drop_parts(directory)
    return final


def is_finished(directory: Path, manifest: Mapping[str, Any]) -> bool:
    """Whether the tables and the manifest are final, though the parts may still be there."""
    try:
        return bool(manifest.get("files")) and all(
            hashlib.sha256((directory / name).read_bytes()).hexdigest() == digest
            for name, digest in manifest["files"].items())
    except OSError:
        return False


def drop_parts(directory: Path) -> None:
    """Remove the parts of a run that has its tables; in one step, so that a kill leaves all or none."""
    dropped = directory / _DROPPED
    shutil.rmtree(dropped, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        os.rename(directory / PARTS, dropped)
    shutil.rmtree(dropped, ignore_errors=True)


def write_manifest(directory: Path, manifest: Mapping[str, Any]) -> None:
    """Write `run.json` in one step: a reader sees the old one or the new one, whole. Raises OSError."""
    with replacing(directory / _MANIFEST) as partial:
        partial.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
        _to_disk(partial)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(directory: Path) -> int:
    """Hold the run as its writer, by this descriptor. Raises OSError where another process does."""
    descriptor = os.open(directory / PARTS / "writer.lock", os.O_RDWR | os.O_CREAT, 0o644)
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
