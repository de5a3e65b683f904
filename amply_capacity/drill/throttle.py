"""Gives a process a share of its time: it runs for a moment, and stands still for the rest of each period.

A program of its own, `python -m amply_capacity.drill.throttle PID SHARE`: when its stdin ends, also because
whoever started it was killed, the process runs on.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys

__all__ = ["main"]

_PERIOD_SECONDS = 0.1
"""Far below what a Sentinel or a shard waits before it thinks a server is lost."""


def main(arguments: list[str]) -> int:
    """Throttle until stdin ends or the process does."""
    pid, share = int(arguments[0]), float(arguments[1])
    try:
        while True:
            os.kill(pid, signal.SIGSTOP)
            if _has_ended(_PERIOD_SECONDS * (1.0 - share)):
                return 0
            os.kill(pid, signal.SIGCONT)
            if _has_ended(_PERIOD_SECONDS * share):
                return 0
    except ProcessLookupError:
        return 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _has_ended(seconds: float) -> bool:
    """Wait; whether stdin ended meanwhile."""
    return bool(select.select([sys.stdin], [], [], seconds)[0])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
