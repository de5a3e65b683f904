"""Serves a process' connections, and who waits for a moment, in many quick turns within one of gevent's loop.

A turn of gevent's loop looks at all that libev has, and each reply and each watcher is a call from C. Here an
epoll of its own names all replies at once, and while something is to do the loop is left for a moment now and
then only.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count, pairwise
from time import perf_counter
from typing import Any, Protocol

from gevent import getcurrent

from amply_capacity.load.alarm import LoopTimer, TimerFd
from amply_capacity.load.readiness import Epoll, LoopWatchers
from amply_capacity.load.replies import parser
from amply_capacity.load.stamps import StampedSocket

__all__ = ["BUFFER_BYTES", "Reactor", "Served"]

_ATTRIBUTE = "amply_reactor"
BUFFER_BYTES = 65536
_MOST_EVENTS = 256
_AT_A_STRETCH_SECONDS = 1e-3
"""What else the process does (Locust's own greenlets, time-outs) waits as long at most."""
_NEAR_SECONDS = 200e-6
"""About what setting a timer, sleeping and being woken cost, and how much slower all is after it (README)."""
_FEW, _EVERY, _NEAR_TOGETHER_SECONDS = 8, 8, 100e-6
"""A reply is not stamped where it is known well enough when it came: between two looks close together, or, in
a turn of more than a few, of which every eighth is stamped, between two of these (README)."""
_Seen = tuple[list[tuple[int, int]], float, float]
"""What has come between two looks, the moment before the first of it came by about a step, and that step from
one to the next; 0 where only a stamp can tell."""
_NOTHING: _Seen = [], 0.0, 0.0


class Served(Protocol):
    """A connection, as the reactor sees it."""

    answer: Callable[[Any], None] | None
    """Who waits for a reply; None when nobody does, or it was closed meanwhile."""
    is_single: bool
    """Whether what comes is a reply to one command, from its first byte on, that nobody has to decrypt."""
    receive: Callable[[bytearray], int]
    receive_unstamped: Callable[[bytearray], int]
    """Without noting when it arrived, for a sixth of an operation less."""
    stamps: StampedSocket | None
    sent: float
    answered: float

    def leave(self, packed: bytes) -> None: ...
    def take(self, events: int) -> None: ...
    def take_more(self, count: int) -> None: ...
    def end(self, error: OSError) -> None: ...


class Reactor:
    """One event loop's connections, what they are to send, and who is due when.

    A turn wakes who is due, sends what was put into `add` since the last, and calls who has bytes to read: on
    loopback a command that is sent alone wakes the server for itself, which is most of what sending costs;
    sent in a row, the first wakes it for all. What a connection then puts into `hand`, itself and a reply, is
    delivered when all have been read, and who puts itself into `follow` is called when all are delivered: in
    stages, each of the same lines for all, a turn takes 4 to 9 % less than client by client (README).

    A loop that has nothing else to do is woken by a timer for the earliest start; if that is near, it is kept
    awake, which `awake_seconds` adds up. Who is woken reads the moment of it from `now`. `buffer` is what all
    connections read into, one after the other.
    """

    def __init__(self, hub: Any) -> None:
        loop = hub.loop
        self._hub, self._loop, self._pid = hub, loop, os.getpid()
        self.buffer = bytearray(BUFFER_BYTES)
        self.awake_seconds = self.now = 0.0
        self._is_stamped = False
        self._looked = 0.0
        """When it was last seen what had come."""
        self._waiting: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = count()
        self._leaving: list[tuple[Served, bytes]] = []
        self._replies: list[tuple[Served, Any]] = []
        self._following: list[Callable[[], object]] = []
        self.add, self.hand = self._leaving.append, self._replies.append
        self.follow = self._following.append
        self._watched: set[int] = set()
        self._called: dict[int, Callable[[int], object]] = {}
        self._connections: dict[int, Served] = {}
        self._renew_parser()
        self._is_serving = self._is_awake = False
        self._armed_for = 0.0
        self._idle = loop.idle()
        is_linux = sys.platform == "linux"
        self._events: Epoll | LoopWatchers = Epoll(loop) if is_linux else LoopWatchers(loop)
        self._alarm: TimerFd | LoopTimer = (
            TimerFd(self.watch, self._rung) if is_linux else LoopTimer(loop, self._rung))
        # The last thing before a wait: gevent runs what was spawned there too, and that may send as well.
        self._before_wait = loop.prepare(priority=loop.MINPRI)
        self._before_wait.start(self._serve)
        loop.run_callback(_nothing)  # a watcher started while its like are run waits for the next turn

    @classmethod
    def of(cls, hub: Any) -> Reactor:
        """The reactor of that hub's loop in this process, made when first asked for."""
        reactor: Reactor | None = getattr(hub, _ATTRIBUTE, None)
        if reactor is not None and reactor._pid != os.getpid():  # forked: both would share one epoll
            reactor.close()
            reactor = None
        if reactor is None:
            reactor = cls(hub)
            setattr(hub, _ATTRIBUTE, reactor)
        return reactor

    def watch(self, descriptor: int, events: int, call: Callable[[int], object]) -> None:
        """Call in the hub with what has come of `READ` and `WRITE`, or of the end, as long as it is there."""
        if descriptor in self._watched:
            self._events.modify(descriptor, events)
        else:
            self._watched.add(descriptor)
            self._events.register(descriptor, events)
        self._called[descriptor] = call

    def serve(self, descriptor: int, events: int, connection: Served) -> None:
        """Watch it for that connection, whose replies are taken together with all others'."""
        self.watch(descriptor, events, connection.take)
        self._is_stamped = self._is_stamped or connection.stamps is not None
        self._connections[descriptor] = connection

    def forget(self, descriptor: int) -> None:
        """Watch it no longer, if it is watched; before it is closed."""
        if descriptor in self._watched:
            self._watched.remove(descriptor)
            self._connections.pop(descriptor, None)
            self._called[descriptor] = _not_watched  # of a turn that goes on it may be called yet
            self._events.unregister(descriptor)

    def at(self, due: float, wake: Callable[[], object]) -> None:
        """Call `wake` in the hub at `due`, of `time.perf_counter`, or when all are woken."""
        entry = (due, next(self._numbers), wake)
        waiting = self._waiting
        heappush(waiting, entry)
        if not self._is_serving and waiting[0] is entry:
            self._rest(perf_counter())

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
        self._loop.run_callback(_nothing)  # gevent's loop goes round once more

    def close(self) -> None:
        """Serve nobody any more."""
        self._before_wait.stop()
        self._idle.stop()
        self._alarm.close()
        self._events.close()

    def _serve(self) -> None:
        """Runs in the hub before each wait of gevent's loop: turns, until nothing is to do or others wait."""
        waiting, leaving = self._waiting, self._leaving
        replies, following = self._replies, self._following
        look, others = self._look, self._loop._callbacks
        self._is_serving = True
        began = now = perf_counter()
        try:
            while True:
                self.now = now
                while waiting and waiting[0][0] <= now:
                    heappop(waiting)[2]()
                is_idle = not leaving
                take, early = self._take, _NOTHING
                if leaving:
                    if self._is_stamped and len(leaving) > _FEW:
                        # What came since the last turn came long before what will be asked now, and epoll
                        # keeps the order only of those that it has seen to have nothing since.
                        take, early = self._take_some_stamped, look()
                    sent = leaving[:]
                    leaving.clear()
                    for connection, packed in sent:
                        connection.leave(packed)
                    if early[0]:
                        take(*early)
                seen = look()
                ready = seen[0]
                if ready:
                    take(*seen)
                if replies:
                    handed = replies[:]
                    replies.clear()
                    for connection, reply in handed:
                        answer = connection.answer
                        if answer is not None:
                            connection.answer = None
                            answer(reply)
                if following:
                    followers = following[:]
                    following.clear()
                    for go_on in followers:
                        go_on()
                if not ready and not (waiting and waiting[0][0] < now + _NEAR_SECONDS):
                    break
                before, now = now, perf_counter()
                if is_idle and not ready:
                    self.awake_seconds += now - before
                if others or now - began >= _AT_A_STRETCH_SECONDS:
                    break
        finally:
            self._is_serving = False
            self._rest(now)

    def _look(self) -> _Seen:
        ready = self._events.poll(0, _MOST_EVENTS)
        before, self._looked = self._looked, perf_counter()
        between = self._looked - before
        if not ready or between > _NEAR_TOGETHER_SECONDS:
            return ready, before, 0.0
        step = between / len(ready)
        return ready, before - step / 2.0, step

    def _take_some_stamped(self, ready: list[tuple[int, int]], moment: float, step: float) -> None:
        """Take what has come, in its order: most without its stamp, for it came between two that have one, or
        all, where the step is known."""
        if step:
            self._take(ready, moment, step)
            return
        marks = [*range(0, len(ready) - 1, _EVERY), len(ready) - 1]
        self._take([ready[mark] for mark in marks], 0.0, 0.0)
        for before, after in pairwise(marks):
            if after - before > 1:
                since, until = self._arrived(ready[before]), self._arrived(ready[after])
                is_near = 0.0 < since <= until < since + _NEAR_TOGETHER_SECONDS
                self._take(ready[before + 1:after], since,
                           (until - since) / (after - before) if is_near else 0.0)

    def _arrived(self, event: tuple[int, int]) -> float:
        """When the reply that was just taken arrived; 0 where none did, or nobody knows when."""
        connection = self._connections.get(event[0])
        if connection is None or connection.stamps is None or connection.answered < connection.sent:
            return 0.0
        return connection.answered

    def _take(self, ready: list[tuple[int, int]], moment: float, step: float) -> None:
        """Take what has come. One parser for all whose reply is whole, as most are, stays in the cache.

        With a step they are not stamped: each arrived about so much later than the one before, the first than
        the moment.
        """
        called, connections, buffer, hand = self._called, self._connections, self.buffer, self.hand
        feed, gets, has_more = self._parse
        for descriptor, events in ready:
            moment += step
            connection = connections.get(descriptor)
            if connection is None or not connection.is_single or connection.answer is None:
                called[descriptor](events)
                continue
            try:
                receive = connection.receive_unstamped if step else connection.receive
                count = receive(buffer)
                feed(buffer, 0, count)
                reply = gets()
            except BlockingIOError:
                continue
            except OSError as error:
                feed, gets, has_more = self._renew_parser()
                connection.end(error)
                continue
            stamps = connection.stamps
            if reply is False or count == BUFFER_BYTES or has_more():
                feed, gets, has_more = self._renew_parser()
                if step and stamps is not None:
                    stamps.forget()
                connection.take_more(count)
                continue
            if stamps is None:
                connection.answered = perf_counter()
            else:
                connection.answered = max(moment if step else stamps.arrived(), connection.sent)
            hand((connection, reply))

    def _renew_parser(self) -> tuple[Callable[..., None], Callable[[], Any], Callable[[], bool]]:
        made = parser()
        self._parse = made.feed, made.gets, made.has_data
        return self._parse

    def _rest(self, now: float) -> None:
        """Have gevent's loop go round at once, or wake for the next who is due."""
        due = self._waiting[0][0] if self._waiting else 0.0
        if self._leaving or self._loop._callbacks or 0.0 < due < now + _NEAR_SECONDS:
            if not self._is_awake:
                self._is_awake = True
                self._idle.start(_nothing)
            return
        if self._is_awake:
            self._is_awake = False
            self._idle.stop()
        if due != self._armed_for:
            self._armed_for = due
            self._alarm.set(due)

    def _rung(self) -> None:
        """Runs in the hub when the timer rings, maybe a moment too early."""
        self._armed_for = -1.0


def _nothing() -> None:
    pass


def _not_watched(_events: int) -> None:
    pass
