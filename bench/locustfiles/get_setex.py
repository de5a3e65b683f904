"""What redis-benchmark can send too: GET and SETEX of 250 bytes, eight to two, on 10,000 keys."""

from random import random

from locust import task

from amply_capacity.load.lifecycle import scenario
from amply_capacity.load.user import RedisUser
from amply_capacity.plan.working_set import working_set
from amply_capacity.traffic.operation import OK, Operation

_KEYS = 10_000
_VALUE = "x" * 250


def _key() -> str:
    return f"session:ses_{int(random() * _KEYS):024}"


def _get() -> Operation:
    yield ("GET", _key())
    return OK


def _setex() -> Operation:
    yield ("SETEX", _key(), 300, _VALUE)
    return OK


class GetSetex(RedisUser):
    @task(8)
    def get(self) -> None:
        self.play("bench", "get", _get())

    @task(2)
    def setex(self) -> None:
        self.play("bench", "setex", _setex())


scenario("get_setex", working_set)
