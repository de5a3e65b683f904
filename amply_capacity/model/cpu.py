"""What a command cost the server's CPU in one run, at that run's rate; `cpu_curve` carries it to others."""

from __future__ import annotations

import numpy as np

from amply_capacity.errors import BadRun
from amply_capacity.interval import Interval
from amply_capacity.run.reader import Run

__all__ = ["commands_per_second", "cpu_us_per_command"]

_FEWEST_COMMANDS_A_SECOND = 50.0
_BOOTSTRAP_DRAWS = 2000
_BOOTSTRAP_SEED = 1


def commands_per_second(run: Run) -> float:
    """Commands a second that the server processed in the sound seconds, its nodes together.

    Raises BadRun where fewer than two samples of the server lie in it.
    """
    first, last = run.measured_seconds
    rows = run.server[run.server["second"].between(first, last)].sort_values("second")
    commands = "info_total_commands_processed"
    changes = run.in_sound_samples(rows.assign(
        commands=rows.groupby("node")[commands].diff(), seconds=rows.groupby("node")["second"].diff()))
    changes = changes.dropna(subset=["commands", "seconds"])
    changes = changes[changes["commands"] >= 0]  # a restarted server counts anew
    if changes.empty:
        raise BadRun(f"run {run.name} does not say what its server did",
                     got=f"{len(rows)} samples of the server in the measured phase",
                     do="record it again on a server that answers INFO, for at least 10 seconds")
    by_node = changes.groupby("node")[["commands", "seconds"]].sum()
    return float((by_node["commands"] / by_node["seconds"]).sum())


def cpu_us_per_command(run: Run) -> Interval | None:
    """Process CPU (all threads, user and system) per command over the sound seconds, µs.

    The interval is a 90 % bootstrap over the seconds of the run: what another stretch of the same load would
    have given. `usec_per_call` of commandstats is a tenth of this and is not used. None without enough load
    to tell.
    """
    first, last = run.measured_seconds
    rows = run.server[run.server["second"].between(first, last)].sort_values("second")
    needed = ["info_used_cpu_sys", "info_used_cpu_user", "info_total_commands_processed"]
    rows = rows.dropna(subset=needed)
    changes = rows.drop(columns=needed).join(rows.groupby("node")[needed].diff())
    changes = run.in_sound_samples(changes).dropna(subset=needed)
    changes = changes[changes["info_total_commands_processed"] >= _FEWEST_COMMANDS_A_SECOND]
    if len(changes) < 3:
        return None
    cpu_us = 1e6 * (changes["info_used_cpu_sys"] + changes["info_used_cpu_user"]).to_numpy()
    commands = changes["info_total_commands_processed"].to_numpy()
    rng = np.random.default_rng(_BOOTSTRAP_SEED)
    drawn = rng.integers(len(commands), size=(_BOOTSTRAP_DRAWS, len(commands)))
    low, high = np.quantile(cpu_us[drawn].sum(axis=1) / commands[drawn].sum(axis=1), [0.05, 0.95])
    mid = float(cpu_us.sum() / commands.sum())
    return Interval(min(float(low), mid), mid, max(float(high), mid))
