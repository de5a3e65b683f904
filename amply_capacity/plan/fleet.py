"""Many clusters planned from a table: `cluster,demand,run` a row, paths from the table's own folder."""

from __future__ import annotations

import csv
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from amply_capacity.errors import AmplyError, BadInput
from amply_capacity.model.digest import digest
from amply_capacity.model.evidence import Evidence
from amply_capacity.plan.recorded import plan_of_evidence
from amply_capacity.run.reader import read_run
from amply_capacity.workers import cores, workers

__all__ = ["FLEET_WORLDS", "FleetRow", "plan_fleet", "read_fleet"]

FLEET_WORLDS = 500
"""Of each cluster, where nobody says: a table of a thousand is read for its sums and its exceptions. Of forty
demands with 2,000 to 392,000 users all forty had the choice and the verdict of 10,000 worlds; in ten the
first upgrade was due in another month, with 1,000 worlds in eight."""

_COLUMNS = ("cluster", "demand", "run")
_MOST_FAULTS = 20
_CHUNK = 8
_FEW = 16
"""Clusters that one process has planned before others have started."""


@dataclass(frozen=True, slots=True)
class FleetRow:
    """One cluster of the table."""

    cluster: str
    demand: Path
    runs: tuple[str, ...]


def read_fleet(file: Path) -> tuple[FleetRow, ...]:
    """The table; semicolons part several runs of a cluster. Raises BadInput with all its faults."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            table = list(csv.reader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput("the fleet's table cannot be read", got=f"{file}: {error}",
                       do="give a CSV file with the header cluster,demand,run") from None
    if not table or tuple(table[0]) != _COLUMNS or len(table) == 1:
        raise BadInput("the fleet's table has no clusters in it",
                       got=f"header {','.join(table[0]) if table else 'none'}, {max(len(table) - 1, 0)} rows",
                       do="write the header cluster,demand,run and a row for each cluster")
    rows, faults = [], []
    seen: set[str] = set()
    for number, cells in enumerate(table[1:], 2):
        if len(cells) != len(_COLUMNS) or not all(cell.strip() for cell in cells):
            faults.append(f"line {number}: {len(_COLUMNS)} filled cells are needed, got {','.join(cells)!r}")
            continue
        name, demand, runs = (cell.strip() for cell in cells)
        if name in seen:
            faults.append(f"line {number}: {name} stands in the table twice")
        seen.add(name)
        rows.append(FleetRow(name, file.parent / demand, tuple(
            _run_path(one.strip(), file.parent) for one in runs.split(";"))))
    if faults:
        more = f"; and {len(faults) - _MOST_FAULTS} more" if len(faults) > _MOST_FAULTS else ""
        raise BadInput(f"the fleet's table {file} has {len(faults)} fault{'s' * (len(faults) != 1)}",
                       got="; ".join(faults[:_MOST_FAULTS]) + more, do="correct these lines")
    return tuple(rows)


def plan_fleet(rows: Sequence[FleetRow], worlds: int, seed: int,
               advance: Callable[[], object] = lambda: None) -> dict[str, Any]:
    """What each cluster should run and cost, and their sum; what could not be planned, with its reason.

    Many are spread over the cores of this machine; where that is broken off, so is their work.
    """
    work = functools.partial(_planned, worlds=worlds, seed=seed)
    clusters = []
    with _mapped(work, rows) as planned:
        for one in planned:
            clusters.append(one)
            advance()
    known = [one for one in clusters if one["error"] is None]
    return {"clusters": clusters, "planned": len(known), "failed": len(clusters) - len(known),
            "usd_per_month": round(sum(one["chosen"]["usd_per_month"] for one in known), 4),
            "usd_per_month_today": round(sum(one["today"]["usd_per_month"] for one in known), 4),
            "worlds": worlds, "seed": seed}


@contextmanager
def _mapped(work: Callable[[FleetRow], dict[str, Any]],
            rows: Sequence[FleetRow]) -> Iterator[Iterable[dict[str, Any]]]:
    if len(rows) <= _FEW:
        yield map(work, rows)
        return
    with workers(cores()) as pool:
        parts = [pool.submit(_each, work, rows[at:at + _CHUNK]) for at in range(0, len(rows), _CHUNK)]
        yield chain.from_iterable(part.result() for part in parts)


def _each(work: Callable[[FleetRow], dict[str, Any]], rows: Sequence[FleetRow]) -> list[dict[str, Any]]:
    return [work(row) for row in rows]


def _planned(row: FleetRow, worlds: int, seed: int) -> dict[str, Any]:
    empty = {"cluster": row.cluster, "chosen": None, "today": None, "replica": None, "upgrades": None}
    try:
        made = plan_of_evidence([_evidence(name) for name in row.runs], row.demand, worlds=worlds, seed=seed,
                                is_draft=True)
    except AmplyError as error:
        return {**empty, "error": str(error)}
    today, replica = made.today.as_json(), made.replica.as_json()
    return {
        "cluster": row.cluster, "chosen": made.chosen.as_json(),
        "today": {name: today[name] for name in ("node_type", "usd_per_month", "fits", "short_from")},
        "replica": {name: replica[name] for name in ("verdict", "probability")},
        "upgrades": [upgrade.as_json() for upgrade in made.upgrades[:1]], "error": None,
    }


@functools.lru_cache(maxsize=1_000)
def _evidence(name: str) -> Evidence:
    """Of a run, which many clusters may stand on."""
    return digest(read_run(name))


def _run_path(name: str, folder: Path) -> str:
    """A path from the table's folder, where there is one; else a run's name."""
    return str(folder / name) if (folder / name).exists() else name
