"""One client's way through the schedule of its process."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from time import perf_counter

from amply_capacity.load.pacer import Pacer
from amply_capacity.traffic.arrivals import DayRate, SteadyRate

__all__ = ["Pace"]


class Pace:
    """Gives one intended start after the other, and counts those that the schedule wanted.

    The schedule runs on while the client waits for a reply: its starts are counted when they are due, not
    when the client gets round to them.
    """

    def __init__(self, schedule: SteadyRate | DayRate, pacer: Pacer, places: Iterator[float]) -> None:
        self._schedule, self._pacer, self._places = schedule, pacer, places
        self._began_at = self._position = self._last_drawn = schedule.position(perf_counter())
        self._ahead: deque[float] = deque()
        self._uncounted: deque[float] = deque()

    def next_start(self) -> float:
        """The next intended start, on `time.perf_counter`."""
        self._position = self._ahead.popleft() if self._ahead else self._draw()
        return self._schedule.moment(self._position)

    def start(self) -> float:
        """The intended start given last, which moves when the rate is changed meanwhile."""
        return self._schedule.moment(self._position)

    def wait(self) -> float:
        """Wait for the next intended start; that start."""
        due = self.next_start()
        while due > perf_counter():
            self._pacer.wait_until(due)
            due = self.start()
        return due

    def offered_until(self, moment: float) -> int:
        """How many starts were due before that moment, of those not counted yet."""
        limit = self._schedule.position(moment)
        while self._last_drawn < limit:
            self._ahead.append(self._draw())
        count = 0
        while self._uncounted and self._uncounted[0] < limit:
            self._uncounted.popleft()
            count += 1
        return count

    def _draw(self) -> float:
        self._last_drawn = drawn = self._began_at + next(self._places)
        self._uncounted.append(drawn)
        return drawn
