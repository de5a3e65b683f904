"""The highest rate that a server carries within a p99, from runs below it, on the host that made them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from amply_capacity.errors import BadInput, BadRun
from amply_capacity.interval import Interval
from amply_capacity.model.cpu_curve import CpuCurve, curve_of, interval_of
from amply_capacity.model.cpu_samples import cpu_samples
from amply_capacity.model.knee_curve import knee_of
from amply_capacity.model.latency_curve import KNEE_DRAWS, LatencyCurve, Quantile, latency_curve
from amply_capacity.run.reader import Run

__all__ = ["STEPS", "CommandCost", "LoadPoint", "Throughput", "throughput"]

_QUANTILES = (0.5, 0.99, 0.999)
_SHARES = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
STEPS = KNEE_DRAWS + len(_SHARES)
_FEWEST_SECONDS, _FEWEST_OPERATIONS = 5, 500
_WIDE = 0.15


@dataclass(frozen=True, slots=True)
class CommandCost:
    """What one command costs the server's CPU, its share of the round trip included."""

    command: str
    per_second: float
    """At the highest rate."""
    cpu_us: Interval
    """At the highest rate."""
    measured_us: Interval
    """At the rate of the base run, where the server waits more and each command costs more."""

    def as_json(self) -> dict[str, Any]:
        return {"command": self.command, "per_second": round(self.per_second, 1),
                **self.cpu_us.rounded(3),
                "at_the_run_us": round(self.measured_us.mid, 3)}


@dataclass(frozen=True, slots=True)
class LoadPoint:
    """Predicted response times of all operations at one offered rate."""

    operations_per_second: float
    busy_percent: float
    """Of the one core that runs commands."""
    quantiles: Mapping[float, Quantile]

    def as_json(self) -> dict[str, Any]:
        return {"operations_per_second": round(self.operations_per_second, 1),
                "busy_percent": round(self.busy_percent, 1),
                **{f"p{100.0 * q:g}": value.as_json() for q, value in self.quantiles.items()}}


@dataclass(frozen=True, slots=True)
class Throughput:
    """What `amply-capacity predict throughput` answers."""

    run_ids: tuple[str, ...]
    p99_ms: Mapping[str, float]
    operations_per_second: Interval
    """The highest rate at which every use case keeps its p99."""
    use_case: str | None
    """The one that gives out first."""
    commands_per_operation: float
    saturation_per_second: Interval
    """Operations a second that fill the core."""
    commands: tuple[CommandCost, ...]
    points: tuple[LoadPoint, ...]
    knee: Interval | None
    """As a knee search among the runs measured it."""
    curve: CpuCurve
    latency: LatencyCurve
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        rate = self.operations_per_second
        return {
            "operations_per_second": round(rate.mid, 1),
            "commands_per_second": round(rate.mid * self.commands_per_operation, 1),
            "low": round(rate.low, 1), "high": round(rate.high, 1), "confidence": rate.confidence,
            "p99_ms": dict(self.p99_ms), "gives_out_first": self.use_case,
            "saturation_operations_per_second": self.saturation_per_second.rounded(1),
            "measured_knee": None if self.knee is None else self.knee.rounded(1),
            "cpu_us_per_command": [one.as_json() for one in self.commands],
            "curve": [one.as_json() for one in self.points],
            "runs": list(self.run_ids), "notes": list(self.notes),
        }


def throughput(runs: Sequence[Run], p99_ms: Mapping[str, float] | float,
               advance: Callable[[], object] = lambda: None) -> Throughput:
    """`p99_ms` of each use case, or of all; runs of one server and mix, at least one in an open loop.

    `advance` is called `STEPS` times.

    Raises BadRun, with the command to run instead, for runs that are too short, too slow, too fast, cut off
    or bound by the generator, or in which the objective is missed where nothing waits; BadInput where no
    objective is of a use case of theirs.
    """
    _fit_for_it(runs)
    curve = curve_of(runs)
    latency = latency_curve([run for run in runs if run.verdict == "complete"], curve)
    use_cases = sorted({one.use_case for one in latency.mix.operations})
    given = dict.fromkeys(use_cases, p99_ms) if isinstance(p99_ms, float | int) else p99_ms
    limits = {name: given[name] for name in use_cases if name in given}
    if not limits:
        raise BadInput("none of the p99 objectives is of a use case that the runs show",
                       got=f"objectives for {', '.join(sorted(given)) or 'nothing'}; runs of "
                           f"{', '.join(use_cases)}", do="give --p99-ms, or runs of those use cases")
    knee = latency.knee(limits, advance=advance)
    if knee.operations_per_second is None:
        raise BadRun("no rate can be told", got=str(knee.withheld),
                     do="record the runs on a quieter host, or give a higher --p99-ms")
    full = curve.saturation_per_second(latency.mix.execution_us) / latency.mix.rounds_per_operation
    best = knee.operations_per_second
    return Throughput(
        run_ids=tuple(run.name for run in runs), p99_ms=limits, operations_per_second=best,
        use_case=knee.use_case, commands_per_operation=latency.mix.commands_per_operation,
        saturation_per_second=interval_of(full), commands=_commands(latency, best.mid),
        points=tuple(_point(latency, share * float(full[0]), advance) for share in _SHARES),
        knee=_measured_knee(runs), curve=curve, latency=latency,
        notes=tuple(_notes(runs, curve, latency, best)))


def _fit_for_it(runs: Sequence[Run]) -> None:
    """Raises BadRun for the first run that cannot answer, with what to record instead."""
    for run in runs:
        again = f"`locust -f loadtests/{run.manifest['scenario']}.py --headless -u 50 -r 50 -t 30s"
        rate = run.manifest.get("rate_per_second")
        if run.verdict == "generator-bound":
            slower = f"--rate {0.3 * rate:.0f}`" if rate else "--rate 2000`"
            raise BadRun(f"run {run.name} is bound by its generator: it shows the generator, not the server",
                         got=str(run.manifest.get("verdict_reason") or run.verdict),
                         do=f"record it at a rate the generator holds: {again} --arrivals poisson {slower}")
        own = run.sound_operations("service")
        operations = int(own["count"].sum())
        if len(run.sound_seconds) < _FEWEST_SECONDS or operations < _FEWEST_OPERATIONS:
            raise BadRun(f"run {run.name} is too short or too slow for this question",
                         got=f"{operations:,} operations in {len(run.sound_seconds)} s; at least "
                             f"{_FEWEST_OPERATIONS} in {_FEWEST_SECONDS} s are needed",
                         do=f"record a longer one: {again} --arrivals poisson --rate 2000`")
    if not any(run.verdict == "complete" for run in runs):
        scenario = runs[0].manifest["scenario"] if runs else "mixed"
        raise BadRun("no run given was recorded to its end",
                     got=", ".join(f"{run.name}: {run.verdict}" for run in runs) or "no run",
                     do=f"record one: `locust -f loadtests/{scenario}.py --headless -u 50 -r 50 -t 30s "
                        "--arrivals poisson --rate 2000`")
    if not any(cpu_samples(run) for run in runs):
        raise BadRun("no run given tells what its server's CPU did",
                     got=", ".join(run.name for run in runs),
                     do="record it on a server whose INFO has used_cpu, for at least 10 seconds")


def _commands(latency: LatencyCurve, operations_per_second: float) -> tuple[CommandCost, ...]:
    """The round trip's own cost is shared by the commands in it; one that commandstats lacks is left out."""
    curve = latency.curve
    mix = latency.mix.commands_per_round
    together = sum(mix.values())
    found = []
    for name in sorted(mix.keys() & curve.command_us.keys(), key=lambda one: (-mix[one], one)):
        costs = []
        for rate in (operations_per_second, latency.base_per_second):
            rounds = rate * latency.mix.rounds_per_operation
            shared = curve.us_per_round(rounds, latency.mix.execution_us) - latency.mix.execution_us
            costs.append(interval_of(curve.command_us[name] + shared / together))
        per_second = operations_per_second * latency.mix.rounds_per_operation * mix[name]
        found.append(CommandCost(name, per_second, *costs))
    return tuple(found)


def _point(latency: LatencyCurve, operations_per_second: float,
           advance: Callable[[], object]) -> LoadPoint:
    rounds = operations_per_second * latency.mix.rounds_per_operation
    busy = float(latency.curve.cores(rounds, latency.mix.execution_us)[0])
    values = latency.quantiles(operations_per_second, _QUANTILES)
    advance()
    return LoadPoint(operations_per_second, 100.0 * busy, dict(zip(_QUANTILES, values, strict=True)))


def _measured_knee(runs: Sequence[Run]) -> Interval | None:
    for run in runs:
        knee = knee_of(run)
        if knee is not None and knee.low is not None and knee.mid is not None and knee.high is not None:
            return Interval(knee.low, knee.mid, knee.high, knee.confidence)
    return None


def _notes(runs: Sequence[Run], curve: CpuCurve, latency: LatencyCurve, best: Interval) -> list[str]:
    notes = [f"other processes kept the server of {run.name} from its CPU in {len(noisy)} s that could not "
             "be left out: record it on a quieter host"
             for run in runs if (noisy := run.starved_seconds & set(run.sound_seconds))]
    ratio = best.mid * latency.mix.rounds_per_operation / curve.fastest_per_second
    if curve.samples < 3 or curve.fastest_per_second < 3.0 * curve.slowest_per_second:
        notes.append("the runs have about one rate: how cost falls with the rate is a prior (measured on "
                     "redis 7.0.15); runs at a tenth and at ten times the rate narrow the interval")
    if ratio > 3.0:
        notes.append(f"{ratio:,.0f} times the fastest rate that was run")
    if best.high - best.low > 2.0 * _WIDE * best.mid:
        notes.append("the interval is wider than ±15 %: give more runs, at other rates")
    return notes
