"""The query cache alone: organisation statistics, cached for 300 s.

    locust -f loadtests/cache.py --headless -u 50 -r 50 -t 60s --arrivals poisson --rate 2000
"""

from amply_capacity.load.lifecycle import scenario
from amply_capacity.load.user import RedisUser, operation_tasks
from amply_capacity.plan.working_set import working_set
from amply_capacity.traffic.mix import CACHE_MIX


class Cache(RedisUser):
    default_mix = CACHE_MIX
    tasks = operation_tasks(CACHE_MIX)


scenario("cache", working_set)
