"""`amply-capacity`: one command per verb; each asks the package and prints text or one JSON object."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from amply_capacity.commands.answer import Json
from amply_capacity.commands.answer import print_answer as _print
from amply_capacity.commands.calibrate import calibrate
from amply_capacity.commands.imports import import_app
from amply_capacity.commands.ledger import ledger
from amply_capacity.commands.predict import predict_app
from amply_capacity.commands.profile import profile
from amply_capacity.commands.target import target_app
from amply_capacity.errors import AmplyError

__all__ = ["main"]

app = typer.Typer(
    help="Size, upgrade and pay for Amazon ElastiCache Redis on measured evidence.",
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
)
cluster_app = typer.Typer(help="Local test clusters: real servers on loopback.", no_args_is_help=True)
runs_app = typer.Typer(help="Recorded runs.", no_args_is_help=True)
prices_app = typer.Typer(help="The shipped prices.", no_args_is_help=True)
app.add_typer(cluster_app, name="cluster")
app.add_typer(target_app, name="target")
app.add_typer(runs_app, name="runs")
app.add_typer(prices_app, name="prices")
app.add_typer(predict_app, name="predict")
app.add_typer(import_app, name="import")
app.command("profile")(profile)
app.command("ledger")(ledger)
app.command("calibrate")(calibrate)

RunName = Annotated[str, typer.Argument(help="A run's directory or name.")]
Runs = Annotated[list[str], typer.Option("--run", help="A run's directory or name; several may be given.")]
DemandFile = Annotated[Path, typer.Option("--demand", help="The demand file, e.g. data/demand.example.toml.")]


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

    ours = [cluster.find_cluster(name)] if name else cluster.all_clusters()
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


@runs_app.command("list")
def runs_list(json_: Json = False) -> None:
    """The runs under data/runs, newest first.

    Example: amply-capacity runs list
    """
    from amply_capacity.run.reader import all_runs

    rows = [{"run": run.name, "scenario": run.manifest["scenario"], "verdict": run.verdict,
             "started_at": run.manifest["started_at"], "directory": str(run.directory)} for run in all_runs()]
    text = "\n".join(f"{row['run']:<40} {row['verdict']}" for row in rows)
    none = "no runs yet; record one: locust -f loadtests/mixed.py --headless -u 50 -r 50 -t 60s"
    _print(json_, {"runs": rows}, text or none)


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
        _print(json_, {"run": recorded.manifest, "operations": []},
               imported_text(recorded.name, recorded.manifest["imported"]))
        return
    evidence = digest(recorded)
    table = operation_table(recorded)
    _print(json_, {"run": recorded.manifest, "operations": json.loads(table.to_json(orient="records"))},
           evidence_text(evidence, table))


@runs_app.command("recover")
def runs_recover(run: RunName, json_: Json = False) -> None:
    """Finish a run that was cut off, from what it had written.

    Example: amply-capacity runs recover RUN
    """
    from amply_capacity.run.reader import recover

    recovered = recover(run)
    _print(json_, {"run": str(recovered.directory), "verdict": recovered.verdict},
           f"{recovered.directory}: {recovered.verdict}, {len(recovered.requests):,} histogram rows")


@app.command()
def plan(
    run: Runs,
    demand: DemandFile,
    worlds: Annotated[int, typer.Option(help="Sampled worlds.", min=100, max=1_000_000)] = 10_000,
    seed: Annotated[int, typer.Option(help="Seed of the sampling.", min=0)] = 1,
    json_: Json = False,
) -> None:
    """Decide: node type, replica, upgrades and cost by month.

    Example: amply-capacity plan --run data/examples/mixed --demand data/demand.example.toml
    """
    from amply_capacity.report.document import plan_of
    from amply_capacity.report.text import plan_text

    made = plan_of(run, demand, worlds=worlds, seed=seed).as_json()
    _print(json_, made, plan_text(made))


@app.command()
def cost(
    region: Annotated[str, typer.Option(help="AWS region, e.g. us-east-1.")],
    node_type: Annotated[str, typer.Option(help="Node type, e.g. cache.t3.micro.")],
    engine: Annotated[str, typer.Option(help="redis or valkey.")] = "redis",
    shards: Annotated[int, typer.Option(help="Shards.")] = 1,
    replicas: Annotated[int, typer.Option(help="Replicas of each shard.")] = 0,
    term: Annotated[str, typer.Option(help="on_demand, 1yr_no, 1yr_partial, 1yr_all, 3yr_…")] = "on_demand",
    json_: Json = False,
) -> None:
    """What nodes cost a month, line by line, each with its source.

    Example: amply-capacity cost --region us-east-1 --engine redis --node-type cache.t3.micro --replicas 1
    """
    from amply_capacity.plan.cost import nodes_bill
    from amply_capacity.report.money import bill_text

    bill = nodes_bill(region, engine, node_type, shards, replicas, term).as_json()
    _print(json_, bill, bill_text(bill))


@prices_app.command("show")
def prices_show(
    region: Annotated[str | None, typer.Option(help="AWS region; without, the regions are listed.")] = None,
    engine: Annotated[str, typer.Option(help="redis or valkey.")] = "redis",
    json_: Json = False,
) -> None:
    """The node types a region offers, with their on-demand price.

    Example: amply-capacity prices show --region eu-west-1
    """
    from amply_capacity.catalog import prices
    from amply_capacity.plan.cost import HOURS_PER_MONTH

    if region is None:
        _print(json_, {"regions": list(prices.regions())}, "\n".join(prices.regions()))
        return
    offered = prices.offered(region, engine)
    rows = [{"node_type": one.node_type, "usd_per_hour": float(one.effective_hourly_usd),
             "usd_per_month": round(float(one.effective_hourly_usd) * HOURS_PER_MONTH, 4),
             "source": one.source, "as_of": one.as_of} for one in offered]
    text = "\n".join(f"{row['node_type']:<22} {row['usd_per_hour']:>9.4f} USD/h "
                     f"{row['usd_per_month']:>11,.2f} USD/month  as of {row['as_of']}" for row in rows)
    _print(json_, {"region": region, "engine": engine, "prices": rows}, text)


@app.command()
def report(
    run: Runs,
    demand: DemandFile,
    out: Annotated[Path, typer.Option(help="Directory to write into; made where missing.")],
    format_: Annotated[str, typer.Option("--format", help="html and json, comma-separated.")] = "html,json",
    seed: Annotated[int, typer.Option(help="Seed of the sampling.", min=0)] = 1,
    json_: Json = False,
) -> None:
    """Write the sizing report.

    Example: amply-capacity report --run RUN --demand data/demand.example.toml --out reports/mine
    """
    from amply_capacity.report.document import document_of
    from amply_capacity.report.files import write_report

    written = write_report(document_of(run, demand, seed=seed), out, format_.split(","))
    _print(json_, {"files": [str(path) for path in written]}, "\n".join(str(path) for path in written))


@app.command()
def demo(
    seconds: Annotated[int, typer.Option(help="Length of the recorded load.", min=10, max=600)] = 25,
    out: Annotated[Path | None, typer.Option(help="Where the report goes; default reports/demo.")] = None,
    json_: Json = False,
) -> None:
    """Record a run on a local cluster, execute the notebooks, and write the sizing report.

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
    from amply_capacity.report.notebooks import open_lab

    raise typer.Exit(open_lab(run))


def main() -> None:
    """Run the command line; a failure the user can mend is one paragraph on stderr."""
    try:
        app()
    except AmplyError as error:
        print(f"amply-capacity: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader of our output, e.g. head, has gone: nobody is left to tell
        sys.stderr.close()
        sys.exit(0)


if __name__ == "__main__":
    main()
