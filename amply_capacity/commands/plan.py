"""`amply-capacity plan`: one cluster from its runs and demand, or a table of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from amply_capacity.commands.answer import Json, print_answer, warn_of_old_prices
from amply_capacity.errors import BadInput

__all__ = ["plan"]


def plan(
    run: Annotated[list[str] | None, typer.Option(
        "--run", help="A run's directory or name; several may be given. Drills among them say how soon "
        "clients are back, and how fast a cache refills.")] = None,
    demand: Annotated[Path | None, typer.Option(
        "--demand", help="The demand file, e.g. data/demand.example.toml.")] = None,
    fleet: Annotated[Path | None, typer.Option(
        "--fleet", help="Instead: a table of clusters, cluster,demand,run a row.")] = None,
    worlds: Annotated[int | None, typer.Option(
        help="Sampled worlds; 10,000 without, of a fleet 500 each.", min=100, max=100_000)] = None,
    seed: Annotated[int, typer.Option(help="Seed of the sampling.", min=0)] = 1,
    json_: Json = False,
) -> None:
    """Decide: node type, replica, upgrades and cost by month.

    Example: amply-capacity plan --run data/examples/mixed --demand data/demand.example.toml, or
    amply-capacity plan --fleet fleet.csv
    """
    if fleet is not None:
        if run or demand:
            raise BadInput("a fleet's table names its own runs and demands",
                           got="--fleet with --run or --demand",
                           do="give --fleet alone, or --run and --demand")
        _fleet(fleet, worlds, seed, json_)
        return
    if not run or demand is None:
        raise BadInput("a plan needs measured runs and a demand",
                       got=f"{len(run or [])} runs, {'a' if demand else 'no'} demand file",
                       do="give --run and --demand, or a table with --fleet")
    from amply_capacity.report.document import plan_of
    from amply_capacity.report.plan_prices import price_dates
    from amply_capacity.report.text import plan_text

    made = plan_of(run, demand, worlds=worlds or 10_000, seed=seed).as_json()
    print_answer(json_, made, plan_text(made))
    warn_of_old_prices(made["bill"], price_dates(made))


def _fleet(file: Path, worlds: int | None, seed: int, as_json: bool) -> None:
    from amply_capacity.plan.fleet import FLEET_WORLDS, plan_fleet, read_fleet
    from amply_capacity.progress import progress
    from amply_capacity.report.fleet import fleet_text

    rows = read_fleet(file)
    with progress("planning", len(rows)) as advance:
        answer = plan_fleet(rows, worlds or FLEET_WORLDS, seed, advance)
    print_answer(as_json, answer, fleet_text(answer))
    if answer["failed"]:
        raise typer.Exit(1)
