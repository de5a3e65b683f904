"""Celery results alone: store, get and forget.

    locust -f loadtests/celery_results.py --headless -u 50 -r 50 -t 60s --arrivals poisson --rate 2000
"""

from amply_capacity.load.lifecycle import scenario
from amply_capacity.load.user import RedisUser, operation_tasks
from amply_capacity.plan.working_set import working_set
from amply_capacity.traffic.mix import CELERY_MIX


class CeleryResults(RedisUser):
    default_mix = CELERY_MIX
    tasks = operation_tasks(CELERY_MIX)


scenario("celery-results", working_set)
