"""The bill of a keyspace: its sum beside a real server's, its lines, and what it says of the unknown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.interval import Interval
from amply_capacity.model.allocator import BUNDLED, DEBIAN
from amply_capacity.model.layout import Layout
from amply_capacity.model.memory import BASE_BYTES, bill_of, copy_on_write_bytes
from amply_capacity.run.keyspace import TYPES, Shape
from amply_capacity.target import cluster as clusters
from amply_capacity.target.cluster import Cluster
from amply_capacity.target.endpoint import connect

SESSION = Shape("session:", "string", 10_000, 36, 400, None, None, 604_800.0)
INDEX = Shape("user_sessions:", "set", 5_000, 26, None, 2, 28, None)

pytestmark = pytest.mark.xdist_group("memory")


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with clusters.throw_away(maxmemory_bytes=2**30) as cluster:
        yield cluster


def test_a_mixed_keyspace_takes_what_its_bill_says(server: Cluster) -> None:
    layout = Layout(DEBIAN if server.allocator.startswith("jemalloc-5.3") else BUNDLED)
    with connect(server.endpoint) as client:
        shapes = _fill(client.pipeline(transaction=False))
    with connect(server.endpoint) as client:  # one whose buffers are small yet
        client.ping()
        commands, memory = client.info("commandstats"), client.info("memory")
    found = bill_of((replace(shape, count=count) for shape, count in shapes.items()), layout, connections=1,
                    base=Interval.exact(memory["used_memory_startup"]),
                    commands=Interval.exact(len(commands)))
    assert found.used.mid == pytest.approx(memory["used_memory"], rel=0.002, abs=20_000)
    assert [item.what for item in found.items][:3] == [
        "session:* (string)", "user_sessions:* (set, no TTL)", "rate:api:* (int)"]


def _fill(pipe: Any) -> dict[Shape, float]:
    """Write a mixed keyspace; how many keys it has of each shape."""
    rng = Random(7)
    shapes: dict[Shape, float] = {}

    def add(shape: Shape) -> None:
        shapes[shape] = shapes.get(shape, 0.0) + 1.0

    for number in range(12_000):
        size = rng.randrange(360, 440)
        pipe.set(f"session:ses_{number:024}", "x" * size, ex=10_000)
        add(Shape("session:", "string", 1, 36, size, None, None, 10_000.0))
        if number % 3 == 0:
            members = rng.choice([1, 1, 2, 3, 6, 11])
            for member in range(members):
                pipe.sadd(f"user_sessions:{number:012}", f"ses_{number:012}{member:012}")
            add(Shape("user_sessions:", "set", 1, 26, None, members, 28, None))
            pipe.set(f"rate:api:{number:08}", number, ex=10_000)
            add(Shape("rate:api:", "int", 1, 17, None, None, None, 10_000.0))
        if number % 500 == 0:
            pipe.execute()
    pipe.execute()
    return shapes


def test_what_can_be_evicted_and_what_cannot_make_up_the_whole() -> None:
    found = bill_of([SESSION, INDEX], Layout(), connections=50, has_replica=True)
    evictable = sum(item.bytes.mid for item in found.items if item.is_evictable)
    assert found.used.mid == pytest.approx(evictable + found.unevictable.mid)
    assert evictable == 10_000 * (Layout().key(36, True) + Layout().string(400))
    assert found.unevictable.mid > 5_000 * 272 + 50 * 20_000 + 2**20 + BASE_BYTES.low


def test_an_index_of_one_session_costs_what_the_specification_leaks() -> None:
    one = replace(INDEX, members=1, count=1)
    assert bill_of([one], Layout(BUNDLED)).items[0].bytes.mid == 216
    assert bill_of([one], Layout(DEBIAN)).items[0].bytes.mid == 240


def test_the_old_table_of_a_growing_set_is_what_is_not_known() -> None:
    item = bill_of([replace(INDEX, members=5)], Layout()).items[0]
    assert item.bytes.mid - item.bytes.low == 5_000 * 32
    assert bill_of([replace(INDEX, members=4)], Layout()).items[0].bytes.is_exact


def test_a_mean_size_lies_between_its_neighbours() -> None:
    low, mid, high = (bill_of([replace(SESSION, value_bytes=size)], Layout()).used.mid
                      for size in (442.0, 442.5, 443.0))
    assert low < mid < high
    assert mid == pytest.approx((low + high) / 2)


def test_cluster_mode_and_peaks_have_their_own_lines() -> None:
    found = bill_of([SESSION], Layout(is_cluster=True))
    assert "slots of cluster mode" in {item.what for item in found.items}
    assert [peak.bytes.mid for peak in found.peaks] == [2 * 8 * 16_384] * 2
    assert "from 16,384 of them on" in found.peaks[0].what


def test_a_snapshot_copies_few_pages_for_few_writes_and_all_of_them_at_most() -> None:
    resident = 400e6
    assert copy_on_write_bytes(resident, 10.0, 10.0).mid == pytest.approx(1.2 * 100 * 4096, rel=0.001)
    flood = copy_on_write_bytes(resident, 1e6, 60.0)
    assert flood.low == pytest.approx(resident, rel=1e-6)
    assert copy_on_write_bytes(0.0, 1.0, 1.0).high == 0.0


_SHAPES = st.builds(
    Shape, st.sampled_from(["a:", "b:"]), st.sampled_from(TYPES), st.integers(1, 10_000).map(float),
    st.floats(1, 100), st.floats(1, 2_000), st.floats(1, 600), st.floats(1, 100),
    st.sampled_from([None, 60.0]))


@given(st.lists(_SHAPES, min_size=1, max_size=5), st.integers(0, 100))
def test_more_keys_or_connections_never_need_less_memory(shapes: list[Shape], connections: int) -> None:
    few = bill_of(shapes, Layout(), connections=connections)
    more = bill_of([replace(shape, count=2 * shape.count) for shape in shapes], Layout(),
                   connections=2 * connections)
    for bound in ("low", "mid", "high"):
        assert getattr(more.used, bound) >= getattr(few.used, bound) > 0.0
    assert few.unevictable.mid <= few.used.mid
