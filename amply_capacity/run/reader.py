"""Reads run directories: one, the newest, all, or one that was cut off."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from amply_capacity.errors import BadRun
from amply_capacity.files import EXAMPLE_RUN, RUNS_DIR
from amply_capacity.run.conclusion import with_details
from amply_capacity.run.phase import phase_seconds
from amply_capacity.run.schema import SCHEMA_VERSION, TABLES
from amply_capacity.run.totals import added_up
from amply_capacity.run.writer import PARTS, BeingWritten, drop_parts, finish, is_finished, sole_writer

__all__ = ["Run", "all_runs", "newest_or_example", "read_run", "recover"]

_NEEDED = ("run", "verdict", "scenario", "started_at")
_FEWEST_SECONDS = 3
_WRITER_SECONDS = 5.0
_REPLICA = "slave"  # as INFO spells it
_CUT_OFF = "it was cut off while it was recorded"


@dataclass(frozen=True)
class Run:
    """A recorded run: its manifest, and its tables read when first asked for."""

    directory: Path
    manifest: Mapping[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        return str(self.manifest["run"])

    @property
    def verdict(self) -> str:
        return str(self.manifest["verdict"])

    @property
    def is_imported(self) -> bool:
        """Whether it is no recording: it holds key accesses alone, or production's metrics alone."""
        return bool(self.manifest.get("imported"))

    @property
    def is_production(self) -> bool:
        """Whether it holds production's metrics alone, as CloudWatch tells them."""
        return self.is_imported and self.manifest["imported"].get("kind") == "cloudwatch"

    def need_load(self) -> None:
        """Raise BadRun for a run without a load that was measured, operation by operation."""
        if self.is_production:
            raise BadRun(f"run {self.name} is production as CloudWatch tells it: it has no operations, no "
                         "response times, no keys and no sizes",
                         got=f"an import of {self.manifest['imported'].get('cache')}",
                         do="record a load test and use that, and see whether it looks like production: "
                            "`amply-capacity production compare TEST PRODUCTION`")
        if self.is_imported:
            raise BadRun(f"run {self.name} holds key accesses alone, and no load that was measured",
                         got=f"an import of {self.manifest['imported'].get('file')}",
                         do="use it with `amply-capacity predict hit-rate`; for the rest record a run")

    @cached_property
    def requests(self) -> pd.DataFrame:
        """Its words are categories, in alphabetical order: an hour has millions of rows, and few words."""
        words = [column.name for column in TABLES["requests"] if column.type == "string"]
        requests = self._table("requests", read_dictionary=words)
        return requests.assign(**{name: requests[name].cat.reorder_categories(
            sorted(requests[name].cat.categories)) for name in words})

    @cached_property
    def server(self) -> pd.DataFrame:
        return self._table("server")

    @cached_property
    def commands(self) -> pd.DataFrame:
        return self._table("commands")

    @cached_property
    def accesses(self) -> pd.DataFrame:
        return self._table("accesses")

    @cached_property
    def events(self) -> pd.DataFrame:
        return with_details(self._table("events"))

    @cached_property
    def measured_seconds(self) -> tuple[int, int]:
        """First and last whole Unix second of the measured phase, both inclusive."""
        self.need_load()
        phase = phase_seconds(self.events, self.requests)
        if phase is None:
            raise BadRun(f"run {self.name} has no measured phase", got="it ended before the load began",
                         do="record it again for at least 10 seconds, e.g. with -t 30s")
        first, last = phase
        if last - first + 1 < _FEWEST_SECONDS:
            raise BadRun(f"run {self.name} is too short to say anything",
                         got=f"{max(last - first + 1, 0)} whole seconds of load",
                         do="record it again for at least 10 seconds, e.g. with -t 30s")
        return first, last

    @cached_property
    def generator_bound_seconds(self) -> frozenset[int]:
        """Seconds of the measured phase in which the generator, not the server, was the bottleneck."""
        first, last = self.measured_seconds
        return frozenset(second for second in self.manifest.get("generator_bound_seconds") or ()
                         if first <= second <= last)

    @cached_property
    def starved_seconds(self) -> frozenset[int]:
        """Seconds of the measured phase in which other processes kept a local server from its CPU."""
        first, last = self.measured_seconds
        events = self.events
        noted = events.loc[(events["kind"] == "host") & (events["name"] == "server starved"), "detail"]
        return frozenset(int(one["second"]) for one in noted if first <= int(one["second"]) <= last)

    @cached_property
    def sound_seconds(self) -> tuple[int, ...]:
        """Seconds of the measured phase that models use: the generator kept up, and the server had its CPU.

        Where fewer than three would be left, the disturbed ones are used as well: `digest` then warns of it.
        """
        first, last = self.measured_seconds
        whole = tuple(range(first, last + 1))
        kept_up = tuple(second for second in whole if second not in self.generator_bound_seconds)
        quiet = tuple(second for second in kept_up if second not in self.starved_seconds)
        # A sample of the server that tells of quiet seconds only needs two of them in a row.
        if sum(second - 1 in quiet for second in quiet) >= _FEWEST_SECONDS:
            return quiet
        return kept_up if len(kept_up) >= _FEWEST_SECONDS else whole

    @cached_property
    def counts_by_second(self) -> pd.DataFrame:
        """`requests` without their times: a row's count is of all its buckets."""
        return added_up(self.requests, "bucket_us")

    @cached_property
    def sound_requests(self) -> pd.DataFrame:
        """Those rows of `requests` whose second is sound."""
        return self.requests[self.requests["second"].isin(self.sound_seconds)]

    @cached_property
    def sound_totals(self) -> pd.DataFrame:
        """`sound_requests` without their seconds: a row's count is of all of them."""
        is_sound = self.requests["second"].isin(self.sound_seconds)
        totals = added_up(self.requests.assign(is_sound=is_sound), "second")
        return totals[totals["is_sound"]].drop(columns="is_sound")

    def sound_operations(self, clock: str) -> pd.DataFrame:
        """Of these the ones of whole operations, not of their commands, by that clock."""
        rows = self.sound_requests
        return rows[(rows["command"] == "") & (rows["clock"] == clock)]

    def in_sound_samples(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Those rows of `server`, or of its changes, that tell of sound seconds only, and of primaries.

        A replica repeats every write: its work is no other load. A sample counts what happened since the one
        before: one taken in the second after an unsound one tells of both.
        """
        first, last = self.measured_seconds
        unsound = frozenset(range(first, last + 1)) - frozenset(self.sound_seconds)
        unsound |= {second + 1 for second in unsound}
        sound = rows["second"].between(first, last) & ~rows["second"].isin(unsound)
        return rows[sound & (rows["role"] != _REPLICA)] if "role" in rows else rows[sound]

    def _table(self, name: str, **reading: Any) -> pd.DataFrame:
        path = self.directory / f"{name}.parquet"
        try:
            frame = pd.read_parquet(path, **reading)
        except FileNotFoundError:
            raise BadRun(f"run {self.name} lacks its table {name}", got=f"no file {path}",
                         do="`amply-capacity runs recover` it, or choose another run") from None
        except (OSError, ValueError) as error:  # pyarrow's ArrowInvalid is a ValueError
            raise BadRun(f"run {self.name} has a damaged table {name}", got=f"{path}: {str(error)[:120]}",
                         do="restore the file, or choose another run") from None
        missing = [column.name for column in TABLES[name] if column.name not in frame.columns]
        if missing:
            raise BadRun(f"run {self.name}: table {name} lacks columns", got=f"no {', '.join(missing)}",
                         do="choose a run of this version")
        return frame


def read_run(directory: Path | str) -> Run:
    """The run in that directory, or of that name under `data/runs/`.

    Raises BadRun for a directory that is missing, empty, truncated (not yet finished: recover it) or of a
    newer schema.
    """
    path = _locate(directory)
    manifest = _manifest(path)
    unfinished = (path / PARTS).is_dir()
    missing = [f"{table}.parquet" for table in TABLES if not (path / f"{table}.parquet").exists()]
    if unfinished or missing:
        raise BadRun("the run is truncated: it was cut off while it was recorded, or files were lost",
                     got=f"{path}: " + ("its parts are there" if unfinished else f"no {', '.join(missing)}"),
                     do=f"`amply-capacity runs recover {path}`" if unfinished else
                     "restore the files, or choose another run")
    return Run(path, manifest)


def recover(directory: Path | str) -> Run:
    """Finish a run that was cut off, from its parts, as `partial`; a whole run is returned as it is.

    Raises BadRun when there is nothing to recover from, or when it is still being written: a recording
    process whose generator has been killed is given some seconds to finish the run itself, and so is another
    recovery.
    """
    path = _locate(directory)
    try:
        with sole_writer(path, patience_seconds=_WRITER_SECONDS):
            _finish_cut_off(path)
    except BeingWritten:
        raise BadRun("the run is still being written", got=f"{path}",
                     do="end its load test, or wait for its end, or for that of another recovery") from None
    return read_run(path)


def all_runs() -> list[Run]:
    """Every whole run under `data/runs/`, newest first."""
    runs = []
    for path in sorted(RUNS_DIR.glob("*/run.json"), reverse=True):
        try:
            runs.append(read_run(path.parent))
        except BadRun:
            continue
    return runs


def newest_or_example() -> Run:
    """The newest run recorded here, imports and drills left out, else the example that ships."""
    undisturbed = (run for run in all_runs() if not run.is_imported and not run.manifest.get("drill"))
    return next(undisturbed, None) or read_run(EXAMPLE_RUN)


def _finish_cut_off(path: Path) -> None:
    """Finish the run where it has parts, by its manifest as it stands; to be called as its sole writer."""
    manifest = _manifest(path)
    if not (path / PARTS).is_dir():
        return
    if is_finished(path, manifest):  # killed between its last two steps
        drop_parts(path)
    else:
        finish(path, {**manifest, "verdict": "partial", "verdict_reason": _CUT_OFF})


def _locate(directory: Path | str) -> Path:
    """The directory itself, or the run of that name under `data/runs/`."""
    path = Path(directory)
    if not path.exists() and (RUNS_DIR / path).is_dir():
        path = RUNS_DIR / path
    if not path.is_dir():
        raise BadRun("there is no such run", got=str(directory),
                     do="`amply-capacity runs list` shows the runs; record one with Locust")
    return path


def _manifest(path: Path) -> dict[str, Any]:
    file = path / "run.json"
    if not any(path.iterdir()):
        raise BadRun("the run directory is empty", got=str(path),
                     do="choose another; `amply-capacity runs list` shows them")
    try:
        manifest = json.loads(file.read_text())
    except FileNotFoundError:
        if (path / PARTS).is_dir():
            raise BadRun("the run was cut off before anything was recorded", got=f"no run.json in {path}",
                         do="remove the folder, and record it again") from None
        raise BadRun("this is no run directory", got=f"no run.json in {path}",
                     do="choose another; `amply-capacity runs list` shows them") from None
    except (ValueError, OSError) as error:
        raise BadRun("the run's manifest cannot be read", got=f"{file}: {error}", do="restore it") from None
    if not isinstance(manifest, dict) or "schema" not in manifest:
        raise BadRun("the run's manifest is not one of ours", got=f"{file} names no schema",
                     do="choose another run")
    if manifest["schema"] != SCHEMA_VERSION:
        newer = isinstance(manifest["schema"], int) and manifest["schema"] > SCHEMA_VERSION
        raise BadRun("the run was recorded by a newer version" if newer else "the run's schema is unknown",
                     got=f"schema {manifest['schema']}, this version reads {SCHEMA_VERSION}",
                     do="update amply-capacity" if newer else "record the run again")
    lacking = [name for name in _NEEDED if name not in manifest]
    if lacking:
        raise BadRun("the run's manifest is not whole", got=f"{file} lacks {', '.join(lacking)}",
                     do="restore it, or choose another run")
    return manifest
