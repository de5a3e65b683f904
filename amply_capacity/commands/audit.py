"""`amply-capacity audit`: a configuration against ElastiCache's rules and what the application does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from amply_capacity.commands.answer import Json, print_answer
from amply_capacity.errors import BadInput

__all__ = ["audit"]


def audit(
    file: Annotated[Path | None, typer.Argument(
        help="Markdown with YAML and Python, a CloudFormation template, or Terraform in JSON.")] = None,
    live: Annotated[str | None, typer.Option(
        metavar="CLUSTER", help="Instead of a file: a cluster that runs, read with describe calls.")] = None,
    region: Annotated[str | None, typer.Option(
        help="Of the live cluster and of the prices; the demand's without.")] = None,
    demand: Annotated[Path | None, typer.Option(
        help="Tasks, workers, region and the day's shape; data/demand.example.toml without.")] = None,
    busiest_hour: Annotated[float | None, typer.Option(
        "--busiest-hour-utc", help="When the application is busiest; 14 without.", min=0.0, max=24.0)] = None,
    json_: Json = False,
) -> None:
    """Find what AWS refuses, what loses data, and what nobody watches; exit 1 where there is anything.

    Example: amply-capacity audit elasticache-redis.md
    """
    from amply_capacity.catalog.faults import refuse
    from amply_capacity.catalog.prices import ENGINES, name_faults
    from amply_capacity.ops.audit import audit_of
    from amply_capacity.ops.audit_text import audit_text
    from amply_capacity.ops.circumstances import circumstances_of
    from amply_capacity.ops.document import read_configuration

    if (file is None) == (live is None):
        given = "neither a file nor --live" if file is None else "a file and --live"
        raise BadInput("an audit is of one configuration", got=given, do="give a FILE, or --live CLUSTER")
    if file is not None and region is not None:
        refuse(name_faults(region, ENGINES[0]))
    circumstances = circumstances_of(demand, region=region, busiest_hour_utc=busiest_hour)
    if file is not None:
        configuration = read_configuration(file)
    else:
        from amply_capacity.aws.regions import chosen_region
        from amply_capacity.aws.session import client
        from amply_capacity.ops.live import Clients, read_live

        at = chosen_region(circumstances.region)
        clients = Clients(client("elasticache", at), client("cloudwatch", at), client("ec2", at))
        configuration = read_live(live or "", clients, at)
    found = audit_of(configuration, circumstances)
    print_answer(json_, found.as_json(), audit_text(found))
    if found.findings:
        raise typer.Exit(1)
