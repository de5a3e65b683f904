"""The intended starts of a process' clients: one sequence, of which who is free takes the next."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice
from math import inf
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from amply_capacity.load.reactor import Reactor
from amply_capacity.traffic.arrivals import DayRate, SteadyRate

__all__ = ["Entry", "Pace"]

_LOOK_AHEAD, _MOST_KEPT = 256, 4096
_DRAWN_TOGETHER, _BLOCK = 512, 64
"""Starts of all clients that are drawn at once, and of one: one by one, with fifty clients, a start took a
twentieth of an operation (README)."""
_MOST_AHEAD = _DRAWN_TOGETHER + 2 * _BLOCK
"""Of one client's starts: of one client alone some 600 are drawn beyond now, of many some few."""


class Entry:
    """What one client adds to the schedule; given back to `pace.leave` when the client ends."""

    __slots__ = ("_began_at", "_places", "ahead", "last", "pace")

    def __init__(self, pace: Pace, began_at: float, places: Iterator[float]) -> None:
        self.pace, self._began_at, self._places = pace, began_at, places
        self.ahead = np.empty(0)
        """Positions drawn last: all that are still to come, and maybe some that have passed."""
        self.last = -inf
        """The last position drawn."""

    def draw(self) -> NDArray[np.float64]:
        """Its next positions, in order."""
        block = self._began_at + np.fromiter(islice(self._places, _BLOCK), np.float64, _BLOCK)
        self.ahead = np.concatenate([self.ahead, block])[-_MOST_AHEAD:]
        self.last = float(block[-1])
        return block


class Pace:
    """Gives one intended start after the other, and counts those that the schedule wanted.

    The schedule runs on while all clients wait for replies: its starts are counted when they are due, not
    when somebody gets round to them. They are not a client's own: who is free takes the next, as the workers
    of an application take requests, and none waits for a busy client while others have nothing to do. Where
    the schedule's rate is changed, `reschedule` has to be called. `clients` is how many will share it, as far
    as known.
    """

    def __init__(self, schedule: SteadyRate | DayRate, reactor: Reactor, clients: int = 1) -> None:
        self._schedule, self._reactor = schedule, reactor
        self._step = max(_DRAWN_TOGETHER / clients, 1.0)
        self._entries: list[Entry] = []
        self._drawn_to = schedule.position(perf_counter())
        self._beyond = np.empty(0)
        """What clients have drawn beyond that, in no order."""
        # Sorted positions, no objects: those of a second are many.
        self._to_give, self._to_count = array("d"), array("d")
        self._given = 0
        """How many of `_to_give` were given."""
        self._moments: list[float] = []
        """Of the starts to be given next, the next one last."""

    @property
    def is_empty(self) -> bool:
        """Whether no client is left."""
        return not self._entries

    @property
    def position(self) -> float:
        """Of the start given last, until the next one is given; see `moment`."""
        return self._to_give[self._given - 1]

    def enter(self, places: Iterator[float], begins: float) -> Entry:
        """A client begins at that moment, of `time.perf_counter`: where its starts lie from then on."""
        entry = Entry(self, self._schedule.position(begins), places)
        self._entries.append(entry)
        drawn = self._drawn([entry])
        if drawn.size:
            for starts, first in self._to_come(-inf):
                _renew(starts, first, np.sort(np.concatenate([starts[first:], drawn])))
        return entry

    def leave(self, entry: Entry) -> None:
        """A client has ended: what it had wanted from now on, nobody starts."""
        now = self._schedule.position(perf_counter())
        self._draw_to(now)
        self._entries.remove(entry)
        gone = entry.ahead[entry.ahead > now]
        self._beyond = _without(self._beyond, gone)
        for starts, first in self._to_come(now):
            _renew(starts, first, _without(np.array(starts[first:]), gone))

    def next_start(self) -> float:
        """The next intended start, on `time.perf_counter`, which is the caller's then."""
        if not self._moments:
            self._look_ahead()
        self._given += 1
        return self._moments.pop()

    def moment(self, position: float) -> float:
        """When the schedule gets to that position, which moves when its rate is changed."""
        return self._schedule.moments([position])[0]

    def reschedule(self) -> None:
        """The schedule's rate has changed."""
        self._moments.clear()

    def wait(self) -> float:
        """Wait for the next intended start; that start."""
        due, position = self.next_start(), self.position
        while due > perf_counter():
            self._reactor.wait_until(due)
            due = self.moment(position)
        return due

    def offered_until(self, moment: float) -> int:
        """How many starts were due before that moment, of those not counted yet."""
        limit = self._schedule.position(moment)
        self._draw_to(limit)
        count = bisect_left(self._to_count, limit)
        del self._to_count[:count]
        return count

    def _look_ahead(self) -> None:
        while self._given == len(self._to_give):
            self._draw()
        if self._given > max(_MOST_KEPT, len(self._to_give) // 2):  # of an overload, millions may be to come
            del self._to_give[:self._given]
            self._given = 0
        self._moments = self._schedule.moments(self._to_give[self._given:self._given + _LOOK_AHEAD])[::-1]

    def _draw_to(self, limit: float) -> None:
        while self._drawn_to < limit and self._entries:
            self._draw()

    def _draw(self) -> None:
        """No further than is needed: who enters later has to be sorted in."""
        self._drawn_to += self._step
        starts = self._drawn(self._entries).tobytes()
        self._to_give.frombytes(starts)
        self._to_count.frombytes(starts)

    def _drawn(self, entries: Sequence[Entry]) -> NDArray[np.float64]:
        """What these want up to where all have been drawn, in order."""
        blocks = [self._beyond]
        for entry in entries:
            while entry.last <= self._drawn_to:
                blocks.append(entry.draw())
        drawn = np.concatenate(blocks)
        is_within = drawn <= self._drawn_to
        self._beyond = drawn[~is_within]
        return np.sort(drawn[is_within])

    def _to_come(self, after: float) -> list[tuple[array[float], int]]:
        """The starts still to be given, and to be counted, each with the place of the first after that."""
        self._moments.clear()
        return [(self._to_give, bisect_right(self._to_give, after, self._given)),
                (self._to_count, bisect_right(self._to_count, after))]


def _without(starts: NDArray[np.float64], gone: NDArray[np.float64]) -> NDArray[np.float64]:
    return starts[~np.isin(starts, gone)]


def _renew(starts: array[float], first: int, wanted: NDArray[np.float64]) -> None:
    """Put these in place of all from the first on."""
    del starts[first:]
    starts.frombytes(wanted.tobytes())
