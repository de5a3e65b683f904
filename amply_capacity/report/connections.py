"""The demand's connections in an answer: limits, alarm, storm, idle time-outs, and the pool that raises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from amply_capacity.catalog.nodes import node_type
from amply_capacity.interval import Interval
from amply_capacity.model.allocator import BUNDLED
from amply_capacity.model.connections import (
    SPEC_ALARM,
    Connections,
    connections_fit,
    pool_at_rest,
    storm_of,
    tasks_at_alarm,
)
from amply_capacity.model.layouts import layout_of
from amply_capacity.model.pool import PoolLoad, pool_losses, stall_failures
from amply_capacity.plan.demand import Demand

__all__ = ["connections_of"]

_STALLS_S = (0.1, 0.3, 1.0)
_STORM_S = 1.0


def connections_of(demand: Demand, commands_per_second: Interval, commands_per_operation: float,
                   holding_s: Interval, *, has_tls: bool, version: str,
                   cpu_factor: Interval) -> dict[str, Any]:
    """Today's, on today's node type; `commands_per_second` of the whole application at its peak.

    `holding_s` is how long a command holds its connection: a command's response time.
    """
    tables = demand.connections
    tasks, workers, pool = (round(one.mid) for one in (
        tables.tasks, tables.workers_per_task, tables.pool_size))
    whole = Connections(tasks, workers, pool)
    layout = layout_of(demand.cluster.engine, version)(BUNDLED)
    each = max(tasks * workers, 1)
    of_worker = commands_per_second.scaled(1.0 / each)
    losses = pool_losses(PoolLoad(of_worker, holding_s, commands_per_operation), pool)
    rest = pool_at_rest(of_worker.mid, holding_s.mid, connections=pool)
    busy = losses.busy_connections.mid
    stalls = [{"seconds": stall, "failed_commands": stall_failures(
        of_worker.mid, stall, connections=pool, busy=busy).scaled(each).rounded(1)} for stall in _STALLS_S]
    opened, reopened = rest.of(whole)
    return {
        "tasks": tasks, "workers_per_task": workers, "pool": pool,
        **connections_fit(whole, node_type(demand.cluster.node_type), layout).as_json(),
        "spec_alarm": SPEC_ALARM, "tasks_at_spec_alarm": tasks_at_alarm(workers, pool),
        "open_at_the_peak": round(opened, 1), "closed_for_idling_per_hour": round(reopened, 1),
        "storm": storm_of(whole, layout, seconds=_STORM_S, has_tls=has_tls, cpu_factor=cpu_factor).as_json(),
        "commands_that_find_no_connection": _share(losses.commands), "stalls": stalls,
    }


def _share(value: Interval) -> Mapping[str, float]:
    return {name: float(np.format_float_positional(getattr(value, name), 3, fractional=False))
            for name in ("low", "mid", "high")}
