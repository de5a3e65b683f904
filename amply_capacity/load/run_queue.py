"""How long a process has waited for a CPU: what its neighbours cost it."""

from __future__ import annotations

import contextlib
from pathlib import Path

__all__ = ["run_queue_seconds"]

_PROCESSES = Path("/proc")


def run_queue_seconds(pid: int | None = None) -> float | None:
    """How long the main thread has waited on a run queue so far, ready to run; None where nobody tells.

    Of this process without a pid, whose main thread is the one in which gevent runs. Second field of
    /proc/PID/schedstat, ns (Documentation/scheduler/sched-stats.rst).
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int((_PROCESSES / str(pid or "self") / "schedstat").read_bytes().split()[1]) / 1e9
    return None
