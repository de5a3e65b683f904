"""How long a process has waited for a CPU: what its neighbours cost it, on this machine and on its host."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["StolenTime", "run_queue_seconds", "stolen_by_core"]

_PROCESSES = Path("/proc")
_PROCESSOR, _STEAL = 36, 7
"""Of /proc/PID/stat and of a core's line in /proc/stat: places after the name, from 0 (proc(5))."""
_MOST_BYTES = 1 << 16  # the lines of five hundred cores


def run_queue_seconds(pid: int | None = None) -> float | None:
    """How long the main thread has waited on a run queue so far, ready to run; None where nobody tells.

    Of this process without a pid, whose main thread is the one in which gevent runs. Second field of
    /proc/PID/schedstat, ns (Documentation/scheduler/sched-stats.rst).
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(_read(f"{pid or 'self'}/schedstat").split()[1]) / 1e9
    return None


class StolenTime:
    """How long the hypervisor ran others while the core of this process' main thread had something to run.

    A virtual machine's scheduler knows nothing of it: to the process it is neither CPU nor wait. It is how a
    burstable instance without credits, and one on a crowded host, get less than their cores. To the kernel's
    tick, 10 ms as a rule.
    """

    def __init__(self) -> None:
        self._core, self._stolen = _core(), stolen_by_core()

    def seconds(self) -> float | None:
        """Since the last call, or since it was made; None where nobody tells.

        Where the process has changed its core, of that which lost more.
        """
        core, stolen = self._core, self._stolen
        self._core, self._stolen = _core(), stolen_by_core()
        known = {core, self._core} & stolen.keys() & self._stolen.keys()
        return max((self._stolen[one] - stolen[one] for one in known), default=None)


def _read(name: str) -> bytes:
    """In one call of the system: as a text file it took three times as long, in which no client is served."""
    with open(f"{_PROCESSES}/{name}", "rb", buffering=0) as file:
        return file.read(_MOST_BYTES)


def _core() -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        # The name stands in brackets, and may hold anything.
        return int(_read("self/stat").rpartition(b")")[2].split()[_PROCESSOR])
    return -1


def stolen_by_core() -> dict[int, float]:
    """Seconds that each core has lost to the hypervisor so far; empty where nobody tells."""
    found: dict[int, float] = {}
    with contextlib.suppress(OSError, ValueError, IndexError):
        ticks_per_second = os.sysconf("SC_CLK_TCK")
        for line in _read("stat").splitlines()[1:]:
            if not line.startswith(b"cpu"):
                break  # the cores come first, after the sum of all
            name, *fields = line.split()
            found[int(name[3:])] = int(fields[_STEAL]) / ticks_per_second
    return found
