"""Operations whose cost $AMPLY_BENCH_LOOPS tells: `cheap=3000:9,costly=60000:1`, loops and weight of each.

A script costs the server alone: it gives out long before the generator does.
"""

import os

from amply_capacity.load.lifecycle import scenario
from amply_capacity.load.user import RedisUser, plays
from amply_capacity.plan.working_set import working_set
from amply_capacity.traffic.operation import OK, Operation
from bench.locustfiles.loop_script import LOOP_SCRIPT


def _played(name: str, loops: str) -> object:
    @plays("bench", name)
    def run(user: RedisUser) -> Operation:
        yield ("EVAL", LOOP_SCRIPT, 0, loops)
        return OK

    return run


def _tasks() -> dict[object, int]:
    parts = [part.replace("=", ":").split(":") for part in os.environ["AMPLY_BENCH_LOOPS"].split(",")]
    return {_played(name, loops): int(weight) for name, loops, weight in parts}


class Scripts(RedisUser):
    tasks = _tasks()


scenario("scripts", working_set)
