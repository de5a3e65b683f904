"""The application's pool of connections: operations side by side, and a failure when all are taken.

As `redis.asyncio.ConnectionPool` has it (redis-py 8.1, asyncio/connection.py: `get_available_connection`,
`ensure_connection` and `release`): a command takes the connection given back last, or a new one while fewer
than the most exist, holds it until its reply, and fails at once with "Too many connections" where there is
none. One that the server has closed while nobody held it is opened anew.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any, cast

import gevent
from gevent import getcurrent
from gevent.pool import Group

from amply_capacity.load.labels import Labels
from amply_capacity.load.lane import RUNNING, STOPPING, WAITING, Rider
from amply_capacity.load.link import Askable
from amply_capacity.load.player import Player
from amply_capacity.load.reactor import Reactor
from amply_capacity.load.recorder import Recorder
from amply_capacity.load.replies import ReplyError
from amply_capacity.traffic.operation import Command, Operation, Pipeline, Step

__all__ = ["TOO_MANY", "Pool"]

TOO_MANY = "Too many connections"
"""What redis-py raises; Locust's failures and the run's errors bear it."""
_CATCHING_UP = 0.5
"""What is left of the time between two starts when the generator was late for them. Begun all at once, they
would find the connections taken by each other, and fail as they would not have in time."""


class Pool:
    """One worker of the application with `size` connections, driven by its rider's schedule.

    Each intended start begins an operation, whatever the others do; a computation holds no connection. All
    runs in the hub, but for opening a connection, which has a greenlet of its own; that time belongs to the
    command, as it does in the application. `on_fault` is told what an operation raised itself, which ends
    that operation alone and is recorded nowhere.
    """

    def __init__(self, rider: Rider, recorder: Recorder, make: Callable[[], Askable], reactor: Reactor,
                 size: int, on_fault: Callable[[Exception], None]) -> None:
        self._rider, self._recorder, self._make, self._reactor = rider, recorder, make, reactor
        self._size, self._on_fault = size, on_fault
        self._hub = gevent.get_hub()
        self._connections: list[Askable] = []
        self._free: list[Askable] = []
        self._idle: list[_Running] = []
        self._openings = Group()
        self._running = 0
        self._task: Any = None
        self._due_at = self._begin_at = self._position = 0.0
        self._has_more = True
        self._waiter: Any = None
        self.is_closed = False

    @property
    def made(self) -> int:
        """Connections that there are, those that were lost and not opened again yet included."""
        return len(self._connections)

    def run(self, task: Any) -> None:
        """Begin the task now and others when they are due, until the rider is to stop or has no quota left.

        Returns when the last of them has ended. Killed meanwhile, it closes the pool: what comes now is
        nobody's.
        """
        rider = self._rider
        assert rider.intended is not None
        self._has_more = True
        self._due_at = rider.intended
        self._begin(task, rider.intended)
        if self._draw():
            self._reactor.at(self._begin_at, self._due)
        if self._is_through():
            return
        if not self._running:
            rider._state = WAITING
        self._waiter = getcurrent()
        try:
            self._hub.switch()
        except BaseException:
            self.close()
            raise
        finally:
            self._waiter = None

    def take(self) -> Askable | None:
        """A connection for one command, open or not; None when all are taken."""
        if self._free:
            return self._free.pop()
        if len(self._connections) == self._size:
            return None
        connection = self._make()
        self._connections.append(connection)
        return connection

    def give_back(self, connection: Askable) -> None:
        """The command has ended; the next one takes this connection."""
        self._free.append(connection)

    def open(self, call: Callable[[Askable], object], connection: Askable) -> None:
        """Have it opened in a greenlet of its own, which ends with the pool."""
        self._openings.spawn(call, connection)

    def after(self, seconds: float, call: Callable[[], object]) -> None:
        """Call back then."""
        self._reactor.at(perf_counter() + seconds, call)

    def ended(self, one: _Running, fault: Exception | None = None) -> None:
        """One operation is over."""
        self._running -= 1
        self._idle.append(one)
        if fault is not None:
            self._on_fault(fault)
        if self._running or self._waiter is None:
            return
        if self._is_through():
            self._hub.loop.run_callback(self._wake)
        else:
            self._rider._state = WAITING

    def close(self) -> None:
        """Close all connections; operations that are under way are forgotten."""
        self.is_closed = True
        self._openings.kill(block=False)
        for connection in self._connections:
            connection.close()

    def _begin(self, task: Any, intended: float) -> None:
        labels, operation = self._rider.playable[task]
        one = self._idle.pop() if self._idle else _Running(self, self._recorder)
        self._running += 1
        one.begin(labels, operation, intended)

    def _draw(self) -> bool:
        """Choose the next task and its start; whether there is one."""
        rider = self._rider
        assert rider.pace is not None
        if rider.quota == 0:
            self._has_more = False
            return False
        self._task = rider.tasks[int(rider.random.random() * len(rider.tasks))]
        if rider.quota is not None:
            rider.quota -= 1
        due, self._due_at = self._due_at, rider.pace.next_start()
        self._position = rider.pace.position
        self._begin_at = max(self._due_at, perf_counter() + (self._due_at - due) * _CATCHING_UP)
        return True

    def _due(self) -> None:
        """Runs in the hub when a start has come, or the schedule has changed meanwhile."""
        rider, now = self._rider, perf_counter()
        if self._waiter is None or rider._state == STOPPING:
            return  # killed; or who is still running ends it
        assert rider.pace is not None
        if self._due_at > now:
            self._due_at = self._begin_at = rider.pace.moment(self._position)
        if self._due_at > now:
            self._reactor.at(self._begin_at, self._due)
            return
        rider._state = RUNNING
        self._begin(self._task, self._due_at)
        if self._draw():
            self._reactor.at(self._begin_at, self._due)
        elif not self._running:
            self._hub.loop.run_callback(self._wake)

    def _wake(self) -> None:
        """Runs in the hub, from where alone the greenlet may be switched to, when all has ended."""
        if self._waiter is not None:
            self._waiter.switch()

    def _is_through(self) -> bool:
        return not self._running and (not self._has_more or self._rider._state == STOPPING)


class _Running:
    """One operation under way: its player, and the connection that its command holds."""

    __slots__ = ("_answer", "_fail", "_held", "_player", "_pool", "_step")

    _step: Step

    def __init__(self, pool: Pool, recorder: Recorder) -> None:
        self._pool = pool
        self._player = Player(cast(Askable, None), recorder)  # each command brings its own connection
        self._held: Askable | None = None
        self._answer, self._fail = self._replied, self._failed  # bound once, not for each command

    def begin(self, labels: Labels, operation: Callable[[], Operation], intended: float) -> None:
        """Begin the operation; the pool hears when it has ended."""
        try:
            self._pursue(self._player.begin(labels, operation(), intended))
        except Exception as error:
            self._break(error)

    def _pursue(self, step: Step | None) -> None:
        """Take the operation's steps up to one that is waited for."""
        player = self._player
        while step is not None:
            if type(step) is tuple or type(step) is Pipeline:
                if self._send(step):
                    return
                player.refused(TOO_MANY)
                break
            seconds = player.compute_seconds()
            if seconds > 0.0:
                self._pool.after(seconds, self._computed)
                return
            step = player.replied(None)
        self._pool.ended(self)

    def _send(self, step: Step) -> bool:
        """Send a command or a pipeline; whether there was a connection for it."""
        connection = self._pool.take()
        if connection is None:
            return False
        self._held = self._player.connection = connection
        if connection.is_lost():
            self._player.opening()
            self._step = step
            self._pool.open(self._open, connection)
        else:
            self._ask(connection, step)
        return True

    def _ask(self, connection: Askable, step: Step) -> None:
        if type(step) is Pipeline:
            connection.ask_all(step.commands, self._answer, self._fail)
        else:
            connection.ask(cast(Command, step), self._answer, self._fail)

    def _open(self, connection: Askable) -> None:
        """Runs in a greenlet of its own."""
        try:
            connection.close()
            connection.connect()
            if self._pool.is_closed:
                connection.close()
                return
            self._ask(connection, self._step)
        except (OSError, ReplyError) as error:
            if not self._pool.is_closed:
                self._lose(self._player.unreachable, error)
        except Exception as error:
            self._break(error)

    def _replied(self, reply: Any) -> None:
        self._let_go()
        try:
            self._pursue(self._player.replied(reply))
        except Exception as error:  # in the application's code
            self._break(error)

    def _failed(self, error: OSError) -> None:
        self._lose(self._player.failed, error)

    def _lose(self, tell: Callable[[Any], None], error: Exception) -> None:
        """End it without its connection."""
        self._let_go()
        tell(error)
        self._pool.ended(self)

    def _computed(self) -> None:
        if self._pool.is_closed:
            return
        try:
            self._pursue(self._player.replied(None))
        except Exception as error:
            self._break(error)

    def _let_go(self) -> None:
        connection, self._held = self._held, None
        if connection is not None:
            self._pool.give_back(connection)

    def _break(self, error: Exception) -> None:
        """The operation itself is at fault; a connection that it holds has not been asked in order."""
        if self._held is not None:
            self._held.close()
            self._let_go()
        self._pool.ended(self, error)
