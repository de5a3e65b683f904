"""A core that never halts and whose own speed is known, so that what is measured on it is the server's.

A virtual core that has nothing to do is handed back to the host, and to wake it takes a trip through the
hypervisor, whose time the guest's kernel charges to whoever runs then. On a shared host that differs by half
from minute to minute. A process of the lowest scheduling class keeps the core: anything else comes before it,
of other sessions too, which Linux else gives a share each (autogroups).
Nor is a core always as fast: what shares its physical core may slow it to half for seconds. So that process
counts how often it gets round its loop per second of CPU.
Started as `python -m bench.awake CORE FILE`.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from amply_capacity.target.process import die_with

__all__ = ["Core", "awake"]

_LEAST_SHARE = "19"  # as the nice value of the whole session
_ROUNDS, _EVERY_SECONDS = 2_000, 0.1


@dataclass(frozen=True, slots=True)
class Core:
    """One that is kept awake."""

    readings: Path
    """A line each: Unix time, rounds of the loop a CPU second since the line before."""

    def speed(self, first_s: float, last_s: float) -> float:
        """Rounds of the loop a CPU second, geometric mean of the readings between two Unix times.

        Raises RuntimeError where there is none.
        """
        logarithms = []
        for line in self.readings.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                at, speed = map(float, line.split())
                if first_s <= at <= last_s:
                    logarithms.append(math.log(speed))
        if not logarithms:
            raise RuntimeError(f"the core was never free between {first_s:.0f} and {last_s:.0f}: how fast it "
                               "was is not known")
        return math.exp(math.fsum(logarithms) / len(logarithms))


@contextlib.contextmanager
def awake(core: int) -> Iterator[Core]:
    """Keep the core from halting meanwhile."""
    with tempfile.NamedTemporaryFile(prefix="core-speed-") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.awake", str(core), file.name], start_new_session=True,
            preexec_fn=functools.partial(die_with, os.getpid()))
        try:
            yield Core(Path(file.name))
        finally:
            process.kill()
            process.wait()


def _spin(core: int, readings: Path) -> None:
    os.sched_setaffinity(0, {core})
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with contextlib.suppress(OSError):  # a kernel without them
        Path("/proc/self/autogroup").write_text(_LEAST_SHARE)
    with readings.open("a", buffering=1) as file:
        while True:
            began, cpu_s, rounds, value = time.monotonic(), time.thread_time(), 0, 0
            while time.monotonic() < began + _EVERY_SECONDS:
                for number in range(_ROUNDS):
                    value = (31 * value + number) & 0xFFFF
                rounds += _ROUNDS
            print(f"{time.time():.3f} {rounds / (time.thread_time() - cpu_s):.0f}", file=file)


if __name__ == "__main__":
    _spin(int(sys.argv[1]), Path(sys.argv[2]))
