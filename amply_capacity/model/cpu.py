"""What a command costs the server's CPU, from the process' own CPU clock.

First form: one figure at the run's rate. It falls with the rate (threefold from 2,000 to 135,000 commands a second), so
a plan for another rate is wrong by as much, and says so among its assumptions.
"""

from __future__ import annotations

import numpy as np

from amply_capacity.interval import Interval
from amply_capacity.run.reader import Run

__all__ = ["commands_per_second", "cpu_us_per_command"]

_FEWEST_COMMANDS_A_SECOND = 50.0
_BOOTSTRAP_DRAWS = 2000
_BOOTSTRAP_SEED = 1


def commands_per_second(run: Run) -> float:
    """Commands a second that the server processed in the measured phase, mean over its nodes together."""
    first, last = run.measured_seconds
    rows = run.server[run.server["second"].between(first, last)]
    seconds = rows["second"].max() - rows["second"].min()
    if not seconds:
        return 0.0
    total = rows.groupby("node")["info_total_commands_processed"].agg(lambda counts: counts.iloc[-1] - counts.iloc[0])
    return float(total.sum() / seconds)


def cpu_us_per_command(run: Run) -> Interval | None:
    """Process CPU (all threads, user and system) per command over the measured phase, µs.

    The interval is a 90 % bootstrap over the seconds of the run: what another stretch of the same load would have given.
    `usec_per_call` of commandstats is a tenth of this and is not used. None without enough load to tell.
    """
    first, last = run.measured_seconds
    rows = run.server[run.server["second"].between(first, last)].sort_values("second")
    needed = ["info_used_cpu_sys", "info_used_cpu_user", "info_total_commands_processed"]
    changes = rows.dropna(subset=needed).groupby("node")[needed].diff().dropna()
    changes = changes[changes["info_total_commands_processed"] >= _FEWEST_COMMANDS_A_SECOND]
    if len(changes) < 3:
        return None
    cpu_us = 1e6 * (changes["info_used_cpu_sys"] + changes["info_used_cpu_user"]).to_numpy()
    commands = changes["info_total_commands_processed"].to_numpy()
    drawn = np.random.default_rng(_BOOTSTRAP_SEED).integers(len(commands), size=(_BOOTSTRAP_DRAWS, len(commands)))
    low, high = np.quantile(cpu_us[drawn].sum(axis=1) / commands[drawn].sum(axis=1), [0.05, 0.95])
    mid = float(cpu_us.sum() / commands.sum())
    return Interval(min(float(low), mid), mid, max(float(high), mid))
