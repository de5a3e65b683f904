"""A run made of production's metrics: `server.parquet` under CloudWatch's names, and nothing beside.

A row is a period of one node, `second` is when it begins, and what counts is per second, as in a recording. A
period without a value is null, one without any is no row: gaps stay gaps.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from amply_capacity import __version__
from amply_capacity.aws.cloudwatch import Series, Window
from amply_capacity.aws.elasticache import PRIMARY, REPLICA, Cache, Inventory
from amply_capacity.aws.metrics import CREDITS, CREDITS_EVERY_S, Query, is_count
from amply_capacity.disk import on_disk
from amply_capacity.files import RUNS_DIR
from amply_capacity.run.folder import check_free
from amply_capacity.run.schema import SCHEMA_VERSION, TABLES
from amply_capacity.run.writer import arrow_schema, write_manifest

__all__ = ["KIND", "NodeSeries", "new_folder", "write_run"]

KIND = "cloudwatch"
SCENARIO = "production"
_MOST_GAPS = 20


@dataclass(frozen=True, slots=True)
class NodeSeries:
    """All that was read of one node."""

    node: str
    role: str | None
    queries: Sequence[Query]
    series: Sequence[Series]

    @property
    def is_empty(self) -> bool:
        return not any(len(one.seconds) for one in self.series)


def new_folder(began: datetime) -> Path:
    """A run's folder under `data/runs`, not made yet."""
    return RUNS_DIR / f"{began:%Y%m%dT%H%M%SZ}-{SCENARIO}-{secrets.token_hex(3)}"


def write_run(directory: Path, cache: Cache, inventory: Inventory, window: Window,
              nodes: Sequence[NodeSeries], *, origin: str, notes: Sequence[str] = (),
              synthesised: bool = False) -> dict[str, Any]:
    """Write the run of one cache, whole or not at all; what its `run.json` says under `imported`.

    Raises BadInput for a folder that holds something or cannot be written, and DiskFull.
    """
    check_free(directory)
    scratch = directory.with_name(f".{directory.name}-{secrets.token_hex(3)}")
    frames = {one.node: _frame(one, window) for one in nodes}
    with on_disk(directory):
        scratch.mkdir(parents=True)
        try:
            imported = _write(scratch, directory.name, cache, inventory, window, nodes, frames,
                              {"file": origin, "assumptions": list(notes), "synthesised": synthesised})
            scratch.rename(directory)  # an empty folder there gives way
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return imported


def _write(scratch: Path, name: str, cache: Cache, inventory: Inventory, window: Window,
           nodes: Sequence[NodeSeries], frames: Mapping[str, pd.DataFrame],
           facts: Mapping[str, Any]) -> dict[str, Any]:
    gaps = [gap for node, frame in frames.items() for gap in _gaps(node, frame, window)]
    tables = {table: arrow_schema(table).empty_table() for table in TABLES}
    tables["server"] = _server_table(frames)
    tables["events"] = pa.Table.from_pylist([
        {"time_s": float(gap["from_s"]), "kind": "error", "name": "CloudWatch gap",
         "detail": f'{{"node": "{gap["node"]}", "seconds": {gap["seconds"]}}}'} for gap in gaps],
        schema=arrow_schema("events"))
    files = {}
    for table, rows in sorted(tables.items()):
        path = scratch / f"{table}.parquet"
        pq.write_table(rows, path, compression="zstd", compression_level=9)
        files[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    imported = {
        "kind": KIND, **facts, "cache": cache.name, "region": inventory.region,
        "from": _iso(window.start_s), "to": _iso(window.end_s), "period_s": window.period_s,
        "nodes": [{"node": one.id, "role": one.role, "zone": one.zone,
                   "rows": len(frames[one.id]) if one.id in frames else 0} for one in cache.nodes],
        "metrics": [row for one in nodes for row in _metric_rows(one, frames[one.node], window)],
        "gaps": gaps[:_MOST_GAPS], "gap_count": len(gaps), "not_collected": dict(inventory.not_collected),
        "clock_skew_s": inventory.clock_skew_s,
    }
    group = inventory.parameters.get(cache.parameter_group or "", {})
    write_manifest(scratch, {
        "schema": SCHEMA_VERSION, "verdict": "complete", "verdict_reason": "", "run": name,
        "scenario": SCENARIO,
        "started_at": _iso(window.start_s), "emulated": [], "imported": imported,
        "target": {
            "url": cache.url, "kind": "production", "topology": cache.topology, "tls": cache.tls,
            "node_type": cache.node_type,
            "reserved_memory_percent": _percent(group, "reserved-memory-percent")},
        "server": {"engine": cache.engine, "version": cache.version, "allocator": None,
                   "config": dict(group)},
        "elasticache": {
            "kind": cache.kind, "shards": cache.shards, "settings": dict(cache.settings),
            "parameter_group": cache.parameter_group, "reserved_nodes": list(inventory.reserved_nodes),
            "engine_versions": list(inventory.engine_versions.get(cache.engine, ()))},
        "versions": {"amply_capacity": __version__}, "files": files,
    })
    return imported


def _frame(node: NodeSeries, window: Window) -> pd.DataFrame:
    """A row for each period with any value; counts per second."""
    columns = np.full((window.points, len(node.queries)), np.nan)
    for place, (query, one) in enumerate(zip(node.queries, node.series, strict=True)):
        periods = (one.seconds - window.start_s) // window.period_s
        inside = (periods >= 0) & (periods < window.points)
        columns[periods[inside], place] = one.values[inside] * query.per_second(window.period_s)
    rows = np.flatnonzero(~np.isnan(columns).all(axis=1))
    frame = pd.DataFrame(columns[rows], columns=[query.column for query in node.queries])
    frame.insert(0, "second", window.start_s + rows * window.period_s)
    frame.insert(1, "node", node.node)
    frame.insert(2, "role", node.role)
    if "IsMaster" in frame:
        said = pd.Series(np.where(frame["IsMaster"] >= 0.5, PRIMARY, REPLICA), dtype=object)
        frame["role"] = said.where(frame["IsMaster"].notna(), node.role)
    return frame.dropna(axis="columns", how="all") if len(frame) else frame


def _server_table(frames: Mapping[str, pd.DataFrame]) -> pa.Table:
    schema = arrow_schema("server")
    extra = sorted({str(name) for frame in frames.values() for name in frame} - set(schema.names))
    for name in extra:
        schema = schema.append(pa.field(name, pa.float64()))
    whole = [pa.Table.from_pandas(frame.reindex(columns=schema.names), schema=schema, preserve_index=False)
             for frame in frames.values()]
    rows = pa.concat_tables(whole).sort_by([("second", "ascending"), ("node", "ascending")])
    return rows.replace_schema_metadata()


def _gaps(node: str, frame: pd.DataFrame, window: Window) -> Iterator[dict[str, Any]]:
    """Stretches of the window without any value of the node."""
    edges = np.concatenate([[window.start_s - window.period_s], frame["second"].to_numpy(), [window.end_s]])
    for place in np.flatnonzero(np.diff(edges) > window.period_s):
        begin = int(edges[place]) + window.period_s
        yield {"node": node, "from_s": begin, "from": _iso(begin), "seconds": int(edges[place + 1]) - begin}


def _metric_rows(node: NodeSeries, frame: pd.DataFrame, window: Window) -> Iterator[dict[str, Any]]:
    """What each column of a node shows; those without any value are not there."""
    seconds = frame["second"].to_numpy()
    for query in node.queries:
        if query.column not in frame:
            continue
        values = frame[query.column].to_numpy(dtype=np.float64)
        known = np.flatnonzero(~np.isnan(values))
        every = CREDITS_EVERY_S // window.period_s if query.metric in CREDITS else 1
        highest = known[values[known].argmax()]
        yield {
            "node": node.node, "metric": query.column, "statistic": query.statistic,
            "per_second": is_count(query.metric), "points": len(known),
            "missing": max(len(frame) // max(every, 1) - len(known), 0),
            "low": float(values[known].min()), "mean": float(values[known].mean()),
            "high": float(values[highest]), "high_at": _iso(int(seconds[highest])),
        }


def _iso(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()


def _percent(parameters: Mapping[str, str], name: str) -> float | None:
    try:
        return float(parameters[name])
    except (KeyError, ValueError):
        return None
