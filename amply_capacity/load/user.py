"""The Locust user: one client connection of the application, serving people sampled from the population."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import gevent
from locust import User

from amply_capacity.load.campaign import current_campaign
from amply_capacity.load.client import Connection
from amply_capacity.load.player import Player
from amply_capacity.traffic.application import OPERATIONS
from amply_capacity.traffic.arrivals import intended_starts

__all__ = ["RedisUser", "operation_tasks"]

_RECONNECT_WAIT_SECONDS = 0.2


class RedisUser(User):  # type: ignore[misc]
    """Base of our Locust users. A scenario is a subclass with `tasks = operation_tasks(MIX)`.

    `wait_time` follows `--arrivals`: none in a closed loop (plus `--think-time-ms`), else until the next
    intended start.
    """

    abstract = True
    default_mix: ClassVar[Mapping[str, int]] = {}

    def on_start(self) -> None:
        campaign = current_campaign(self.environment)
        if campaign is None:
            raise RuntimeError("a RedisUser needs `scenario(...)` at the end of its locustfile")
        self._campaign = campaign
        self._application = campaign.application()
        connection = Connection(campaign.endpoint, campaign.options.timeout_seconds)
        self._player = Player(connection, campaign.recorder)
        self._intended: float | None = None
        self._schedule = None
        if campaign.options.arrivals != "closed":
            rng = random.Random(f"{campaign.options.seed}/{campaign.next_client_number()}")
            self._schedule = intended_starts(campaign.options.arrivals, campaign.rate_per_client, rng)
            self._schedule_began = time.perf_counter()
            gevent.sleep(self.wait_time())

    def on_stop(self) -> None:
        self._player.connection.close()

    def perform(self, name: str) -> str:
        """Play one operation of that name; its outcome."""
        known = OPERATIONS[name]
        operation = getattr(self._application, known.method)()
        outcome = self._player.play(known.use_case, name, operation, self._intended)
        if outcome == "unreachable":
            gevent.sleep(_RECONNECT_WAIT_SECONDS)  # a refused connection must not become a busy loop
        return outcome

    def wait_time(self) -> float:
        """Seconds until the next operation should start; 0 when that moment has passed."""
        if self._schedule is None:
            return self._campaign.options.think_time_seconds
        self._intended = self._schedule_began + next(self._schedule)
        return max(self._intended - time.perf_counter(), 0.0)


def operation_tasks(mix: Mapping[str, int]) -> dict[Callable[[Any], None], int]:
    """Locust tasks for a mix: one task per operation, weighted by its share."""
    return {_task(name): weight for name, weight in mix.items() if weight > 0}


def _task(name: str) -> Callable[[Any], None]:
    def task(user: RedisUser) -> None:
        user.perform(name)

    task.__name__ = name
    return task
