"""Writes a run while it happens: parts that are flushed every second, then one Parquet file per table."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from amply_capacity.errors import BadInput, DiskFull
from amply_capacity.run.schema import SCHEMA_VERSION, TABLES

__all__ = ["RunWriter", "finish", "write_manifest"]

_MANIFEST = "run.json"


def arrow_schema(table: str) -> pa.Schema:
    """The Arrow schema of a table."""
    return pa.schema([pa.field(column.name, pa.type_for_alias(column.type)) for column in TABLES[table]])


class RunWriter:
    """Appends rows to the tables of one run directory.

    Each table is an Arrow stream under `parts/`, flushed with every append, so that whatever was appended before a kill
    can be read back. `close` turns the parts into Parquet. Raises DiskFull when the disk is full; what was appended
    before stays readable.
    """

    def __init__(self, directory: Path, manifest: Mapping[str, Any]) -> None:
        if directory.exists() and any(directory.iterdir()):
            raise BadInput("the run's folder is not empty", got=str(directory), do="name a new one with --run-dir")
        self.directory = directory
        self.manifest: dict[str, Any] = {"schema": SCHEMA_VERSION, "verdict": "partial", **manifest}
        self._streams: dict[str, tuple[Any, Any]] = {}
        with _disk(directory):
            (directory / "parts").mkdir(parents=True, exist_ok=True)
            write_manifest(directory, self.manifest)

    def append(self, table: str, rows: pd.DataFrame | list[dict[str, Any]]) -> None:
        """Add rows, columns by name; a missing column is null. Flushed before it returns."""
        if len(rows) == 0:
            return
        schema = arrow_schema(table)
        frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows)
        frame = frame.reindex(columns=schema.names)
        table_rows = pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
        with _disk(self.directory):
            if table not in self._streams:
                file = open(self.directory / "parts" / f"{table}.arrows", "wb")  # noqa: SIM115 - closed in close()
                self._streams[table] = (file, pa.ipc.new_stream(file, schema))
            file, stream = self._streams[table]
            stream.write_table(table_rows)
            file.flush()

    def close(self, **facts: Any) -> None:
        """End the recording: add `facts` (verdict, generator, …) to the manifest and write the Parquet files."""
        for file, stream in self._streams.values():
            with contextlib.suppress(OSError):
                stream.close()
                file.close()
        self._streams.clear()
        self.manifest.update(facts)
        finish(self.directory, self.manifest)

    def amend(self, **facts: Any) -> None:
        """Add facts to the manifest of a run that has been closed."""
        manifest = json.loads((self.directory / _MANIFEST).read_text())
        write_manifest(self.directory, {**manifest, **facts})


def finish(directory: Path, manifest: Mapping[str, Any]) -> None:
    """Turn the parts of a run into its Parquet files and write its final manifest; every table is there, maybe empty."""
    files: dict[str, str] = {}
    with _disk(directory):
        for table in TABLES:
            rows = _compact(table, _read_part(directory / "parts" / f"{table}.arrows", table))
            path = directory / f"{table}.parquet"
            partial = path.with_suffix(".tmp")
            pq.write_table(rows, partial, compression="zstd", compression_level=9)
            os.replace(partial, path)
            files[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        write_manifest(directory, {**manifest, "files": files})
        shutil.rmtree(directory / "parts", ignore_errors=True)


def write_manifest(directory: Path, manifest: Mapping[str, Any]) -> None:
    """Write `run.json` in one step: a reader sees the old one or the new one, whole."""
    partial = directory / f"{_MANIFEST}.tmp"
    partial.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    os.replace(partial, directory / _MANIFEST)


def _read_part(path: Path, table: str) -> pa.Table:
    batches = []
    if path.exists():
        # A kill leaves a half-written last batch: everything before it is whole.
        with contextlib.suppress(pa.ArrowInvalid, OSError), pa.ipc.open_stream(path) as stream:
            for batch in stream:
                batches.append(batch)
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
    """Keep the keys of the lowest sampling rate in force: a rate that fell must not favour the keys seen before."""
    frame = accesses.to_pandas()
    rate = frame["sampling_rate"].min()
    kept = frame[(frame["key_hash"].to_numpy() >> np.uint64(32)) < rate * 2**32].assign(sampling_rate=rate)
    return pa.Table.from_pandas(kept, schema=arrow_schema("accesses"), preserve_index=False)


@contextlib.contextmanager
def _disk(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFull("the disk is full", got=f"no space left for {directory}",
                           do="free space and `amply-capacity runs recover` what was recorded") from error
        raise
