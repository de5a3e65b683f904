"""Operations whose cost $AMPLY_BENCH_SCRIPTS tells: `cheap=50:9,costly=600:1`, µs of the server and weight.

A script costs the server alone: it gives out long before the generator does.
"""

import os

from amply_capacity.load.lifecycle import scenario
from amply_capacity.load.user import RedisUser, plays
from amply_capacity.plan.working_set import working_set
from amply_capacity.traffic.operation import OK, Operation
from bench.locustfiles.busy_script import BUSY_SCRIPT


def _played(name: str, busy_us: str) -> object:
    @plays("bench", name)
    def run(user: RedisUser) -> Operation:
        yield ("EVAL", BUSY_SCRIPT, 0, busy_us)
        return OK

    return run


def _tasks() -> dict[object, int]:
    parts = [part.replace("=", ":").split(":") for part in os.environ["AMPLY_BENCH_SCRIPTS"].split(",")]
    return {_played(name, busy_us): int(weight) for name, busy_us, weight in parts}


class Scripts(RedisUser):
    tasks = _tasks()


scenario("scripts", working_set)
