"""GETs of one session's size: what an independent probe asks the same server at the same time."""

from random import random

from locust import task

from amply_capacity.load.lifecycle import scenario
from amply_capacity.load.user import RedisUser, plays
from amply_capacity.plan.working_set import working_set
from amply_capacity.traffic.operation import OK, Operation


class GetOnly(RedisUser):
    @task
    @plays("bench", "get")
    def get(self) -> Operation:
        yield ("GET", f"session:ses_{int(random() * 10_000):024}")
        return OK


scenario("get_only", working_set)
