"""One client's way through the schedule of its process."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from itertools import islice
from time import perf_counter

from amply_capacity.load.reactor import Reactor
from amply_capacity.traffic.arrivals import DayRate, SteadyRate

__all__ = ["Pace"]

_BLOCK = 64


class Pace:
    """Gives one intended start after the other, and counts those that the schedule wanted.

    The schedule runs on while the client waits for a reply: its starts are counted when they are due, not
    when the client gets round to them. Where its rate is changed, `reschedule` has to be called.
    """

    def __init__(self, schedule: SteadyRate | DayRate, reactor: Reactor, places: Iterator[float]) -> None:
        self._schedule, self._reactor, self._places = schedule, reactor, places
        self._began_at = schedule.position(perf_counter())
        self._positions = array("d")
        """Of the start given last, and of all that are still to be given or counted, in order.

        No objects, for those of a second are dropped at once.
        """
        self._moments: list[float] = []
        """Of the starts to be given next, the next one last."""
        self._given = self._counted = 0

    def next_start(self) -> float:
        """The next intended start, on `time.perf_counter`."""
        if not self._moments:
            self._look_ahead()
        self._given += 1
        return self._moments.pop()

    def start(self) -> float:
        """The intended start given last, which moves when the rate is changed meanwhile."""
        return self._schedule.moments(self._positions[self._given - 1:self._given])[0]

    def reschedule(self) -> None:
        """The schedule's rate has changed."""
        self._moments.clear()

    def wait(self) -> float:
        """Wait for the next intended start; that start."""
        due = self.next_start()
        while due > perf_counter():
            self._reactor.wait_until(due)
            due = self.start()
        return due

    def offered_until(self, moment: float) -> int:
        """How many starts were due before that moment, of those not counted yet."""
        limit = self._schedule.position(moment)
        while not self._positions or self._positions[-1] < limit:
            self._draw()
        reached = bisect_left(self._positions, limit, self._counted)
        count = reached - self._counted
        passed = max(min(self._given - 1, reached), 0)
        del self._positions[:passed]
        self._given, self._counted = self._given - passed, reached - passed
        return count

    def _look_ahead(self) -> None:
        if self._given == len(self._positions):
            self._draw()
        self._moments = self._schedule.moments(self._positions[self._given:self._given + _BLOCK])[::-1]

    def _draw(self) -> None:
        began = self._began_at
        self._positions.extend([began + place for place in islice(self._places, _BLOCK)])
