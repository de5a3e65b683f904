"""The mixed scenario with everything that recording costs the generator taken out."""

import math
from collections import deque

from amply_capacity.load.campaign import current_campaign
from amply_capacity.load.lifecycle import scenario
from amply_capacity.load.user import RedisUser, operation_tasks
from amply_capacity.plan.working_set import working_set
from amply_capacity.traffic.mix import DEFAULT_MIX


class Unrecorded(RedisUser):
    default_mix = DEFAULT_MIX
    tasks = operation_tasks(DEFAULT_MIX)

    def on_start(self) -> None:
        campaign = current_campaign(self.environment)
        assert campaign is not None
        recorder = campaign.recorder
        recorder.samples = deque(maxlen=0)  # takes everything and keeps nothing, at the speed of a list
        recorder.second_ends = math.inf
        recorder.access_below = 0
        super().on_start()


scenario("unrecorded", working_set)
