"""Wakes who waits at given moments, far more exactly than an event loop's timers do.

libev hands its time-outs to epoll in whole milliseconds, rounded up: sleeping until an intended start would
make it 0.5 ms late on average. Linux' timerfd wakes the same loop to some ten microseconds.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from time import perf_counter
from typing import Any

import gevent
from gevent import getcurrent

from amply_capacity.load.outbox import Outbox

__all__ = ["Pacer"]


_READ = 1
_CLOCK_MONOTONIC = 1  # the clock of perf_counter on Linux
_ABSOLUTE = 1
_NON_BLOCKING_CLOSED_ON_EXEC = 0o4000 | 0o2000000
_NEAR_SECONDS = 200e-6
"""About what setting a timer, sleeping and being woken cost, and how much slower all is after it (README)."""
_TURN_SECONDS = 50e-6
"""A turn of the loop with nothing to do takes less; in one that took more, something else was done."""


class Pacer:
    """Who waits in one process' event loop, by the moments at which they are due.

    Looked at once in each turn of the loop, before it waits for events. A loop that has nothing else to do is
    woken by a timer for the earliest; if that is near, it is kept awake, which `awake_seconds` adds up.
    Who is woken reads the moment of it from `now`. Close it when nobody waits any more.
    """

    def __init__(self) -> None:
        self._hub = gevent.get_hub()
        self._waiting: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = count()
        self._armed_for = 0.0
        self._is_waking = self._is_awake = False
        self._outbox = Outbox.of(self._hub)
        self._last_turn = perf_counter()
        self.awake_seconds = self.now = 0.0
        self._alarm = _alarm(self._hub.loop, self._rung)
        self._awake = self._hub.loop.idle()
        # After a turn's replies, and before gevent runs the greenlets that those woken may have spawned.
        self._before_wait = self._hub.loop.prepare(priority=self._hub.loop.MAXPRI)
        self._before_wait.start(self._wake)

    def at(self, due: float, wake: Callable[[], object]) -> None:
        """Call `wake` in the hub at `due`, of `time.perf_counter`, or when all are woken."""
        entry = (due, next(self._numbers), wake)
        waiting = self._waiting
        heappush(waiting, entry)
        if waiting[0] is entry and not self._is_waking:
            self._await(due, perf_counter())

    def wait_until(self, due: float) -> None:
        """Return at `due`, or when all are woken; at once when it has passed."""
        if due <= perf_counter():
            return
        waiting = [getcurrent()]

        def wake() -> None:
            if waiting:
                waiting[0].switch()

        self.at(due, wake)
        try:
            self._hub.switch()
        finally:
            waiting.clear()  # killed, maybe

    def wake_all(self) -> None:
        """Wake everybody now: the schedule has changed, and each looks anew when it is due."""
        self._waiting[:] = [(0.0, number, wake) for _, number, wake in self._waiting]
        self._hub.loop.run_callback(self._wake)

    def close(self) -> None:
        """Give the timer back."""
        self._before_wait.stop()
        self._awake.stop()
        self._alarm.close()

    def _wake(self) -> None:
        """Runs in the hub before each wait for events."""
        waiting, now = self._waiting, perf_counter()
        if self._is_awake:
            self._count_turn(now)
        self._is_waking = True
        while waiting and waiting[0][0] <= now:
            self.now = now
            while waiting and waiting[0][0] <= now:
                heappop(waiting)[2]()
            now = perf_counter()
        self._is_waking = False
        self._await(waiting[0][0] if waiting else 0.0, now)

    def _count_turn(self, now: float) -> None:
        outbox = self._outbox
        took = now - self._last_turn
        self._last_turn = now
        if outbox.is_used:
            outbox.is_used = False
        elif took < _TURN_SECONDS:
            self.awake_seconds += took

    def _rung(self) -> None:
        """Runs in the hub when the timer rings, maybe a moment too early; it rings until it is set anew."""
        self._armed_for = -1.0

    def _await(self, due: float, now: float) -> None:
        """Have the loop wake for that moment, 0 for none."""
        if 0.0 < due < now + _NEAR_SECONDS:
            if not self._is_awake:
                self._is_awake = True
                self._last_turn = now
                self._awake.start(_nothing)
            return
        if self._is_awake:
            self._is_awake = False
            self._awake.stop()
        if due != self._armed_for:
            self._armed_for = due
            self._alarm.set(due)


def _nothing() -> None:
    pass


class _TimerFd:
    """A timer of the kernel that makes a descriptor readable at an absolute moment."""

    def __init__(self, loop: Any, ring: Any, library: Any) -> None:
        self._descriptor = library.timerfd_create(_CLOCK_MONOTONIC, _NON_BLOCKING_CLOSED_ON_EXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._set = library.timerfd_settime
        self._times = (ctypes.c_long * 4)()  # an interval of none; the moment in seconds and nanoseconds
        self._watcher = loop.io(self._descriptor, _READ)
        self._watcher.start(ring)

    def set(self, moment: float) -> None:
        """Ring at that moment, at once if it has passed; 0 is never."""
        seconds = int(moment)
        self._times[2], self._times[3] = seconds, int((moment - seconds) * 1e9)
        self._set(self._descriptor, _ABSOLUTE, self._times, None)

    def close(self) -> None:
        self._watcher.stop()
        self._watcher.close()
        os.close(self._descriptor)


class _LoopTimer:
    """The event loop's own timer, where there is no timerfd."""

    def __init__(self, loop: Any, ring: Any) -> None:
        self._loop, self._ring = loop, ring
        self._timer = loop.timer(0.0)

    def set(self, moment: float) -> None:
        self.close()
        if not moment:
            return
        self._timer = self._loop.timer(max(moment - perf_counter(), 0.0))
        self._timer.start(self._ring)

    def close(self) -> None:
        self._timer.stop()
        self._timer.close()


def _alarm(loop: Any, ring: Any) -> _TimerFd | _LoopTimer:
    if sys.platform == "linux":
        try:
            return _TimerFd(loop, ring, ctypes.CDLL(None, use_errno=True))
        except (OSError, AttributeError):  # a C library or kernel without it
            pass
    return _LoopTimer(loop, ring)
