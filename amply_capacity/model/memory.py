"""`used_memory` of a keyspace as an itemised bill: the keys' structures, tables, connections, the server.

Sums of exact sizes (`model.layout`). Intervals stand for what a table of shapes cannot say: whether the old
bucket array of a growing set is still there, and how the entries of a stream are spaced.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from amply_capacity.interval import Interval
from amply_capacity.model.bill import Bill, Item
from amply_capacity.model.connection import connection_bytes
from amply_capacity.model.layout import Layout
from amply_capacity.model.peaks import Circumstances, peaks
from amply_capacity.run.keyspace import Shape

__all__ = ["Server", "bill_of", "fixed_items", "shape_bytes", "table_items"]

_REDIS_MAXCLIENTS = 10_000
_RESERVED_CLIENTS = 128  # CONFIG_FDSET_INCR, server.h
_BACKLOG_INDEX_SHARE = 0.0168  # of its size: its blocks and their index, measured on redis 7.0.15
_SERVER_SPREAD = 0.03
_STREAM_ERROR, _MOST_FIELDS = 0.03, 8


@dataclass(frozen=True, slots=True)
class Server:
    """What a server holds beside its keys."""

    busy_connections: float = 0.0
    """Those that send a command every other second at least."""
    idle_connections: float = 0.0
    maxclients: int = _REDIS_MAXCLIENTS
    replicas: int = 0
    startup: Interval | None = None
    """Its own `used_memory_startup`, where one is known; else it follows from its version and maxclients."""
    tracked_commands: Interval | None = None
    """Different commands that were ever called, while latency-tracking is on: Redis' own default from 7.0 on,
    not ElastiCache's. None: it is off."""


def bill_of(shapes: Iterable[Shape], layout: Layout, server: Server | None = None,
            around: Circumstances | None = None) -> Bill:
    """The bill of a keyspace on a server of that layout; `around` is what its peaks depend on."""
    server = server or Server()
    chosen = list(shapes)
    items = _joined([Item(_name(shape), shape_bytes(shape, layout).scaled(shape.count), shape.count,
                          shape.ttl_s is not None) for shape in chosen])
    keys = sum(shape.count for shape in chosen)
    volatile = sum(shape.count for shape in chosen if shape.ttl_s is not None)
    items += table_items(layout, keys, volatile)
    items += fixed_items(layout, server)
    used = math.fsum(item.bytes.mid for item in items)
    largest = max((shape.value_bytes or shape.member_bytes or 0.0 for shape in chosen), default=0.0)
    around = around or Circumstances(server.busy_connections,
                                     server.busy_connections + server.idle_connections)
    return Bill.of(items, peaks(layout, keys, volatile, used, largest, around), layout)


def table_items(layout: Layout, keys: float, volatile_keys: float) -> list[Item]:
    """The hash tables, and how much of them goes when the keys with a TTL are evicted.

    A table that is left with few keys is made smaller (server.c, htNeedsResize).
    """
    table, ttls = layout.table(round(keys)), layout.table(round(volatile_keys))
    lasting = round(keys - volatile_keys)
    is_emptied = lasting < layout.shrink_below * (layout.table_room(round(keys)) or 0)
    stays = min(layout.table(lasting), table) if is_emptied else table
    items = [Item("hash table of the keys", Interval.exact(stays)),
             Item("hash table of the keys, the part that shrinks", Interval.exact(table - stays),
                  is_evictable=True),
             Item("hash table of the TTLs", Interval.exact(ttls), is_evictable=True)]
    return [item for item in items if item.bytes.mid > 0.0]


def fixed_items(layout: Layout, server: Server) -> list[Item]:
    """What does not depend on the keys."""
    connection = connection_bytes(layout)
    items = [
        Item(f"{server.busy_connections:,.0f} busy connections",
             connection.busy.scaled(server.busy_connections)),
        Item(f"{server.idle_connections:,.0f} idle connections",
             _about(connection.idle, _SERVER_SPREAD).scaled(server.idle_connections)),
    ]
    if server.replicas:
        backlog = layout.backlog_bytes * (1.0 + _BACKLOG_INDEX_SHARE)
        items.append(Item("replication backlog", Interval(backlog, backlog, backlog + 20_000.0)))
    if server.tracked_commands is not None:
        items.append(Item("latency histograms, one a command",
                          server.tracked_commands.scaled(layout.histogram_bytes)))
    if layout.is_cluster:
        items.append(Item("cluster mode and its map of slots", _about(layout.cluster_bytes, 0.2)))
    if server.startup is not None:
        items.append(Item("the server itself", server.startup))
    else:
        # The event loop has three arrays of a place for each client there may be (ae.c).
        places = server.maxclients + _RESERVED_CLIENTS
        own = layout.server_bytes + layout.server_entries * (layout.size(24) - 24)
        items += [Item("the server itself", _about(own, _SERVER_SPREAD)),
                  Item(f"room for {server.maxclients:,} clients (maxclients)", Interval.exact(
                      sum(layout.size(each * places) for each in layout.clients_bytes_each)))]
    return [item for item in items if item.bytes.mid > 0.0]


def shape_bytes(shape: Shape, layout: Layout) -> Interval:
    """One key of that shape."""
    has_ttl = shape.ttl_s is not None
    value, size, members = shape.value_bytes or 0.0, round(shape.member_bytes or 0.0), shape.members or 0.0
    if shape.type == "string":
        return Interval.exact(_between(
            lambda key: _between(lambda length: layout.string_key(key, has_ttl, length), value),
            shape.key_bytes))
    key = _between(lambda length: layout.key(length, has_ttl), shape.key_bytes)

    def each(is_settled: bool) -> float:
        match shape.type:
            case "int":
                return layout.integer()
            case "list":
                return _between(lambda count: layout.list(count, size), members)
            case "hash":
                return _between(lambda count: layout.hash(
                    count, size, round(value), is_settled=is_settled), members)
            case "zset":
                return _between(lambda count: layout.zset(count, size, is_settled=is_settled), members)
            case "set" if shape.member_bytes is None:
                return _between(lambda count: layout.integer_set(count, round(value)), members)
            case _:
                return _between(lambda count: layout.set(count, size, is_settled=is_settled), members)

    if shape.type == "stream":
        mid = _between(lambda count: layout.stream(count, size), members)
        many = _between(lambda count: layout.stream(count, size, _MOST_FIELDS), members)
        return Interval(key + (1.0 - _STREAM_ERROR) * mid, key + mid,
                        key + (1.0 + _STREAM_ERROR) * max(mid, many))
    as_grown = key + each(False)
    # Looking members up moves buckets as adding does: the old table may be gone earlier.
    return Interval(min(key + each(True), as_grown), as_grown, as_grown)


def _about(value: float, share: float) -> Interval:
    return Interval((1.0 - share) * value, value, (1.0 + share) * value)


def _between(size: Callable[[int], float], mean: float) -> float:
    """The size at a mean that is no whole number: between those of its neighbours."""
    below = math.floor(mean)
    share = mean - below
    return size(below) if share == 0.0 else (1.0 - share) * size(below) + share * size(below + 1)


def _name(shape: Shape) -> str:
    return f"{shape.prefix}* ({shape.type}{'' if shape.ttl_s is not None else ', no TTL'})"


def _joined(items: Sequence[Item]) -> list[Item]:
    """Shapes of one kind are one line; they err in the same direction."""
    lines: dict[tuple[str, bool], list[Item]] = {}
    for item in items:
        lines.setdefault((item.what, item.is_evictable), []).append(item)
    return [Item(what, _together(item.bytes for item in same), sum(item.keys for item in same), evictable)
            for (what, evictable), same in lines.items()]


def _together(parts: Iterable[Interval]) -> Interval:
    chosen = list(parts)
    return Interval(*(math.fsum(getattr(part, bound) for part in chosen) for bound in ("low", "mid", "high")))
