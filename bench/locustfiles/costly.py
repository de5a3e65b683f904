"""An operation that costs the server most of a millisecond: it gives out before the generator does."""

from locust import task

from amply_capacity.load.lifecycle import scenario
from amply_capacity.load.user import RedisUser, plays
from amply_capacity.plan.working_set import working_set
from amply_capacity.traffic.operation import OK, Operation

_SCRIPT = "local n = 0; for i = 1, 100000 do n = n + i end; return n"


class Costly(RedisUser):
    @task
    @plays("bench", "costly")
    def costly(self) -> Operation:
        yield ("EVAL", _SCRIPT, 0)
        return OK


scenario("costly", working_set)
