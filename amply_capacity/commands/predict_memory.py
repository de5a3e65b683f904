"""`amply-capacity predict memory`: an itemised bill of used_memory, and when memory is full."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from amply_capacity.commands.answer import Json, print_answer
from amply_capacity.errors import BadInput

__all__ = ["memory"]


def memory(
    keyspace: Annotated[Path | None, typer.Option(
        help="A keyspace.csv, as `profile` writes it.")] = None,
    run: Annotated[str | None, typer.Option(help="A run whose keys are looked at, with --demand.")] = None,
    demand: Annotated[Path | None, typer.Option(help="How many of them there will be.")] = None,
    users: Annotated[int | None, typer.Option(help="Registered users instead of the demand's.")] = None,
    allocator: Annotated[str, typer.Option(
        help="bundled: jemalloc as Redis brings it; debian; auto: bundled, the bounds hold both.")] = "auto",
    connections: Annotated[int | None, typer.Option(
        help="Busy ones, a command every other second; without, the demand's, or none.")] = None,
    idle_connections: Annotated[int, typer.Option(help="Beside them, silent for 5 s.")] = 0,
    engine: Annotated[str | None, typer.Option(
        help="redis or valkey; without, the demand's, or redis.")] = None,
    engine_version: Annotated[str | None, typer.Option(help="E.g. 7.1.")] = None,
    node_type: Annotated[str | None, typer.Option(
        help="Whose memory it has to fit; without, the demand's.")] = None,
    maxmemory: Annotated[str | None, typer.Option(help="Instead of a node type's, e.g. 64mb.")] = None,
    reserved_memory_percent: Annotated[float | None, typer.Option(
        help="Of the node type; without, the demand's, or 25.")] = None,
    policy: Annotated[str, typer.Option(help="maxmemory-policy.")] = "volatile-lru",
    replicas: Annotated[int | None, typer.Option(help="Without, the demand's, or none.")] = None,
    cluster_mode: Annotated[bool, typer.Option(
        "--cluster-mode", help="Redis Cluster, which notes the slot of each key.")] = False,
    latency_tracking: Annotated[bool, typer.Option(
        "--latency-tracking", help="It is on: Redis' own default, not ElastiCache's.")] = False,
    writes_per_second: Annotated[float | None, typer.Option(
        help="For the peak of a snapshot; with a demand, its own.")] = None,
    lost_expires_per_day: Annotated[float | None, typer.Option(
        help="Rate keys that never expire, since the client died between INCR and EXPIRE.")] = None,
    json_: Json = False,
) -> None:
    """Predict used_memory as an itemised bill: of a keyspace file, or of a demand with the keys of a run.

    With a demand also when memory is full, when evictions start, and when writes fail since only keys without
    TTL are left.

    Example: amply-capacity predict memory --run data/examples/mixed --demand data/demand.example.toml
    """
    from amply_capacity.report.memory import MemoryQuestion, of_demand, of_keyspace
    from amply_capacity.report.memory_text import memory_text

    faults: list[str] = []
    question = MemoryQuestion(
        allocator=allocator, engine=engine, version=engine_version, node_type=node_type,
        maxmemory_bytes=_bytes(maxmemory, faults), reserved_memory_percent=reserved_memory_percent,
        policy=policy, replicas=replicas, is_cluster=cluster_mode, busy_connections=connections,
        idle_connections=idle_connections, tracks_latency=latency_tracking,
        writes_per_second=writes_per_second, lost_expires_per_day=lost_expires_per_day)
    faults += _source_faults(keyspace, run, demand, users) + question.faults()
    if faults:
        raise BadInput("this memory cannot be predicted", got="; ".join(faults), do="correct these options")
    if keyspace is not None:
        found = of_keyspace(keyspace, question)
    else:
        assert run is not None
        assert demand is not None
        found = of_demand(run, demand, question, users=users)
    print_answer(json_, found, memory_text(found))


def _source_faults(keyspace: Path | None, run: str | None, demand: Path | None,
                   users: int | None) -> list[str]:
    if (keyspace is None) == (run is None):
        return [("both --keyspace and --run" if run else "neither --keyspace nor --run")
                + ": give a keyspace file, or a run with a demand"]
    faults = []
    if run is not None and demand is None:
        faults.append("--run without --demand: a run shows what keys look like, a demand says how many")
    if keyspace is not None and demand is not None:
        faults.append("--demand with --keyspace: a keyspace file says itself how many keys there are")
    if keyspace is not None and users is not None:
        faults.append("--users with --keyspace: a keyspace file says itself how many keys there are")
    if users is not None and users < 1:
        faults.append(f"--users {users} is not 1 or more")
    return faults


def _bytes(text: str | None, faults: list[str]) -> int | None:
    from amply_capacity.target.cluster import parse_bytes

    if text is None:
        return None
    try:
        return parse_bytes(text)
    except ValueError as error:
        faults.append(f"--maxmemory: {error}")
        return None
