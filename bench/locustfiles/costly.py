"""An operation that costs the server most of a millisecond: it gives out before the generator does."""

from locust import task

from amply_capacity.load.lifecycle import scenario
from amply_capacity.load.user import RedisUser, plays
from amply_capacity.plan.working_set import working_set
from amply_capacity.traffic.operation import OK, Operation
from bench.locustfiles.busy_script import BUSY_SCRIPT

_BUSY_US = "800"


class Costly(RedisUser):
    @task
    @plays("bench", "costly")
    def costly(self) -> Operation:
        yield ("EVAL", BUSY_SCRIPT, 0, _BUSY_US)
        return OK


scenario("costly", working_set)
