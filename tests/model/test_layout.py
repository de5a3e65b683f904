"""Every structure of Redis, counted by a real server and by arithmetic.

The server is the one that the other tests use: with AMPLY_REDIS_SERVER naming another version, its layout is
what is held against it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from measured_server import layout_of_server

from amply_capacity.model.allocator import ALLOCATORS, Allocator
from amply_capacity.model.layout import Layout
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


def streams(entries: int, length: int, fields: int = 1) -> Case:
    content = {f"field{number:03d}": "v" * (length // fields) for number in range(fields)}

    def fill(pipe: Any, key: str, _number: int) -> None:
        for entry in range(entries):
            pipe.xadd(key, content, id=f"{1_700_000_000_000 + 7 * entry}-0")

    return Case(f"a stream of {entries}, {fields} fields", fill,
                lambda layout: layout.stream(entries, length, fields), tolerance=0.005)


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
    zsets(10), zsets(300), lists(10), lists(1000), streams(10, 50), streams(250, 30), streams(300, 200, 4),
]


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Any, Layout]]:
    with clusters.throw_away(maxmemory_bytes=2**30) as cluster, connect(cluster.endpoint) as client:
        yield client, layout_of_server(client)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_real_server_takes_what_is_computed(case: Case, server: tuple[Any, Layout]) -> None:
    client, layout = server
    keys = min(KEYS, 40_000_000 // int(case.bytes(layout)))
    client.execute_command("FLUSHALL", "SYNC")  # Valkey's own default is to free later
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
