"""Runs of given metrics, written by the toolkit's own writer: a recording's seconds, an import's minutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from amply_capacity.run.reader import Run, read_run
from amply_capacity.run.writer import RunWriter

NODE = "127.0.0.1:7000"
BEGAN = 1_699_999_200
"""A full hour, in Unix seconds."""

MANIFEST: dict[str, Any] = {
    "run": "metrics", "scenario": "mixed", "started_at": "2026-11-23T10:00:00.000+00:00",
    "verdict": "complete", "arrivals": "poisson", "emulated": [],
    "target": {"url": f"redis://{NODE}/0", "node_type": "cache.t3.micro"},
    "server": {"engine": "redis", "version": "7.0.15"},
}


def metric_run(directory: Path, metrics: Mapping[str, Sequence[float | None]], *, step_s: int = 60,
               node: str = NODE, requests: Sequence[Mapping[str, Any]] = (), **manifest: Any) -> Run:
    """`metrics` hold a value every `step_s`, None where there is none; below a minute it is a recording."""
    return nodes_run(directory, {node: metrics}, step_s=step_s, requests=requests, **manifest)


def nodes_run(directory: Path, nodes: Mapping[str, Mapping[str, Sequence[float | None]]], *, step_s: int = 60,
              requests: Sequence[Mapping[str, Any]] = (), **manifest: Any) -> Run:
    """The same for several nodes, the first of which is the primary."""
    imported = {} if step_s < 60 else {"imported": {"kind": "cloudwatch", "file": "none"}}
    writer = RunWriter(directory, {**MANIFEST, **imported, **manifest})
    rows, longest = [], 0
    for place, (node, metrics) in enumerate(nodes.items()):
        longest = max(longest, *map(len, metrics.values()))
        rows += [{"second": BEGAN + step_s * number, "node": node, "role": "slave" if place else "master",
                  **{name: values[number] for name, values in metrics.items()
                     if number < len(values) and values[number] is not None}} for number in range(longest)]
    if step_s < 60:
        writer.append("events", [
            {"time_s": BEGAN - 0.5, "kind": "phase", "name": "measured", "detail": "{}"},
            {"time_s": BEGAN + longest * step_s + 0.5, "kind": "phase", "name": "ended", "detail": "{}"}])
        reply = {"use_case": "sessions", "operation": "validate", "command": "", "outcome": "ok",
                 "clock": "service", "bucket_us": 300, "count": 10}
        requests = requests or [{**reply, "second": BEGAN + number} for number in range(longest)]
    if requests:
        writer.append("requests", list(requests))
    writer.append("server", rows)
    writer.close()
    writer.amend(verdict="complete")
    _add_columns(directory, rows)
    return read_run(directory)


def _add_columns(directory: Path, rows: list[dict[str, Any]]) -> None:
    """Metrics that no recording has, as an import may."""
    path = directory / "server.parquet"
    written, wanted = pd.read_parquet(path), pd.DataFrame(rows)
    new = [name for name in wanted.columns if name not in written.columns]
    if new:
        written.merge(wanted[["second", "node", *new]], on=["second", "node"]).to_parquet(path)
