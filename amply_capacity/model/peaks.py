"""What memory may be needed beside the bill for seconds or minutes: tables that double, storms, snapshots."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from amply_capacity.interval import Interval
from amply_capacity.model.bill import NOT_COUNTED, OUTSIDE, Peak
from amply_capacity.model.connection import connection_bytes, waiting_reply_bytes
from amply_capacity.model.layout import Layout

__all__ = ["RESIDENT_OVER_USED", "SNAPSHOT_BYTES_PER_SECOND", "Circumstances", "copy_on_write_bytes", "peaks"]

RESIDENT_OVER_USED = 1.09
"""Of a fresh heap, redis 7.0.15: 1.08 to 1.10."""
SNAPSHOT_BYTES_PER_SECOND = Interval(10e6, 50e6, 200e6)
"""Of used_memory written to a snapshot: a guess, from a throttled core to a whole one."""
_FSYNC_WAIT_SECONDS = 2.0
_LARGE_ARGUMENT = 32_768
_PAGE_BYTES = 4096
_COPIES_A_WRITE = Interval(0.8, 1.2, 1.7)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the peaks depend on beside the keyspace; None where it is not known, and then there is no line."""

    busy_connections: float = 0.0
    all_connections: float = 0.0
    writes_per_second: Interval | None = None
    """Commands that write, at the peak."""
    replica_output_limit_bytes: int | None = None
    """The hard limit of client-output-buffer-limit for a replica."""
    appended_bytes_per_second: Interval | None = None
    """What writes add to an append-only file with appendfsync everysec; None without one."""


def peaks(layout: Layout, keys: float, volatile_keys: float, used_bytes: float, largest_value: float,
          around: Circumstances) -> Iterator[Peak]:
    """The peaks of a keyspace of so many keys, whose largest value has `largest_value` bytes."""
    for what, entries in (("keys", round(keys)), ("TTLs", round(volatile_keys))):
        full = layout.table_room(entries)
        if full:
            # Beside the table itself until all buckets are moved, which takes a second for a million.
            yield Peak(f"the next hash table of the {what}, from {full:,} of them on",
                       Interval.exact(layout.table(full + 1)))
    connection = connection_bytes(layout)
    if around.all_connections:
        yield Peak("every connection opened again before the old ones are closed (a deploy, a failover)",
                   Interval(connection.new, connection.burst, connection.burst)
                   .scaled(around.all_connections))
    reply = waiting_reply_bytes(layout, largest_value)
    if around.busy_connections and reply:
        yield Peak("the largest value waiting unread on every busy connection (output buffers)",
                   Interval(0.0, reply, reply).scaled(around.busy_connections))
    if around.busy_connections and largest_value >= _LARGE_ARGUMENT:
        more = layout.size(round(largest_value)) - layout.size(layout.query_buffer_bytes)
        yield Peak("the largest value being sent on every busy connection (query buffers)",
                   Interval(0.0, more, more).scaled(around.busy_connections))
    if around.replica_output_limit_bytes is not None:
        yield Peak("the output buffer of a replica that lags, beyond the backlog, at its hard limit",
                   Interval(0.0, around.replica_output_limit_bytes, around.replica_output_limit_bytes),
                   NOT_COUNTED)
    if around.appended_bytes_per_second is not None:
        # everysec lets the buffer grow while an fsync takes longer than it should (aof.c).
        most = around.appended_bytes_per_second.scaled(_FSYNC_WAIT_SECONDS)
        yield Peak("the append-only file's buffer during a slow fsync", Interval(0.0, most.mid, most.high),
                   NOT_COUNTED)
    if around.writes_per_second is not None:
        yield _snapshot(around.writes_per_second, used_bytes)


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


def _snapshot(writes_per_second: Interval, used_bytes: float) -> Peak:
    resident = RESIDENT_OVER_USED * used_bytes
    speed = SNAPSHOT_BYTES_PER_SECOND
    copied = Interval(copy_on_write_bytes(resident, writes_per_second.low, used_bytes / speed.high).low,
                      copy_on_write_bytes(resident, writes_per_second.mid, used_bytes / speed.mid).mid,
                      copy_on_write_bytes(resident, writes_per_second.high, used_bytes / speed.low).high)
    return Peak("pages copied while a snapshot is written (the reserved memory is for this)", copied, OUTSIDE)
