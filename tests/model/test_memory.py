"""The bill of a keyspace: its sum beside a real server's, its lines, and what it says of the unknown."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from locust_process import wait_until
from measured_server import as_it_is, layout_of_server

from amply_capacity.model.allocator import BUNDLED, DEBIAN
from amply_capacity.model.layout import Layout
from amply_capacity.model.layouts import LAYOUTS
from amply_capacity.model.memory import Server, bill_of
from amply_capacity.run.keyspace import TYPES, Shape
from amply_capacity.target import cluster as clusters
from amply_capacity.target.cluster import Cluster
from amply_capacity.target.endpoint import connect
from amply_capacity.target.process import free_port

SESSION = Shape("session:", "string", 10_000, 36, 400, None, None, 604_800.0)
INDEX = Shape("user_sessions:", "set", 5_000, 26, None, 2, 28, None)

pytestmark = pytest.mark.xdist_group("memory")


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with clusters.throw_away(maxmemory_bytes=2**30) as cluster:
        yield cluster


def test_a_mixed_keyspace_takes_what_its_bill_says(server: Cluster) -> None:
    with connect(server.endpoint) as client:
        shapes = _fill(client.pipeline(transaction=False))
    with connect(server.endpoint) as client:  # one whose buffers are small yet
        client.ping()
        layout, beside = layout_of_server(client), as_it_is(client)
        wait_until(lambda: not is_moving(client), "the tables were moved")
        used = client.info("memory")["used_memory"]
    found = bill_of((replace(shape, count=count) for shape, count in shapes.items()), layout, beside)
    assert found.used.mid == pytest.approx(used, rel=0.002, abs=20_000)
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
    found = bill_of([SESSION, INDEX], Layout(), Server(busy_connections=50, replicas=1))
    evictable = sum(item.bytes.mid for item in found.items if item.is_evictable)
    assert found.used.mid == pytest.approx(evictable + found.unevictable.mid)
    assert evictable == 10_000 * (Layout().key(36, True) + Layout().string(400)) + 8 * 16_384, "and its TTLs"
    assert found.unevictable.mid > 5_000 * 272 + 50 * 20_000 + 2**20 + 800_000


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


def test_a_replica_and_cluster_mode_have_their_own_lines() -> None:
    found = bill_of([SESSION], Layout(is_cluster=True), Server(replicas=1))
    lines = {item.what: item.bytes.mid for item in found.items}
    assert lines["cluster mode and its map of slots"] > 16 * 16_384
    assert lines["replication backlog"] == pytest.approx(1_066_224, rel=0.001)


def test_the_part_of_the_table_that_shrinks_counts_as_evictable() -> None:
    few = bill_of([replace(SESSION, count=100_000), replace(INDEX, count=5_000)], Layout())
    many = bill_of([replace(SESSION, count=100_000), replace(INDEX, count=50_000)], Layout())
    table = 8 * 131_072
    lines = {item.what: item.bytes.mid for item in few.items}
    assert lines["hash table of the keys"] == 8 * 8_192
    assert lines["hash table of the keys, the part that shrinks"] == table - 8 * 8_192
    assert {item.what: item.bytes.mid for item in many.items}["hash table of the keys"] == 2 * table


def test_room_for_more_clients_is_paid_for_at_the_start(plain_redis: Callable[..., int]) -> None:
    starts = {}
    for maxclients in (500, 9_000):
        with redis.Redis(port=plain_redis("--maxclients", str(maxclients))) as client:
            starts[maxclients] = client.info("memory")["used_memory_startup"]
            layout = layout_of_server(client)
    for maxclients, measured in starts.items():
        computed = bill_of([], layout, Server(maxclients=maxclients)).used
        assert computed.mid == pytest.approx(measured, rel=0.01)
        assert computed.low <= measured <= computed.high


def test_a_key_in_cluster_mode_takes_what_is_computed(plain_redis: Callable[..., int]) -> None:
    port = plain_redis("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    with redis.Redis(port=port) as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
        wait_until(lambda: client.cluster("INFO")["cluster_state"] == "ok", "the slots were served")
        layout = layout_of_server(client, is_cluster=True)
        client.set("session:first", "x", ex=1_000)
        client.unlink("session:first")
        before = client.info("memory")["used_memory"]
        pipe = client.pipeline(transaction=False)
        for number in range(20_000):
            pipe.set(f"session:ses_{number:024}", "x" * 400, ex=10_000)
        pipe.execute()
        del pipe
        wait_until(lambda: not is_moving(client), "the tables were moved")
        taken = client.info("memory")["used_memory"] - before
    shapes = [Shape("session:", "string", 20_000, 36, 400, None, None, 10_000.0)]
    keys = [item for item in bill_of(shapes, layout).items if item.keys or "table" in item.what]
    assert taken == pytest.approx(sum(item.bytes.mid for item in keys), rel=0.005)


def test_a_replica_makes_the_backlog_grow_to_what_is_billed(plain_redis: Callable[..., int]) -> None:
    size = ("--repl-backlog-size", "1mb", "--repl-diskless-sync-delay", "0")
    primary, replica = plain_redis(*size), plain_redis(*size)
    with redis.Redis(port=primary) as client, redis.Redis(port=replica) as follower:
        follower.replicaof("127.0.0.1", str(primary))
        wait_until(lambda: follower.info("replication")["master_link_status"] == "up", "the replica followed")
        pipe = client.pipeline(transaction=False)
        for number in range(4_000):
            pipe.set(f"filled:{number % 10}", "x" * 500)
        pipe.execute()
        measured = client.info("memory")["mem_replication_backlog"]
        line = next(item for item in bill_of([], layout_of_server(client), Server(replicas=1)).items
                    if item.what == "replication backlog")
    assert line.bytes.mid == pytest.approx(measured, rel=0.02)


def is_moving(client: Any) -> bool:
    """Whether used_memory still falls, as it does when an old table is given back."""
    first = client.info("memory")["used_memory"]
    time.sleep(1.5)
    return abs(int(client.info("memory")["used_memory"]) - first) > 20_000


_SHAPES = st.builds(
    Shape, st.sampled_from(["a:", "b:"]), st.sampled_from(TYPES), st.integers(1, 10_000).map(float),
    st.floats(1, 100), st.floats(1, 2_000), st.floats(1, 600), st.floats(1, 100),
    st.sampled_from([None, 60.0]))


@given(st.lists(_SHAPES, min_size=1, max_size=5), st.integers(0, 100), st.sampled_from([*LAYOUTS.values()]))
def test_more_keys_or_connections_never_need_less_memory(
        shapes: list[Shape], connections: int, kind: type[Layout]) -> None:
    few = bill_of(shapes, kind(), Server(busy_connections=connections))
    more = bill_of([replace(shape, count=2 * shape.count) for shape in shapes], kind(),
                   Server(busy_connections=2 * connections))
    for bound in ("low", "mid", "high"):
        assert getattr(more.used, bound) >= getattr(few.used, bound) > 0.0
    assert few.unevictable.mid <= few.used.mid
    assert few.used.mid == pytest.approx(sum(item.bytes.mid for item in few.items))


def test_bounds_widened_to_another_allocator_hold_both() -> None:
    own, other = (bill_of([SESSION, INDEX], Layout(one)) for one in (BUNDLED, DEBIAN))
    widened = own.widened(other)
    assert widened.used.mid == own.used.mid
    assert widened.used.low == own.used.low
    assert widened.used.high == other.used.high > own.used.high
