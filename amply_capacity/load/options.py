"""The options that our scenarios add to Locust's own."""

from __future__ import annotations

import math
import os
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path

from amply_capacity.catalog.nodes import node_type
from amply_capacity.errors import BadInput, UnknownName
from amply_capacity.files import DATA_DIR
from amply_capacity.target.cluster import parse_bytes
from amply_capacity.target.topology import TOPOLOGIES
from amply_capacity.traffic.arrivals import ARRIVALS
from amply_capacity.traffic.mix import parse_mix
from amply_capacity.traffic.sessions import MULTI_KEY_FORMS, MultiKey

__all__ = ["Options", "add_options", "read_options"]

_LONGEST_TIMEOUT_MS = 3_600_000.0
_DAY_SECONDS = 600.0
_FIRST_KNEE_RATE = 200.0


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a scenario, checked."""

    target: str | None
    demand: Path
    seed: int
    run_dir: Path | None
    arrivals: str
    rate: float | None
    iterations: int | None
    day_seconds: float
    mix: dict[str, int] | None
    prefill: float
    users: int | None
    node_type: str | None
    maxmemory_bytes: int | None
    topology: str
    tls: bool
    auth: bool
    multi_key: MultiKey
    knee: bool
    p99_ms: float | None
    stop_error_percent: float | None
    stop_p99_ms: float | None
    think_time_seconds: float
    compute_seconds: float
    timeout_seconds: float
    share_cores: bool = False
    predict_from: tuple[str, ...] = ()
    pool_size: int | None = None
    journal: Path | None = None
    leave_keys: bool = False


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
                       help="closed: the next operation starts when the last ended; poisson, constant, day: "
                            "intended starts from a schedule, whatever the server does; day has the "
                            "demand's peak_to_mean, compressed (default closed)")
    group.add_argument("--rate", dest="amply_rate", type=float, default=None, metavar="OPS",
                       help="operations a second of all Locust users together (of a day: its mean); needs a "
                            "schedule")
    group.add_argument("--day-seconds", dest="amply_day_seconds", type=float, default=None, metavar="S",
                       help="what a day of --arrivals day takes (default: the run time, else 600)")
    group.add_argument("--iterations", dest="amply_iterations", type=int, default=None, metavar="N",
                       help="end after so many operations of all Locust users together")
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
    group.add_argument("--topology", dest="amply_topology", default="single", metavar="|".join(TOPOLOGIES),
                       help="of a cluster started for the run (default single)")
    group.add_argument("--tls", dest="amply_tls", action="store_true",
                       help="a cluster started for the run speaks TLS, with a throw-away certificate")
    group.add_argument("--auth", dest="amply_auth", action="store_true",
                       help="a cluster started for the run wants a password, made for it")
    group.add_argument("--multi-key", dest="amply_multi_key", default="spec",
                       metavar="|".join(MULTI_KEY_FORMS),
                       help="how a user is logged out everywhere: spec, all sessions in one DEL, which fails "
                            "on a sharded cluster; per-key, a DEL each; hash-tag, session ids that keep a "
                            "user's keys in one slot (default spec)")
    group.add_argument("--knee", dest="amply_knee", action="store_true",
                       help="search the highest rate that holds the demand's p99 objectives; --rate is where "
                            "it starts, -t how long it may take")
    group.add_argument("--p99-ms", dest="amply_p99_ms", type=float, default=None, metavar="MS",
                       help="objective of every use case for --knee, instead of the demand's")
    group.add_argument("--stop-error-percent", dest="amply_stop_error_percent", type=float, default=None,
                       metavar="P", help="end the run, keeping what it recorded, when more operations "
                       "fail, ten seconds in a row (those with fewer than ten operations are taken together)")
    group.add_argument("--stop-p99-ms", dest="amply_stop_p99_ms", type=float, default=None, metavar="MS",
                       help="the same, when a p99 response time stays above")
    group.add_argument("--think-time-ms", dest="amply_think_time_ms", type=float, default=0.0, metavar="MS",
                       help="pause between a user's operations in a closed loop (default 0)")
    group.add_argument("--compute-delay-ms", dest="amply_compute_delay_ms", type=float, default=0.0,
                       metavar="MS", help="time that the application computes after a cache miss (default 0)")
    group.add_argument("--timeout-ms", dest="amply_timeout_ms", type=float, default=5000.0, metavar="MS",
                       help="time after which an unanswered command counts as timed out (default 5000)")
    group.add_argument("--pool-size", dest="amply_pool_size", type=int, default=None, metavar="N",
                       help="a Locust user is an application worker with a pool of N connections, whose "
                            "operations fail when all are taken (the specification's N is 20), instead of "
                            "one connection; needs an open loop")
    group.add_argument("--predict-from", dest="amply_predict_from", default=None, metavar="RUN,RUN",
                       help="predict this run from earlier ones, write that into the ledger before it "
                            "begins, and score it at its end; needs --arrivals poisson or constant")
    group.add_argument("--share-cores", dest="amply_share_cores", action="store_true",
                       default=bool(os.environ.get("AMPLY_SHARE_CORES")),
                       help="let the system place a local server; without, a single one has a core of its "
                            "own, as a node's engine has (also by AMPLY_SHARE_CORES=1)")
    group.add_argument("--journal", dest="amply_journal", metavar="DIR", default=None,
                       help="write down there what became of every operation and every write to a key, for "
                            "whoever looks afterwards, as a drill does; it grows with the traffic")
    group.add_argument("--leave-keys", dest="amply_leave_keys", action="store_true",
                       help="let the run's keys stay on the target, for whoever looks at them; they go with "
                            "the next run, or with the cluster")


def read_options(parsed: Namespace) -> Options:
    """Locust's parsed options as ours. Raises BadInput with all faults at once."""
    faults = _choices(parsed)
    mix = None
    if parsed.amply_mix is not None:
        try:
            mix = parse_mix(parsed.amply_mix)
        except ValueError as error:
            faults.append(f"--mix: {error}")
    if parsed.amply_arrivals not in ARRIVALS:
        faults.append(f"--arrivals {parsed.amply_arrivals} is none of {', '.join(ARRIVALS)}")
    elif parsed.amply_knee:
        if parsed.amply_arrivals not in {"closed", "poisson", "constant"}:
            faults.append("--knee sets the rate itself: it goes with --arrivals poisson or constant")
        if parsed.amply_iterations is not None:
            faults.append("--knee and --iterations exclude each other")
    elif (parsed.amply_arrivals == "closed") != (parsed.amply_rate is None):
        faults.append("--rate needs --arrivals poisson, constant or day" if parsed.amply_rate is not None else
                      f"--arrivals {parsed.amply_arrivals} needs --rate")
    day_seconds = parsed.amply_day_seconds
    if day_seconds is not None and parsed.amply_arrivals != "day":
        faults.append("--day-seconds needs --arrivals day")
    if day_seconds is not None and not 1.0 <= day_seconds < math.inf:
        faults.append(f"--day-seconds {day_seconds:g} is no number from 1")
    if parsed.amply_iterations is not None and parsed.amply_iterations < 1:
        faults.append(f"--iterations {parsed.amply_iterations} is less than 1")
    if parsed.amply_rate is not None and not 0 < parsed.amply_rate < math.inf:
        faults.append(f"--rate {parsed.amply_rate:g} is no positive number")
    if not 0.0 <= parsed.amply_prefill <= 1.0:
        faults.append(f"--prefill {parsed.amply_prefill:g} is no share from 0 to 1")
    if parsed.amply_population is not None and parsed.amply_population < 1:
        faults.append(f"--population {parsed.amply_population} is less than 1")
    if parsed.amply_p99_ms is not None and not parsed.amply_knee:
        faults.append("--p99-ms needs --knee")
    for name, limit in (("p99-ms", parsed.amply_p99_ms), ("stop-p99-ms", parsed.amply_stop_p99_ms)):
        if limit is not None and not 0 < limit < math.inf:
            faults.append(f"--{name} {limit:g} is no positive number")
    if getattr(parsed, "amply_predict_from", None) and (
            parsed.amply_knee or parsed.amply_arrivals not in {"poisson", "constant"}):
        faults.append("--predict-from needs a stated rate: --arrivals poisson or constant with --rate")
    faults += _pool_faults(parsed)
    if parsed.amply_stop_error_percent is not None and not 0 <= parsed.amply_stop_error_percent < 100:
        faults.append(f"--stop-error-percent {parsed.amply_stop_error_percent:g} is no percentage below 100")
    think_time_ms, compute_delay_ms = parsed.amply_think_time_ms, parsed.amply_compute_delay_ms
    for name, value in (("think-time", think_time_ms), ("compute-delay", compute_delay_ms)):
        if not 0 <= value < math.inf:
            faults.append(f"--{name}-ms {value:g} is no number from 0")
    if think_time_ms > 0 and (parsed.amply_arrivals != "closed" or parsed.amply_knee):
        faults.append("--think-time-ms is for a closed loop: a schedule says itself when operations start")
    if not 0 < parsed.amply_timeout_ms <= _LONGEST_TIMEOUT_MS:
        faults.append(f"--timeout-ms {parsed.amply_timeout_ms:g} is no number above 0 and up to an hour")
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
    arrivals, rate = parsed.amply_arrivals, parsed.amply_rate
    if parsed.amply_knee:  # needs an open loop: a closed one waits for the server
        arrivals, rate = "poisson" if arrivals == "closed" else arrivals, rate or _FIRST_KNEE_RATE
    return Options(
        target=parsed.amply_target, demand=Path(parsed.amply_demand), seed=parsed.amply_seed,
        run_dir=Path(parsed.amply_run_dir) if parsed.amply_run_dir else None, arrivals=arrivals, rate=rate,
        iterations=parsed.amply_iterations,
        day_seconds=day_seconds or getattr(parsed, "run_time", None) or _DAY_SECONDS,
        mix=mix, prefill=parsed.amply_prefill, users=parsed.amply_population,
        node_type=parsed.amply_node_type, maxmemory_bytes=maxmemory,
        topology=parsed.amply_topology, tls=parsed.amply_tls, auth=parsed.amply_auth,
        multi_key=parsed.amply_multi_key, knee=parsed.amply_knee, p99_ms=parsed.amply_p99_ms,
        stop_error_percent=parsed.amply_stop_error_percent, stop_p99_ms=parsed.amply_stop_p99_ms,
        think_time_seconds=think_time_ms / 1000.0, compute_seconds=compute_delay_ms / 1000.0,
        timeout_seconds=parsed.amply_timeout_ms / 1000.0,
        predict_from=tuple(name.strip() for name in (
            getattr(parsed, "amply_predict_from", None) or "").split(",") if name.strip()),
        share_cores=bool(getattr(parsed, "amply_share_cores", False)),
        pool_size=getattr(parsed, "amply_pool_size", None),
        journal=Path(parsed.amply_journal) if getattr(parsed, "amply_journal", None) else None,
        leave_keys=bool(getattr(parsed, "amply_leave_keys", False)),
    )


def _pool_faults(parsed: Namespace) -> list[str]:
    size, faults = getattr(parsed, "amply_pool_size", None), []
    if size is None:
        return []
    if size < 1:
        faults.append(f"--pool-size {size} is less than 1")
    if parsed.amply_arrivals == "closed" and not parsed.amply_knee:
        faults.append("--pool-size needs starts that do not wait for replies: --arrivals poisson, constant "
                      "or day with --rate, or --knee")
    if parsed.amply_topology == "sharded":
        faults.append("--pool-size is for one primary: redis-py's cluster client has a pool for each node")
    return faults


def _choices(parsed: Namespace) -> list[str]:
    """Faults of the options that name one of few things."""
    faults = [f"--{option} {chosen} is none of {', '.join(known)}"
              for option, chosen, known in (("topology", parsed.amply_topology, TOPOLOGIES),
                                            ("multi-key", parsed.amply_multi_key, MULTI_KEY_FORMS))
              if chosen not in known]
    if parsed.amply_target is not None:
        given = [name for name, value in (
            ("--topology", parsed.amply_topology != "single"), ("--tls", parsed.amply_tls),
            ("--auth", parsed.amply_auth), ("--node-type", parsed.amply_node_type is not None),
            ("--maxmemory", parsed.amply_maxmemory is not None)) if value]
        if given:
            faults.append(f"{', '.join(given)} describe a cluster started for the run, --target another")
    return faults
