"""What the hypervisor took of this machine's cores, second by second: no generator is on time in those."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping

from amply_capacity.load.cpu_wait import stolen_by_core

__all__ = ["watched_cores"]


@contextlib.contextmanager
def watched_cores() -> Iterator[Mapping[int, float]]:
    """Seconds that all cores together lost, by Unix second, as it goes on; to a tick, 10 ms as a rule."""
    lost: dict[int, float] = {}
    is_over = threading.Event()

    def watch() -> None:
        before = sum(stolen_by_core().values())
        while not is_over.wait(1.0 - time.time() % 1.0):
            now = sum(stolen_by_core().values())
            lost[round(time.time()) - 1] = now - before  # it wakes a moment too early, too
            before = now

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lost
    finally:
        is_over.set()
        watcher.join()
