"""Plays a client's operations from within the event loop, without a switch to its greenlet for each reply.

Two switches of greenlets a command, and what leads to them, are a third of what Python spends on it. A task
of a user's own needs its greenlet; those that play the application's operations do not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from random import Random
from time import perf_counter
from typing import Any, Protocol

import gevent
from gevent import getcurrent

from amply_capacity.load.client import Connection
from amply_capacity.load.labels import Labels
from amply_capacity.load.pace import Pace
from amply_capacity.load.player import Player
from amply_capacity.load.reactor import Reactor
from amply_capacity.traffic.operation import Operation, Pipeline, Step

__all__ = ["RUNNING", "STOPPING", "WAITING", "Lane", "Rider"]

RUNNING, WAITING, STOPPING = "running", "waiting", "stopping"
"""Locust's states of a user (locust.user.task), without importing it, which patches the standard library."""


class Rider(Protocol):
    """The Locust user whose tasks a lane plays."""

    _state: Any
    tasks: list[Any]
    playable: Mapping[Any, tuple[Labels, Callable[[], Operation]]]
    """Labels and maker of the tasks' operations, of those tasks that are no more than one."""
    random: Random
    pace: Pace | None
    think_seconds: float
    quota: int | None
    intended: float | None


class Lane:
    """One client's tasks, one after the other, while its greenlet waits in `run`.

    The rest runs in the hub, called by the connection and the reactor. What returns a bool says whether
    something is waited for; where not, the greenlet goes on, with the task that only it can play or None.
    """

    __slots__ = (
        "_answer", "_connection", "_due_at", "_fail", "_follow", "_handed", "_hub", "_is_paced", "_left",
        "_next", "_playable", "_player", "_position", "_queue", "_random", "_reactor", "_rider", "_start",
        "_task", "_tasks", "_waiter")

    def __init__(self, rider: Rider, player: Player, connection: Connection, reactor: Reactor) -> None:
        self._rider, self._player, self._connection, self._reactor = rider, player, connection, reactor
        self._is_paced = rider.pace is not None or rider.think_seconds > 0.0 or rider.quota is not None
        self._hub = gevent.get_hub()
        self._waiter: Any = None
        self._tasks, self._playable = rider.tasks, rider.playable
        # Bound once, not for each command.
        self._random, self._follow = rider.random.random, reactor.follow
        self._answer, self._fail, self._start, self._next = (
            self._replied, self._failed, self._due, self._ended)

    def run(self, task: Any, most: int, queue: Collection[Any]) -> Any:
        """Play the task now and others when they are due, `most` in all, fewer when the client is to stop.

        Ends when something lies in `queue`, which is to come first. Returns a task that is due and that it
        cannot play, if it meets one: where the connection has to be opened, or the task is more than one of
        the application's operations.
        """
        self._left, self._handed, self._queue = most, None, queue
        if not (self._begin(task) or self._go_on()):
            return self._handed
        self._waiter = getcurrent()
        try:
            return self._hub.switch()
        except BaseException:  # killed, or a fault of the application: what comes now is nobody's
            if self._connection.is_asked:
                self._connection.close()
            raise
        finally:
            self._waiter = None

    def _go_on(self) -> bool:
        """The next tasks."""
        rider, random, tasks = self._rider, self._random, self._tasks
        while self._left and rider._state != STOPPING and not self._queue:
            task = tasks[int(random() * len(tasks))]
            if self._is_paced:
                if rider.quota == 0:
                    break
                if self._is_early(task):
                    return True
            if self._begin(task):
                return True
        return False

    def _is_early(self, task: Any) -> bool:
        """Whether the task has to wait for its start."""
        rider = self._rider
        if rider.quota is not None:
            rider.quota -= 1
        if rider.pace is not None:
            due = rider.intended = rider.pace.next_start()
            if due <= self._connection.answered:  # later than now the reactor sees, in this turn of the loop
                return False
            self._position = rider.pace.position
        elif rider.think_seconds:
            due = perf_counter() + rider.think_seconds
        else:
            return False
        rider._state = WAITING
        self._task, self._due_at = task, due
        self._reactor.at(due, self._start)
        return True

    def _begin(self, task: Any) -> bool:
        known = self._playable.get(task)
        if known is None or self._connection.is_closed:
            self._handed, self._left = task, 0
            return False
        self._left -= 1
        labels, operation = known
        step = self._player.begin(labels, operation(), self._rider.intended)
        if type(step) is tuple:
            self._connection.ask(step, self._answer, self._fail)
            return True
        return self._pursue(step)

    def _pursue(self, step: Step | None) -> bool:
        """Take the operation's steps."""
        while step is not None:
            if type(step) is tuple:
                self._connection.ask(step, self._answer, self._fail)
                return True
            if type(step) is Pipeline:
                self._connection.ask_all(step.commands, self._answer, self._fail)
                return True
            seconds = self._player.compute_seconds()
            if seconds > 0.0:
                self._reactor.at(perf_counter() + seconds, self._computed)
                return True
            step = self._player.replied(None)
        return False

    def _replied(self, reply: Any) -> None:
        try:
            step = self._player.replied(reply)
            if step is None:
                follow = self._follow
                follow(self._next)
                return
            if type(step) is tuple:
                self._connection.ask(step, self._answer, self._fail)
                return
            is_waiting = self._pursue(step) or self._go_on()
        except Exception as error:  # in the application's code, or in what uses this
            self._waiter.throw(error)
            return
        if not is_waiting:
            self._waiter.switch(self._handed)

    def _failed(self, error: OSError) -> None:
        self._player.failed(error)
        self._resume(self._go_on)

    def _ended(self) -> None:
        """The operation is over, and the others have taken their replies."""
        if self._waiter is None:
            return
        try:
            is_waiting = self._go_on()
        except Exception as error:
            self._waiter.throw(error)
            return
        if not is_waiting:
            self._waiter.switch(self._handed)

    def _computed(self) -> None:
        if self._waiter is not None:
            self._resume(lambda: self._pursue(self._player.replied(None)) or self._go_on())

    def _due(self) -> None:
        """The start of the next task has come, or the schedule has changed meanwhile."""
        if self._waiter is None:
            return  # killed meanwhile
        rider, now = self._rider, self._reactor.now
        if self._due_at > now:
            if rider.pace is not None:
                self._due_at = rider.intended = rider.pace.moment(self._position)
            if self._due_at > now:
                self._reactor.at(self._due_at, self._start)
                return
        rider._state = RUNNING
        try:
            is_waiting = self._begin(self._task) or self._go_on()
        except Exception as error:
            self._waiter.throw(error)
            return
        if not is_waiting:
            self._waiter.switch(self._handed)

    def _resume(self, going_on: Callable[[], bool]) -> None:
        try:
            is_waiting = going_on()
        except Exception as error:
            self._waiter.throw(error)
            return
        if not is_waiting:
            self._waiter.switch(self._handed)
