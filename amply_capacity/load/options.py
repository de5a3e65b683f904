"""The options that our scenarios add to Locust's own."""

from __future__ import annotations

import math
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path

from amply_capacity.catalog.nodes import node_type
from amply_capacity.errors import BadInput, UnknownName
from amply_capacity.files import DATA_DIR
from amply_capacity.target.cluster import parse_bytes
from amply_capacity.traffic.arrivals import ARRIVALS
from amply_capacity.traffic.mix import parse_mix

__all__ = ["Options", "add_options", "read_options"]


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a scenario, checked."""

    target: str | None
    demand: Path
    seed: int
    run_dir: Path | None
    arrivals: str
    rate: float | None
    mix: dict[str, int] | None
    prefill: float
    users: int | None
    node_type: str | None
    maxmemory_bytes: int | None
    think_time_seconds: float
    compute_seconds: float
    timeout_seconds: float


def add_options(parser: ArgumentParser) -> None:
    """Add our options to Locust's parser; inside, their names begin with `amply_`, apart from its own."""
    group = parser.add_argument_group("amply-capacity", "what is loaded, how, and where the run is recorded")
    group.add_argument("--target", dest="amply_target", metavar="NAME|URL", default=None,
                       help="a local cluster's name, or the redis:// URL of a marked server; without it, a "
                            "local cluster of the demand's node type is started for the run and removed")
    group.add_argument("--demand", dest="amply_demand", metavar="FILE",
                       default=str(DATA_DIR / "demand.example.toml"),
                       help="the demand file that says how many users, organisations and API keys there are")
    group.add_argument("--seed", dest="amply_seed", type=int, default=1,
                       help="seed of everything random (default 1)")
    group.add_argument("--run-dir", dest="amply_run_dir", metavar="DIR", default=None,
                       help="the run's own folder; default: a new one under data/runs")
    group.add_argument("--arrivals", dest="amply_arrivals", default="closed", metavar="|".join(ARRIVALS),
                       help="closed: the next operation starts when the last ended; poisson, constant: "
                            "intended starts from a schedule, whatever the server does (default closed)")
    group.add_argument("--rate", dest="amply_rate", type=float, default=None, metavar="OPS",
                       help="operations a second of all Locust users together; needs --arrivals poisson or "
                            "constant")
    group.add_argument("--mix", dest="amply_mix", default=None, metavar="validate=400,touch=100",
                       help="weights of operations instead of the scenario's own")
    group.add_argument("--prefill", dest="amply_prefill", type=float, default=1.0, metavar="SHARE",
                       help="share of the demand's users whose keys are written first (0 to 1, default 1)")
    group.add_argument("--population", dest="amply_population", type=int, default=None, metavar="N",
                       help="registered users, instead of the demand's")
    group.add_argument("--node-type", dest="amply_node_type", default=None, metavar="TYPE",
                       help="node type that a cluster started for the run stands for; default: the demand's")
    group.add_argument("--maxmemory", dest="amply_maxmemory", default=None, metavar="64mb",
                       help="maxmemory of a cluster started for the run, instead of the node type's")
    group.add_argument("--think-time-ms", dest="amply_think_time_ms", type=float, default=0.0, metavar="MS",
                       help="pause between a user's operations in a closed loop (default 0)")
    group.add_argument("--compute-delay-ms", dest="amply_compute_delay_ms", type=float, default=0.0,
                       metavar="MS", help="time that the application computes after a cache miss (default 0)")
    group.add_argument("--timeout-ms", dest="amply_timeout_ms", type=float, default=5000.0, metavar="MS",
                       help="time after which an unanswered command counts as timed out (default 5000)")


def read_options(parsed: Namespace) -> Options:
    """Locust's parsed options as ours. Raises BadInput with all faults at once."""
    faults = []
    mix = None
    if parsed.amply_mix is not None:
        try:
            mix = parse_mix(parsed.amply_mix)
        except ValueError as error:
            faults.append(f"--mix: {error}")
    if parsed.amply_arrivals not in ARRIVALS:
        faults.append(f"--arrivals {parsed.amply_arrivals} is none of {', '.join(ARRIVALS)}")
    elif (parsed.amply_arrivals == "closed") != (parsed.amply_rate is None):
        faults.append("--rate needs --arrivals poisson or constant" if parsed.amply_rate is not None else
                      f"--arrivals {parsed.amply_arrivals} needs --rate")
    if parsed.amply_rate is not None and not 0 < parsed.amply_rate < math.inf:
        faults.append(f"--rate {parsed.amply_rate:g} is no positive number")
    if not 0.0 <= parsed.amply_prefill <= 1.0:
        faults.append(f"--prefill {parsed.amply_prefill:g} is no share from 0 to 1")
    if parsed.amply_population is not None and parsed.amply_population < 1:
        faults.append(f"--population {parsed.amply_population} is less than 1")
    think_time_ms, compute_delay_ms = parsed.amply_think_time_ms, parsed.amply_compute_delay_ms
    for name, value in (("think-time", think_time_ms), ("compute-delay", compute_delay_ms)):
        if not 0 <= value < math.inf:
            faults.append(f"--{name}-ms {value:g} is no number from 0")
    if not 0 < parsed.amply_timeout_ms < math.inf:
        faults.append(f"--timeout-ms {parsed.amply_timeout_ms:g} is no positive number")
    if parsed.amply_node_type is not None:
        try:
            node_type(parsed.amply_node_type)
        except UnknownName as error:
            faults.append(f"--node-type: {error}")
    maxmemory = None
    if parsed.amply_maxmemory is not None:
        try:
            maxmemory = parse_bytes(parsed.amply_maxmemory)
        except ValueError as error:
            faults.append(f"--maxmemory: {error}")
    if faults:
        raise BadInput("the scenario's options cannot be used", got="; ".join(faults),
                       do="correct them; the README explains each")
    return Options(
        target=parsed.amply_target, demand=Path(parsed.amply_demand), seed=parsed.amply_seed,
        run_dir=Path(parsed.amply_run_dir) if parsed.amply_run_dir else None, arrivals=parsed.amply_arrivals,
        rate=parsed.amply_rate, mix=mix, prefill=parsed.amply_prefill, users=parsed.amply_population,
        node_type=parsed.amply_node_type, maxmemory_bytes=maxmemory,
        think_time_seconds=think_time_ms / 1000.0, compute_seconds=compute_delay_ms / 1000.0,
        timeout_seconds=parsed.amply_timeout_ms / 1000.0,
    )

