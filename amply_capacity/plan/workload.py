"""What the demand comes to, month by month in every world: people, keys, connections, operations per second.

Arrays of months have the shape (worlds, 1 + horizon): column 0 is today, column m is m months later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Any

import numpy as np

from amply_capacity.model.day import day_means
from amply_capacity.plan.campaigns import load_factor
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.worlds import Floats, Worlds

__all__ = ["CACHED_TTL_S", "COUNTER_TTL_S", "RESULT_TTL_S", "Workload", "workload"]

COUNTER_TTL_S = 60
CACHED_TTL_S = 300
RESULT_TTL_S = 3600

_HOUR_S, _DAY_S = 3_600.0, 86_400.0
# More people than there are. It keeps a century of impossible growth inside the range of a float.
_MOST_USERS = 1e13


@dataclass(frozen=True, slots=True)
class Workload:
    """Counts of keys at the peak hour, which memory has to hold, and rates per user."""

    users: Floats
    """Registered ones, each of whom has an index."""
    active_users: Floats
    """As many usual ones as would do what they do: more than `users` during a campaign."""
    sessions: Floats
    index_members_per_user: Floats
    """Session ids in one user's index, those of expired sessions included; shape (worlds,)."""
    organisations: Floats
    api_keys: Floats
    counters: Floats
    """Rate-limit counters alive at once: no more than there are API keys, nor than checks in 60 s."""
    cached: Floats
    """Cached organisations: no more than there are, nor than cached reads in the 300 s of one."""
    results: Floats
    """Celery results of the peak hour."""
    connections: Floats
    per_user_per_second: Mapping[str, Floats]
    """Mean operations of one registered user by operation name, shape (worlds,)."""
    peak_to_mean: Floats
    """Shape (worlds,)."""
    weekend_to_weekday: Floats
    """Rate of a weekend day over that of a weekday, shape (worlds,)."""

    @property
    def day_peak_to_mean(self) -> Floats:
        """A weekday's peak over that day's own mean, shape (worlds,)."""
        weekday, _ = day_means(np.ones_like(self.peak_to_mean), self.weekend_to_weekday)
        return np.maximum(self.peak_to_mean / weekday, 1.0)

    def until(self, months: int) -> Workload:
        """The same, without what comes later."""
        early: dict[str, Any] = {each.name: value[:, :months + 1] for each in fields(self) if isinstance(
            value := getattr(self, each.name), np.ndarray) and value.ndim == 2}
        return replace(self, **early)

    def operations_per_second(self, operation: str, *, peak: bool) -> Floats:
        """Rate of one operation (not of commands), shape (worlds, months)."""
        rate = self.per_user_per_second[operation]
        return self.active_users * (rate * self.peak_to_mean if peak else rate)[:, None]


def workload(demand: Demand, worlds: Worlds, start: date | None = None) -> Workload:
    """The demand in each of the worlds; `start` is today, which campaigns are dated by.

    Raises ValueError for campaigns without it.
    """
    growth = _growth(demand, worlds)
    today = worlds.draw("users.registered", demand.users.registered)[:, None]
    users = np.minimum(today * growth, _MOST_USERS)
    active = users * _campaigns(demand, worlds, start)
    rates = _per_user_per_second(demand, worlds)
    peak_to_mean = worlds.draw("activity.peak_to_mean", demand.activity.peak_to_mean, at_least=1.0)

    def at_peak(operation: str, seconds: float) -> Floats:
        return active * (rates[operation] * peak_to_mean * seconds)[:, None]

    live = worlds.draw("users.sessions_per_user", demand.users.sessions_per_user)
    stale = worlds.draw("users.stale_index_members_per_user", demand.users.stale_index_members_per_user)
    tables = demand.organisations
    users_each = worlds.draw("organisations.users_per_organisation", tables.users_per_organisation, 1e-9)
    keys_each = worlds.draw("organisations.api_keys_per_organisation", tables.api_keys_per_organisation)
    organisations = users / users_each[:, None]
    return Workload(
        users=users,
        active_users=active,
        sessions=active * live[:, None],
        index_members_per_user=live + stale,
        organisations=organisations,
        api_keys=organisations * keys_each[:, None],
        counters=np.minimum(organisations * keys_each[:, None], at_peak("check", COUNTER_TTL_S)),
        cached=np.minimum(organisations, at_peak("cached_read", CACHED_TTL_S)),
        results=at_peak("store_result", RESULT_TTL_S),
        connections=_connections(demand, worlds, growth),
        per_user_per_second=rates,
        peak_to_mean=peak_to_mean,
        weekend_to_weekday=worlds.draw("activity.weekend_to_weekday", demand.activity.weekend_to_weekday),
    )


def _campaigns(demand: Demand, worlds: Worlds, start: date | None) -> Floats:
    if not demand.campaign:
        return np.ones((1, 1))
    if start is None:
        raise ValueError("campaigns are dated, so a workload with some needs a date to start at")
    return load_factor(demand.campaign, start, demand.plan.horizon_months, worlds)


def _growth(demand: Demand, worlds: Worlds) -> Floats:
    """Users over today's, 1 in column 0."""
    percent = worlds.draw("users.growth_percent_per_month", demand.users.growth_percent_per_month, -99.0)
    months = np.arange(demand.plan.horizon_months + 1)
    # Over 1e30-fold growth is cut: so is the number of users, and exp() must not overflow.
    return np.exp(np.minimum(months * np.log1p(percent / 100.0)[:, None], 70.0))


def _per_user_per_second(demand: Demand, worlds: Worlds) -> dict[str, Floats]:
    """Operations a second of one registered user, by the names that the traffic uses."""
    activity = demand.activity
    drawn = {name: worlds.draw(f"activity.{name}", getattr(activity, name))
             for name in (field.name for field in fields(activity))
             if name not in {"peak_to_mean", "weekend_to_weekday"}}
    requests = drawn["requests_per_user_hour"] / _HOUR_S
    tasks = drawn["tasks_per_user_hour"] / _HOUR_S
    return {
        "validate": requests,
        "touch": requests * drawn["touches_per_request"],
        "check": requests * drawn["rate_checks_per_request"],
        "cached_read": requests * drawn["cached_reads_per_request"],
        "create": drawn["logins_per_user_day"] / _DAY_S,
        "log_out": drawn["log_outs_per_user_day"] / _DAY_S,
        "log_out_everywhere": drawn["log_outs_everywhere_per_user_day"] / _DAY_S,
        "list_active": drawn["active_lists_per_user_day"] / _DAY_S,
        "store_result": tasks,
        "get_result": tasks * drawn["result_reads_per_task"],
    }


def _connections(demand: Demand, worlds: Worlds, growth: Floats) -> Floats:
    tables = demand.connections
    tasks = worlds.draw("connections.tasks", tables.tasks)[:, None]
    workers = worlds.draw("connections.workers_per_task", tables.workers_per_task)[:, None]
    pool = worlds.draw("connections.pool_size", tables.pool_size)[:, None]
    # Tasks come whole; the hair taken off keeps a rounding error from starting another.
    whole_tasks = np.ceil(tasks * (growth if tables.grow_with_users else np.ones_like(growth)) - 1e-9)
    return whole_tasks * workers * pool
