"""Connections that follow a failover and the slots of a sharded cluster, on real servers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from locust_process import wait_until

from amply_capacity.load.client import Connection
from amply_capacity.load.failover import FailoverConnection, primary_from_sentinels
from amply_capacity.load.link import Unreachable
from amply_capacity.load.player import Player
from amply_capacity.load.recorder import Recorder
from amply_capacity.load.replies import ReplyError
from amply_capacity.load.routing import opener
from amply_capacity.load.sharded import ShardedConnection
from amply_capacity.load.slots import SlotMap, key_of, slot_of
from amply_capacity.target import cluster as clusters
from amply_capacity.target.endpoint import Endpoint, connect
from amply_capacity.target.process import free_port
from amply_capacity.traffic.operation import Command, Operation

KEYS = [f"key:{number}" for number in range(40)]


@pytest.fixture(scope="module")
def sharded() -> Iterator[clusters.Cluster]:
    """With TLS and a password, which every node that is heard of has to be met with."""
    with clusters.throw_away(topology="sharded", tls=True, with_password=True,
                             maxmemory_bytes=2**25) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def replicated() -> Iterator[clusters.Cluster]:
    """With TLS and a password, which every node that is heard of has to be met with."""
    with clusters.throw_away(topology="replicated", tls=True, with_password=True,
                             maxmemory_bytes=2**24) as cluster:
        yield cluster


@pytest.fixture
def connection(sharded: clusters.Cluster) -> Iterator[ShardedConnection]:
    made = ShardedConnection(SlotMap(sharded.endpoint), 5.0)
    yield made
    made.close()


def _asks(command: Command) -> Operation:
    yield command
    return "ok"


def _gone() -> Endpoint:
    return Endpoint("127.0.0.1", free_port())


def _owners(cluster: clusters.Cluster, slot: int) -> tuple[Endpoint, Endpoint]:
    """The slot's primary and another one."""
    owner = SlotMap(cluster.endpoint).primary_of(slot)
    return owner, next(one for one in cluster.primaries() if one != owner)


class _Moving:
    """A slot on its way from its primary to another."""

    def __init__(self, cluster: clusters.Cluster, slot: int) -> None:
        self.slot = slot
        self.cluster = cluster
        self.source, self.goal = _owners(cluster, slot)
        with connect(self.source) as source, connect(self.goal) as goal:
            self._source_id = source.execute_command("CLUSTER MYID")
            self._goal_id = goal.execute_command("CLUSTER MYID")
            goal.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", self._source_id)
            source.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", self._goal_id)

    def finish(self) -> None:
        """The keys have to be gone from the source by now."""
        for node in (self.goal, self.source):
            with connect(node) as client:
                client.execute_command("CLUSTER SETSLOT", self.slot, "NODE", self._goal_id)


@pytest.mark.parametrize(("key", "slot"), [
    # The Redis Cluster specification's own examples, and CLUSTER KEYSLOT's answers.
    (b"123456789", 12739), (b"foo", 12182), (b"{foo}bar", 12182), (b"a{foo}{b}", 12182), (b"", 0)])
def test_a_key_has_the_slot_of_the_specification(key: bytes, slot: int) -> None:
    assert slot_of(key) == slot


def test_a_slot_is_what_the_server_says(sharded: clusters.Cluster) -> None:
    odd = [*KEYS, "{}x", "{", "}{a}", "x{{a}}", "{a", "ä{ö}ü", "rate:api:{user}:1"]
    with connect(sharded.endpoint) as client:
        assert [client.execute_command("CLUSTER KEYSLOT", key) for key in odd] == [
            slot_of(key.encode()) for key in odd]


@pytest.mark.parametrize(("command", "key"), [
    (("GET", "a"), b"a"), (("del", b"a", "b"), b"a"), (("EVAL", "return 1", 1, "a"), b"a"),
    (("EVAL", "return 1", 0, "a"), None), (("PUBLISH", "a", "b"), None), (("MULTI",), None),
    (("OBJECT", "ENCODING", "a"), b"a"), (("PING",), None), (("INCR", 7), b"7")])
def test_the_first_key_of_a_command_is_known(command: tuple[Any, ...], key: bytes | None) -> None:
    assert key_of(command) == key


def test_each_command_goes_to_the_owner_of_its_key_without_a_redirect(
        sharded: clusters.Cluster, connection: ShardedConnection) -> None:
    assert connection.is_closed
    connection.connect()
    assert not connection.is_closed
    for key in KEYS:
        assert connection.call(("SET", key, key)) == "OK"
    assert connection.answered > connection.sent > 0.0
    stored = 0
    for primary in sharded.primaries():
        with connect(primary) as client:
            assert client.dbsize() > 0
            stored += client.dbsize()
    assert stored >= len(KEYS)
    assert connection.redirects == 0
    connection.close()
    assert connection.is_closed
    assert connection.call(("GET", KEYS[0])) == KEYS[0], "it opens again when used"


def test_a_pipeline_over_the_shards_keeps_the_order_of_its_replies(connection: ShardedConnection) -> None:
    assert connection.pipeline([("SET", key, key) for key in KEYS]) == ["OK"] * len(KEYS)
    assert connection.pipeline([("GET", key) for key in KEYS]) == KEYS
    assert connection.pipeline([]) == []


def test_a_transaction_stays_whole_on_its_slots_node(connection: ShardedConnection) -> None:
    celery = [("MULTI",), ("SETEX", "celery-task-meta-1", 60, "x"), ("PUBLISH", "celery-task-meta-1", "x"),
              ("EXEC",)]
    replies = connection.pipeline([("SET", "other", "1"), *celery, ("GET", "other")])
    assert replies == ["OK", "OK", "QUEUED", "QUEUED", ["OK", 0], "1"]
    assert connection.redirects == 0


def test_several_keys_on_several_slots_are_refused_as_the_server_does(connection: ShardedConnection) -> None:
    refused = connection.call(("DEL", *KEYS))
    assert isinstance(refused, ReplyError)
    assert str(refused).startswith("CROSSSLOT")
    assert connection.call(("DEL", "{user}a", "{user}b")) == 0
    apart = [("MULTI",), *(("INCR", f"n{number}") for number in range(9)), ("EXEC",)]
    assert isinstance(connection.pipeline(apart)[-1], ReplyError)
    assert connection.redirects == 0


@pytest.mark.parametrize("piped", [False, True], ids=["call", "pipeline"])
def test_a_slot_that_moved_is_found_again_and_then_known(
        sharded: clusters.Cluster, connection: ShardedConnection, piped: bool) -> None:
    key = f"moved-{piped}"
    connection.call(("DEL", key))
    _Moving(sharded, slot_of(key.encode())).finish()
    if piped:
        assert connection.pipeline([("SET", "other", "2"), ("MULTI",), ("SET", key, "1"), ("EXEC",),
                                    ("GET", "other")]) == ["OK", "OK", "QUEUED", ["OK"], "2"]
    else:
        assert connection.call(("SET", key, "1")) == "OK"
    assert connection.redirects == 1
    assert connection.call(("GET", key)) == "1"
    assert connection.redirects == 1, "whoever was redirected once knows the way"


def test_a_key_that_has_left_ahead_of_its_slot_is_asked_for_where_it_went(
        sharded: clusters.Cluster, connection: ShardedConnection) -> None:
    key = "wanderer"
    moving = _Moving(sharded, slot_of(key.encode()))
    assert connection.call(("SET", key, "1")) == "OK", "a new key is made where the slot goes to"
    assert connection.call(("GET", key)) == "1"
    assert connection.pipeline([("MULTI",), ("INCR", key), ("EXEC",)])[-1] == [2]
    assert connection.redirects == 3, "ASK is for this one time"
    again = connection.call(("MGET", "{wanderer}here", "{wanderer}there"))
    assert again == [None, None] or str(again).startswith("TRYAGAIN")
    moving.finish()
    assert connection.call(("GET", key)) == "2"


def test_the_map_is_asked_for_once_a_second_and_outlives_its_seed(sharded: clusters.Cluster) -> None:
    now = [100.0]
    slots = SlotMap(sharded.endpoint, clock=lambda: now[0])
    owner = slots.primary_of(0)
    slots._seed = replace(slots._seed, port=_gone().port)
    for _ in range(5):
        slots.suspect()
        assert slots.primary_of(0) == owner
    assert slots.refreshes == 1
    now[0] += 1.0
    assert slots.primary_of(0) == owner
    assert slots.refreshes == 2
    gone = SlotMap(_gone())
    with pytest.raises(OSError, match=r"."):
        gone.primary_of(0)


def test_a_shard_that_cannot_be_connected_to_leaves_the_others_connected(
        sharded: clusters.Cluster, connection: ShardedConnection) -> None:
    connection.call(("SET", "a", "1"))
    far = next(key for key in KEYS if connection._slots.primary_of(slot_of(key.encode()))
               != connection._slots.primary_of(slot_of(b"a")))
    connection._slots.move(slot_of(far.encode()), _gone())
    connection._slots._is_suspect = False
    player = Player(connection, Recorder())
    asked = time.perf_counter()
    assert player.play("sessions", "validate", _asks(("GET", far))) == "unreachable"
    assert connection.sent >= asked
    assert not connection._connections[connection._slots.primary_of(slot_of(b"a"))].is_closed
    with pytest.raises(Unreachable):
        connection.call(("GET", far))
    connection._slots._is_suspect = False
    with pytest.raises(Unreachable):
        connection.pipeline([("GET", "a"), ("GET", far)])


def test_a_command_that_is_not_answered_has_left_when_it_left(redis_cluster: clusters.Cluster) -> None:
    connection = FailoverConnection(lambda: redis_cluster.endpoint, 0.4)
    connection.connect()
    assert connection.call(("PING",)) == "PONG"
    time.sleep(0.3)
    with connect(redis_cluster.endpoint) as control:
        control.execute_command("CLIENT", "PAUSE", 1_500, "ALL")
        asked = time.perf_counter()
        with pytest.raises(TimeoutError):
            connection.call(("PING",))
        assert asked <= connection.sent < asked + 0.2
        connection.connect()
        asked = time.perf_counter()
        with pytest.raises(TimeoutError):
            connection.pipeline([("PING",), ("PING",)])
        assert asked <= connection.sent < asked + 0.2
        control.ping()


def test_a_lost_shard_is_found_again_after_its_failover(sharded: clusters.Cluster) -> None:
    """The last of its cluster. The server that is killed is the map's seed, which it outlives."""
    link = opener(sharded.endpoint, sharded, "sharded", 2.0)()
    key = next(key for key in KEYS if slot_of(key.encode()) < 5000)
    assert link.call(("SET", key, "1")) == "OK"
    assert link.call(("WAIT", 1, 1000)) == 1
    os.kill(sharded.nodes[0].pid, signal.SIGKILL)

    def is_back() -> bool:
        try:
            return bool(link.call(("GET", key)) == "1")
        except OSError:
            link.close()
            return False

    assert not is_back()
    wait_until(is_back, "the shard's failover")
    heir = sharded.nodes[3].port
    wait_until(lambda: heir in {one.port for one in sharded.primaries()}, "the news of it")
    link.close()


def test_sentinels_are_tried_one_by_one(replicated: clusters.Cluster) -> None:
    sentinels = (_gone(), *replicated.sentinels)
    assert primary_from_sentinels(sentinels, "amply") == replicated.endpoint
    with pytest.raises(ConnectionError, match="unknown service"):
        primary_from_sentinels(sentinels, "another")
    with pytest.raises(ConnectionError, match="no Sentinel names the primary"):
        primary_from_sentinels(sentinels[:1], "amply")


def test_a_server_that_is_no_primary_is_left(replicated: clusters.Cluster) -> None:
    primary, replica = replicated.data_nodes
    asked: list[Endpoint] = []

    def find() -> Endpoint:
        asked.append(primary if asked else replica)
        return asked[-1]

    link = FailoverConnection(find, 2.0)
    refused = link.call(("SET", "a", "1"))
    assert isinstance(refused, ReplyError)
    assert str(refused).startswith("READONLY"), "no hidden retry: the refusal is an outcome"
    assert link.is_closed
    assert link.call(("SET", "a", "1")) == "OK"
    assert asked == [replica, primary]
    link.close()
    link = FailoverConnection(lambda: replica, 2.0)
    assert isinstance(link.pipeline([("MULTI",), ("SET", "a", "1"), ("EXEC",)])[1], ReplyError)
    assert link.is_closed


def test_a_failover_is_followed_and_what_fails_meanwhile_is_told(replicated: clusters.Cluster) -> None:
    """The last of its cluster."""
    link = opener(replicated.endpoint, replicated, "replicated", 2.0)()
    assert isinstance(link, FailoverConnection)
    assert link.is_closed
    assert link.pipeline([("SET", "a", "1"), ("GET", "a")]) == ["OK", "1"]
    assert link.call(("WAIT", 1, 1000)) == 1
    os.kill(replicated.nodes[0].pid, signal.SIGKILL)
    os.waitpid(replicated.nodes[0].pid, 0)
    with pytest.raises(OSError, match=r"."):
        link.call(("GET", "a"))

    def is_back() -> bool:
        try:
            return bool(link.call(("SET", "b", "2")) == "OK")
        except OSError:
            return False

    wait_until(is_back, "the failover")
    assert link.call(("GET", "a")) == "1"
    assert link.endpoint == replicated.data_nodes[1] == replicated.endpoint
    assert link.switches == 1
    link.close()


def test_a_single_server_gets_a_plain_connection(redis_cluster: clusters.Cluster) -> None:
    link = opener(redis_cluster.endpoint, redis_cluster, "single", 2.0)()
    assert type(link) is Connection
    assert link.call(("PING",)) == "PONG"
    link.close()
