"""The mixed scenario, recorded and not, in turns of one run, which tell what recording costs."""

import math
import os
import time
from array import array
from collections import deque
from typing import Any

import gevent

from amply_capacity.load.campaign import current_campaign
from amply_capacity.load.lifecycle import scenario
from amply_capacity.load.recorder import Recorder
from amply_capacity.load.user import RedisUser, operation_tasks
from amply_capacity.plan.working_set import working_set
from amply_capacity.traffic.mix import DEFAULT_MIX

_TURN_SECONDS = float(os.environ["BENCH_TURN_SECONDS"])
_switches: list[gevent.Greenlet] = []


def _switch(recorder: Recorder) -> None:
    """On in the even turns of the clock, off in the odd ones: then with nothing that recording needs."""
    nothing: Any = deque(maxlen=0)  # takes everything and keeps nothing, at the speed of a list
    access_below = recorder.access_below
    while True:
        is_on = int(time.time() / _TURN_SECONDS) % 2 == 0
        if not is_on and recorder.samples is not nothing:
            recorder.roll(time.perf_counter())
            access_below = recorder.access_below
            recorder.samples, recorder.second_ends, recorder.access_below = nothing, math.inf, 0
        elif is_on and recorder.samples is nothing:
            recorder.samples, recorder.access_below = array("q"), access_below
            recorder.roll(time.perf_counter())
        gevent.sleep(0.02)


class HalfRecorded(RedisUser):
    default_mix = DEFAULT_MIX
    tasks = operation_tasks(DEFAULT_MIX)

    def on_start(self) -> None:
        campaign = current_campaign(self.environment)
        assert campaign is not None
        if not _switches:
            _switches.append(gevent.spawn(_switch, campaign.recorder))
        super().on_start()


scenario("half_recorded", working_set)
