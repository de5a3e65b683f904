"""What redis-benchmark can send too: GET and SETEX of 250 bytes, eight to two, on 10,000 keys."""

from random import random

from locust import task

from amply_capacity.load.lifecycle import scenario
from amply_capacity.load.user import RedisUser, plays
from amply_capacity.plan.working_set import working_set
from amply_capacity.traffic.operation import OK, Operation

_KEYS = 10_000
_VALUE = "x" * 250


def _key() -> str:
    return f"session:ses_{int(random() * _KEYS):024}"


class GetSetex(RedisUser):
    @task(8)
    @plays("bench", "get")
    def get(self) -> Operation:
        yield ("GET", _key())
        return OK

    @task(2)
    @plays("bench", "setex")
    def setex(self) -> Operation:
        yield ("SETEX", _key(), 300, _VALUE)
        return OK


scenario("get_setex", working_set)
