"""`amply-capacity import`: runs made from files of real traffic, and from production's metrics."""

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


@import_app.command("cloudwatch")
def import_cloudwatch(
    cluster: Annotated[str | None, typer.Argument(
        help="A replication group or cluster; or --all.", show_default=False)] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every Redis and Valkey cache of the region.")] = False,
    days: Annotated[int, typer.Option(help="How many days, up to now.")] = 14,
    period: Annotated[int, typer.Option(
        help="Seconds between two values: 60 (kept for 15 days), 300 (63) or 3600 (455).")] = 300,
    region: Annotated[str | None, typer.Option(help="AWS region; the profile's without.")] = None,
    run_dir: Annotated[Path | None, typer.Option(
        "--run-dir", help="The run's own folder; with --all the folder that theirs are made in.")] = None,
    json_: Json = False,
) -> None:
    """Make a run of production's metrics, read from CloudWatch, and review it.

    All metrics that ElastiCache publishes, its configuration, reserved nodes and engine versions; AWS is
    only read. What is interrupted goes on where it was when the same command is started again.

    Example: amply-capacity import cloudwatch amply-redis-prod --days 14 --region us-east-1
    """
    from amply_capacity.aws.import_request import Clients, Request
    from amply_capacity.aws.production_import import Import
    from amply_capacity.aws.regions import chosen_region
    from amply_capacity.aws.resume import Checkpoint
    from amply_capacity.aws.session import client
    from amply_capacity.errors import BadInput
    from amply_capacity.model.production import review_of
    from amply_capacity.progress import progress, say
    from amply_capacity.report.production import import_text
    from amply_capacity.run.reader import read_run
    from amply_capacity.target.process import terminable

    if (cluster is None) != all_:
        raise BadInput("it has to be said which cache to import",
                       got=f"{cluster} and --all" if all_ else "none",
                       do="name a replication group or cluster, or give --all")
    where = chosen_region(region)
    request = Request(where, cluster, days, period, run_dir)
    clients = Clients(client("cloudwatch", where), client("elasticache", where))
    with terminable(), Checkpoint(request.as_json()) as checkpoint:
        made = Import(request, clients, checkpoint, say)
        with progress("reading CloudWatch, points", made.points) as advance:
            outcome = made.carry_out(advance)
    reviews = {one.cache: review_of(read_run(one.directory)) for one in outcome.runs}
    said = ("from", "to", "period_s", "nodes", "gaps", "gap_count", "not_collected", "assumptions")
    rows = [{"cache": one.cache, "run": str(one.directory), "review": reviews[one.cache].as_json(),
             **{name: one.summary[name] for name in said}} for one in outcome.runs]
    content = {"runs": rows, "left_out": dict(outcome.left_out)} if all_ else rows[0]
    print_answer(json_, content, import_text(rows, outcome.left_out))


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
