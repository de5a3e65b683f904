"""What a run says of its server's CPU: cores used, at so many round trips and commands a second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from amply_capacity.model.trips import round_trips
from amply_capacity.run.reader import Run

__all__ = ["CpuSample", "cpu_samples", "execution_us"]

_NEEDED = ["info_used_cpu_sys", "info_used_cpu_user", "info_total_commands_processed"]
_ONE_RATE = 2.0  # the fastest second over the slowest, below which all are one sample
_STEP = 1.4  # the same within one of several samples
_FEWEST_SECONDS = 3
_SCRIPTS = {"eval", "evalsha", "eval_ro", "evalsha_ro", "fcall", "fcall_ro"}
_OWN_COMMANDS = 1.0  # INFO, which the toolkit asks every second


@dataclass(frozen=True, slots=True)
class CpuSample:
    """Seconds of one server at about one rate."""

    run_id: str
    seconds: float
    rounds_per_second: float
    """Round trips: a pipeline is one."""
    commands_per_round: Mapping[str, float]
    """By command, as commandstats names it."""
    cores: float
    """Process CPU, all threads, user and system; what it does when it is idle is in it."""
    relative_error: float
    """Standard error of `cores` over itself, from the seconds' differences."""

    @property
    def us_per_round(self) -> float:
        return 1e6 * self.cores / self.rounds_per_second

    @property
    def commands_per_second(self) -> float:
        return self.rounds_per_second * sum(self.commands_per_round.values())


def cpu_samples(run: Run) -> tuple[CpuSample, ...]:
    """The sound seconds of a run, parted by rate where it changed (a day, a knee search); primaries only.

    Empty where the server does not tell its CPU, or did nothing.
    """
    rounds = round_trips(run)
    commands = sum(rounds.commands_per_round.values())
    first, last = run.measured_seconds
    rows = run.server[run.server["second"].between(first, last)].dropna(subset=_NEEDED).sort_values("second")
    changes = run.in_sound_samples(
        rows[["second", "role"]].assign(node=rows["node"], seconds=rows.groupby("node")["second"].diff())
        .join(rows.groupby("node")[_NEEDED].diff())).dropna(subset=["seconds", *_NEEDED])
    if changes.empty or not commands:
        return ()
    cpu = (changes["info_used_cpu_sys"] + changes["info_used_cpu_user"]) / changes["seconds"]
    counted = changes["info_total_commands_processed"] / changes["seconds"] - _OWN_COMMANDS
    if _SCRIPTS & rounds.commands_per_round.keys():
        # The server counts what a script calls, too, from Redis 7 on; what the clients sent is counted there.
        commands = float(counted.groupby(changes["node"]).mean().sum()) / rounds.count
    rate = counted / commands
    return tuple(
        _sample(run.name, block, rounds.commands_per_round)
        for _, node in pd.DataFrame({"node": changes["node"], "seconds": changes["seconds"], "cores": cpu,
                                     "rate": rate}).query("rate > 0").groupby("node")
        for block in _blocks(node.sort_values("rate")))


def execution_us(run: Run) -> dict[str, float]:
    """Mean µs inside each command, by commandstats: a part of what it costs, and the part that differs."""
    calls = run.commands.groupby("command")[["usec", "calls"]].sum()
    calls = calls[calls["calls"] > 0]
    return {str(name): float(row["usec"] / row["calls"]) for name, row in calls.iterrows()}


def _blocks(rows: pd.DataFrame) -> list[pd.DataFrame]:
    """Rows by rate: all of them where it was steady, else runs of like rates that are long enough."""
    rates = rows["rate"].to_numpy()
    if len(rows) < _FEWEST_SECONDS:
        return []
    if rates[-1] <= _ONE_RATE * rates[0]:
        return [rows]
    blocks, begin = [], 0
    for end in range(1, len(rates) + 1):
        if end == len(rates) or rates[end] > _STEP * rates[begin]:
            if end - begin >= _FEWEST_SECONDS:
                blocks.append(rows.iloc[begin:end])
            begin = end
    return blocks


def _sample(run_id: str, rows: pd.DataFrame, mix: Mapping[str, float]) -> CpuSample:
    weights = rows["seconds"].to_numpy()
    each = 1e6 * rows["cores"].to_numpy() / rows["rate"].to_numpy()
    cores = float(np.average(rows["cores"], weights=weights))
    rate = float(np.average(rows["rate"], weights=weights))
    return CpuSample(run_id, float(weights.sum()), rate, mix, cores,
                     float(each.std(ddof=1) / each.mean() / np.sqrt(len(rows))))
