"""One alarm that wakes an event loop at a moment of `time.perf_counter`.

libev hands its time-outs to epoll in whole milliseconds, rounded up: sleeping until an intended start would
make it 0.5 ms late on average. Linux' timerfd wakes the same loop to some ten microseconds.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from time import perf_counter
from typing import Any

from amply_capacity.load.readiness import READ

__all__ = ["LoopTimer", "TimerFd"]

_CLOCK_MONOTONIC = 1  # the clock of perf_counter on Linux
_ABSOLUTE = 1
_EXPIRATIONS_BYTES = 8
_NON_BLOCKING_CLOSED_ON_EXEC = 0o4000 | 0o2000000


class TimerFd:
    """A timer of the kernel that makes a descriptor readable at an absolute moment."""

    def __init__(self, watch: Callable[[int, int, Callable[[int], object]], None],
                 ring: Callable[[], object]) -> None:
        self._ring = ring
        library = ctypes.CDLL(None, use_errno=True)
        self._descriptor = library.timerfd_create(_CLOCK_MONOTONIC, _NON_BLOCKING_CLOSED_ON_EXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._set = library.timerfd_settime
        self._times = (ctypes.c_long * 4)()  # an interval of none; the moment in seconds and nanoseconds
        watch(self._descriptor, READ, self._rang)

    def set(self, moment: float) -> None:
        """Ring at that moment, at once if it has passed; 0 is never."""
        seconds = int(moment)
        self._times[2], self._times[3] = seconds, int((moment - seconds) * 1e9)
        self._set(self._descriptor, _ABSOLUTE, self._times, None)

    def close(self) -> None:
        """Give it back."""
        os.close(self._descriptor)

    def _rang(self, _: int) -> None:
        os.read(self._descriptor, _EXPIRATIONS_BYTES)  # else it stays readable
        self._ring()


class LoopTimer:
    """The event loop's own timer, where there is no timerfd."""

    def __init__(self, loop: Any, ring: Callable[[], object]) -> None:
        self._loop, self._ring = loop, ring
        self._timer = loop.timer(0.0)

    def set(self, moment: float) -> None:
        """As a timerfd's."""
        self.close()
        if moment:
            self._timer = self._loop.timer(max(moment - perf_counter(), 0.0))
            self._timer.start(self._ring)

    def close(self) -> None:
        """As a timerfd's."""
        self._timer.stop()
        self._timer.close()
