"""Who goes first where the load and its recording want one core: the load, whose starts may not wait."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

__all__ = ["PAUSE_SECONDS", "Precedence"]

_NICE = 10  # a tenth of a core that the load fills, twice what recording it takes
_MOST_WAITED_SECONDS = 0.2
_PIECE_SECONDS, PAUSE_SECONDS = 0.3e-3, 1e-3
"""Beside a load with moments to keep: what is done at a stretch, and how long it is at least left alone."""
_LONG_PAUSE_SECONDS, _SPREAD_SECONDS, _LATEST_SECONDS = 15e-3, 0.4, 0.8
"""How long it is left alone while there is time, how much of a second that is, and when none is left."""


class Precedence:
    """This process' place behind a load, that of all its threads.

    Beside a load that has moments to keep it runs in what the load leaves over (SCHED_IDLE, sched(7)), and in
    pieces: with a nice value alone it would first finish its slice of 1 to 4 ms. A load that leaves nothing
    over would bring it to a stand, so once it has waited too long, and beside a closed loop, it is no more
    than nice. The same where it could not come back (without CAP_SYS_NICE).
    """

    def __init__(self) -> None:
        self._usual_nice = os.getpriority(os.PRIO_PROCESS, 0)
        self._is_idle = self._is_scheduled = self._is_in_pieces = False
        self._busy_since = self._began = self._worked = self._paused_seconds = 0.0

    def give_way(self, *, is_scheduled: bool) -> None:
        """The load begins; `is_scheduled` when it has moments to keep."""
        _be_nice(self._usual_nice + _NICE)
        self._is_scheduled = is_scheduled
        signal.signal(signal.SIGALRM, self._pause)
        if is_scheduled and sys.platform == "linux" and _can_come_back():
            _schedule(os.SCHED_IDLE)
            self._is_idle = True

    @contextlib.contextmanager
    def in_pieces(self, *, is_behind: bool = False) -> Iterator[None]:
        """What the main thread does meanwhile, beside a load with moments to keep, it leaves every 0.3 ms.

        A load that never sleeps does not wake, which alone would take the core back at once: who is nice has
        it to the next tick, 4 ms as a rule, and no operation starts before. A call into C is not left.
        What a second brings would, in one go, take a tenth of the core for a sixth of it, which a load that
        fills nine tenths works off for longer: it is spread. What `is_behind`, for it waited for what was
        done last, is spread over what that has left: of several workers a second brings several messages.
        """
        if not self._is_scheduled:
            yield
            return
        self._is_in_pieces = True
        self._began, self._worked = time.perf_counter(), time.thread_time()
        self._paused_seconds = 0.0
        if not is_behind:
            self._busy_since = self._began
        self._next_piece()
        try:
            yield
        finally:
            self._is_in_pieces = False
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            self._look()

    def take_part(self) -> None:
        """The load has ended."""
        self._is_scheduled = False
        self._come_back()
        _be_nice(self._usual_nice)

    def _pause(self, *_: object) -> None:
        self._look()
        busy_seconds = time.perf_counter() - self._busy_since
        if busy_seconds > _LATEST_SECONDS:
            return  # the rest at a stretch: what is killed now should not lose more than it has to
        seconds = _LONG_PAUSE_SECONDS if busy_seconds < _SPREAD_SECONDS else PAUSE_SECONDS
        time.sleep(seconds)
        self._paused_seconds += seconds
        self._next_piece()

    def _look(self) -> None:
        """Come back where what is to be done has stood still for too long."""
        took = time.perf_counter() - self._began
        if took - (time.thread_time() - self._worked) - self._paused_seconds > _MOST_WAITED_SECONDS:
            self._come_back()

    def _next_piece(self) -> None:
        if self._is_in_pieces:
            signal.setitimer(signal.ITIMER_REAL, _PIECE_SECONDS)

    def _come_back(self) -> None:
        if self._is_idle and sys.platform == "linux":
            _schedule(os.SCHED_OTHER)
            self._is_idle = False


def _can_come_back() -> bool:
    """Tried by a thread, whose place is its own."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(_there_and_back).result()


def _there_and_back() -> bool:
    with contextlib.suppress(OSError):
        if sys.platform == "linux":
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            return True
    return False


def _be_nice(value: int) -> None:
    """Not everybody may lower it again."""
    for thread in _threads():
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, value)


def _schedule(policy: int) -> None:
    if sys.platform == "linux":
        for thread in _threads():
            with contextlib.suppress(ProcessLookupError):
                os.sched_setscheduler(thread, policy, os.sched_param(0))


def _threads() -> list[int]:
    """Each has a place of its own on Linux."""
    threads = Path("/proc/self/task")
    return [int(one.name) for one in threads.iterdir()] if threads.is_dir() else [0]
