"""The Locust user: one client connection of the application, serving people sampled from the population."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from types import FunctionType
from typing import Any, ClassVar

import gevent
from locust import User
from locust.exception import StopUser
from locust.user.task import LOCUST_STATE_RUNNING, LOCUST_STATE_STOPPING, LOCUST_STATE_WAITING, DefaultTaskSet

from amply_capacity.load.campaign import current_campaign
from amply_capacity.load.player import Played, Player
from amply_capacity.traffic.application import OPERATIONS
from amply_capacity.traffic.operation import Operation

__all__ = ["Performed", "RedisUser", "operation_tasks"]

_RECONNECT_WAIT_SECONDS = 0.2
_FOR_EVER_SECONDS = 1e9
_TASKS_A_ROUND = 100


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
    """

    abstract = True
    default_mix: ClassVar[Mapping[str, int]] = {}

    def on_start(self) -> None:
        campaign = current_campaign(self.environment)
        if campaign is None:
            raise RuntimeError("a RedisUser needs `scenario(...)` at the end of its locustfile")
        self._campaign = campaign
        self._application = campaign.application()
        self._player = Player(campaign.connection(), campaign.recorder)
        self._operations = {name: (known.use_case, getattr(self._application, known.method))
                            for name, known in OPERATIONS.items()}
        client = campaign.next_client()
        self._random = random.Random(f"{campaign.options.seed}/{client}")
        self._intended: float | None = None
        self._pace = campaign.pace(self._random)
        self._quota: int | None = campaign.quota(client)
        self.is_unpaced = (self._pace is None and self._quota is None
                           and not campaign.options.think_time_seconds)
        if type(self).wait_time is RedisUser.wait_time:
            self._taskset_instance = _Rounds(self)
            self._taskset_instance.wait()

    def on_stop(self) -> None:
        self._player.connection.close()
        self._campaign.forget(self._pace)

    def perform(self, name: str) -> str:
        """Play one of the application's operations; its outcome."""
        use_case, operation = self._operations[name]
        return self.play(use_case, name, operation())

    def play(self, use_case: str, name: str, operation: Operation) -> str:
        """Play any operation, recorded under these names; its outcome."""
        outcome = self._player.play(use_case, name, operation, self._intended)
        if outcome == "unreachable":
            gevent.sleep(_RECONNECT_WAIT_SECONDS)  # a refused connection must not become a busy loop
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
        performed = Performed(self._player.play(use_case, name, operation(), self._intended, held))
        try:
            yield performed
        finally:
            self._player.record(held[0], performed.complaint)
        if performed.outcome == "unreachable":
            gevent.sleep(_RECONNECT_WAIT_SECONDS)

    def wait_time(self) -> float:
        """Seconds until the next operation should start; 0 when that moment has passed."""
        if self._pace is None:
            return self._campaign.options.think_time_seconds
        self._intended = self._pace.next_start()
        return max(self._intended - perf_counter(), 0.0)

    def pause(self) -> None:
        """Wait until the next operation should start."""
        if self._quota is not None:
            if self._quota == 0:
                self._campaign.client_is_through()
                gevent.sleep(_FOR_EVER_SECONDS)  # until the run is ended, when all are
            self._quota -= 1
        if self._pace is not None:
            self._intended = self._pace.wait()
        elif self._campaign.options.think_time_seconds:
            gevent.sleep(self._campaign.options.think_time_seconds)


class _Rounds(DefaultTaskSet):  # type: ignore[misc]
    """Locust's loop over tasks, with a hundred tasks between two looks at it.

    What Locust's loop does between two tasks costs more than an operation. States, `schedule_task`, nested
    task sets and exceptions work as there; the choice among tasks follows the run's seed.
    """

    def get_next_task(self) -> Any:
        tasks = self.user.tasks
        if not tasks:
            return super().get_next_task()  # says what is wrong
        return tasks[int(self.user._random.random() * len(tasks))]

    def execute_next_task(self) -> None:
        task = self._task_queue.popleft()
        user, tasks, queue = self.user, self.user.tasks, self._task_queue
        for place in range(_TASKS_A_ROUND):
            if place:
                if not user.is_unpaced:
                    self.wait()
                task = tasks[int(user._random.random() * len(tasks))]
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


def operation_tasks(mix: Mapping[str, int]) -> dict[Callable[[Any], None], int]:
    """Locust tasks for a mix: one task per operation, weighted by its share."""
    return {_task(name): weight for name, weight in mix.items() if weight > 0}


def _task(name: str) -> Callable[[Any], None]:
    def task(user: RedisUser) -> None:  # as `perform`, without its calls
        use_case, operation = user._operations[name]
        if user._player.play(use_case, name, operation(), user._intended) == "unreachable":
            gevent.sleep(_RECONNECT_WAIT_SECONDS)

    task.__name__ = name
    return task
