"""What failures of nodes cost a month: minutes without Redis, and sessions that are gone.

Expected, not simulated: the failure rate times what one failure costs. The uncertainty is in what nobody
knows (failure rate, recovery, costs), and that is drawn by world.
"""

from __future__ import annotations

import numpy as np

from amply_capacity.plan.demand import Demand
from amply_capacity.plan.workload import Workload
from amply_capacity.plan.worlds import Floats, Worlds

__all__ = ["avoided_usd_per_month", "outage_usd_per_month"]

_HOURS_PER_MINUTE, _HOURS_PER_YEAR = 1.0 / 60.0, 8_760.0


def outage_usd_per_month(demand: Demand, load: Workload, worlds: Worlds, replicas: int) -> Floats:
    """Expected cost of primaries that fail, shape (worlds, months); the same for any number of shards.

    Each of s shards fails as often as a single node would, and takes 1/s of the users and sessions with it.
    Without a replica every live session is lost; with one, the log-ins within the replication lag. All
    replicas of a shard are lost too where each fails before the first was replaced, which takes as long as a
    single node's recovery; failures are taken as independent.
    """
    failures, money = demand.failures, demand.money
    per_year = worlds.draw("failures.per_node_year", failures.per_node_year)[:, None]
    single = worlds.draw("failures.minutes_single", failures.minutes_single)[:, None]
    minute_usd = worlds.draw("money.usd_per_downtime_minute", money.usd_per_downtime_minute)[:, None]
    session_usd = worlds.draw("money.usd_per_lost_session", money.usd_per_lost_session)[:, None]
    lost_all = single * minute_usd + load.sessions * session_usd
    if not replicas:
        return per_year / 12.0 * lost_all
    over = worlds.draw("failures.minutes_replica", failures.minutes_replica)[:, None]
    lag_s = worlds.draw("failures.replication_lag_seconds", failures.replication_lag_seconds)[:, None]
    lost = np.minimum(load.operations_per_second("create", peak=False) * lag_s, load.sessions)
    all_fail = np.minimum(per_year * single * _HOURS_PER_MINUTE / _HOURS_PER_YEAR, 1.0) ** replicas
    return per_year / 12.0 * (over * minute_usd + lost * session_usd + all_fail * lost_all)


def avoided_usd_per_month(demand: Demand, load: Workload, worlds: Worlds) -> Floats:
    """What the first replica avoids, shape (worlds, months)."""
    return (outage_usd_per_month(demand, load, worlds, 0)
            - outage_usd_per_month(demand, load, worlds, 1))
