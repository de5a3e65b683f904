from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from time import perf_counter
from typing import Any

import gevent
import gevent.event
import pytest

from amply_capacity.load.client import Connection
from amply_capacity.load.reactor import Reactor
from amply_capacity.load.replies import ReplyError
from amply_capacity.target import cluster as clusters
from amply_capacity.target.cluster import Cluster
from amply_capacity.target.endpoint import Endpoint

_ENOUGH_SECONDS = 20.0


@pytest.fixture
def connection(redis_cluster: Cluster, redis_client: Any) -> Iterator[Connection]:
    with contextlib.closing(Connection(redis_cluster.endpoint)) as opened:
        yield opened


@pytest.fixture(scope="module")
def tls_cluster() -> Iterator[Cluster]:
    with clusters.throw_away(tls=True, with_password=True, maxmemory_bytes=64 * 1024**2) as cluster:
        yield cluster


@contextlib.contextmanager
def _server(*answers: bytes, piece_bytes: int = 1) -> Iterator[Endpoint]:
    """Answers its one client's n-th request with the n-th bytes, piece by piece; hangs up after the last."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        client, _ = listening.accept()
        with client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for answer in answers:
                client.recv(65536)
                for start in range(0, len(answer), piece_bytes):
                    client.sendall(answer[start:start + piece_bytes])

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield Endpoint("127.0.0.1", listening.getsockname()[1])
    finally:
        listening.close()
        thread.join(_ENOUGH_SECONDS)


def test_a_reply_that_comes_byte_by_byte_is_put_together() -> None:
    with _server(b"*2\r\n$3\r\nabc\r\n:12\r\n", b"+OK\r\n") as endpoint, \
            contextlib.closing(Connection(endpoint)) as connection:
        assert connection.call(("ANY",)) == ["abc", 12]
        assert connection.call(("ANY",)) == "OK"


def test_half_a_reply_and_the_end_is_a_lost_connection() -> None:
    with _server(b"$10\r\nabc") as endpoint:
        connection = Connection(endpoint)
        with pytest.raises(ConnectionResetError, match="closed the connection"):
            connection.call(("GET", "k"))
        assert connection.is_closed


@pytest.mark.parametrize(("answer", "words"), [
    (b"$10\r\nhalf", "closed the connection"), (b"?what\r\n", "Protocol error"),
    (b"+one\r\n+two\r\n", "more than it was asked for")])
def test_what_one_server_breaks_off_or_adds_reaches_no_other_connection(
        redis_cluster: Cluster, redis_client: Any, answer: bytes, words: str) -> None:
    """All have one parser in common, as long as their replies come whole."""
    wrong: list[Any] = []
    stop = gevent.event.Event()

    def others(number: int) -> None:
        with contextlib.closing(Connection(redis_cluster.endpoint)) as other:
            while not stop.is_set():
                if (reply := other.call(("ECHO", str(number)))) != str(number):
                    wrong.append(reply)

    echoing = [gevent.spawn(others, number) for number in range(10)]
    try:
        for _ in range(5):
            with _server(b"+well\r\n", answer, piece_bytes=100) as endpoint:
                broken = Connection(endpoint)
                assert broken.call(("GET", "k")) == "well"
                with pytest.raises(ConnectionResetError, match=words):
                    broken.call(("GET", "k"))
                assert broken.is_closed
    finally:
        stop.set()
        gevent.joinall(echoing, timeout=_ENOUGH_SECONDS, raise_error=True)
    assert wrong == []


def test_a_server_that_hangs_up_on_an_idle_client_is_noticed_at_the_next_command() -> None:
    with _server(b"+OK\r\n") as endpoint:
        connection = Connection(endpoint)
        assert connection.call(("ANY",)) == "OK"
        gevent.sleep(0.05)  # the end arrives while nobody waits; a loop that woke for it would spin here
        with pytest.raises(OSError, match=r"closed the connection|reset|Broken pipe"):
            connection.call(("ANY",))
        assert connection.is_closed


def test_a_reply_that_nobody_asked_for_is_not_the_next_commands() -> None:
    is_idle = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        client, _ = listening.accept()
        with client:
            client.recv(65536)
            client.sendall(b"+first\r\n")
            is_idle.wait(_ENOUGH_SECONDS)
            client.sendall(b"+nobody's\r\n")
            again, _ = listening.accept()
            with again:
                again.recv(65536)
                again.sendall(b"+second\r\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    endpoint = Endpoint("127.0.0.1", listening.getsockname()[1])
    with listening, contextlib.closing(Connection(endpoint)) as connection:
        assert connection.call(("ANY",)) == "first"
        is_idle.set()
        with gevent.Timeout(_ENOUGH_SECONDS):
            while not connection.is_closed:
                gevent.sleep(0.01)
        assert connection.call(("ANY",)) == "second"
        thread.join(_ENOUGH_SECONDS)


def test_waiting_for_one_reply_lets_others_go_on(redis_cluster: Cluster, connection: Connection) -> None:
    with contextlib.closing(Connection(redis_cluster.endpoint)) as other:
        blocked = gevent.spawn(connection.call, ("BLPOP", "list", 0))
        for number in range(100):
            assert other.call(("SET", "k", number)) == "OK"
        assert not blocked.ready()
        other.call(("RPUSH", "list", "x"))
        assert blocked.get(timeout=_ENOUGH_SECONDS) == ["list", "x"]


def test_a_time_out_is_kept_after_commands_that_were_quick(redis_cluster: Cluster, redis_client: Any) -> None:
    connection = Connection(redis_cluster.endpoint, timeout_seconds=0.3)
    for _ in range(3):
        connection.call(("PING",))
        gevent.sleep(0.11)  # so that the timer, set at the first, rings in the middle of the blocking call
    began = perf_counter()
    with pytest.raises(TimeoutError, match=r"no reply within 0\.3 s"):
        connection.call(("BLPOP", "none", 0))
    assert perf_counter() - began >= 0.3
    assert connection.is_closed
    assert connection.call(("PING",)) == "PONG"  # a new connection: the late reply is nobody's
    connection.close()


def test_a_greenlet_killed_in_the_middle_leaves_no_reply_for_the_next(connection: Connection,
                                                                      redis_client: Any) -> None:
    connection.call(("PING",))
    waiting = gevent.spawn(connection.call, ("BLPOP", "list", 0))
    gevent.sleep(0.01)
    waiting.kill()
    assert connection.is_closed
    redis_client.rpush("list", "late")
    assert connection.call(("ECHO", "mine")) == "mine"


def test_a_reply_that_was_read_is_not_delivered_once_its_connection_is_closed(connection: Connection) -> None:
    told: list[Any] = []

    class Earlier:
        """Somebody whose reply is delivered earlier in the same turn."""

        def __init__(self) -> None:
            self.answer: Callable[[Any], None] | None = lambda _: connection.close()

        def leave(self, packed: bytes) -> None:
            raise AssertionError(packed)

    connection.connect()
    connection.ask(("ECHO", "first"), told.append, told.append)
    reactor = Reactor.of(gevent.get_hub())
    reactor.hand((Earlier(), "x"))
    reactor.hand((connection, "first"))
    gevent.sleep(0.01)
    assert connection.is_closed
    assert told == []
    assert connection.call(("ECHO", "anew")) == "anew"


def test_megabytes_go_out_and_come_back_whole(connection: Connection) -> None:
    value = "0123456789" * 800_000  # more than the socket's buffers take at once
    assert connection.call(("SET", "big", value)) == "OK"
    assert connection.call(("GET", "big")) == value
    assert connection.pipeline([("GET", "big"), ("STRLEN", "big")]) == [value, len(value)]


def test_many_connections_opened_and_closed_in_turn_keep_their_replies_apart(redis_cluster: Cluster,
                                                                             redis_client: Any) -> None:
    def client(number: int) -> None:
        connection = Connection(redis_cluster.endpoint)
        for turn in range(20):
            assert connection.call(("ECHO", f"{number}-{turn}")) == f"{number}-{turn}"
            if turn % 3 == 0:
                connection.close()  # the next gets a descriptor that another may just have given back
        connection.close()

    greenlets = [gevent.spawn(client, number) for number in range(30)]
    gevent.joinall(greenlets, timeout=_ENOUGH_SECONDS, raise_error=True)
    assert all(one.successful() for one in greenlets)


def test_sent_and_answered_enclose_the_call(connection: Connection) -> None:
    connection.connect()
    before = perf_counter()
    connection.call(("BLPOP", "none", "0.05"))
    after = perf_counter()
    assert before <= connection.sent <= connection.answered <= after
    assert connection.answered - connection.sent >= 0.05


def test_tls_and_password_work_as_the_plain_connection_does(tls_cluster: Cluster) -> None:
    with contextlib.closing(Connection(tls_cluster.endpoint)) as connection:
        assert connection.call(("SET", "k", "x" * 3_000_000)) == "OK"
        assert connection.call(("STRLEN", "k")) == 3_000_000
        # The second reply comes in a TLS record of its own, maybe with the first.
        assert connection.pipeline([("SET", "a", 1), ("WAIT", 1, 50), ("GET", "a")]) == ["OK", 0, "1"]
        greenlets = [gevent.spawn(_echo, tls_cluster.endpoint, number) for number in range(10)]
        gevent.joinall(greenlets, timeout=_ENOUGH_SECONDS, raise_error=True)
        assert all(one.successful() for one in greenlets)


def test_a_certificate_of_another_authority_is_refused(tls_cluster: Cluster,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AMPLY_CA_BUNDLE", raising=False)
    stranger = Endpoint("127.0.0.1", tls_cluster.port, tls=True)
    with pytest.raises(OSError, match="certificate verify failed"):
        Connection(stranger).connect()


def test_tls_to_a_plain_port_and_the_reverse_end_with_an_error(redis_cluster: Cluster,
                                                               tls_cluster: Cluster) -> None:
    with pytest.raises(OSError, match=r".+"):
        Connection(Endpoint("127.0.0.1", redis_cluster.port, tls=True), timeout_seconds=2.0).connect()
    with pytest.raises((OSError, ReplyError)):
        Connection(Endpoint("127.0.0.1", tls_cluster.port), timeout_seconds=2.0).call(("PING",))


def test_a_failed_connection_gives_its_descriptor_back(tls_cluster: Cluster) -> None:
    wrong = replace(tls_cluster.endpoint, password="wrong")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        with pytest.raises(ReplyError, match="WRONGPASS"):
            Connection(wrong).connect()
    assert len(os.listdir("/proc/self/fd")) <= before + 1


def _echo(endpoint: Endpoint, number: int) -> None:
    with contextlib.closing(Connection(endpoint)) as connection:
        for turn in range(20):
            assert connection.call(("ECHO", f"{number}-{turn}")) == f"{number}-{turn}"
