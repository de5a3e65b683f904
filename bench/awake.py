"""A core that never halts, so that what is measured on it is not what halting costs.

A virtual core that has nothing to do is handed back to the host, and to wake it takes a trip through the
hypervisor, whose time the guest's kernel charges to whoever runs then. On a shared host that differs by half
from minute to minute. A process of the lowest scheduling class keeps the core: anything else comes before it,
of other sessions too, which Linux else gives a share each (autogroups).
Started as `python -m bench.awake CORE`.
"""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from amply_capacity.target.process import die_with

__all__ = ["awake"]

_LEAST_SHARE = "19"  # as the nice value of the whole session


@contextlib.contextmanager
def awake(core: int) -> Iterator[None]:
    """Keep the core from halting meanwhile."""
    process = subprocess.Popen([sys.executable, "-m", "bench.awake", str(core)],
                               start_new_session=True, preexec_fn=functools.partial(die_with, os.getpid()))
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _spin(core: int) -> None:
    os.sched_setaffinity(0, {core})
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with contextlib.suppress(OSError):  # a kernel without them
        Path("/proc/self/autogroup").write_text(_LEAST_SHARE)
    while True:
        pass


if __name__ == "__main__":
    _spin(int(sys.argv[1]))
