"""`amply-capacity predict throughput`: the highest rate within a p99, here and on node types."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from amply_capacity.commands.answer import Json, print_answer
from amply_capacity.errors import BadInput

__all__ = ["throughput"]


def throughput(
    runs: Annotated[list[str], typer.Argument(
        metavar="RUN...", help="Runs of one mix on one server; at different rates the answer is narrower.")],
    p99_ms: Annotated[float | None, typer.Option(
        help="p99 response time of every use case; without, the demand's.")] = None,
    demand: Annotated[Path | None, typer.Option(
        help="A demand file: the headroom of node types in each of its months too.")] = None,
    node_type: Annotated[list[str] | None, typer.Option(
        help="Node types to answer for; without, all that new clusters may have.")] = None,
    beside: Annotated[list[str] | None, typer.Option(
        metavar="RUN", help="A run with TLS, a replica or more connections: what that costs.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the sampling.", min=0)] = 1,
    json_: Json = False,
) -> None:
    """Predict the highest rate that holds a p99, what each command costs, and what node types carry.

    Example: amply-capacity predict throughput data/examples/mixed --p99-ms 5 --node-type cache.t3.micro
    """
    from amply_capacity.catalog.nodes import node_types
    from amply_capacity.report.throughput import ThroughputQuestion, throughput_of
    from amply_capacity.report.throughput_text import throughput_text

    faults = []
    if p99_ms is None and demand is None:
        faults.append("neither --p99-ms nor --demand says what to hold")
    if p99_ms is not None and not 0.0 < p99_ms < math.inf:
        faults.append(f"--p99-ms {p99_ms:g} is no positive number")
    known = {node.name for node in node_types()}
    faults += [f"--node-type {name} is unknown" for name in node_type or () if name not in known]
    if faults:
        raise BadInput("this throughput cannot be predicted", got="; ".join(faults),
                       do="correct these options")
    found = throughput_of(runs, ThroughputQuestion(p99_ms, demand, tuple(node_type or ()), seed,
                                                   tuple(beside or ())))
    print_answer(json_, found, throughput_text(found))
