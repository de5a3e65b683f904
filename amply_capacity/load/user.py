"""The Locust user: one client connection of the application, or with `--pool-size` one of its workers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from random import Random, random
from time import perf_counter
from types import FunctionType
from typing import Any, ClassVar, cast

import gevent
from locust import User
from locust.exception import StopUser
from locust.user.task import LOCUST_STATE_RUNNING, LOCUST_STATE_STOPPING, LOCUST_STATE_WAITING, DefaultTaskSet

from amply_capacity.load.campaign import current_campaign
from amply_capacity.load.client import Connection
from amply_capacity.load.lane import Lane
from amply_capacity.load.link import Askable
from amply_capacity.load.pace import Entry
from amply_capacity.load.player import Played, Player
from amply_capacity.load.pool import Pool
from amply_capacity.load.replies import ReplyError
from amply_capacity.traffic.application import OPERATIONS
from amply_capacity.traffic.operation import Operation

__all__ = ["Performed", "RedisUser", "operation_tasks", "plays"]

_LOGGER = logging.getLogger(__name__)
_RECONNECT_WAIT_SECONDS = 0.2
"""Mean; from half to one and a half, for all that are cut off at one moment would try again in step."""
_FOR_EVER_SECONDS = 1e9
_TASKS_A_ROUND = 1000


class Performed:
    """An operation that has been played, for its caller to judge; until then it counts as it ended."""

    def __init__(self, outcome: str) -> None:
        self.outcome = outcome
        self.complaint: str | None = None

    def failure(self, why: str) -> None:
        """Count it as failed, under these words."""
        self.complaint = why

    def success(self) -> None:
        """Count it as it ended after all."""
        self.complaint = None


class RedisUser(User):  # type: ignore[misc]
    """Base of our Locust users. A scenario is a subclass with `tasks = operation_tasks(MIX)`.

    `wait_time` follows `--arrivals`: none in a closed loop (plus `--think-time-ms`), else until the next
    intended start. A class with a `wait_time` of its own is played by Locust's own loop, at Locust's speed.
    A task calls `perform`, `performing` or `play`, or is itself an operation: `plays`. So do `on_start` and
    `on_stop`, which a subclass may have of its own, as with any other user.
    """

    abstract = True
    default_mix: ClassVar[Mapping[str, int]] = {}
    _connection: Any = None
    _entry: Entry | None = None
    _pool: Pool | None = None

    def run(self) -> None:
        """The user's life: what is ours begins before its `on_start`, and ends after its `on_stop`."""
        try:
            self._set_up()
            super().run()
        finally:
            self._clear()

    @property
    def _taskset_instance(self) -> Any:
        return self._loop

    @_taskset_instance.setter
    def _taskset_instance(self, locusts: Any) -> None:
        """Locust makes its loop over tasks when it runs a user; ours takes its place."""
        is_ours = locusts is not None and type(self).wait_time is RedisUser.wait_time
        self._loop = _Rounds(self) if is_ours else locusts

    def _set_up(self) -> None:
        campaign = current_campaign(self.environment)
        if campaign is None:
            raise RuntimeError("a RedisUser needs `scenario(...)` at the end of its locustfile")
        self._campaign = campaign
        self._application = campaign.application()
        self._operations = {name: (known.use_case, getattr(self._application, known.method))
                            for name, known in OPERATIONS.items()}
        self.playable = {task: campaign.playable(task, self) for task in dict.fromkeys(self.tasks)
                         if hasattr(task, "bound")}
        if campaign.options.pool_size is not None:
            self._open_once()
        client = campaign.next_client()
        self.random = Random(f"{campaign.options.seed}/{client}")
        self._entry = campaign.enter(self.random)
        self.pace = None if self._entry is None else self._entry.pace
        self.think_seconds = campaign.options.think_time_seconds
        self.quota = campaign.quota(client)
        self.intended: float | None = None
        self._connection = connection = campaign.connection()
        if self.pace is not None and campaign.options.pool_size is None:
            with suppress(OSError, ReplyError):  # the first operation tries again, and counts what it meets
                connection.connect()
        self._player = Player(connection, campaign.recorder)
        self._lane = (Lane(self, self._player, connection, campaign.reactor)
                      if isinstance(connection, Connection) else None)
        size = campaign.options.pool_size
        self._pool = None if size is None else Pool(
            self, campaign.recorder, cast(Callable[[], Askable], campaign.connection), campaign.reactor, size,
            self._fault)

    def _clear(self) -> None:
        if self._connection is not None:  # killed meanwhile, it may not be set up yet
            self._connection.close()
        if self._pool is not None:
            self._pool.close()
        if self._entry is not None:
            self._campaign.leave(self._entry)

    def perform(self, name: str) -> str:
        """Play one of the application's operations; its outcome."""
        use_case, operation = self._operations[name]
        return self.play(use_case, name, operation())

    def play(self, use_case: str, name: str, operation: Operation) -> str:
        """Play any operation, recorded under these names; its outcome."""
        followed = self._campaign.follow(use_case, name, operation)
        outcome = self._player.play(use_case, name, followed, self.intended)
        if outcome == "unreachable":
            _wait_to_reconnect()
        return outcome

    @contextmanager
    def performing(self, name: str) -> Iterator[Performed]:
        """Play one operation and let the `with` block judge it, as Locust's `catch_response` does:

            with self.performing("validate") as performed:
                if performed.outcome == "miss":
                    performed.failure("a session was lost")
        """
        use_case, operation = self._operations[name]
        held: list[Played] = []
        followed = self._campaign.follow(use_case, name, operation())
        performed = Performed(self._player.play(use_case, name, followed, self.intended, held))
        try:
            yield performed
        finally:
            self._player.record(held[0], performed.complaint)
        if performed.outcome == "unreachable":
            _wait_to_reconnect()

    def wait_time(self) -> float:
        """Seconds until the next operation should start; 0 when that moment has passed."""
        if self.pace is None:
            return self.think_seconds
        self.intended = self.pace.next_start()
        return max(self.intended - perf_counter(), 0.0)

    def pause(self) -> None:
        """Wait until the next operation should start."""
        if self.quota is not None:
            if self.quota == 0:
                self._campaign.client_is_through()
                gevent.sleep(_FOR_EVER_SECONDS)  # until the run is ended, when all are
            self.quota -= 1
        if self.pace is not None:
            self.intended = self.pace.wait()
        elif self.think_seconds:
            gevent.sleep(self.think_seconds)

    def _open_once(self) -> None:
        """A process' first opening takes tens of ms (resolver threads, imports): not the worker's time."""
        connection = self._campaign.connection()
        with suppress(OSError, ReplyError):
            connection.connect()
        connection.close()

    def _fault(self, error: Exception) -> None:
        """Tell Locust what an operation in the pool raised, as its own loop does for a task."""
        self.environment.events.user_error.fire(user_instance=self, exception=error, tb=error.__traceback__)
        _LOGGER.error("%s", error, exc_info=error)


class _Rounds(DefaultTaskSet):  # type: ignore[misc]
    """Locust's loop over tasks, with a thousand tasks between two looks at it.

    What Locust's loop does between two tasks costs more than an operation. States, `schedule_task`, nested
    task sets and exceptions work as there; the choice among tasks follows the run's seed. Tasks that are
    operations run in a lane, where the connection is a plain one.
    """

    def run(self) -> None:
        self.wait()
        super().run()

    def get_next_task(self) -> Any:
        tasks = self.user.tasks
        if not tasks:
            return super().get_next_task()  # says what is wrong
        return tasks[int(self.user.random.random() * len(tasks))]

    def execute_next_task(self) -> None:
        task, user, queue = self._task_queue.popleft(), self.user, self._task_queue
        if user._pool is not None:
            user._pool.run(task)
            return
        for place in range(_TASKS_A_ROUND):
            if place:
                self.wait()
                task = user.tasks[int(user.random.random() * len(user.tasks))]
            if user._lane is not None and task in user.playable:
                task = user._lane.run(task, _TASKS_A_ROUND, queue)
                if task is None:
                    return
            if type(task) is FunctionType:
                task(user)
            else:
                self.execute_task(task)
            if queue or user._state == LOCUST_STATE_STOPPING:
                return

    def wait(self) -> None:
        user = self.user
        if user._state == LOCUST_STATE_STOPPING:
            raise StopUser()
        user._state = LOCUST_STATE_WAITING
        user.pause()
        if user._state == LOCUST_STATE_STOPPING:
            raise StopUser()
        user._state = LOCUST_STATE_RUNNING


def _wait_to_reconnect() -> None:
    """A refused connection must not become a busy loop."""
    gevent.sleep(_RECONNECT_WAIT_SECONDS * (0.5 + random()))


def plays(use_case: str, operation: str) -> Callable[[Callable[[Any], Operation]], Callable[[Any], None]]:
    """Make a task of a method that yields commands as an operation does; it is recorded under these names.

        @task(3)
        @plays("sessions", "peek")
        def peek(self):
            found = yield ("EXISTS", "session:ses_1")
            return "hit" if found else "miss"

    Such a task costs much less of the generator's CPU than one that calls `perform` or `play`.
    """

    def task_of(body: Callable[[Any], Operation]) -> Callable[[Any], None]:
        return _played_task(use_case, operation, lambda user: partial(body, user), is_of_user=True)

    return task_of


def operation_tasks(mix: Mapping[str, int]) -> dict[Callable[[Any], None], int]:
    """Locust tasks for a mix: one task per operation, weighted by its share."""
    return {_task(name): weight for name, weight in mix.items() if weight > 0}


def _task(name: str) -> Callable[[Any], None]:
    known = OPERATIONS[name]
    return _played_task(
        known.use_case, name, lambda user: getattr(user._application, known.method), is_of_user=False)


def _played_task(use_case: str, operation: str, bound: Callable[[Any], Callable[[], Operation]], *,
                 is_of_user: bool) -> Callable[[Any], None]:
    """A task that a lane can play, from what makes an operation once its user is known.

    Of the application, which all users of a process share, that is the same for all of them.
    """

    def task(user: RedisUser) -> None:
        user.play(use_case, operation, bound(user)())

    task.__name__ = operation
    task.use_case, task.operation, task.bound = use_case, operation, bound  # type: ignore[attr-defined]
    task.is_of_user = is_of_user  # type: ignore[attr-defined]
    return task
