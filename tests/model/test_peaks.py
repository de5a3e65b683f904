"""What may be needed beside the bill: each line where it is known, and of what kind it is."""

from __future__ import annotations

import pytest

from amply_capacity.interval import Interval
from amply_capacity.model.bill import COUNTED, NOT_COUNTED, OUTSIDE, Peak
from amply_capacity.model.layout import Layout
from amply_capacity.model.layouts import Valkey81
from amply_capacity.model.peaks import Circumstances, copy_on_write_bytes, peaks


def found(around: Circumstances | None = None, *, keys: float = 10_000, largest: float = 400.0,
          layout: Layout | None = None) -> list[Peak]:
    return list(peaks(layout or Layout(), keys, keys / 2, 10e6, largest, around or Circumstances()))


def test_a_table_is_doubled_when_it_is_full() -> None:
    keys, ttls = found()
    assert "of the keys, from 16,384 of them on" in keys.what
    assert keys.bytes == Interval.exact(2 * 8 * 16_384)
    assert ttls.bytes == Interval.exact(2 * 8 * 8_192)
    assert {one.where for one in (keys, ttls)} == {COUNTED}
    assert "from 14,336 of them on" in found(layout=Valkey81())[0].what, "2,048 buckets of seven"


def test_without_keys_or_with_a_table_a_slot_there_is_nothing_to_double() -> None:
    assert found(keys=0) == []
    assert found(layout=Valkey81(is_cluster=True)) == []


def test_what_is_not_known_has_no_line() -> None:
    words = " ".join(one.what for one in found(Circumstances(busy_connections=10, all_connections=20)))
    assert "opened again" in words
    assert "snapshot" not in words
    assert "replica" not in words
    assert "append-only" not in words


def test_every_line_says_what_it_counts_for() -> None:
    around = Circumstances(10.0, 20.0, Interval(5.0, 10.0, 20.0), 53_687_091, Interval(1e4, 2e4, 4e4))
    where = {one.what.split(" (")[0]: one.where for one in found(around, largest=100_000.0)}
    lagging = "the output buffer of a replica that lags, beyond the backlog, at its hard limit"
    assert where[lagging] == NOT_COUNTED
    assert where["the append-only file's buffer during a slow fsync"] == NOT_COUNTED
    assert where["pages copied while a snapshot is written"] == OUTSIDE
    assert where["the largest value waiting unread on every busy connection"] == COUNTED
    assert where["the largest value being sent on every busy connection"] == COUNTED


def test_a_storm_takes_both_buffers_of_every_connection() -> None:
    storm = next(one for one in found(Circumstances(all_connections=100.0)) if "opened again" in one.what)
    assert storm.bytes.high == 100 * 38_059.0


def test_a_snapshot_copies_few_pages_for_few_writes_and_all_of_them_at_most() -> None:
    resident = 400e6
    assert copy_on_write_bytes(resident, 10.0, 10.0).mid == pytest.approx(1.2 * 100 * 4096, rel=0.001)
    flood = copy_on_write_bytes(resident, 1e6, 60.0)
    assert flood.low == pytest.approx(resident, rel=1e-6)
    assert copy_on_write_bytes(0.0, 1.0, 1.0).high == 0.0
