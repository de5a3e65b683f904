"""`amply-capacity runs`: what was recorded, two side by side, and the recovery of what was cut off."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from amply_capacity.commands.answer import Json, print_answer
from amply_capacity.errors import BadInput

__all__ = ["runs_app"]

runs_app = typer.Typer(help="Recorded runs.", no_args_is_help=True)

RunName = Annotated[str, typer.Argument(help="A run's directory or name.")]
Side = Annotated[str, typer.Argument(help="A run's directory or name, or the JSON file of a plan or report.")]


@runs_app.command("list")
def runs_list(json_: Json = False) -> None:
    """The runs under data/runs, newest first.

    Of each its verdict, scenario, answered operations a second, their p99, and its date.

    Example: amply-capacity runs list
    """
    from amply_capacity.report.comparison_text import runs_text
    from amply_capacity.report.run_list import listed

    rows = listed()
    print_answer(json_, {"runs": rows}, runs_text(rows))


@runs_app.command("show")
def runs_show(run: RunName, json_: Json = False) -> None:
    """What one run says: operations, latency, hit rate, bytes per key.

    Example: amply-capacity runs show data/examples/mixed
    """
    from amply_capacity.model.digest import digest
    from amply_capacity.model.latency import operation_table
    from amply_capacity.report.text import evidence_text
    from amply_capacity.run.imports import imported_text
    from amply_capacity.run.reader import read_run

    recorded = read_run(run)
    if recorded.is_imported:
        print_answer(json_, {"run": recorded.manifest, "operations": []},
                     imported_text(recorded.name, recorded.manifest["imported"]))
        return
    evidence = digest(recorded)
    table = operation_table(recorded)
    print_answer(json_, {"run": recorded.manifest, "operations": json.loads(table.to_json(orient="records"))},
                 evidence_text(evidence, table))


@runs_app.command("compare")
def runs_compare(
    before: Side,
    after: Side,
    demand: Annotated[Path | None, typer.Option(
        help="Whose plan it may change; data/demand.example.toml without. Runs only.")] = None,
    json_: Json = False,
) -> None:
    """Two runs or two plans side by side.

    What was set differently, what differs by more than noise, and what it means for the plan.

    Example: amply-capacity runs compare data/examples/mixed RUN
    """
    from amply_capacity.files import DATA_DIR
    from amply_capacity.report.comparison import comparison_of_plans, comparison_of_runs, is_plan
    from amply_capacity.report.comparison_text import comparison_text

    kinds = is_plan(before), is_plan(after)
    if kinds[0] != kinds[1]:
        raise BadInput("a run and a plan cannot be compared", got=f"{before} and {after}",
                       do="give two runs, or two JSON files of plans or reports")
    if kinds[0] and demand is not None:
        raise BadInput("plans hold their own demand", got=f"--demand {demand}", do="leave --demand out")
    found = comparison_of_plans(Path(before), Path(after)) if kinds[0] else comparison_of_runs(
        before, after, demand or DATA_DIR / "demand.example.toml")
    print_answer(json_, found, comparison_text(found))


@runs_app.command("recover")
def runs_recover(run: RunName, json_: Json = False) -> None:
    """Finish a run that was cut off, from what it had written.

    Example: amply-capacity runs recover RUN
    """
    from amply_capacity.run.reader import recover

    recovered = recover(run)
    print_answer(json_, {"run": str(recovered.directory), "verdict": recovered.verdict},
                 f"{recovered.directory}: {recovered.verdict}, {len(recovered.requests):,} histogram rows")
