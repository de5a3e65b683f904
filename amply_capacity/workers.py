"""Processes beside this one, for work that takes more than a core; none of them outlives it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, connection, get_context, parent_process

__all__ = ["cores", "workers"]


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def workers(number: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of so many, started as work comes; where the block is broken off, so is their work.

    Submit to it and do not map: a map cancels what is waiting, and a pool whose workers are then ended dies
    of it with a traceback of its own.
    """
    others = set(active_children())
    with ProcessPoolExecutor(number, get_context("spawn"), _attach) as pool:
        try:
            yield pool
        except BaseException:
            for worker in set(active_children()) - others:
                worker.terminate()
            raise


def _attach() -> None:
    """Interrupts are for the process that gave the work; where that is gone, so is the worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
