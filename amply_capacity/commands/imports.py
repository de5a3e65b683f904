"""`amply-capacity import`: runs made from files of real traffic."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from amply_capacity.commands.answer import Json, print_answer

if TYPE_CHECKING:
    from amply_capacity.run.imported import ImportedRun

__all__ = ["import_app"]

import_app = typer.Typer(help="Make a run of real traffic.", no_args_is_help=True)

RunFolder = Annotated[Path | None, typer.Option(
    "--run-dir", help="The run's own folder; a new one under data/runs without.")]


@import_app.command("trace")
def import_trace(
    file: Annotated[Path, typer.Argument(help="CSV: time_s,op,key,key_bytes,value_bytes,ttl_s.")],
    run_dir: RunFolder = None,
    json_: Json = False,
) -> None:
    """Make a run of a trace of key accesses.

    op is get, set, setex, incr, del, expire, sadd, srem or smembers. A get carries the size and TTL with
    which a miss would be filled; a blank ttl_s is unknown, none is never. Keys are kept as hashes only.

    Example: amply-capacity import trace accesses.csv
    """
    from amply_capacity.run import imports

    _import(file, lambda tell: imports.import_trace(file, run_dir, tell), json_)


@import_app.command("monitor")
def import_monitor(
    file: Annotated[Path, typer.Argument(help="What `redis-cli MONITOR` printed.")],
    run_dir: RunFolder = None,
    json_: Json = False,
) -> None:
    """Make a run of the output of redis-cli MONITOR. Keys are kept as hashes only, values not at all.

    Example: amply-capacity import monitor monitor.txt
    """
    from amply_capacity.run import imports

    _import(file, lambda tell: imports.import_monitor(file, run_dir, tell), json_)


def _import(file: Path, make: Callable[[Callable[[int], None]], ImportedRun], json_: bool) -> None:
    from amply_capacity.progress import progress
    from amply_capacity.run.imports import imported_text
    from amply_capacity.target.process import terminable

    size_mb = file.stat().st_size // 10**6 if file.is_file() else 0
    with terminable(), progress(f"reading {file.name}, MB", size_mb) as advance:
        done_mb = 0

        def tell(read_bytes: int) -> None:
            nonlocal done_mb
            now_mb = read_bytes // 10**6
            advance(now_mb - done_mb)
            done_mb = now_mb

        run = make(tell)
    summary = run.summary
    answer = {name: summary[name] for name in ("accesses", "keys", "seconds", "assumptions", "skipped")}
    print_answer(json_, {"run": str(run.directory), **answer}, imported_text(str(run.directory), summary))
