"""`amply-capacity export`: a plan as infrastructure code, its alarms, and the steps from today to there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from amply_capacity.commands.answer import Json, print_answer, print_text
from amply_capacity.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from amply_capacity.ops.export_blueprint import Blueprint
    from amply_capacity.ops.export_serverless import ServerlessBlueprint

__all__ = ["export_app"]

export_app = typer.Typer(help="A plan as infrastructure code.", no_args_is_help=True)

PlanPath = Annotated[Path, typer.Option("--plan", help="What `plan --json` printed.")]
Out = Annotated[Path | None, typer.Option(help="The file to write; stdout without.")]


@export_app.command("cloudformation")
def export_cloudformation(plan: PlanPath, out: Out = None, json_: Json = False) -> None:
    """The chosen cluster as a CloudFormation template, with its alarms and a dashboard.

    Subnets, security groups and the alarms' topic are parameters; the AUTH token is made in Secrets Manager.

    Example: amply-capacity export cloudformation --plan plan.json --out redis.template.json
    """
    from amply_capacity.ops.export_cloudformation import cloudformation
    from amply_capacity.ops.export_serverless import serverless_cloudformation

    _deliver(_made(plan, cloudformation, serverless_cloudformation), out, json_)


@export_app.command("terraform")
def export_terraform(plan: PlanPath, out: Out = None, json_: Json = False) -> None:
    """The chosen cluster as Terraform JSON, with its alarms and a dashboard.

    Example: amply-capacity export terraform --plan plan.json --out main.tf.json
    """
    from amply_capacity.ops.export_serverless import serverless_terraform
    from amply_capacity.ops.export_terraform import terraform

    _deliver(_made(plan, terraform, serverless_terraform), out, json_)


@export_app.command("alarms")
def export_alarms(plan: PlanPath, out: Out = None, json_: Json = False) -> None:
    """The alarms alone as a CloudFormation template, for nodes that are there already.

    Example: amply-capacity export alarms --plan plan.json --out alarms.template.json
    """
    from amply_capacity.ops.export_alarms import alarms_template
    from amply_capacity.ops.export_serverless import serverless_alarms_template

    _deliver(_made(plan, alarms_template, serverless_alarms_template), out, json_)


@export_app.command("steps")
def export_steps(
    plan: PlanPath,
    today: Annotated[str | None, typer.Option(
        help="cluster: a plain cache cluster, as without replicas; group: a replication group.")] = None,
    json_: Json = False,
) -> None:
    """What changes against today, and the order of safe steps: which breaks connections, which loses data.

    Example: amply-capacity export steps --plan plan.json
    """
    from amply_capacity.ops.export_blueprint import blueprint_of
    from amply_capacity.ops.export_plan import SERVERLESS, read_plan
    from amply_capacity.ops.export_serverless import serverless_blueprint_of
    from amply_capacity.ops.export_steps import CLUSTER, GROUP, changes, steps, steps_json, steps_text

    made = read_plan(plan)
    kind = today or (GROUP if made.today.replicas else CLUSTER)
    if kind not in {CLUSTER, GROUP} or (kind == CLUSTER and made.today.replicas):
        raise BadInput("today's cluster cannot be of this kind", got=f"--today {kind}, and "
                       f"{made.today.replicas} replicas", do="give cluster, which has no replicas, or group")
    planned = serverless_blueprint_of(made) if made.kind == SERVERLESS else blueprint_of(made)
    content = steps_json(changes(made, planned, kind), steps(made, planned, kind), kind)
    print_answer(json_, content, steps_text(content))


def _made(path: Path, of_nodes: Callable[[Blueprint], dict[str, Any]],
          of_serverless: Callable[[ServerlessBlueprint], dict[str, Any]]) -> dict[str, Any]:
    from amply_capacity.ops.export_blueprint import blueprint_of
    from amply_capacity.ops.export_plan import SERVERLESS, read_plan
    from amply_capacity.ops.export_serverless import serverless_blueprint_of

    plan = read_plan(path)
    if plan.kind == SERVERLESS:
        return of_serverless(serverless_blueprint_of(plan))
    return of_nodes(blueprint_of(plan))


def _deliver(content: dict[str, Any], out: Path | None, json_: bool) -> None:
    """To stdout, which is one JSON object either way, or whole into the file."""
    from amply_capacity.disk import on_disk, replacing

    text = json.dumps(content, indent=2, ensure_ascii=False)
    if out is None:
        print_text(text)
        return
    if out.is_dir():
        raise BadInput("--out is no file", got=f"the folder {out}", do="name a file")
    with on_disk(out), replacing(out) as partial:
        partial.write_text(f"{text}\n", encoding="utf-8")
    print_answer(json_, {"file": str(out)}, str(out))
