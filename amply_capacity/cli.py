"""`amply-capacity`: one command per verb; each asks the package and prints text or one JSON object."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from amply_capacity.commands.alarms import alarms
from amply_capacity.commands.answer import Json
from amply_capacity.commands.answer import print_answer as _print
from amply_capacity.commands.audit import audit
from amply_capacity.commands.aws import aws_app
from amply_capacity.commands.calibrate import calibrate
from amply_capacity.commands.cost import cost
from amply_capacity.commands.drill import drill
from amply_capacity.commands.export import export_app
from amply_capacity.commands.imports import import_app
from amply_capacity.commands.ledger import ledger
from amply_capacity.commands.plan import plan
from amply_capacity.commands.predict import predict_app
from amply_capacity.commands.prices import prices_app
from amply_capacity.commands.production import production_app
from amply_capacity.commands.profile import profile
from amply_capacity.commands.report import report
from amply_capacity.commands.runs import runs_app
from amply_capacity.commands.target import target_app
from amply_capacity.errors import AmplyError

__all__ = ["main"]

app = typer.Typer(
    help="Size, upgrade and pay for Amazon ElastiCache Redis on measured evidence.",
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
)
cluster_app = typer.Typer(help="Local test clusters: real servers on loopback.", no_args_is_help=True)
app.add_typer(cluster_app, name="cluster")
app.add_typer(target_app, name="target")
app.add_typer(runs_app, name="runs")
app.add_typer(prices_app, name="prices")
app.add_typer(predict_app, name="predict")
app.add_typer(import_app, name="import")
app.add_typer(production_app, name="production")
app.add_typer(aws_app, name="aws")
app.add_typer(export_app, name="export")
app.command("profile")(profile)
app.command("ledger")(ledger)
app.command("plan")(plan)
app.command("report")(report)
app.command("calibrate")(calibrate)
app.command("drill")(drill)
app.command("alarms")(alarms)
app.command("audit")(audit)
app.command("cost")(cost)


@cluster_app.command("up")
def cluster_up(
    name: Annotated[str | None, typer.Argument(help="Its name; one is made up without.")] = None,
    topology: Annotated[str, typer.Option(
        help="single; replicated: primary, replica, 3 Sentinels; sharded: 3 shards of two.")] = "single",
    node_type: Annotated[str | None, typer.Option(help="Whose maxmemory and maxclients to take.")] = None,
    maxmemory: Annotated[str | None, typer.Option(help="Instead of the node type's, e.g. 64mb.")] = None,
    port: Annotated[int | None, typer.Option(help="Of the first server; a free one without.")] = None,
    tls: Annotated[bool, typer.Option("--tls", help="Encrypted, by a CA made for it.")] = False,
    auth: Annotated[bool, typer.Option("--auth", help="With a password, kept in a 0600 file.")] = False,
    json_: Json = False,
) -> None:
    """Start a local cluster that outlives this command.

    Example: amply-capacity cluster up test --topology replicated --tls --auth --node-type cache.t3.micro
    """
    from amply_capacity.progress import say
    from amply_capacity.target import cluster, process, request

    options = request.up_options(topology, node_type, maxmemory, port)
    with process.terminable():
        started = cluster.start(name, **options, tls=tls, with_password=auth, stays=True,
                                tell=lambda text: say(f"cluster     {text}"))
        url = started.endpoint.url
    _print(json_, {"url": url, "name": started.name}, request.up_text(started, url))


@cluster_app.command("down")
def cluster_down(
    name: Annotated[str | None, typer.Argument(help="Which; without, all of this checkout.")] = None,
    json_: Json = False,
) -> None:
    """Stop local clusters and remove what they left.

    Example: amply-capacity cluster down test
    """
    from amply_capacity.target import cluster

    ours = [cluster.described_cluster(name)] if name else cluster.all_clusters()
    for one in ours:
        cluster.stop(one)
    names = [one.name for one in ours]
    _print(json_, {"stopped": names}, f"stopped {', '.join(names)}" if names else "there was none")


@cluster_app.command("status")
def cluster_status(
    name: Annotated[str | None, typer.Argument(help="Which; without, all of this checkout.")] = None,
    json_: Json = False,
) -> None:
    """Show local clusters and the roles of their servers now; exit 1 where the named one is not up.

    Example: amply-capacity cluster status
    """
    from amply_capacity.target import cluster, request

    found = [one.as_json() for one in cluster.all_clusters() if name in {None, one.name}]
    _print(json_, {"clusters": found}, request.status_text(found))
    if name and not any(one["alive"] for one in found):
        raise typer.Exit(1)


@app.command()
def demo(
    seconds: Annotated[int, typer.Option(help="Length of the recorded load.", min=10, max=600)] = 25,
    out: Annotated[Path | None, typer.Option(help="Where the report goes; default reports/demo.")] = None,
    json_: Json = False,
) -> None:
    """Record a run on a local cluster, drill a crash, execute the notebooks, and write the sizing report.

    Example: amply-capacity demo
    """
    from amply_capacity.demo import run_demo

    files = run_demo(seconds, out)
    _print(json_, {name: str(path) for name, path in files.items()},
           "\n".join(f"{name:<11} {path}" for name, path in files.items()))


@app.command()
def meeting(
    run: Annotated[str | None, typer.Option(help="The run to open with; the newest without.")] = None,
) -> None:
    """Open JupyterLab on the notebooks, with the newest run chosen.

    Example: amply-capacity meeting
    """
    from amply_capacity.report.notebook_files import open_lab

    raise typer.Exit(open_lab(run))


def main() -> None:
    """Run the command line; a failure the user can mend is one paragraph on stderr."""
    try:
        app()
    except AmplyError as error:
        print(f"amply-capacity: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
