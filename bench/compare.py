"""How much runs of the same thing differ beyond what their seconds show, and how often that is told as more.

`python -m bench.compare` records like runs one after the other, on servers of their own.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from amply_capacity.files import ROOT
from amply_capacity.model.block_bootstrap import drawn
from amply_capacity.model.comparison import compare_runs
from amply_capacity.model.comparison_figures import figures
from amply_capacity.run.reader import Run, read_run

__all__ = ["table"]

_RUNS, _SECONDS, _RATE, _USERS, _POPULATION = 8, 20, 500, 30, 2_000
_LONGEST_SECONDS = 120


def table(scratch: Path | None = None) -> str:
    """By kind of figure: the spread of like runs, what of it their seconds do not explain; false alarms."""
    with tempfile.TemporaryDirectory() as directory:
        runs = [_record((scratch or Path(directory)) / f"run-{number}", number) for number in range(_RUNS)]
        return _text(runs)


def _record(directory: Path, seed: int) -> Run:
    if not directory.exists():
        command = [sys.executable, "-m", "locust", "-f", str(ROOT / "loadtests" / "mixed.py"), "--headless",
                   "--only-summary", "--loglevel", "WARNING", "--exit-code-on-error", "0", "-u", str(_USERS),
                   "-r", str(_USERS), "-t", f"{_SECONDS}s", "--arrivals", "poisson", "--rate", str(_RATE),
                   "--population", str(_POPULATION), "--seed", str(seed), "--run-dir", str(directory)]
        with open(os.devnull, "w") as nowhere:
            subprocess.run(command, stdout=nowhere, stderr=nowhere, check=True, timeout=_LONGEST_SECONDS)
    return read_run(directory)


def _text(runs: list[Run]) -> str:
    spread: dict[str, list[tuple[float, float]]] = {}
    for figure in figures(runs[0], runs[-1]):
        statistics = [made for run in runs if (made := figure.made(run)) is not None]
        if len(statistics) < len(runs):
            continue
        scale = (lambda value: value) if figure.is_points else np.log
        values = np.array([scale(one.value) for one in statistics])
        within = np.mean([np.nanvar(scale(drawn(one, np.random.default_rng(1)))) for one in statistics])
        spread.setdefault(figure.kind, []).append((float(np.var(values, ddof=1)), float(within)))
    noisy = [sum(second in run.starved_seconds for second in run.sound_seconds) / len(run.sound_seconds)
             for run in runs]
    lines = [f"{len(runs)} runs of the same thing, {_SECONDS} s each, {_RATE} operations a second; other "
             f"processes took CPU from the server in {100.0 * sum(noisy) / len(noisy):.0f} % of the seconds",
             f"{'figure':<8} {'spread of runs':>15} {'their seconds show':>19} {'beyond':>8}"]
    for kind, pairs in spread.items():
        total, within = np.mean([pair[0] for pair in pairs]), np.mean([pair[1] for pair in pairs])
        lines.append(f"{kind:<8} {np.sqrt(total):>15.4f} {np.sqrt(within):>19.4f} "
                     f"{np.sqrt(max(total - within, 0.0)):>8.4f}")
    pairs_of = list(itertools.combinations(runs, 2))
    alarms = [compare_runs(*pair).told for pair in pairs_of]
    named = ", ".join(sorted({change.what for one in alarms for change in one})) or "none"
    lines.append(f"{sum(bool(one) for one in alarms)} of {len(pairs_of)} comparisons of like runs tell a "
                 f"difference: {named}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(Path(sys.argv[1]) if len(sys.argv) > 1 else None))
