"""The drill in its run: its moments among the events, its answer in the manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from amply_capacity.disk import on_disk, replacing
from amply_capacity.drill.moment import Moment
from amply_capacity.run.writer import arrow_schema, write_manifest

__all__ = ["record"]

_EVENTS = "events.parquet"


def record(run: Path, moments: Sequence[Moment], answer: dict[str, Any]) -> None:
    """Add the moments to the events of a run that has ended, and the answer, without them, to `run.json`.

    Each file takes its new form in one step. Raises DiskFull or BadInput where it cannot be written.
    """
    rows = [{"time_s": one.time_s, "kind": one.kind, "name": one.name, "detail": json.dumps(dict(one.detail))}
            for one in moments]
    path, schema = run / _EVENTS, arrow_schema("events")
    with on_disk(run):
        known = pq.read_table(path, schema=schema).to_pandas()
        frame = pd.concat([known, pd.DataFrame(rows, columns=schema.names)]) if rows else known
        table = pa.Table.from_pandas(frame.sort_values("time_s", kind="stable"), schema=schema,
                                     preserve_index=False)
        with replacing(path) as partial:
            pq.write_table(table, partial, compression="zstd", compression_level=9)
        manifest = json.loads((run / "run.json").read_text())
        files = {**manifest["files"], _EVENTS: hashlib.sha256(path.read_bytes()).hexdigest()}
        content = {name: value for name, value in answer.items() if name not in {"events", "run"}}
        write_manifest(run, {**manifest, "files": files, "drill": content})
