"""`amply-capacity drill`: something breaks on purpose, under load, and what it costs is measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from amply_capacity.commands.answer import Json, print_answer

__all__ = ["drill"]


def drill(
    kind: Annotated[str, typer.Argument(
        metavar="crash|restart|failover|partition|slow-replica|scale-up",
        help="What breaks: the primary, by kill -9; by an orderly restart; by a failover that is asked for; "
        "the link to the replica; the replica's speed; or nothing, while a larger server takes the place.")],
    topology: Annotated[str | None, typer.Option(
        help="Of a cluster started for the drill: single, replicated or sharded; without, the first that the "
        "drill knows.")] = None,
    target: Annotated[str | None, typer.Option(
        help="A local cluster's name instead, whose servers are all up again afterwards; what it holds may "
        "be lost. Or, with --replication-group, the rediss:// URL of its primary endpoint.")] = None,
    seconds: Annotated[int, typer.Option(
        help="Of load; it breaks after a quarter of them, ten at most.")] = 30,
    persistence: Annotated[str, typer.Option(
        help="What a server that comes back has kept: none, snapshot (taken half-way to the fault), aof.",
    )] = "none",
    scenario: Annotated[str, typer.Option(
        help="mixed, sessions, rate_limit, cache or celery_results.")] = "mixed",
    mix: Annotated[str | None, typer.Option(help="Weights of operations, e.g. create=1,validate=9.")] = None,
    rate: Annotated[float, typer.Option(help="Operations a second.")] = 500.0,
    arrivals: Annotated[str, typer.Option(help="constant or poisson.")] = "constant",
    users: Annotated[int, typer.Option(help="Connections of the application.")] = 50,
    population: Annotated[int, typer.Option(help="Registered users, whose keys are filled in first.")] = 2000,
    prefill: Annotated[float, typer.Option(help="Share of them whose keys are; none with 0.")] = 1.0,
    demand: Annotated[Path | None, typer.Option(help="Demand file; the shipped example without.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the load.", min=0)] = 1,
    timeout_ms: Annotated[float, typer.Option(help="After which clients give a command up.")] = 1000.0,
    run_dir: Annotated[Path | None, typer.Option(
        help="The run's folder; without, a new one under data/runs.")] = None,
    node_type: Annotated[str | None, typer.Option(
        help="What the cluster stands for; without, the demand's.")] = None,
    to_node_type: Annotated[str | None, typer.Option(
        help="Of scale-up; without, twice the memory.")] = None,
    tls: Annotated[bool, typer.Option("--tls", help="The cluster speaks TLS.")] = False,
    auth: Annotated[bool, typer.Option("--auth", help="The cluster wants a password, made for it.")] = False,
    back_after_seconds: Annotated[float | None, typer.Option(
        help="When a single server that crashed is replaced; without, after 2 s.")] = None,
    delay_ms: Annotated[float | None, typer.Option(
        help="The replica hears everything that much later: its distance.")] = None,
    down_after_ms: Annotated[float | None, typer.Option(
        help="How long Sentinels wait before they think that a primary is lost; without, 1000.")] = None,
    cut_seconds: Annotated[float | None, typer.Option(
        help="How long a partition or a slow replica lasts; without, a third of the load's time.")] = None,
    then: Annotated[str, typer.Option(
        help="How a partition ends: heal, or crash of the primary meanwhile.")] = "heal",
    replica_speed: Annotated[float, typer.Option(help="Share of its time that a slow replica gets.")] = 0.1,
    replication_group: Annotated[str | None, typer.Option(
        help="Id of an ElastiCache replication group for tests, whose failover AWS is asked for.")] = None,
    node_group: Annotated[str, typer.Option(help="Which of its shards.")] = "0001",
    region: Annotated[str | None, typer.Option(help="Its AWS region; without, boto3's own.")] = None,
    confirm: Annotated[str | None, typer.Option(
        help="The replication group's id once more: its primary will be replaced.")] = None,
    json_: Json = False,
) -> None:
    """Break something under running load, and measure what clients saw and what is gone afterwards.

    Every acknowledged write is looked for by its key. The load is recorded as an ordinary run, with what
    happened among its events. Exit 0 when the drill came to its end, 1 when a failover did not, with
    Sentinel's own reason; nothing of it is left behind.

    Example: amply-capacity drill crash --topology replicated --seconds 30
    """
    from amply_capacity.drill.conduct import hold_drill
    from amply_capacity.drill.request import DrillRequest
    from amply_capacity.drill.text import drill_text

    found = hold_drill(DrillRequest(
        kind=kind, topology=topology, target=target, seconds=seconds, persistence=persistence,
        scenario=scenario, mix=mix, arrivals=arrivals, rate=rate, users=users, population=population,
        prefill=prefill,
        **({} if demand is None else {"demand": demand}), seed=seed, timeout_ms=timeout_ms, run_dir=run_dir,
        node_type=node_type, to_node_type=to_node_type, tls=tls, auth=auth, back_after=back_after_seconds,
        delay_ms=delay_ms, down_after_ms=down_after_ms, cut=cut_seconds, then=then,
        replica_speed=replica_speed,
        replication_group=replication_group, node_group=node_group, region=region,
        confirm=confirm)).as_json()
    print_answer(json_, found, drill_text(found))
    if not found["completed"]:
        raise typer.Exit(1)
