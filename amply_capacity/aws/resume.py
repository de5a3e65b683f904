"""What an import has got so far, kept until it is whole: after an interruption it goes on from there."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from amply_capacity.aws.cloudwatch import Series
from amply_capacity.disk import on_disk, replacing
from amply_capacity.errors import BadInput
from amply_capacity.files import RUNS_DIR

__all__ = ["OLDEST_S", "Checkpoint"]

OLDEST_S = 86_400
"""An import that was interrupted longer ago begins anew: its days would no longer be the last ones."""
_PLAN, _WRITTEN, _LOCK = "plan.json", "written.json", "lock"


class Checkpoint:
    """A folder for one import, known by what is asked for; a context that holds it against a second one.

    An exception leaves it as it is, `drop` removes it. Raises BadInput where the same import runs already,
    and DiskFull.
    """

    def __init__(self, asked_for: Mapping[str, Any]) -> None:
        """`asked_for` is all that tells one import from another; what is JSON."""
        text = json.dumps(asked_for, sort_keys=True)
        name = hashlib.sha256(text.encode()).hexdigest()[:12]
        self.directory = RUNS_DIR.parent / "imports" / name

    def __enter__(self) -> Checkpoint:
        with on_disk(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.directory / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise BadInput("the same import is running", got=f"another process holds {self.directory}",
                           do="wait for its end") from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        if not (self.directory / _PLAN).exists():
            shutil.rmtree(self.directory, ignore_errors=True)  # nothing was got that could be used again
        os.close(self._lock)

    @property
    def plan(self) -> dict[str, Any] | None:
        """What was to be read, as it was kept; None at the first start, or where it cannot be read."""
        return self._read(_PLAN)

    def begin(self, plan: Mapping[str, Any]) -> None:
        """Keep what is to be read, instead of whatever was there."""
        with on_disk(self.directory):
            for path in self.directory.iterdir():
                if path.name != _LOCK:
                    path.unlink()
        self._write(_PLAN, plan)

    @property
    def written(self) -> dict[str, str]:
        """The folders of the runs that are there, by cache."""
        return {name: folder for name, folder in (self._read(_WRITTEN) or {}).items()
                if (Path(folder) / "run.json").exists()}

    def note_folder(self, cache: str, folder: Path) -> None:
        """Where the run of a cache is going to be: it counts as written once it is there, whole."""
        self._write(_WRITTEN, {**self.written, cache: str(folder)})

    def has(self, number: int) -> bool:
        return self._part(number).exists()

    def load(self, number: int) -> list[Series]:
        """The series of a part, as they were kept."""
        table = pq.read_table(self._part(number))
        lengths = json.loads((table.schema.metadata or {})[b"lengths"])
        ends = np.cumsum(lengths)[:-1]
        seconds, values = (np.split(table[name].to_numpy(), ends) for name in ("second", "value"))
        return [Series(*one) for one in zip(seconds, values, strict=True)]

    def keep(self, number: int, series: Sequence[Series]) -> None:
        """Keep a part, in one step."""
        table = pa.table({"second": np.concatenate([one.seconds for one in series]),
                          "value": np.concatenate([one.values for one in series])},
                         metadata={"lengths": json.dumps([len(one.seconds) for one in series])})
        with on_disk(self.directory), replacing(self._part(number)) as partial:
            pq.write_table(table, partial, compression="zstd")

    def drop(self) -> None:
        """The import is whole: nothing of this is needed any more."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _part(self, number: int) -> Path:
        return self.directory / f"part-{number}.parquet"

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            content = json.loads((self.directory / name).read_text())
        except (OSError, ValueError):
            return None
        return content if isinstance(content, dict) else None

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        with on_disk(self.directory), replacing(self.directory / name) as partial:
            partial.write_text(json.dumps(content))
