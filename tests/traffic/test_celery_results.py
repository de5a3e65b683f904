"""Celery's own RedisBackend on a real server is the reference: what it sends is what we send."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
import redis
from celery import Celery
from celery.app.task import Context

from amply_capacity.traffic import celery_results
from amply_capacity.traffic.operation import HIT, MISS, OK, Command, Operation, Pipeline, play

from .conftest import NOW, NOW_S, Monitor

# Celery calls a method of redis-py that redis-py wants replaced by SET … EX; it still sends SETEX.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")

TASK = "0d9b1c5e-8c57-4f0e-9a53-6f9f4f3f1c11"
KEY = f"celery-task-meta-{TASK}"
DATE_DONE = re.compile(r'("date_done": )"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+00:00"')
VALUES = [None, 7, "done", {"sent": 12, "failed": 0, "note": 'says "Grüß Gott"'}, [1.5, True, {"deep": []}]]


@pytest.fixture
def app(redis_port: int) -> Iterator[Celery]:
    celery = Celery("amply", backend=f"redis://127.0.0.1:{redis_port}/0", set_as_current=False)
    celery.conf.update(result_expires=3600)
    yield celery
    celery.backend.result_consumer.stop()
    celery.backend.client.close()
    celery.close()


def undated(commands: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The commands with the time of `date_done`, if it has celery's form, taken out."""
    return [tuple(DATE_DONE.sub(r"\1TIME", argument) for argument in command) for command in commands]


def sent(operation: Operation, monitor: Monitor, answer: Callable[[Command], Any]) -> list[tuple[str, ...]]:
    """What the server saw of our operation."""
    play(operation, answer)
    return monitor.commands()


@pytest.mark.parametrize("value", VALUES)
def test_storing_sends_what_celery_sends_when_a_task_is_done(
    value: Any, app: Celery, monitor: Monitor, client: redis.Redis, answer: Callable[[Command], Any]
) -> None:
    app.backend.mark_as_done(TASK, value, request=Context(id=TASK, children=[]))
    theirs = monitor.commands()
    client.flushall()
    monitor.commands()
    ours = sent(celery_results.store_result(TASK, value, NOW_S), monitor, answer)
    assert [command[0] for command in theirs] == ["GET", "MULTI", "SETEX", "PUBLISH", "EXEC"]
    assert undated(ours) == undated(theirs)
    assert '"date_done": TIME' in undated(ours)[2][3]


def test_a_result_that_is_already_a_success_is_left_alone_as_celery_leaves_it(
    app: Celery, monitor: Monitor, answer: Callable[[Command], Any]
) -> None:
    app.backend.mark_as_done(TASK, 1, request=Context(id=TASK, children=[]))
    monitor.commands()
    app.backend.mark_as_done(TASK, 2, request=Context(id=TASK, children=[]))
    theirs = monitor.commands()
    ours = sent(celery_results.store_result(TASK, 2, NOW_S), monitor, answer)
    assert ours == theirs == [("GET", KEY)]


def test_getting_and_forgetting_send_what_celery_sends(
    app: Celery, monitor: Monitor, answer: Callable[[Command], Any]
) -> None:
    assert app.AsyncResult(TASK).state == "PENDING"
    assert sent(celery_results.get(TASK), monitor, answer) == [("GET", KEY), ("GET", KEY)]
    app.AsyncResult(TASK).forget()
    theirs = monitor.commands()
    assert sent(celery_results.forget(TASK), monitor, answer) == theirs == [("DEL", KEY)]


def test_celery_reads_the_result_that_we_stored(app: Celery, answer: Callable[[Command], Any]) -> None:
    play(celery_results.store_result(TASK, {"sent": 3}, NOW_S), answer)
    result = app.AsyncResult(TASK)
    assert (result.state, result.result) == ("SUCCESS", {"sent": 3})
    assert (result.traceback, result.children) == (None, [])
    assert result.date_done.replace(tzinfo=None) == NOW


def test_waiting_for_a_result_adds_a_subscription_which_we_do_not_drive(
    app: Celery, monitor: Monitor, answer: Callable[[Command], Any]
) -> None:
    play(celery_results.store_result(TASK, 5, NOW_S), answer)
    monitor.commands()
    assert app.AsyncResult(TASK).get(timeout=10) == 5
    assert monitor.commands() == [("SUBSCRIBE", KEY), ("GET", KEY), ("UNSUBSCRIBE", KEY)]


def test_storing_is_a_get_and_one_write() -> None:
    outcome, steps = play(celery_results.store_result(TASK, None, NOW_S), lambda command: None)
    data = celery_results.meta(TASK, None, NOW_S)
    assert outcome == OK
    assert steps == (
        ("GET", KEY),
        Pipeline((("MULTI",), ("SETEX", KEY, 3600, data), ("PUBLISH", KEY, data), ("EXEC",))),
    )


@pytest.mark.parametrize(("reply", "outcome"), [("{}", HIT), (None, MISS)])
def test_a_look_at_an_unfinished_task_misses(reply: str | None, outcome: str) -> None:
    assert play(celery_results.get(TASK), lambda command: reply)[0] == outcome


def test_return_values_are_of_the_stated_kinds_and_sizes() -> None:
    random = Random(1)
    sizes = [len(celery_results.meta(TASK, celery_results.return_value(random), NOW_S)) for _ in range(2_000)]
    nothing = len(celery_results.meta(TASK, None, NOW_S)) - len("null")
    assert 0.35 < sum(size == nothing + 4 for size in sizes) / 2_000 < 0.45
    assert 0.15 < sum(size > nothing + 120 for size in sizes) / 2_000 < 0.25
    assert max(sizes) < nothing + 220
