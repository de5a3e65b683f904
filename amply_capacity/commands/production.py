"""`amply-capacity production`: what an import from CloudWatch shows, and whether a load test is like it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from amply_capacity.commands.answer import Json, print_answer

__all__ = ["production_app"]

production_app = typer.Typer(help="Production, as `import cloudwatch` brought it.", no_args_is_help=True)

Production = Annotated[str, typer.Argument(help="A run that `import cloudwatch` made.")]


@production_app.command("review")
def production_review(production: Production, json_: Json = False) -> None:
    """Rates with their day and week, hit rate, CPU, memory and its growth; what crossed a limit, and when.

    Example: amply-capacity production review data/examples/production
    """
    from amply_capacity.model.production import review_of
    from amply_capacity.report.production import review_text
    from amply_capacity.run.reader import read_run

    review = review_of(read_run(production))
    content = {"run": review.run, "cache": review.cache, **review.as_json()}
    head = f"{review.run}: {review.cache}, {review.days:.1f} days"
    print_answer(json_, content, f"{head}\n{review_text(content)}")


@production_app.command("compare")
def production_compare(
    test: Annotated[str, typer.Argument(help="A recorded load test.")],
    production: Production,
    demand: Annotated[Path | None, typer.Option(
        help="For rates per user: the demand file, e.g. data/demand.example.toml.")] = None,
    json_: Json = False,
) -> None:
    """Does a load test look like production? Figure by figure; exit 1 where they differ.

    Rates per user, mix, hit rate, CPU per command, sizes: each with an interval and a verdict.

    Example: amply-capacity production compare data/examples/mixed data/examples/production
    """
    from amply_capacity.model.digest import digest
    from amply_capacity.model.likeness import likeness_of
    from amply_capacity.plan.demand import load_demand
    from amply_capacity.plan.per_user import per_user_of
    from amply_capacity.report.production import likeness_text
    from amply_capacity.run.reader import read_run

    recorded = read_run(test)
    per_user = None if demand is None else per_user_of(load_demand(demand), digest(recorded))
    content = likeness_of(recorded, read_run(production), per_user).as_json()
    print_answer(json_, content, likeness_text(content))
    if not content["is_alike"]:
        raise typer.Exit(1)
