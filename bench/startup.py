"""How long the command line takes to answer, against the interpreter alone, in turns."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from amply_capacity.files import DATA_DIR, EXAMPLE_RUN

__all__ = ["table"]

_ROUNDS = 15
_COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "amply-capacity --help": ["-m", "amply_capacity.cli", "--help"],
    "amply-capacity cost --json": ["-m", "amply_capacity.cli", "cost", "--region", "us-east-1", "--node-type",
                                   "cache.t3.micro", "--json"],
    "amply-capacity plan --json": ["-m", "amply_capacity.cli", "plan", "--run", str(EXAMPLE_RUN),
                                   "--demand", str(DATA_DIR / "demand.example.toml"), "--json"],
}


def table() -> str:
    """Seconds from start to exit over rounds in which the commands take turns: minimum, median, maximum."""
    seconds: dict[str, list[float]] = {name: [] for name in _COMMANDS}
    for number in range(_ROUNDS + 1):
        for name, arguments in _COMMANDS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            if number:  # the first round warms the caches
                seconds[name].append(time.perf_counter() - began)
    lines = [f"start-up, {_ROUNDS} rounds in turns, seconds",
             f"{'command':<30} {'min':>7} {'median':>7} {'max':>7}"]
    lines += [f"{name:<30} {min(each):>7.3f} {statistics.median(each):>7.3f} {max(each):>7.3f}"
              for name, each in seconds.items()]
    return "\n".join(lines)
