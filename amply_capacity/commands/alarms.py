"""`amply-capacity alarms`: what CloudWatch's alarms would have done in a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from amply_capacity.commands.answer import Json, print_answer

__all__ = ["alarms"]


def alarms(
    run: Annotated[str, typer.Argument(help="A recorded run, or an import from CloudWatch.")],
    plan: Annotated[Path | None, typer.Option(
        help="What `plan --json` printed: the alarms derived from it too.")] = None,
    node_type: Annotated[str | None, typer.Option(
        help="Where they would stand; without, what the run stands in for, or the plan's.")] = None,
    lead_minutes: Annotated[float, typer.Option(
        help="How long before a trouble the best thresholds are to warn.", min=0.0, max=10_080.0)] = 30.0,
    json_: Json = False,
) -> None:
    """Evaluate alarms on a run as CloudWatch would: the specification's, AWS' and a plan's.

    Says which would have fired, when, and how early before the trouble; which never fire, or always, on the
    node type; what nothing watches; and thresholds that would have warned early enough. Exit 1 where one
    would have fired.

    Example: amply-capacity alarms data/examples/mixed --node-type cache.t3.micro
    """
    from amply_capacity.ops.alarm_history import history_of
    from amply_capacity.ops.alarm_text import history_text
    from amply_capacity.ops.export_plan import read_plan
    from amply_capacity.run.reader import read_run

    made = None if plan is None else read_plan(plan)
    found = history_of(read_run(run), made, node_type_name=node_type,
                       wanted_lead_s=round(60.0 * lead_minutes))
    content = found.as_json()
    print_answer(json_, content, history_text(content))
    if found.has_fired:
        raise typer.Exit(1)
