"""The application's whole traffic in its default proportions (DESIGN section 5).

    locust -f loadtests/mixed.py --headless -u 50 -r 50 -t 60s --arrivals poisson --rate 2000
"""

from amply_capacity.load.lifecycle import scenario
from amply_capacity.load.user import RedisUser, operation_tasks
from amply_capacity.plan.working_set import working_set
from amply_capacity.traffic.mix import DEFAULT_MIX


class Mixed(RedisUser):
    default_mix = DEFAULT_MIX
    tasks = operation_tasks(DEFAULT_MIX)


scenario("mixed", working_set)
