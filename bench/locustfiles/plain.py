"""The same mixed traffic the way Locust's documentation shows it: a client library, an event per command."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

if not os.environ.get("BENCH_HIREDIS"):  # as `pip install redis` gives it: ours brings hiredis into the house
    sys.modules["hiredis"] = None  # type: ignore[assignment]

import redis
from locust import User, constant
from redis.backoff import NoBackoff
from redis.retry import Retry

from amply_capacity.files import DATA_DIR
from amply_capacity.plan.working_set import working_set
from amply_capacity.traffic.application import OPERATIONS, Application
from amply_capacity.traffic.mix import DEFAULT_MIX
from amply_capacity.traffic.operation import Command, Pipeline, Step
from amply_capacity.traffic.population import Population, PopulationShape

_WORKING_SET = working_set(DATA_DIR / "demand.example.toml").scaled_to(int(os.environ["BENCH_POPULATION"]))
_APPLICATION = Application(Population(PopulationShape(
    users=_WORKING_SET.users, organisations=_WORKING_SET.organisations, api_keys=_WORKING_SET.api_keys,
    sessions_per_user=_WORKING_SET.sessions_per_user, stale_share=_WORKING_SET.stale_share)))


class Plain(User):
    wait_time = constant(0)

    def on_start(self) -> None:
        self._redis = redis.Redis(port=int(os.environ["BENCH_PORT"]), decode_responses=True,
                                  single_connection_client=True, retry=Retry(NoBackoff(), 0))

    def perform(self, name: str) -> None:
        operation, reply = getattr(_APPLICATION, OPERATIONS[name].method)(), None
        try:
            while True:
                step = operation.send(reply)
                reply = self._ask(step) if isinstance(step, tuple | Pipeline) else None
        except (StopIteration, redis.ResponseError):
            operation.close()

    def _ask(self, step: Step) -> Any:
        began, error, reply = time.perf_counter(), None, None
        name = "pipeline" if isinstance(step, Pipeline) else str(step[0])
        try:
            reply = self._pipeline(step) if isinstance(step, Pipeline) else self._redis.execute_command(*step)
            return reply
        except redis.RedisError as caught:
            error = caught
            raise
        finally:
            self.environment.events.request.fire(
                request_type="redis", name=name, response_time=(time.perf_counter() - began) * 1000.0,
                response_length=0, exception=error, context={})

    def _pipeline(self, pipeline: Pipeline) -> list[Any]:
        queue = self._redis.pipeline(transaction=False)
        for command in pipeline.commands:
            _queue(queue, command)
        return list(queue.execute())


def _queue(queue: Any, command: Command) -> None:
    queue.execute_command(*command)


def _task(name: str) -> Any:
    def task(user: Plain) -> None:
        user.perform(name)

    return task


Plain.tasks = [task for name, weight in DEFAULT_MIX.items() for task in [_task(name)] * weight]
