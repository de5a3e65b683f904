"""What a demand asks a load test to put into the keyspace: its medians, at the peak hour."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from amply_capacity.plan.demand import load_demand
from amply_capacity.plan.workload import CACHED_TTL_S, COUNTER_TTL_S, RESULT_TTL_S
from amply_capacity.traffic.working_set import WorkingSet

__all__ = ["working_set"]

_HOUR_S = 3600.0


def working_set(path: Path) -> WorkingSet:
    """The working set of a demand file. Raises BadDemand with all faults at once."""
    demand = load_demand(path)
    users = max(round(demand.users.registered.mid), 1)
    organisations = max(round(users / demand.organisations.users_per_organisation.mid), 1)
    api_keys = max(round(organisations * demand.organisations.api_keys_per_organisation.mid), 1)
    activity, objectives = demand.activity, demand.slo.p99_ms
    peak_requests_per_second = (
        users * activity.requests_per_user_hour.mid / _HOUR_S * activity.peak_to_mean.mid)
    peak_tasks_per_second = users * activity.tasks_per_user_hour.mid / _HOUR_S * activity.peak_to_mean.mid
    checks = peak_requests_per_second * activity.rate_checks_per_request.mid
    cached_reads = peak_requests_per_second * activity.cached_reads_per_request.mid
    live, stale = demand.users.sessions_per_user.mid, demand.users.stale_index_members_per_user.mid
    return WorkingSet(
        users=users, organisations=organisations, api_keys=api_keys, sessions_per_user=live,
        stale_share=stale / (live + stale) if live + stale > 0.0 else 0.0,
        counters=min(api_keys, round(checks * COUNTER_TTL_S)),
        cached=min(organisations, round(cached_reads * CACHED_TTL_S)),
        results=round(peak_tasks_per_second * RESULT_TTL_S),
        node_type=demand.cluster.node_type, reserved_memory_percent=demand.cluster.reserved_memory_percent,
        peak_to_mean=activity.peak_to_mean.mid,
        p99_ms={one.name: getattr(objectives, one.name).mid for one in fields(objectives)},
    )
