"""What memory a demand needs on a node, when it is full, when evictions start and when writes fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from amply_capacity.errors import UnknownName
from amply_capacity.interval import Interval
from amply_capacity.model.bill import Bill, Item, Peak
from amply_capacity.model.members import of_chance, of_the_population
from amply_capacity.model.peaks import Circumstances, peaks
from amply_capacity.model.shapes import RunShapes
from amply_capacity.plan.crossing import Crossing, crossing, months_until
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.key_classes import unreclaimed_shares
from amply_capacity.plan.memory import Course, Holder, Median, course
from amply_capacity.plan.projection import month_names
from amply_capacity.plan.worlds import Floats, Worlds

__all__ = ["POLICIES", "MemoryPrediction", "Outlook", "predict_memory"]

POLICIES = ("volatile-lru", "volatile-lfu", "volatile-ttl", "volatile-random", "allkeys-lru", "allkeys-lfu",
            "allkeys-random", "noeviction")
_WRITES = {"create": 2.0, "touch": 1.0, "check": 1.0, "store_result": 1.0, "log_out": 2.0}
"""Commands that write, of an operation; those of rare ones are left out."""
_QUANTILES = (5.0, 95.0)


@dataclass(frozen=True, slots=True)
class Outlook:
    """When a maxmemory is reached, and what then happens under its policy."""

    maxmemory_bytes: int
    policy: str
    memory_full: Crossing
    evictions_start: Crossing | None
    """None: that policy evicts nothing."""
    writes_fail: Crossing | None
    """None: that policy can always evict something."""

    def as_json(self) -> dict[str, Any]:
        return {"maxmemory_bytes": self.maxmemory_bytes, "policy": self.policy,
                **{name: None if value is None else value.as_json()
                   for name, value in (("memory_full", self.memory_full),
                                       ("evictions_start", self.evictions_start),
                                       ("writes_fail", self.writes_fail))}}


@dataclass(frozen=True, slots=True)
class MemoryPrediction:
    """The bill of today, the months after it, and the leak with and without its fix."""

    bill: Bill
    months: tuple[Mapping[str, Any], ...]
    """Needed and unevictable bytes by month, today's first."""
    leak: Mapping[str, Any]
    outlook: Outlook | None
    """None where no maxmemory was given."""
    fixed_outlook: Outlook | None
    """The same when every SADD gives the index a TTL of seven days."""

    def as_json(self) -> dict[str, Any]:
        return {
            **self.bill.as_json(), "months": list(self.months), "leak": dict(self.leak),
            "outlook": None if self.outlook is None else self.outlook.as_json(),
            "outlook_with_fix": None if self.fixed_outlook is None else self.fixed_outlook.as_json(),
        }


def predict_memory(demand: Demand, shapes: RunShapes, holder: Holder, *, others: tuple[Holder, ...] = (),
                   policy: str = "volatile-lru", start: date, worlds: Worlds | None = None,
                   replica_output_limit_bytes: int | None = None) -> MemoryPrediction:
    """The prediction for the demand of today's users.

    `others` are servers that it may be instead: the bounds hold them as well. Raises UnknownName for a
    policy, BadRun where the run does not show a class of keys that the demand has.
    """
    if policy not in POLICIES:
        raise UnknownName("maxmemory-policy", policy, POLICIES)
    worlds = worlds or Worlds(2_000)
    median = course(demand, shapes, holder, Median(), start)
    # How members are spread over the indexes nobody has said: the bounds hold both forms.
    forms = [replace(one, law=law) for one in (holder, *others) for law in (of_the_population, of_chance)]
    sampled = [course(demand, shapes, one, worlds, start) for one in forms]
    fixed_holder = replace(holder, index_ttl=True)
    fixed = course(demand, shapes, fixed_holder, worlds, start)
    limit = holder.limit_bytes
    bill = replace(
        _bill(demand, median, sampled, holder), peaks=tuple(peaks(
            holder.layout, *_key_counts(median), float(median.used[0, 0]), _largest(shapes),
            _around(demand, median, replica_output_limit_bytes))) + _expired(median))
    return MemoryPrediction(
        bill=bill,
        months=tuple(_months(start, median, sampled)),
        leak=_leak(median, sampled, course(demand, shapes, fixed_holder, Median(), start), fixed),
        outlook=None if limit is None else _outlook(sampled, limit, policy, start),
        fixed_outlook=None if limit is None else _outlook([fixed], limit, policy, start),
    )


def _bill(demand: Demand, median: Course, sampled: list[Course], holder: Holder) -> Bill:
    items = [Item(name, _interval(values[0, 0], [one.items.get(name) for one in sampled]),
                  float(median.counts[name][0, 0]) if name in median.counts else 0.0,
                  name in median.evictable)
             for name, values in sorted(median.items.items(), key=lambda item: _rank(item[0], median))
             if values[0, 0] > 0.0]
    layout = holder.layout
    return Bill(tuple(items), (), _interval(median.used[0, 0], [one.used for one in sampled]),
                _interval(median.unevictable[0, 0], [one.unevictable for one in sampled]),
                layout.name, layout.verified_on, layout.allocator.name)


def _rank(line: str, median: Course) -> int:
    """Keys first, then their tables, then what does not hang on them."""
    return 0 if line in median.counts else 1 if line.startswith("hash table") else 2


def _interval(mid: float, values: list[Floats | None], month: int = 0) -> Interval:
    """Bounds of 90 % of the worlds, of whichever form goes further."""
    ends = np.array([np.percentile(one[:, month], _QUANTILES) for one in values if one is not None])
    return Interval(float(min(mid, ends[:, 0].min())), float(mid), float(max(mid, ends[:, 1].max())))


def _months(start: date, median: Course, sampled: list[Course]) -> list[dict[str, Any]]:
    names = (f"{start:%Y-%m}", *month_names(start, median.used.shape[1] - 1))
    rows = []
    for month, name in enumerate(names):
        needed = _interval(median.used[0, month], [one.used for one in sampled], month)
        lasting = _interval(median.unevictable[0, month], [one.unevictable for one in sampled], month)
        rows.append({"month": name, **{f"{what}_{bound}": round(getattr(value, bound))
                                       for what, value in (("used", needed), ("unevictable", lasting))
                                       for bound in ("low", "mid", "high")}})
    return rows


def _leak(median: Course, sampled: list[Course], median_fixed: Course, fixed: Course) -> dict[str, Any]:
    users = np.maximum(median.load.users[0], 1e-9)
    line = next(name for name in median.items if name.startswith("user_sessions:"))
    fixed_line = next(name for name in median_fixed.items if name.startswith("user_sessions:"))

    def today(value: Interval) -> dict[str, int]:
        return {name: round(getattr(value, name)) for name in ("low", "mid", "high")}

    last = median.used.shape[1] - 1
    return {
        "index_bytes_per_user": round(float(median.items[line][0, 0] / users[0]), 1),
        "index_bytes_per_user_at_horizon": round(float(median.items[line][0, last] / users[last]), 1),
        "stale_members_per_user": round(float(median.stale_members[0, 0]), 2),
        "stale_members_per_user_at_horizon": round(float(median.stale_members[0, last]), 2),
        "index_bytes": today(_interval(median.items[line][0, 0], [one.items[line] for one in sampled])),
        "index_bytes_at_horizon": today(_interval(median.items[line][0, last],
                                                  [one.items[line] for one in sampled], last)),
        "index_bytes_at_horizon_with_fix": today(_interval(median_fixed.items[fixed_line][0, last],
                                                           [fixed.items[fixed_line]], last)),
        "unevictable_bytes_at_horizon_with_fix": today(_interval(median_fixed.unevictable[0, last],
                                                                 [fixed.unevictable], last)),
    }


def _outlook(courses: list[Course], limit: int, policy: str, start: date) -> Outlook:
    full = np.concatenate([months_until(one.used, limit) for one in courses])
    lasting = np.concatenate([months_until(one.unevictable, limit) for one in courses])
    is_full = crossing(full, start)
    if policy == "noeviction":
        return Outlook(limit, policy, is_full, None, is_full)
    fail = crossing(lasting, start) if policy.startswith("volatile-") else None
    return Outlook(limit, policy, is_full, is_full, fail)


def _expired(median: Course) -> tuple[Peak, ...]:
    """Results that have expired and that nobody asks for: they wait for the active expire cycle.

    A fresh keyspace has none. Counters and cached values are asked for again, so that no more of them are
    there than API keys and organisations, and so many are counted anyway.
    """
    name = next((name for name in median.counts if name.startswith("celery")), None)
    share = unreclaimed_shares(median.load).get("results") if name is not None else None
    if name is None or share is None:
        return ()
    return (Peak("expired Celery results that are not reclaimed yet",
                 share.scaled(float(median.items[name][0, 0]))),)


def _key_counts(median: Course) -> tuple[float, float]:
    keys = sum(float(count[0, 0]) for count in median.counts.values())
    volatile = sum(float(count[0, 0]) for name, count in median.counts.items() if name in median.evictable)
    return keys, volatile


def _largest(shapes: RunShapes) -> float:
    return max((shape.value_bytes or 0.0 for one in shapes.classes.values() for shape in one.shapes),
               default=0.0)


def _around(demand: Demand, median: Course, replica_output_limit_bytes: int | None) -> Circumstances:
    writes = sum(commands * float(median.load.operations_per_second(name, peak=True)[0, 0])
                 for name, commands in _WRITES.items())
    connections = float(median.load.connections[0, 0])
    has_replica = demand.cluster.replicas > 0
    return Circumstances(connections, connections, Interval(0.5 * writes, writes, 2.0 * writes),
                         replica_output_limit_bytes if has_replica else None)
