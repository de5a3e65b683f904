"""`amply-capacity calibrate`: one observation of a real node narrows the factor from host to node."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from amply_capacity.commands.answer import Json, print_answer
from amply_capacity.errors import BadInput, BadRun

if TYPE_CHECKING:
    from amply_capacity.catalog.nodes import NodeType
    from amply_capacity.interval import Interval
    from amply_capacity.plan.calibrations import Calibration
    from amply_capacity.run.benchmark_file import Benchmark
    from amply_capacity.run.reader import Run

__all__ = ["calibrate"]


def calibrate(
    source: Annotated[str, typer.Argument(
        metavar="RUN|BENCHMARK.txt", help="A run against the node, or what redis-benchmark printed of it.")],
    node_type: Annotated[str, typer.Option(help="What the node is, e.g. cache.t3.micro.")],
    host_run: Annotated[str | None, typer.Option(
        help="The same load on a local cluster; without, the newest run of its scenario and rate.")] = None,
    host_benchmark: Annotated[Path | None, typer.Option(
        help="The same benchmark of a local server; without, it is run here.")] = None,
    clients: Annotated[int | None, typer.Option(
        help="Clients (-c) of the benchmark, where its output does not say; 50 without.", min=1)] = None,
    engine_version: Annotated[str | None, typer.Option(
        help="The node's, e.g. 7.0.7 or valkey-8.0, where the benchmark's file does not say.")] = None,
    node_was_limit: Annotated[bool | None, typer.Option(
        "--node-was-limit/--node-was-not-limit",
        help="Whether the node's engine was what held the rate down (EngineCPUUtilization at 90 or more). "
        "Without, it is told from the figures; where nothing shows it, the observation only says: at least "
        "this fast.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what follows, and store nothing.")] = False,
    json_: Json = False,
) -> None:
    """Narrow what a command costs on a node, from one run or one redis-benchmark of a real one.

    A file may hold, beside the benchmark's output, the command that was given and INFO of the node from
    before and after: with those CPU clocks are compared, which tell far more than a rate does.

    Example: amply-capacity calibrate benchmark.txt --node-type cache.t3.micro --engine-version 7.0.7
    """
    from amply_capacity.catalog.nodes import node_type as node_type_of
    from amply_capacity.model.node_speed import cpu_factors
    from amply_capacity.plan.calibrations import (
        add_calibration,
        check_calibration,
        check_unseen,
        read_calibrations,
    )
    from amply_capacity.run.benchmark_file import read_benchmark

    node = node_type_of(node_type)
    stored = read_calibrations()
    if Path(source).is_file():
        if host_run:
            raise BadInput("a benchmark is not compared with a run", got=f"--host-run {host_run}",
                           do="give --host-benchmark, or neither to have it run here")
        of_node = _stated(read_benchmark(Path(source)), clients, engine_version)
        check_unseen(of_node.sha256, stored)
        new = _of_benchmark(of_node, host_benchmark, node, node_was_limit)
    else:
        given = {"--host-benchmark": host_benchmark, "--clients": clients, "--engine-version": engine_version}
        wrong = [option for option, value in given.items() if value is not None]
        if wrong:
            raise BadInput("a run says itself how it was made", got=", ".join(wrong), do="leave them out")
        new = _of_run(source, host_run, node, node_was_limit, stored)
    check_calibration(new, stored)
    before = [one.observation for one in stored]
    factors = [cpu_factors(seen) for seen in ((), before, [*before, new.observation])]
    path = None if dry_run else add_calibration(new, stored)
    content = _content(new, node, factors, len(stored), path)
    print_answer(json_, content, _text(content))


def _of_run(source: str, host_run: str | None, node: NodeType, was_limit: bool | None,
            stored: tuple[Calibration, ...]) -> Calibration:
    from amply_capacity.model.node_observation import need_node_run, observe_run
    from amply_capacity.plan.calibrations import Calibration, check_unseen
    from amply_capacity.run.reader import read_run

    of_node = read_run(source)
    need_node_run(of_node)
    node_sha256 = hashlib.sha256((of_node.directory / "run.json").read_bytes()).hexdigest()
    check_unseen(node_sha256, stored)
    of_host = read_run(host_run) if host_run else _host_run(of_node)
    of_host.need_load()
    observed = observe_run(of_node, of_host, node, was_limit=was_limit)
    server, made_by = of_node.manifest["server"], of_host.manifest.get("generator", {})
    host_sha256 = hashlib.sha256((of_host.directory / "run.json").read_bytes()).hexdigest()
    host = f"{made_by['machine']}, {made_by['host_cores']} cores" if "machine" in made_by else None
    return Calibration(node.name, observed, {"node": node_sha256, "host": host_sha256}, host,
                       f"{server['engine']} {server['version']}")


def _host_run(of_node: Run) -> Run:
    """The newest sound run of the same load on a local cluster. Raises BadRun with how to record one."""
    from amply_capacity.model.cpu import commands_per_second
    from amply_capacity.model.node_observation import MOST_RATE_RATIO, host_command
    from amply_capacity.run.reader import all_runs

    rate = commands_per_second(of_node)
    scenario = of_node.manifest["scenario"]
    same = [run for run in all_runs() if not run.is_imported and run.verdict == "complete"
            and run.manifest["scenario"] == scenario
            and run.manifest.get("target", {}).get("kind") == "local cluster"]
    for run in same:
        try:
            other = commands_per_second(run)
        except BadRun:  # too short, or without samples
            continue
        if rate / MOST_RATE_RATIO <= other <= rate * MOST_RATE_RATIO:
            return run
    raise BadRun("there is no run of this host to compare with",
                 got=f"{len(same)} sound local runs of {scenario}, none within a factor "
                 f"{MOST_RATE_RATIO:g} of {rate:,.0f} commands a second",
                 do=f"record one, then try again: {host_command(of_node)}")


def _of_benchmark(of_node: Benchmark, host_file: Path | None, node: NodeType,
                  was_limit: bool | None) -> Calibration:
    from dataclasses import replace

    from amply_capacity.model.node_observation import observe_benchmark
    from amply_capacity.plan.calibrations import Calibration
    from amply_capacity.run.benchmark_file import read_benchmark
    from amply_capacity.target.benchmark import host_name

    of_node.need_single_requests()
    of_host = read_benchmark(host_file) if host_file else _measured_here(of_node)
    if of_host.clients is None:
        of_host = replace(of_host, clients=of_node.clients)
    observed = observe_benchmark(of_node, of_host, node, was_limit=was_limit)
    server = f"{of_node.engine or 'redis'} {of_node.version}" if of_node.version else None
    return Calibration(node.name, observed, {"node": of_node.sha256, "host": of_host.sha256},
                       None if host_file else host_name(), server)


def _stated(found: Benchmark, clients: int | None, engine_version: str | None) -> Benchmark:
    """With what the options say; raises BadInput where the file says otherwise."""
    from dataclasses import replace

    from amply_capacity.catalog.cpu_speed import version_numbers

    if clients is not None:
        if found.clients not in {None, clients}:
            raise BadInput(f"{found.name} names its clients itself", got=f"{found.clients}, and --clients "
                           f"{clients}", do="leave --clients out")
        found = replace(found, clients=clients)
    if engine_version is not None:
        engine, _, version = engine_version.rpartition("-")
        version_numbers(version)
        if found.version not in {None, version}:
            raise BadInput(f"{found.name} names the engine's version itself", got=f"{found.version}, and "
                           f"--engine-version {engine_version}", do="leave --engine-version out")
        found = replace(found, engine=engine or found.engine or "redis", version=version)
    return found


def _measured_here(of_node: Benchmark) -> Benchmark:
    from amply_capacity.catalog.cpu_speed import version_numbers
    from amply_capacity.progress import progress
    from amply_capacity.target.benchmark import benchmark_host, tests_of
    from amply_capacity.target.process import terminable
    from amply_capacity.target.program import find_server

    server, engine = find_server(), of_node.engine or "redis"
    if of_node.tls:
        raise BadInput("the node was benchmarked with TLS, and here it would be without", got="--tls",
                       do="run it against a local server with TLS, and give its output with --host-benchmark")
    if of_node.version and (engine, version_numbers(of_node.version)[:2]) != (
            server.engine, version_numbers(server.version)[:2]):
        raise BadInput("a command costs another amount in another engine version, which would be taken "
                       "for the node's speed", got=f"{engine} {of_node.version} on the node, {server} here",
                       do="name a server of the node's version with $AMPLY_REDIS_SERVER, or give "
                       "--host-benchmark")
    with terminable(), progress("redis-benchmark on this host, tests", len(tests_of(of_node))) as advance:
        return benchmark_host(of_node, advance)


def _content(new: Calibration, node: NodeType, factors: list[dict[str, Interval]], earlier: int,
             path: Path | None) -> dict[str, Any]:
    from dataclasses import asdict

    from amply_capacity.catalog.cpu_speed import family_speeds, published_gains

    prior, before, after = factors
    engine, _, version = (new.server or "").partition(" ")
    gains = published_gains(node, engine, version) if version else ()
    rows = [{"family": family, "prior": asdict(prior[family]), "before": asdict(before[family]),
             "posterior": asdict(after[family]), "relative_to": speed.relative_to or "the recording host",
             "basis": speed.basis, "rests_on": speed.rests_on, "source": speed.source, "as_of": speed.as_of}
            for family, speed in family_speeds().items()]
    stored = new.as_json()
    return {"node_type": node.name, "family": node.family,
            "observation": {name: stored[name] for name in (
                "factor", "noise", "censored", "reason", "figures", "host", "server", "inputs_sha256",
                "made_at")},
            "censored": new.observation.is_censored, "prior": asdict(prior[node.family]),
            "before": asdict(before[node.family]), "posterior": asdict(after[node.family]),
            "families": rows, "earlier_calibrations": earlier, "notes": list(new.observation.notes),
            "published_gains": [asdict(gain) for gain in gains],
            "stored": str(path) if path else None}


def _text(content: dict[str, Any]) -> str:
    seen = content["observation"]
    sense = "costs at most" if content["censored"] else "costs"
    lines = [f"{content['node_type']}: a command takes {_factor(content['posterior'])} times the CPU that it "
             f"takes on the recording host (90 %); before, {_factor(content['before'])}",
             f"observed: it {sense} {seen['factor']:.3g} times, give or take {seen['noise']:.0%} "
             f"({'censored: ' if content['censored'] else ''}{seen['reason']})"]
    lines += [f"  {name.replace('_', ' ')}: {value:,.4g}" for name, value in seen["figures"].items()]
    lines += [f"note: {note}" for note in content["notes"]]
    lines += ["", f"{'family':<7} {'prior':>18} {'now':>18}   the prior rests on"]
    lines += [f"{row['family']:<7} {_factor(row['prior']):>18} {_factor(row['posterior']):>18}   "
              f"{row['basis']}, against {row['relative_to']}, as of {row['as_of']}"
              for row in content["families"]]
    for gain in content["published_gains"]:
        most = gain["throughput_up_to_percent"]
        figure = f"up to {most:g} % more throughput than {gain['against']}" if most else "no figure"
        lines.append(f"published, and not in these factors: {gain['what']}: {figure} ({gain['conditions']}; "
                     f"{gain['source']}, {gain['as_of']})")
    where = content["stored"]
    return "\n".join([*lines, "", f"stored in {where}" if where else "not stored"])


def _factor(interval: dict[str, float]) -> str:
    return f"{interval['mid']:.2f} ({interval['low']:.2f}–{interval['high']:.2f})"
