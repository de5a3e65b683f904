"""`amply-capacity report`: the sizing report in five formats from one document."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from amply_capacity.commands.answer import Json, print_answer, warn_of_old_prices

__all__ = ["report"]


def report(
    run: Annotated[list[str], typer.Option(
        "--run", help="A run's directory or name; several may be given, drills among them.")],
    demand: Annotated[Path, typer.Option("--demand", help="The demand file, e.g. data/demand.example.toml.")],
    out: Annotated[Path, typer.Option(help="Directory to write into; made where missing.")],
    format_: Annotated[str, typer.Option(
        "--format", help="Comma-separated: html, pdf, xlsx, md, json.")] = "html,pdf,xlsx,md,json",
    seed: Annotated[int, typer.Option(help="Seed of the sampling.", min=0)] = 1,
    json_: Json = False,
) -> None:
    """Write the sizing report; exit 1, with the list, where a format could not be written.

    Example: amply-capacity report --run RUN --demand data/demand.example.toml --out reports/mine
    """
    from amply_capacity.report.document import document_of
    from amply_capacity.report.files import check_place, write_formats
    from amply_capacity.report.plan_prices import price_dates

    formats = check_place(out, format_.split(","))
    document = document_of(run, demand, seed=seed)
    written = write_formats(document, out, formats)
    content = {
        "files": [str(path) for path in written.paths],
        "failed": [{"format": one.format, "file": str(one.path), "reason": one.reason}
                   for one in written.failures],
    }
    print_answer(json_, content, "\n".join(map(str, written.paths)))
    made = document.content["plan"]
    warn_of_old_prices(made["bill"], price_dates(made))
    if written.failures:
        print(f"amply-capacity: {written.failed_text()}", file=sys.stderr)
        raise typer.Exit(1)
