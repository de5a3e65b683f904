"""Several runs read as one: for each figure the best run that holds it, and a clear refusal where none does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from amply_capacity.errors import BadInput, BadRun
from amply_capacity.model.cpu_curve import CpuCurve, cpu_curve
from amply_capacity.model.evidence import Evidence, Footprint, Latency, OperationCost
from amply_capacity.model.trips import RoundTrips

__all__ = ["Measured", "measured"]


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures that a plan stands on, and the runs that they come from.

    A figure is taken whole from one run: a complete run before others, the newest of those. Averaging runs of
    different servers, rates or sizes would give a figure that no run shows. A drill's load was disturbed: it
    tells of failures, and of the rest only what no other run does.
    """

    footprint: Footprint
    cpu: CpuCurve | None
    """From all runs of the best one's server: the more rates, the better it is known."""
    operations: Mapping[str, OperationCost]
    trips: Mapping[str, RoundTrips]
    """Round trips of one operation, by its name."""
    latency: Mapping[str, Latency]
    hit_rate: float | None
    evictions_per_minute: float | None
    run_of: Mapping[str, str]
    """Run id by figure, e.g. `session_bytes`, `validate`."""
    runs: tuple[Evidence, ...]
    """Best first."""

    @property
    def engine(self) -> str:
        """Of the best run: `redis` or `valkey`."""
        return self.runs[0].server.partition(" ")[0]

    def require(self, footprint: Sequence[str], operations: Sequence[str]) -> None:
        """Raises BadRun naming every needed figure that no run holds, and the run to make."""
        missing = [f"bytes of a {name.removesuffix('_bytes')}" for name in footprint
                   if getattr(self.footprint, name) is None]
        if self.cpu is None:
            missing.append("CPU per command")
        missing += [f"cost of the operation {name}" for name in operations
                    if name not in self.operations or name not in self.trips]
        if missing:
            raise BadRun("the runs given do not hold every figure that this demand needs",
                         got=f"no {', no '.join(missing)} in {', '.join(run.run_id for run in self.runs)}",
                         do="record a mixed run against a server whose process can be seen (`locust -f "
                            "loadtests/mixed.py --headless`) and give it with another --run")

    def as_json(self) -> list[dict[str, Any]]:
        """The runs with their warnings and the figures taken from each."""
        return [
            {
                "run_id": run.run_id,
                "recorded_at": run.recorded_at,
                "scenario": run.scenario,
                "verdict": run.verdict,
                "server": run.server,
                "allocator": run.allocator,
                "seconds": run.seconds,
                "warnings": list(run.warnings),
                "figures": [*sorted(figure for figure, run_id in self.run_of.items() if run_id == run.run_id),
                            *(() if run.drill is None else run.drill.figures)],
            }
            for run in self.runs
        ]


def measured(runs: Sequence[Evidence]) -> Measured:
    """Raises BadInput where no run is given."""
    if not runs:
        raise BadInput("a plan needs measured evidence", got="no run", do="give at least one --run")
    best = sorted(runs, key=lambda run: (run.drill is None, run.verdict == "complete", run.recorded_at,
                                         run.run_id))[::-1]
    run_of: dict[str, str] = {}

    def first(figure: str, values: Sequence[Any]) -> Any:
        for run, value in zip(best, values, strict=True):
            if value is not None:
                run_of[figure] = run.run_id
                return value
        return None

    footprint = {name.name: first(name.name, [getattr(run.footprint, name.name) for run in best])
                 for name in fields(Footprint)}
    timed = [run for run in best if run.cpu_samples]
    timed = [run for run in timed  # one curve is of one kind of server, and of no load that was broken off
             if (run.server, run.drill is None) == (timed[0].server, timed[0].drill is None)]
    run_of |= {"CPU per command": timed[0].run_id} if timed else {}
    return Measured(
        footprint=Footprint(**footprint),
        cpu=cpu_curve([sample for run in timed for sample in run.cpu_samples],
                      {run.run_id: run.execution_us for run in timed}) if timed else None,
        operations={name: first(name, [run.operations.get(name) for run in best])
                    for name in sorted({name for run in best for name in run.operations})},
        trips={name: next(run.trips[name] for run in best if name in run.trips)
               for name in sorted({name for run in best for name in run.trips})},
        latency={name: first(f"{name} latency", [run.latency.get(name) for run in best])
                 for name in sorted({name for run in best for name in run.latency})},
        hit_rate=first("hit_rate", [run.hit_rate for run in best]),
        evictions_per_minute=first("evictions", [
            None if run.evictions is None or run.seconds <= 0.0 else 60.0 * run.evictions / run.seconds
            for run in best
        ]),
        run_of=run_of,
        runs=tuple(best),
    )
