"""`used_memory` of a keyspace as an itemised bill: the keys' structures, tables, connections, the server.

Sums of exact sizes (`model.layout`). Intervals stand for what a table of shapes cannot say: whether the old
bucket array of a growing set is still there, and how busy the connections are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from amply_capacity.interval import Interval
from amply_capacity.model.layout import Layout
from amply_capacity.run.keyspace import Shape

__all__ = ["ACTIVE_CONNECTION_BYTES", "BACKLOG_BYTES", "BASE_BYTES", "LATENCY_HISTOGRAM_BYTES", "Bill",
           "Item", "bill_of", "copy_on_write_bytes"]

BASE_BYTES = Interval(855_000.0, 869_000.0, 885_000.0)
"""A server without keys and clients, redis 7.0.15; a running one says its own, `used_memory_startup`."""
ACTIVE_CONNECTION_BYTES = Interval(20_500.0, 22_776.0, 25_000.0)
"""One that sends a command at least every other second: its query buffer (16 KB, in a class of 20,480), its
reply buffer of 1 KB, and the client itself. Measured on redis 7.0.15."""
BACKLOG_BYTES = 1_066_224
"""repl-backlog-size of 1 MiB and its index, once a replica has asked for it; measured on redis 7.0.15."""
LATENCY_HISTOGRAM_BYTES = 24_688
"""Of each command that was ever called, while latency-tracking is on, Redis 7.0's default: an HDR histogram
from 1 ns to 1 s with two digits (hdr_histogram.c). Measured on redis 7.0.15."""
_APPLICATION_COMMANDS = Interval(8.0, 14.0, 25.0)
_PAGE_BYTES = 4096
_COPIES_A_WRITE = Interval(0.8, 1.2, 1.7)


@dataclass(frozen=True, slots=True)
class Item:
    """A line of the bill."""

    what: str
    bytes: Interval
    keys: float = 0.0
    is_evictable: bool = False
    """Whether a volatile policy may free it: it belongs to keys with a TTL."""

    def as_json(self) -> dict[str, Any]:
        return {"what": self.what, "bytes": round(self.bytes.mid), "low": round(self.bytes.low),
                "high": round(self.bytes.high), "keys": round(self.keys), "evictable": self.is_evictable}


@dataclass(frozen=True, slots=True)
class Bill:
    """What `used_memory` consists of, and what comes on top for a while."""

    items: tuple[Item, ...]
    peaks: tuple[Item, ...]
    """Not in the sum: what may be needed beside it for seconds or minutes."""

    @property
    def used(self) -> Interval:
        return _sum(item.bytes for item in self.items)

    @property
    def unevictable(self) -> Interval:
        """What stays when every key with a TTL has been evicted; the bucket arrays do not shrink by that."""
        return _sum(item.bytes for item in self.items if not item.is_evictable)


def bill_of(shapes: Iterable[Shape], layout: Layout, *, connections: int = 0, has_replica: bool = False,
            base: Interval = BASE_BYTES, connection: Interval = ACTIVE_CONNECTION_BYTES,
            commands: Interval = _APPLICATION_COMMANDS) -> Bill:
    """The bill of a keyspace on a server of that layout.

    Where they are known: `base` is the server's own `used_memory_startup`, `connection` the bytes of one,
    `commands` the number of different commands that were ever called (INFO commandstats).
    """
    lines = [(shape, _shape_bytes(shape, layout)) for shape in shapes]
    items = [Item(_name(shape), each.scaled(shape.count), shape.count, shape.ttl_s is not None)
             for shape, each in lines]
    keys = round(sum(shape.count for shape, _ in lines))
    volatile = round(sum(shape.count for shape, _ in lines if shape.ttl_s is not None))
    items = _joined(items)
    tables = layout.tables(keys, volatile)
    items.append(Item("hash tables of the keys and their TTLs", Interval.exact(tables)))
    if layout.is_cluster:
        items.append(Item("slots of cluster mode", Interval.exact(layout.cluster_slots_bytes)))
    if connections:
        items.append(Item(f"{connections:,} connections", connection.scaled(connections)))
    if has_replica:
        items.append(Item("replication backlog", Interval.exact(BACKLOG_BYTES)))
    items.append(Item("latency histograms, one a command", commands.scaled(LATENCY_HISTOGRAM_BYTES)))
    items.append(Item("the server itself", base))
    return Bill(tuple(items), tuple(_peaks(layout, keys, volatile)))


def copy_on_write_bytes(resident_bytes: float, writes_per_second: float, seconds: float) -> Interval:
    """Pages that the parent copies while a child writes a snapshot for so long.

    Writes at random touch a page each, some more than one and some the same; the share of pages touched
    follows 1 − exp(−k·writes / pages), with k between 0.8 and 1.7 as measured on redis 7.0.15.
    """
    pages = resident_bytes / _PAGE_BYTES
    writes = writes_per_second * seconds

    def copied(k: float) -> float:
        return resident_bytes * -math.expm1(-k * writes / pages) if pages else 0.0

    return Interval(copied(_COPIES_A_WRITE.low), copied(_COPIES_A_WRITE.mid), copied(_COPIES_A_WRITE.high))


def _shape_bytes(shape: Shape, layout: Layout) -> Interval:
    """One key of that shape."""
    key = _between(lambda length: layout.key(length, shape.ttl_s is not None), shape.key_bytes)
    value, size, members = shape.value_bytes or 0.0, round(shape.member_bytes or 0.0), shape.members or 0.0

    def each(is_settled: bool) -> float:
        match shape.type:
            case "string":
                return _between(layout.string, value)
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
        return _stream(key, members, size)
    as_grown = key + each(False)
    # Looking members up moves buckets as adding does: the old table may be gone earlier.
    return Interval(key + each(True), as_grown, as_grown)


def _stream(key: float, entries: float, entry_bytes: float) -> Interval:
    """Listpacks of at most 4 KB or 100 entries in a radix tree; not measured, so with a wide interval."""
    mid = key + 900.0 + entries * (entry_bytes + 12.0)
    return Interval(0.75 * mid, mid, 1.25 * mid)


def _between(size: Callable[[int], float], mean: float) -> float:
    """The size at a mean that is no whole number: between those of its neighbours."""
    below = math.floor(mean)
    share = mean - below
    return size(below) if share == 0.0 else (1.0 - share) * size(below) + share * size(below + 1)


def _name(shape: Shape) -> str:
    return f"{shape.prefix}* ({shape.type}{'' if shape.ttl_s is not None else ', no TTL'})"


def _joined(items: list[Item]) -> list[Item]:
    """Shapes of one kind are one line."""
    lines: dict[tuple[str, bool], list[Item]] = {}
    for item in items:
        lines.setdefault((item.what, item.is_evictable), []).append(item)
    return [Item(what, _together(item.bytes for item in same), sum(item.keys for item in same), evictable)
            for (what, evictable), same in lines.items()]


def _peaks(layout: Layout, keys: int, volatile: int) -> Iterable[Item]:
    for what, entries in (("keys", keys), ("TTLs", volatile)):
        if entries:
            full = 1 << max(entries - 1, 3).bit_length()
            yield Item(f"the doubled hash table of the {what}, from {full:,} of them on",
                       Interval.exact(2 * (layout.tables(entries, 0))))


def _together(parts: Iterable[Interval]) -> Interval:
    """The sum of numbers that err in the same direction."""
    chosen = list(parts)
    return Interval(*(math.fsum(getattr(part, bound) for part in chosen) for bound in ("low", "mid", "high")))


def _sum(parts: Iterable[Interval]) -> Interval:
    """The sum of numbers that err independently of each other."""
    chosen = list(parts)
    mid = math.fsum(part.mid for part in chosen)
    return Interval(mid - math.hypot(*(part.mid - part.low for part in chosen)), mid,
                    mid + math.hypot(*(part.high - part.mid for part in chosen)))
