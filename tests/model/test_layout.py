"""Every structure of Redis 7.0, counted by a real server and by arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.model.allocator import ALLOCATORS, BUNDLED, DEBIAN, Allocator
from amply_capacity.model.layout import LAYOUTS, Layout, layout_of, lingering_share, table_bytes
from amply_capacity.target import cluster as clusters
from amply_capacity.target.endpoint import connect

KEYS = 1024
CLIENT_BYTES = 100_000
"""What the test's own connection may take more or less after a filling than before it."""

pytestmark = pytest.mark.xdist_group("layout")


class Case(NamedTuple):
    name: str
    fill: Callable[[Any, str, int], object]
    bytes: Callable[[Layout], float]
    ttl_s: int | None = None
    tolerance: float = 0.0005


def strings(length: int, ttl_s: int | None = 10_000) -> Case:
    return Case(f"a string of {length} bytes", lambda pipe, key, _n: pipe.set(key, "x" * length, ex=ttl_s),
                lambda layout: layout.string(length), ttl_s)


def sets(members: int) -> Case:
    def fill(pipe: Any, key: str, number: int) -> None:
        for member in range(members):
            pipe.sadd(key, f"ses_{number:012x}{member:012x}")

    return Case(f"a set of {members}", fill, lambda layout: layout.set(members, 28), tolerance=0.01)


def hashes(fields: int, value_bytes: int) -> Case:
    content = {f"field{number:06d}": "v" * value_bytes for number in range(fields)}
    return Case(f"a hash of {fields} values of {value_bytes} bytes",
                lambda pipe, key, _n: pipe.hset(key, mapping=content),
                lambda layout: layout.hash(fields, 11, value_bytes))


def zsets(members: int) -> Case:
    content = {f"member{number:06d}": 10**9 + number for number in range(members)}
    return Case(f"a sorted set of {members}", lambda pipe, key, _n: pipe.zadd(key, content),
                lambda layout: layout.zset(members, 12, score_length=5), tolerance=0.002)


def lists(elements: int) -> Case:
    return Case(f"a list of {elements}", lambda pipe, key, _n: pipe.rpush(key, *["e" * 50] * elements),
                lambda layout: layout.list(elements, 50))


CASES = [
    *(strings(length) for length in (1, 44, 45, 60, 400, 1500)), strings(5000, None), strings(70_000, None),
    Case("an integer", lambda pipe, key, number: pipe.set(key, number), lambda layout: layout.integer()),
    Case("a set of integers", lambda pipe, key, _n: pipe.sadd(key, *(one * 100_000 for one in range(20))),
         lambda layout: layout.integer_set(20, 4)),
    *(sets(members) for members in (1, 2, 4, 5, 6, 7, 8, 9, 14, 17, 30, 40)),
    hashes(3, 20), hashes(40, 20), hashes(40, 100), hashes(600, 20),
    zsets(10), zsets(300), lists(10), lists(1000),
]


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Any, Layout]]:
    with clusters.throw_away(maxmemory_bytes=2**30) as cluster, connect(cluster.endpoint) as client:
        allocator = DEBIAN if cluster.allocator.startswith("jemalloc-5.3") else BUNDLED
        yield client, Layout(allocator)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_real_server_takes_what_is_computed(case: Case, server: tuple[Any, Layout]) -> None:
    client, layout = server
    keys = min(KEYS, 200_000_000 // int(case.bytes(layout)))
    client.flushall()
    before = client.info("memory")["used_memory"]
    for first in range(0, keys, 64):
        pipe = client.pipeline(transaction=False)
        for number in range(first, min(first + 64, keys)):
            case.fill(pipe, f"shape:{number:010d}", number)
        pipe.execute()
    taken = client.info("memory")["used_memory"] - before
    volatile = keys if case.ttl_s else 0
    each = layout.key(16, case.ttl_s is not None) + case.bytes(layout)
    computed = keys * each + layout.tables(keys, volatile)
    assert taken == pytest.approx(computed, rel=case.tolerance, abs=CLIENT_BYTES)


def test_small_integers_are_shared_where_nothing_is_evicted_by_age() -> None:
    shared, own = Layout(shares_integers=True), Layout()
    assert (shared.integer(9_999), shared.integer(10_000), shared.integer()) == (0, 16, 16)
    assert own.integer(5) == 16


def test_a_key_in_cluster_mode_takes_two_pointers_more() -> None:
    assert Layout(is_cluster=True).key(20, True) - Layout().key(20, True) == 16


@given(st.sampled_from([*ALLOCATORS.values()]), st.integers(1, 10**9))
def test_a_size_class_holds_what_was_asked_for_and_wastes_at_most_a_fifth(
        allocator: Allocator, wanted: int) -> None:
    given_bytes = allocator.size(wanted)
    assert given_bytes >= wanted
    assert allocator.size(given_bytes) == given_bytes
    assert given_bytes - wanted < max(allocator.quantum_bytes, 0.25 * wanted)


@pytest.mark.parametrize("name", LAYOUTS)
@given(st.integers(1, 200), st.integers(1, 300))
def test_more_never_takes_less(name: str, count: int, length: int) -> None:
    layout = LAYOUTS[name]()
    assert layout.string(length + 1) >= layout.string(length) > length
    assert layout.key(length + 1, True) >= layout.key(length, True) > length
    assert layout.tables(count + 1, count) >= layout.tables(count, count)
    assert layout.list(count + 1, length) >= layout.list(count, length) > count * length
    assert layout.set(2 * count, length) >= layout.set(count, length) > count * length
    assert layout.hash(2 * count, length, length) >= layout.hash(count, length, length) > 2 * count * length
    assert layout.zset(2 * count, length) >= layout.zset(count, length) > count * length


def test_what_was_not_run_says_so() -> None:
    assert [one.is_verified for one in LAYOUTS.values()] == [True, False, False, False]


@pytest.mark.parametrize(("engine", "version", "name"), [
    ("redis", "7.0.15", "redis 7.0"), ("redis", "7.1", "redis 7.0"), ("redis", "7.2.4", "redis 7.2"),
    ("valkey", "7.2", "redis 7.2"), ("valkey", "8.0.1", "valkey 8.0"), ("valkey", "8.1", "valkey 8.1"),
    ("valkey", "9", "valkey 8.1")])
def test_a_version_has_the_layout_of_the_latest_before_it(engine: str, version: str, name: str) -> None:
    assert layout_of(engine, version).name == name


def test_the_smaller_table_of_a_set_goes_bucket_by_bucket() -> None:
    shares = [lingering_share(members) for members in range(4, 10)]
    assert shares == pytest.approx([0.0, 1.0, 1 - 4 / 256, 1 - 88 / 256, 24 / 256, 1.0])


@pytest.mark.parametrize(("keys", "table"), [
    (0, 0), (1, 32), (4, 32), (5, 64), (1_000, 8_192), (1_024, 8_192), (1_025, 16_384),
    (1_000_000, 8_388_608)])
def test_a_hash_table_is_8_bytes_times_the_next_power_of_two(keys: int, table: int) -> None:
    assert table_bytes(keys) == table


@given(st.integers(min_value=4, max_value=10**9))
def test_a_hash_table_has_a_bucket_for_every_key_and_less_than_two(keys: int) -> None:
    assert 8 * keys <= table_bytes(keys) < 16 * keys
