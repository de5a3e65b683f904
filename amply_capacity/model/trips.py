"""What operations ask of the server: round trips, and the commands in each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from amply_capacity.errors import BadRun
from amply_capacity.run.reader import Run

__all__ = ["RoundTrips", "mixed_trips", "operation_trips", "round_trips"]


@dataclass(frozen=True, slots=True)
class RoundTrips:
    """Round trips, of an operation or a second, and what is asked in a mean one."""

    count: float
    commands_per_round: Mapping[str, float]
    """By command, as commandstats names it; a pipeline is one round trip."""

    @property
    def commands(self) -> float:
        return self.count * sum(self.commands_per_round.values())


def round_trips(run: Run) -> RoundTrips:
    """Of a second, as the clients counted them in the sound seconds."""
    totals = run.sound_totals
    sent = totals[(totals["clock"] == "service") & (totals["command"] != "")]
    counts = sent.groupby("command")["count"].sum()
    return _together({str(asked): float(count) / len(run.sound_seconds) for asked, count in counts.items()})


def operation_trips(run: Run) -> dict[str, RoundTrips]:
    """Of one operation, mean, by its name, in the sound seconds."""
    totals = run.sound_totals[run.sound_totals["clock"] == "service"]
    done = totals[totals["command"] == ""].groupby("operation")["count"].sum()
    asked = totals[totals["command"] != ""].groupby(["operation", "command"])["count"].sum()
    return {str(operation): _together({
        str(command): float(count) / float(done[operation]) for command, count in asked[operation].items()})
        for operation in done.index if operation in asked.index.get_level_values(0)}


def mixed_trips(trips: Mapping[str, RoundTrips], operations_per_second: Mapping[str, float]) -> RoundTrips:
    """Of a second in which operations come at these rates, by name.

    Raises BadRun for an operation that is not known.
    """
    missing = sorted(name for name, rate in operations_per_second.items() if rate > 0.0 and name not in trips)
    if missing:
        raise BadRun("the runs do not show every operation of that mix", got=f"no {', '.join(missing)}",
                     do="record a run that has them, e.g. loadtests/mixed.py with --mix")
    rounds = sum(rate * trips[name].count for name, rate in operations_per_second.items() if rate > 0.0)
    commands: defaultdict[str, float] = defaultdict(float)
    for name, rate in operations_per_second.items():
        if rate > 0.0:
            for command, each in trips[name].commands_per_round.items():
                commands[command] += rate * trips[name].count * each
    return RoundTrips(rounds, {name: count / rounds for name, count in sorted(commands.items())})


def _together(asked: Mapping[str, float]) -> RoundTrips:
    rounds = sum(asked.values())
    commands: dict[str, float] = {}
    for names, count in asked.items():
        for name in names.lower().split("+"):
            commands[name] = commands.get(name, 0.0) + count / rounds
    return RoundTrips(rounds, dict(sorted(commands.items())))
