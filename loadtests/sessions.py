"""Session storage alone: create, validate, touch, log out, list active, log out everywhere.

    locust -f loadtests/sessions.py --headless -u 50 -r 50 -t 60s --arrivals poisson --rate 2000
"""

from amply_capacity.load.lifecycle import scenario
from amply_capacity.load.user import RedisUser, operation_tasks
from amply_capacity.plan.working_set import working_set
from amply_capacity.traffic.mix import SESSIONS_MIX


class Sessions(RedisUser):
    default_mix = SESSIONS_MIX
    tasks = operation_tasks(SESSIONS_MIX)


scenario("sessions", working_set)
