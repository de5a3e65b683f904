"""`used_memory` that a demand needs, month by month in every world, and the leak of indexes within it.

Lengths of keys and values come from a run, numbers from the demand, bytes from the layout of the server that
is to hold them. Arrays have the shape (worlds, months), column 0 today, as in `workload`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from amply_capacity.errors import BadRun
from amply_capacity.interval import Interval
from amply_capacity.model.connection import connection_bytes
from amply_capacity.model.dictionary import tables_bytes
from amply_capacity.model.layout import Layout
from amply_capacity.model.leak import SESSION_DAYS, IndexRates, stale_members
from amply_capacity.model.members import IndexSizes, Law, of_the_population
from amply_capacity.model.memory import Server, fixed_items
from amply_capacity.model.shapes import RunShapes
from amply_capacity.plan.crossing import MONTH_DAYS
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.workload import Workload, workload
from amply_capacity.plan.worlds import Floats, Worlds

__all__ = ["INDEX_LINE", "Course", "Holder", "Median", "course", "for_users"]

_DAY_S = 86_400.0
_LINES = {"sessions": "session:* (string)", "counters": "rate:* (int)", "cached": "cache:* (string)",
          "results": "celery-task-meta-* (string)"}
INDEX_LINE = "user_sessions:* (set{})"
_LOST_LINE = "rate:* whose EXPIRE was lost (int, no TTL)"


class Median(Worlds):
    """The one world in which every number is what it is in the middle."""

    def __init__(self) -> None:
        super().__init__(count=1)

    def draw(self, name: str, interval: Interval, at_least: float = 0.0) -> Floats:
        return np.array([max(interval.mid, at_least)])


@dataclass(frozen=True, slots=True)
class Holder:
    """The server that is to hold it all."""

    layout: Layout
    server: Server
    """Without connections: those are the demand's."""
    connections: int | None = None
    """Instead of the demand's, all of them busy."""
    limit_bytes: int | None = None
    """Its maxmemory, where it has one."""
    index_ttl: bool = False
    """The fix: every SADD gives the index a TTL of seven days."""
    lost_expires_per_day: Interval | None = None
    """Rate keys that never expire since their EXPIRE was lost; None: nobody knows, and none are counted."""
    law: Law = of_the_population
    """How members are spread over the indexes."""


@dataclass(frozen=True, slots=True)
class Course:
    """Bytes in every world and month."""

    items: Mapping[str, Floats]
    """By line of the bill; they add up to `used`."""
    counts: Mapping[str, Floats]
    """Keys by line, where it is one of keys."""
    evictable: frozenset[str]
    used: Floats
    """What is needed at the peak hour, whether there is room for it or not."""
    unevictable: Floats
    """What stays under a volatile policy when all keys with a TTL are evicted."""
    stale_members: Floats
    """Ids of expired sessions in an index, mean of a registered user."""
    load: Workload


def for_users(demand: Demand, users: int) -> Demand:
    """The demand of so many registered users: connections grow with them as the demand says."""
    tables = demand.connections
    factor = users / demand.users.registered.mid
    if tables.grow_with_users:
        tables = replace(tables, tasks=tables.tasks.scaled(factor))
    return replace(demand, users=replace(demand.users, registered=Interval.exact(float(users))),
                   connections=tables)


def course(demand: Demand, shapes: RunShapes, holder: Holder, worlds: Worlds,
           start: date | None = None) -> Course:
    """`start` is today, for the demand's campaigns. Raises BadRun where the demand has keys of a
    class that the run does not show.
    """
    load = workload(demand, worlds, start)
    layout = holder.layout
    lines = _Lines()
    stale = _stale(demand, load, holder, worlds)
    _add_keys(lines, demand, shapes, load, stale, holder, worlds)
    all_keys = np.sum(list(lines.counts.values()), axis=0)
    lasting = np.sum([np.zeros_like(all_keys), *(
        count for name, count in lines.counts.items() if name not in lines.evictable)], axis=0)
    lines.add("hash table of the TTLs", _tables(layout, all_keys - lasting), is_evictable=True)
    lines.items.update(_connections(load, holder, worlds))
    for item in fixed_items(layout, holder.server):
        lines.add(item.what, np.zeros_like(load.users) + worlds.draw(item.what, item.bytes)[:, None])
    table = _tables(layout, all_keys)
    used = lines.total() + table
    stays = _lasting_table(layout, table, lasting, used, holder.limit_bytes)
    unevictable = lines.total(lasting_only=True) + stays
    lines.add("hash table of the keys", np.minimum(stays, table))
    if (table > stays).any():
        lines.add("hash table of the keys, the part that shrinks", np.maximum(table - stays, 0.0),
                  is_evictable=True)
    return Course(lines.items, lines.counts, frozenset(lines.evictable), used, unevictable, stale, load)


class _Lines:
    """The bill while it is being made."""

    def __init__(self) -> None:
        self.items: dict[str, Floats] = {}
        self.counts: dict[str, Floats] = {}
        self.evictable: set[str] = set()

    def add(self, name: str, sizes: Floats, count: Floats | None = None, *,
            is_evictable: bool = False) -> None:
        self.items[name] = sizes
        if count is not None:
            self.counts[name] = count
        if is_evictable:
            self.evictable.add(name)

    def total(self, *, lasting_only: bool = False) -> Floats:
        chosen = [sizes for name, sizes in self.items.items()
                  if not (lasting_only and name in self.evictable)]
        summed: Floats = np.sum(chosen, axis=0)
        return summed


def _add_keys(lines: _Lines, demand: Demand, shapes: RunShapes, load: Workload, stale: Floats, holder: Holder,
              worlds: Worlds) -> None:
    keys = {"sessions": load.sessions, "counters": load.counters, "cached": load.cached,
            "results": load.results}
    per_day = holder.lost_expires_per_day
    _require(shapes, [name for name, count in keys.items()
                      if count.any() or (name == "counters" and per_day is not None)])
    for name, count in keys.items():
        if count.any():
            each = worlds.draw(f"shape.{name}", shapes.classes[name].bytes_each(holder.layout))
            lines.add(_LINES[name], count * each[:, None], count, is_evictable=True)
    count, sizes = _indexes(shapes, load, stale, holder)
    lines.add(INDEX_LINE.format("" if holder.index_ttl else ", no TTL"), sizes, count,
              is_evictable=holder.index_ttl)
    if per_day is not None:
        lost = _lost(demand, load, per_day, worlds)
        one = shapes.classes["counters"].bytes_each(holder.layout, has_ttl=False).mid
        lines.add(_LOST_LINE, lost * one, lost)


def _require(shapes: RunShapes, names: list[str]) -> None:
    missing = [name for name in names if name not in shapes.classes]
    if shapes.index is None:
        missing.append("indexes of sessions")
    if missing:
        raise BadRun("the run does not show every class of keys that this demand needs",
                     got=f"no key accesses with a size of {', '.join(missing)}",
                     do="give a mixed run, e.g. data/examples/mixed, or record one: `locust -f "
                        "loadtests/mixed.py --headless`")


def _stale(demand: Demand, load: Workload, holder: Holder, worlds: Worlds) -> Floats:
    """Stale ids a registered user: today's as the demand says, then as log-ins and lists make them."""
    per_day = {name: rate * _DAY_S for name, rate in load.per_user_per_second.items()}
    live = load.sessions[:, 0] / np.maximum(load.users[:, 0], 1e-9)
    rates = IndexRates(per_day["create"][:, None], (live / SESSION_DAYS)[:, None],
                       (per_day["list_active"] + per_day["log_out_everywhere"])[:, None])
    percent = worlds.draw("users.growth_percent_per_month", demand.users.growth_percent_per_month, -99.0)
    return stale_members(_days(load), (load.index_members_per_user - live)[:, None], rates,
                         (np.log1p(percent / 100.0) / MONTH_DAYS)[:, None], has_ttl=holder.index_ttl)


def _indexes(shapes: RunShapes, load: Workload, stale: Floats, holder: Holder) -> tuple[Floats, Floats]:
    """How many indexes there are, and their bytes. Without a TTL one stays when its user has gone."""
    assert shapes.index is not None
    sizes = IndexSizes(holder.layout, shapes.index, holder.index_ttl)
    live = np.broadcast_to((load.sessions / np.maximum(load.users, 1e-9)), stale.shape)
    if not holder.index_ttl:
        people = np.maximum.accumulate(load.users, axis=1)
        return people, people * sizes.mean(live, stale, holder.law)
    log_ins = load.per_user_per_second["create"] * _DAY_S
    alive = -np.expm1(-log_ins * SESSION_DAYS)[:, None]
    share = np.maximum(alive, 1e-9)
    people = load.users * alive
    return people, people * sizes.mean(live / share, stale / share, holder.law)


def _lost(demand: Demand, load: Workload, per_day: Interval, worlds: Worlds) -> Floats:
    """Counters that never expire, from now on: at most one an API key, which it then blocks for ever."""
    tables = demand.organisations
    users_each = worlds.draw("organisations.users_per_organisation", tables.users_per_organisation, 1e-9)
    keys_each = worlds.draw("organisations.api_keys_per_organisation", tables.api_keys_per_organisation)
    api_keys = load.users * (keys_each / users_each)[:, None]
    return np.minimum(worlds.draw("memory.lost_expires", per_day)[:, None] * _days(load), api_keys)


def _days(load: Workload) -> Floats:
    """Days from today to each month, shape (1, months)."""
    return np.array([MONTH_DAYS * month for month in range(load.users.shape[1])])[None, :]


def _connections(load: Workload, holder: Holder, worlds: Worlds) -> dict[str, Floats]:
    connection = connection_bytes(holder.layout)
    if holder.connections is not None:
        each = worlds.draw("memory.connection", connection.busy)
        count = np.full_like(load.users, holder.connections)
    else:
        # The demand's pools are full; how many of their connections are busy it does not say.
        busy = connection.busy
        each = worlds.draw("memory.connection", Interval(min(connection.idle, busy.low), busy.mid, busy.high))
        count = load.connections
    return {"client connections": count * each[:, None]} if count.any() else {}


def _tables(layout: Layout, entries: Floats) -> Floats:
    if type(layout).table is Layout.table:
        return tables_bytes(entries)
    sizes: Floats = np.vectorize(lambda one: float(layout.table(round(one))), otypes=[np.float64])(entries)
    return sizes


def _lasting_table(layout: Layout, table: Floats, lasting: Floats, used: Floats,
                   limit_bytes: int | None) -> Floats:
    """The keys' table when only lasting ones are left: grown until memory is full, later only if it must.

    At maxmemory it grows when it is overfull; with few keys it shrinks.
    """
    own = _tables(layout, lasting)
    grown = table
    if limit_bytes is not None:
        is_full = np.maximum.accumulate(used >= limit_bytes, axis=1)
        at_full = np.where(is_full, 0.0, table).max(axis=1, keepdims=True)
        overfull = _tables(layout, lasting / layout.refused_load)
        grown = np.where(is_full, np.where(at_full > 0.0, np.maximum(at_full, overfull),
                                           np.minimum(table, own)), table)
    is_emptied = lasting < layout.shrink_below * grown / layout.place_bytes
    return np.where(is_emptied, own, grown)
