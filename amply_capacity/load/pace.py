"""The intended starts of a process' clients: one sequence, of which who is free takes the next."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from time import perf_counter

from amply_capacity.load.reactor import Reactor
from amply_capacity.traffic.arrivals import DayRate, SteadyRate

__all__ = ["Entry", "Pace"]

_LOOK_AHEAD, _MOST_KEPT = 64, 4096
_MOST_AHEAD = 256
"""Of one client's starts: of one client alone some 128 are drawn beyond now, of many some few."""


class Entry:
    """What one client adds to the schedule; given back to `pace.leave` when the client ends."""

    __slots__ = ("_began_at", "_places", "_position", "ahead", "pace")

    def __init__(self, pace: Pace, began_at: float, places: Iterator[float]) -> None:
        self.pace, self._began_at, self._places = pace, began_at, places
        self._position = began_at + next(places)  # drawn now: what follows draws on the same seed
        self.ahead: list[float] = []
        """Positions drawn last: all that are still to come, and maybe some that have passed."""

    def draw(self, limit: float) -> list[float]:
        """Its positions up to the limit, of those not drawn yet."""
        drawn, position = [], self._position
        while position <= limit:
            drawn.append(position)
            position = self._began_at + next(self._places)
        self._position = position
        self.ahead += drawn
        del self.ahead[:-_MOST_AHEAD]
        return drawn


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
        self._step = max(_LOOK_AHEAD / clients, 1.0)
        self._entries: list[Entry] = []
        self._drawn_to = schedule.position(perf_counter())
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
        drawn = entry.draw(self._drawn_to)
        if drawn:
            self._replace([*self._to_give[self._given:], *drawn], [*self._to_count, *drawn])
        return entry

    def leave(self, entry: Entry) -> None:
        """A client has ended: what it had wanted from now on, nobody starts."""
        now = self._schedule.position(perf_counter())
        self._draw_to(now)
        self._entries.remove(entry)
        gone = {position for position in entry.ahead if position > now}
        if gone:
            self._replace((one for one in self._to_give[self._given:] if one not in gone),
                          (one for one in self._to_count if one not in gone))

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
        if self._given > _MOST_KEPT:
            del self._to_give[:self._given]
            self._given = 0
        self._moments = self._schedule.moments(self._to_give[self._given:self._given + _LOOK_AHEAD])[::-1]

    def _draw_to(self, limit: float) -> None:
        while self._drawn_to < limit and self._entries:
            self._draw()

    def _draw(self) -> None:
        """No further than is needed: who enters later has to be sorted in."""
        self._drawn_to += self._step
        drawn = [position for entry in self._entries for position in entry.draw(self._drawn_to)]
        drawn.sort()
        self._to_give.extend(drawn)
        self._to_count.extend(drawn)

    def _replace(self, to_give: Iterable[float], to_count: Iterable[float]) -> None:
        self._to_give, self._to_count = array("d", sorted(to_give)), array("d", sorted(to_count))
        self._given = 0
        self._moments.clear()
