"""Versions: each has the layout of the latest known before it, which says whether such a server was run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.model.allocator import BUNDLED, DEBIAN, Allocator
from amply_capacity.model.layout import Layout
from amply_capacity.model.layouts import (
    LAYOUTS,
    Redis62,
    Redis72,
    Valkey80,
    Valkey81,
    allocator_named,
    layout_of,
)


@pytest.mark.parametrize(("engine", "version", "name"), [
    ("redis", "5.0.6", "redis 6.2"), ("redis", "6.2.14", "redis 6.2"), ("redis", "7.0.15", "redis 7.0"),
    ("redis", "7.1", "redis 7.0"), ("redis", "7.2.4", "redis 7.2"), ("valkey", "7.2", "redis 7.2"),
    ("valkey", "8.0.1", "valkey 8.0"), ("valkey", "8.1", "valkey 8.1"), ("valkey", "9", "valkey 8.1")])
def test_a_version_has_the_layout_of_the_latest_before_it(engine: str, version: str, name: str) -> None:
    assert layout_of(engine, version).name == name


def test_what_was_not_run_says_so() -> None:
    assert {one.name: one.verified_on for one in LAYOUTS.values()} == {
        "redis 6.2": "redis 6.2.5", "redis 7.0": "redis 7.0.15", "redis 7.2": None, "valkey 8.0": None,
        "valkey 8.1": "valkey 8.1.1"}


@pytest.mark.parametrize(("name", "kind", "allocator"), [
    ("jemalloc-5.2.1", Layout, BUNDLED), ("jemalloc-5.3.0", Layout, DEBIAN),
    ("jemalloc-5.1.0", Redis62, BUNDLED), ("jemalloc-5.3.0", Valkey81, BUNDLED), ("libc", Layout, None)])
def test_an_allocator_is_told_by_its_version_where_redis_brings_an_older_one(
        name: str, kind: type[Layout], allocator: Allocator | None) -> None:
    assert allocator_named(name, kind) == allocator


@pytest.mark.parametrize("kind", LAYOUTS.values(), ids=lambda kind: kind.name)
@given(st.integers(1, 200), st.integers(1, 300))
def test_more_never_takes_less(kind: type[Layout], count: int, length: int) -> None:
    layout = kind()
    assert layout.string(length + 1) >= layout.string(length) > length
    assert layout.key(length + 1, True) >= layout.key(length, True) >= layout.key(length, False) > length
    # Valkey 8.1 reckons a long name's header two bytes too short: a value that so just fits beside it wastes
    # most of the next size of allocation, and one byte more, that does not fit, takes less.
    spared = 8 if kind is Valkey81 and (length, count) == (32, 1) else 0
    assert layout.string_key(length, True, count + 1) >= layout.string_key(length, True, count) - spared
    assert layout.tables(count + 1, count) >= layout.tables(count, count)
    assert layout.set(2 * count, length) >= layout.set(count, length) > count * length
    assert layout.hash(2 * count, length, length) >= layout.hash(count, length, length) > 2 * count * length
    assert layout.zset(2 * count, length) >= layout.zset(count, length) > count * length
    assert layout.stream(2 * count, length) >= layout.stream(count, length) > count * length
    assert layout.list(2 * count, length) >= layout.list(count, length) > count * length


@pytest.mark.parametrize("kind", LAYOUTS.values(), ids=lambda kind: kind.name)
@given(st.integers(1, 300_000))
def test_a_table_has_room_for_what_it_holds_and_takes_as_much_then(kind: type[Layout], keys: int) -> None:
    layout = kind()
    room = layout.table_room(keys)
    assert room is not None
    assert keys <= room < 2 * max(keys, 7)
    assert layout.filled_table(keys, room) == pytest.approx(layout.table(keys), rel=0.01, abs=64)
    assert layout.table(room + 1) > layout.table(room)


def test_valkey_needs_no_entry_of_its_own_for_a_key_or_a_ttl() -> None:
    """36 characters, 480 bytes, a TTL: an object of 64 and a string of 512, measured on valkey 8.1.1."""
    session = (36, True, 480)
    assert Layout().string_key(*session) == 40 + 24 + 24 + 16 + 512
    assert Valkey80().string_key(*session) == 64 + 24 + 16 + 512
    assert Valkey81().string_key(*session) == 80 + 512
    assert Valkey81().string_key(12, True, 20) == 64, "all in one allocation"


def test_a_small_set_of_strings_is_one_allocation_from_7_2_on() -> None:
    assert Redis72().set(13, 28) == 16 + 448 < Layout().set(13, 28)


def test_cluster_mode_costs_each_key_its_slot_until_valkey_keeps_a_table_for_each() -> None:
    assert Layout(is_cluster=True).key(20, True) - Layout().key(20, True) == 16
    assert Redis62(is_cluster=True).key(20, True) - Redis62().key(20, True) == 32
    alone, slotted = Valkey81(), Valkey81(is_cluster=True)
    assert slotted.key(20, True) == alone.key(20, True)
    assert slotted.table(200_000) > alone.table(200_000) + 16_384 * 60
    assert slotted.table_room(200_000) is None, "no table of all keys is ever doubled"
    assert slotted.table(0) == 0
