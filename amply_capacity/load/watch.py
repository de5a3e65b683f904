"""A generator process' eye on itself: its CPU, its wait for a CPU, and the lag of its event loop."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import gevent

from amply_capacity.load.campaign import Campaign
from amply_capacity.load.cpu_wait import StolenTime, run_queue_seconds

__all__ = ["Watch"]

_TICK_SECONDS = 0.05


class Watch:
    """Notes an event `load` for every Unix second of this process, from the call on until it is killed.

    Its figures: `second`; `seconds`, the time that it covers, more than 1 where the loop stood still beyond
    the second's end; `cpu_percent` of a core, all threads, without `awake_percent`, in which the loop was
    only kept awake for the next start; `wait_percent`, ready to run but without a CPU; `stolen_percent`, its
    core's that the hypervisor gave to others; `lag_ms`, the longest delay of a timer; `pid`; `role`: alone,
    master or worker; `worker`, its share.
    """

    def __init__(self, campaign_now: Callable[[], Campaign | None], role: str) -> None:
        self._campaign_now, self._role = campaign_now, role
        self._stolen = StolenTime()
        self.worker: int | None = None
        """The share of the population that this process plays, as a worker."""

    def run(self) -> None:
        """Watch until the greenlet is killed."""
        self._wait_until(float(int(time.time()) + 1))
        self._stolen.seconds()
        ticks = _Ticks()
        try:
            while True:
                self._one_second(ticks)
        finally:
            ticks.close()

    def _one_second(self, ticks: _Ticks) -> None:
        second = int(time.time())
        began, cpu, waited = time.perf_counter(), time.process_time(), run_queue_seconds()
        awake = self._awake_seconds()
        lag_seconds = max(self._wait_until(float(second + 1)), ticks.latest_seconds())
        elapsed = time.perf_counter() - began
        awake = max(self._awake_seconds() - awake, 0.0)
        detail = {"second": second, "seconds": round(elapsed, 3), "pid": os.getpid(), "role": self._role,
                  "cpu_percent": round(100.0 * max(time.process_time() - cpu - awake, 0.0) / elapsed, 2),
                  "awake_percent": round(100.0 * awake / elapsed, 2),
                  "lag_ms": round(1000.0 * lag_seconds, 3)}
        waited_now = run_queue_seconds()
        if waited is not None and waited_now is not None:
            detail["wait_percent"] = round(100.0 * (waited_now - waited) / elapsed, 2)
        stolen = self._stolen.seconds()
        if stolen is not None:
            detail["stolen_percent"] = round(100.0 * stolen / elapsed, 2)
        if self.worker is not None:
            detail["worker"] = self.worker
        campaign = self._campaign_now()
        if campaign is not None:
            campaign.recorder.event("generator", "load", **detail)

    def _awake_seconds(self) -> float:
        campaign = self._campaign_now()
        return 0.0 if campaign is None else campaign.awake_seconds

    def _wait_until(self, time_s: float) -> float:
        """Sleep until then; how much later it became, s. A moment that has passed is no lag of this sleep."""
        pause = time_s - time.time()
        if pause <= 0.0:
            return 0.0
        began = time.perf_counter()
        gevent.sleep(pause)
        return max(time.perf_counter() - began - pause, 0.0)


class _Ticks:
    """A timer that rings in the loop every 50 ms, and how late at most.

    With a greenlet that sleeps each time, a process that has nothing to do took a sixth more CPU.
    """

    def __init__(self) -> None:
        self._latest_seconds = 0.0
        self._due = time.perf_counter() + _TICK_SECONDS
        self._timer = gevent.get_hub().loop.timer(_TICK_SECONDS, _TICK_SECONDS)
        self._timer.start(self._rung, update=True)

    def latest_seconds(self) -> float:
        """Since the last call."""
        latest_seconds, self._latest_seconds = self._latest_seconds, 0.0
        return latest_seconds

    def close(self) -> None:
        """Ring no more."""
        self._timer.stop()
        self._timer.close()

    def _rung(self) -> None:
        now = time.perf_counter()
        self._latest_seconds = max(self._latest_seconds, now - self._due)
        self._due = max(self._due + _TICK_SECONDS, now)  # libev rings once for all that it missed, and again
