"""What a cluster that is too small does to its users, world by world, and what that costs.

Only what users notice has a price: operations that are too slow, sessions that are evicted, writes that are
refused. A promise that is a margin (free memory) has none: it decides what fits, not what is paid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from amply_capacity.catalog.nodes import NodeType
from amply_capacity.model.credits import credit_rules
from amply_capacity.model.day import share_of_week_above
from amply_capacity.model.throttling import credit_outlook
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.needs import Indices, Needs
from amply_capacity.plan.sizing import capacities
from amply_capacity.plan.worlds import Floats, Worlds
from amply_capacity.traffic.sessions import SESSION_TTL_SECONDS

__all__ = ["Harm", "Prices", "harm", "prices_of"]

_MINUTES = 730.0 * 60.0
"""Of a month, as prices count it."""
_SESSION_LIVES = 730.0 * 3600.0 / SESSION_TTL_SECONDS
"""Of a month: how often a live session is another one."""
_WEEK_HOURS = 168.0
_VOLATILE = ("session", "counter", "cached", "result")
"""Items of the memory that have a TTL, and that volatile-lru may evict."""


@dataclass(frozen=True, slots=True)
class Harm:
    """Expected cost of what goes wrong, USD a month by its cause, (worlds, months) each."""

    usd_by_constraint: Mapping[str, Floats]

    @property
    def usd(self) -> Floats:
        return np.asarray(sum(self.usd_by_constraint.values()))


@dataclass(frozen=True, slots=True)
class Prices:
    """What it costs, USD, (worlds, 1) each."""

    breached_month: Floats
    down_month: Floats
    lost_session: Floats

    def of_worlds(self, rows: Indices) -> Prices:
        """The same of some worlds."""
        return Prices(self.breached_month[rows], self.down_month[rows], self.lost_session[rows])


def prices_of(demand: Demand, worlds: Worlds) -> Prices:
    """As the demand's money says."""
    def drawn(name: str) -> Floats:
        return worlds.draw(f"money.{name}", getattr(demand.money, name))[:, None]

    return Prices(breached_month=_MINUTES * drawn("usd_per_breached_slo_minute"),
                  down_month=_MINUTES * drawn("usd_per_downtime_minute"),
                  lost_session=drawn("usd_per_lost_session"))


def harm(node: NodeType, demand: Demand, need: Needs, paid: Prices, months: slice, *, shards: int = 1,
         replicas: int = 1, engine: str | None = None) -> Harm:
    """Of a cluster of these nodes under the load of these months.

    The shards are alike, so the busiest one's share of the minutes stands for all: an upper bound.
    """
    has = {name: capacity.available for name, capacity in capacities(node, demand).items()}
    shape = (need.day_peak_to_mean[:, None], need.weekend_to_weekday[:, None])

    def needed(constraint: str) -> Floats:
        return need.of(node, constraint, months, shards=shards, replicas=replicas, engine=engine)

    def breached_above(constraint: str, level_over_mean: Callable[[float, Floats], Floats]) -> Floats:
        """Slow in the minutes above a level, in worlds that need more than there is."""
        available, wanted = has[constraint], needed(constraint)
        if available is None:
            return np.zeros_like(wanted)
        short = wanted > available
        if not short.any():
            return np.zeros_like(wanted)
        share = share_of_week_above(level_over_mean(available, wanted), *shape)
        return np.where(short, share, 0.0) * paid.breached_month

    peak = need.peak_to_mean[:, None]
    causes = {
        "memory": _memory(node, demand, need, months, shards, engine, paid),
        "cpu": breached_above("cpu", lambda has, peak_need: peak * has / peak_need),
        "network": breached_above("network", lambda has, mean_need: has / mean_need),
        "network_burst": breached_above("network_burst", lambda has, peak_need: peak * has / peak_need),
        # Those that find no connection wait or fail; when that is, the demand does not say.
        "connections": (needed("connections") > (has["connections"] or 0.0)) * paid.breached_month,
        "latency": (needed("latency") > (has["latency"] or 0.0)) * paid.breached_month,
    }
    if node.is_burstable:
        causes["cpu_credits"] = _throttled_share(node, need, months, shards, engine) * paid.breached_month
    return Harm(causes)


def _memory(node: NodeType, demand: Demand, need: Needs, months: slice, shards: int, engine: str | None,
            paid: Prices) -> Floats:
    """Evicted sessions and more evictions than promised; writes refused where nothing is left to evict."""
    used = need.used_memory(shards, engine)[:, months]
    in_memory = need.tiered_share(node)
    if in_memory is not None:
        used = used * in_memory[:, None]
    over = np.maximum(used - node.usable_bytes(demand.cluster.reserved_memory_percent), 0.0)
    if not over.any():
        return np.zeros_like(over)
    items = {name: values[:, months] / shards for name, values in need.memory_items.items()
             if name in _VOLATILE}
    sessions = items.get("session", np.zeros_like(over))
    evicted = np.minimum(over / np.maximum(sessions, 1.0), 1.0)
    lost = evicted * need.sessions[:, months] * _SESSION_LIVES
    is_too_often = lost / _MINUTES > demand.slo.evictions_per_minute.mid
    is_full = over > sum(items.values())
    return np.asarray(lost * paid.lost_session + is_too_often * paid.breached_month
                      + is_full * paid.down_month)


def _throttled_share(node: NodeType, need: Needs, months: slice, shards: int, engine: str | None) -> Floats:
    """Of the week, at the baseline with more asked for."""
    cores = need.node_cores(node, "cpu_credits", months, shards, engine)
    share = np.zeros_like(cores)
    if node.vcpu is None or node.cpu_baseline_percent_per_vcpu is None:
        return share
    rules = credit_rules(node)
    out = cores > need.sustainable(rules)[:, None]
    some = np.flatnonzero(out.any(axis=1))
    if some.size:
        hours = credit_outlook(rules, cores[some], need.day_peak_to_mean[some, None],
                               need.weekend_to_weekday[some, None]).throttled_hours
        share[some] = np.where(out[some], hours, 0.0) / _WEEK_HOURS
    return share
