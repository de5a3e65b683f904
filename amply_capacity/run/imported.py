"""A run made from a file: key accesses alone, all of them, written as they are read."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import shutil
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from amply_capacity import __version__
from amply_capacity.disk import on_disk
from amply_capacity.files import RUNS_DIR
from amply_capacity.run.folder import check_free
from amply_capacity.run.key import class_of_prefix, key_hashes, key_prefix
from amply_capacity.run.schema import SCHEMA_VERSION, TABLES
from amply_capacity.run.writer import arrow_schema, write_manifest

__all__ = ["ImportedRun"]

_Array = NDArray[Any]

_MOST_CLASSES = 100
_PARTS = 16
_MOST_FRESH = 1 << 20
_NAMES = pa.dictionary(pa.int32(), pa.string())
_FEW_VALUES = ["op", "key_class", "key_bytes", "value_bytes", "ttl_s", "sampling_rate"]


class ImportedRun:
    """Writes the run beside its place and moves it there when it is whole; a failure leaves nothing.

    A context: within it `append`, at its end without an exception the run is there, in `directory`, and
    `summary` is what its `run.json` says under `imported`. Raises BadInput for a place that holds something
    or cannot be written, and DiskFull.
    """

    def __init__(self, kind: str, source: Path, directory: Path | None = None) -> None:
        """`kind`: trace or monitor; `directory`: the run's own folder, one under `data/runs` without."""
        self._began = datetime.now(UTC)
        name = f"{self._began:%Y%m%dT%H%M%SZ}-{kind}-{secrets.token_hex(3)}"
        self.directory = (directory or RUNS_DIR / name).resolve()
        check_free(self.directory)
        self.scratch = self.directory.with_name(f".{self.directory.name}-{secrets.token_hex(3)}")
        """The folder in which it grows; what lies there beside the run's own files is removed."""
        self.skipped: Counter[str] = Counter()
        self.assumptions: list[str] = []
        self._kind, self._source = kind, source
        self._ops: Counter[str] = Counter()
        self._classes: Counter[str] = Counter()
        self._class_names: set[str] = set()
        self._keys = _Distinct()
        self._first_s = self._last_s = 0.0

    def __enter__(self) -> ImportedRun:
        with on_disk(self.directory):
            self.scratch.mkdir(parents=True)
            # Written as dictionaries, read as the strings that they are: without Arrow's own schema.
            fields = [field.with_type(_NAMES) if pa.types.is_string(field.type) else field
                      for field in arrow_schema("accesses")]
            try:
                self._accesses = pq.ParquetWriter(
                    self.scratch / "accesses.parquet", pa.schema(fields), compression="zstd",
                    compression_level=3, use_dictionary=_FEW_VALUES, store_schema=False)
            except BaseException:
                shutil.rmtree(self.scratch, ignore_errors=True)
                raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        try:
            if error is not None:
                with contextlib.suppress(OSError):
                    self._accesses.close()
                return
            with on_disk(self.directory):
                self._accesses.close()
                self._finish()
        finally:
            shutil.rmtree(self.scratch, ignore_errors=True)

    def hashed(self, keys: pa.DictionaryArray) -> dict[str, pa.Array]:
        """`key_hash`, `key_class` and `key_bytes` of keys; each distinct one is looked at once.

        Of more than 100 classes the later ones are told as the one without a name.
        """
        raw = keys.dictionary.cast(pa.binary()).to_pylist()
        prefixes = list(map(key_prefix, raw))
        classes = {prefix: self._class(prefix) for prefix in dict.fromkeys(prefixes)}
        names = list(dict.fromkeys(classes.values()))
        numbers = {prefix: names.index(name) for prefix, name in classes.items()}
        own = pa.array([numbers[prefix] for prefix in prefixes], pa.int32())
        return {
            "key_hash": pa.array(key_hashes(raw)).take(keys.indices),
            "key_class": pa.DictionaryArray.from_arrays(own.take(keys.indices), pa.array(names, pa.string())),
            "key_bytes": pa.array([len(key) for key in raw], pa.int64()).take(keys.indices),
        }

    def _class(self, prefix: bytes) -> str:
        name = class_of_prefix(prefix)
        if name not in self._class_names:
            if len(self._class_names) == _MOST_CLASSES:
                return ""
            self._class_names.add(name)
        return name

    def append(self, columns: Mapping[str, pa.Array]) -> None:
        """Add accesses: the columns of the table, but for the sampling rate: every access is kept."""
        count = len(columns["time_s"])
        if count == 0:
            return
        names = {name: _used(columns[name]) for name in ("op", "key_class")}
        table = {**columns, **names, "sampling_rate": pa.array(np.ones(count))}
        rows = pa.table([table[name] for name in self._accesses.schema.names], schema=self._accesses.schema)
        with on_disk(self.directory):
            self._accesses.write_table(rows)
        if not self._ops:
            self._first_s = columns["time_s"][0].as_py()
        self._last_s = columns["time_s"][-1].as_py()
        for counter, name in ((self._ops, "op"), (self._classes, "key_class")):
            counter.update({one["values"]: one["counts"] for one in names[name].value_counts().to_pylist()})
        self._keys.add(columns["key_hash"].to_numpy())

    @property
    def access_count(self) -> int:
        return self._ops.total()

    @property
    def summary(self) -> dict[str, Any]:
        """What was imported."""
        return {
            "kind": self._kind, "file": self._source.name, "accesses": self.access_count,
            "keys": self._keys.count(), "seconds": round(self._last_s - self._first_s, 6),
            "ops": dict(self._ops.most_common()), "classes": dict(self._classes.most_common()),
            "skipped": dict(self.skipped.most_common()), "assumptions": self.assumptions,
        }

    def _finish(self) -> None:
        for table in TABLES:
            if table != "accesses":
                pq.write_table(arrow_schema(table).empty_table(), self.scratch / f"{table}.parquet")
        files = {f"{table}.parquet": _sha256(self.scratch / f"{table}.parquet") for table in sorted(TABLES)}
        write_manifest(self.scratch, {
            "schema": SCHEMA_VERSION, "verdict": "complete", "verdict_reason": "",
            "run": self.directory.name, "scenario": self._kind, "started_at": self._began.isoformat(),
            "imported": self.summary, "versions": {"amply_capacity": __version__}, "files": files,
        })
        for path in set(self.scratch.iterdir()) - {self.scratch / name for name in [*files, "run.json"]}:
            path.unlink()
        self.scratch.rename(self.directory)  # an empty folder there gives way


class _Distinct:
    """Counts different hashes, at 8 bytes each; in parts, since to join one takes several times its size."""

    def __init__(self) -> None:
        self._seen: list[_Array] = [np.empty(0, dtype=np.uint64)] * _PARTS
        self._fresh: list[_Array] = []

    def add(self, hashes: _Array) -> None:
        self._fresh.append(np.unique(hashes))
        if sum(map(len, self._fresh)) > _MOST_FRESH:
            self.count()

    def count(self) -> int:
        if self._fresh:
            fresh = np.concatenate(self._fresh)
            part = fresh % np.uint64(_PARTS)
            self._seen = [np.unique(np.concatenate([seen, fresh[part == number]]))
                          for number, seen in enumerate(self._seen)]
            self._fresh = []
        return sum(map(len, self._seen))


def _used(names: pa.DictionaryArray) -> pa.DictionaryArray:
    """The same names, in a dictionary of those alone that occur, which is what a reader finds in the file."""
    used, indices = np.unique(names.indices.to_numpy(), return_inverse=True)
    return pa.DictionaryArray.from_arrays(pa.array(indices.astype(np.int32)),
                                          names.dictionary.take(pa.array(used)).cast(pa.string()))


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
