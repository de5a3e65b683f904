"""CPU per command, response times and knees predicted, then measured, at rates and mixes not fitted to.

A server on one core, the generator on the other; each figure is the median of three runs, since this kind
of host is another from one minute to the next, and each prediction stands on three of each rate. Developed on
seeds 1 to 99; seeds 5,100 to 5,159 and 6,100 to 8,159 were scored before, and taught how far runs differ.
"""

from __future__ import annotations

import atexit
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median

from amply_capacity.errors import BadRun
from amply_capacity.model.cpu_curve import CpuCurve, curve_of
from amply_capacity.model.forecast import CPU, outcomes
from amply_capacity.model.latency_curve import latency_curve
from amply_capacity.model.trips import RoundTrips, mixed_trips, operation_trips
from amply_capacity.run.reader import Run, read_run
from amply_capacity.traffic.mix import CACHE_MIX, DEFAULT_MIX, RATE_LIMIT_MIX, SESSIONS_MIX, format_mix
from bench.claim import Claim, Experiment
from bench.locustfiles.loop_script import LOOP_SCRIPT
from bench.rig import LOCUSTFILES, SCENARIOS, Rig
from bench.rig import rig as rig_of_a_server

__all__ = ["experiments"]

_SEED = 9_100
_USERS = ("-u", "50", "-r", "50")
_CPU_RATE, _CPU_MIX, _P99_ONE, _P99_MIXED, _KNEE = 0.05, 0.08, 0.25, 0.35, 0.15
_MIXED, _SCRIPTS = SCENARIOS / "mixed.py", LOCUSTFILES / "scripts.py"
_FIT_RATES, _QUANTILES = (250, 1_500, 20_000), (0.5, 0.99)
_US_PER_MS = 1000.0
_FIT_SECONDS, _SECONDS, _LATENCY_SECONDS, _SEARCH_SECONDS = 8.0, 8.0, 12.0, 150.0
_REPEATS, _NEXT_SEED = 3, 1_000
_TIMED_CALLS, _TIMED_LOOPS = 50, 100_000


@dataclass(frozen=True, slots=True)
class _Load:
    """One run to make."""

    name: str
    file: Path
    rate: int
    seed: int
    seconds: float
    mix: Mapping[str, int] = field(default_factory=dict)
    loops: str = ""


@dataclass(frozen=True, slots=True)
class _Queue:
    """Scripts of a known cost: what is fitted, and what is then predicted."""

    name: str
    scripts: tuple[tuple[str, float, int], ...]
    """Name, ms of the server, weight."""
    fitted: tuple[int, ...]
    unseen: tuple[int, ...]
    knee_p99_ms: float
    allowed: float


_RATES = tuple(_Load("mixed", _MIXED, rate, _SEED + 20 + number, _SECONDS)
               for number, rate in enumerate((600, 3_500, 7_000, 12_000)))
_MIXES = (
    _Load("sessions alone", SCENARIOS / "sessions.py", 2_500, _SEED + 31, _SECONDS, SESSIONS_MIX),
    _Load("rate limits alone", SCENARIOS / "rate_limit.py", 2_500, _SEED + 32, _SECONDS, RATE_LIMIT_MIX),
    _Load("cached reads alone", SCENARIOS / "cache.py", 5_000, _SEED + 33, _SECONDS, CACHE_MIX),
    _Load("results, log-ins", _MIXED, 2_500, _SEED + 34, _SECONDS,
          {"store_result": 300, "get_result": 300, "create": 200, "validate": 200}),
    _Load("touches, reads", _MIXED, 5_000, _SEED + 35, _SECONDS,
          {"touch": 500, "cached_read": 300, "check": 200}),
)
_QUEUES = (
    _Queue("one script of 0.4 ms", (("costly", 0.4, 1),), (120, 700), (1_000, 1_350), 5.0, _P99_ONE),
    _Queue("scripts of 0.05 and 0.6 ms", (("cheap", 0.05, 9), ("costly", 0.6, 1)), (300, 1_800),
           (3_000, 4_200), 5.0, _P99_MIXED),
    _Queue("one script of 0.9 ms", (("costly", 0.9, 1),), (120, 400), (520, 650), 20.0, _P99_ONE),
)


def experiments() -> list[Experiment]:
    """The runs that are fitted are made here; those that are predicted when the experiments are measured."""
    bench = _Bench()
    fitted = bench.runs([_Load("mixed", _MIXED, rate, _SEED + number, _FIT_SECONDS)
                         for number, rate in enumerate(_FIT_RATES * _REPEATS)])  # and not one after the other
    curve = curve_of(fitted)
    trips = operation_trips(fitted[-1])
    claims = [_cpu(curve, trips, load, "CPU per command, another rate", _CPU_RATE) for load in _RATES]
    claims += [_cpu(curve, trips, load, "CPU per command, another mix", _CPU_MIX) for load in _MIXES]
    loads = (*_RATES, *_MIXES)
    made = [Experiment(claims, partial(_cpu_medians, bench, loads),
                       {"loads": [_inputs(load) for load in loads]})]
    for number, queue in enumerate(_QUEUES):
        made += _queued(bench, queue, _SEED + 50 + 10 * number)
    return made


class _Bench:
    """Makes runs on one server, which ends with the process."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._rig: Rig | None = None
        self._scratch = Path()
        self._count = 0

    def run(self, load: _Load, *arrivals: str) -> Run:
        rig = self._started()
        rig.empty()
        self._count += 1
        directory = self._scratch / f"{self._count}"
        words = [*_USERS, *(arrivals or ("--arrivals", "poisson")), "--rate", str(load.rate), "--seed",
                 str(load.seed)]
        words += ["--mix", format_mix(load.mix)] if load.mix else []
        words += ["--prefill", "0"] if load.loops else []
        rig.locust(load.file, *words, seconds=load.seconds, run_dir=directory,
                   env={"AMPLY_BENCH_LOOPS": load.loops})
        return read_run(directory)

    def _started(self) -> Rig:
        if self._rig is None:
            self._rig = self._stack.enter_context(rig_of_a_server())
            self._scratch = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
            atexit.register(self._stack.close)
        return self._rig

    def loops(self, scripts: Sequence[tuple[str, float, int]]) -> str:
        """What $AMPLY_BENCH_LOOPS has to say, so that each script takes this server its time."""
        server = self._started().control
        times = []
        for _ in range(_TIMED_CALLS):
            began = time.perf_counter()
            server.eval(LOOP_SCRIPT, 0, _TIMED_LOOPS)
            times.append(time.perf_counter() - began)
        per_ms = _TIMED_LOOPS / (1e3 * median(times))
        return ",".join(f"{name}={round(ms * per_ms)}:{weight}" for name, ms, weight in scripts)

    def runs(self, loads: Sequence[_Load]) -> list[Run]:
        return [self.run(load) for load in loads]


def _cpu(curve: CpuCurve, trips: Mapping[str, RoundTrips], load: _Load, what: str, allowed: float) -> Claim:
    """What an operation sends is known from the fitted runs, how often it comes from the mix."""
    mix = load.mix or DEFAULT_MIX
    total = sum(mix.values())
    asked = mixed_trips(trips, {name: load.rate * weight / total for name, weight in mix.items()})
    commands = asked.commands_per_round if load.mix else None
    predicted = curve.us_per_command(asked.count, commands, of_a_run=True)
    return Claim(what, f"{load.name}, {load.rate:,} operations/s", "µs", predicted, allowed)


def _cpu_medians(bench: _Bench, loads: Sequence[_Load]) -> list[float]:
    """All of them in turn, and again: what the host does meanwhile meets each."""
    rounds = [[outcomes(bench.run(_again(load, number))) for load in loads] for number in range(_REPEATS)]
    return [_median(CPU, seen) for seen in zip(*rounds, strict=True)]


def _median(quantity: str, seen: Sequence[Mapping[str, float]]) -> float:
    """Of the runs that tell it: a host that was busy all through one leaves nothing to tell."""
    told = [one[quantity] for one in seen if quantity in one]
    if not told:
        raise RuntimeError(f"{quantity}: none of {len(seen)} runs tells it")
    return median(told)


def _again(load: _Load, number: int) -> _Load:
    return replace(load, seed=load.seed + _NEXT_SEED * number)


def _queued(bench: _Bench, queue: _Queue, seed: int) -> list[Experiment]:
    """Response times at rates that were not run, and the rate at which the p99 goes."""
    loops = bench.loops(queue.scripts)
    fitted = bench.runs([_Load(queue.name, _SCRIPTS, rate, seed + number, _LATENCY_SECONDS, loops=loops)
                         for number, rate in enumerate(queue.fitted * _REPEATS)])
    try:
        latency = latency_curve(fitted, curve_of(fitted))
    except BadRun as error:
        return [Experiment([], list, {"name": queue.name}, withheld=(f"{queue.name}: {error}",))]
    made = []
    for number, rate in enumerate(queue.unseen):
        load = _Load(queue.name, _SCRIPTS, rate, seed + 7 + number, _LATENCY_SECONDS, loops=loops)
        told = dict(zip(_QUANTILES, latency.quantiles(rate, _QUANTILES), strict=True))
        seen = {q: one.value_ms for q, one in told.items() if one.value_ms is not None}
        claims = [Claim(f"p{100 * q:g} response time", f"{queue.name}, {rate:,}/s", "µs",
                        value.scaled(_US_PER_MS), queue.allowed if q == _QUANTILES[-1] else None)
                  for q, value in seen.items()]
        measure = partial(_medians, bench, load, [claim.quantity for claim in claims], _US_PER_MS)
        made.append(Experiment(claims, measure, _inputs(load),
                               withheld=tuple(f"p{100 * q:g} of {queue.name}, {rate:,}/s: {one.withheld}"
                                              for q, one in told.items() if one.withheld)))
    knee = latency.knee({"bench": queue.knee_p99_ms})
    load = _Load(queue.name, _SCRIPTS, queue.fitted[-1], seed + 9, _SEARCH_SECONDS, loops=loops)
    case = f"{queue.name}, p99 of {queue.knee_p99_ms:g} ms"
    if knee.operations_per_second is None:
        made.append(Experiment([], list, _inputs(load), withheld=(f"knee of {case}: {knee.withheld}",)))
    else:
        claim = Claim("highest rate at a p99", case, "/s", knee.operations_per_second, _KNEE)
        made.append(Experiment([claim], lambda: [_knee(bench, load, queue.knee_p99_ms)], _inputs(load)))
    return made


def _medians(bench: _Bench, load: _Load, quantities: Sequence[str], scale: float = 1.0) -> list[float]:
    """What runs of that load show, which differ in their seed."""
    seen = [outcomes(bench.run(_again(load, number))) for number in range(_REPEATS)]
    return [scale * _median(quantity, seen) for quantity in quantities]


def _knee(bench: _Bench, load: _Load, p99_ms: float) -> float:
    run = bench.run(load, "--knee", "--p99-ms", f"{p99_ms:g}")
    knee = run.manifest["knee"]
    if knee["mid"] is None:
        raise RuntimeError(f"the knee of {load.name} was not found: {knee['reason']}")
    return float(knee["mid"])


def _inputs(load: _Load) -> dict[str, object]:
    return {"name": load.name, "file": load.file.name, "rate": load.rate, "seed": load.seed,
            "seconds": load.seconds, "mix": dict(load.mix), "loops": load.loops,
            "package": version("amply-capacity")}
