"""API rate limiting alone: 300 requests in 60 s per API key.

    locust -f loadtests/rate_limit.py --headless -u 50 -r 50 -t 60s --arrivals poisson --rate 2000
"""

from amply_capacity.load.lifecycle import scenario
from amply_capacity.load.user import RedisUser, operation_tasks
from amply_capacity.plan.working_set import working_set
from amply_capacity.traffic.mix import RATE_LIMIT_MIX


class RateLimit(RedisUser):
    default_mix = RATE_LIMIT_MIX
    tasks = operation_tasks(RATE_LIMIT_MIX)


scenario("rate-limit", working_set)
