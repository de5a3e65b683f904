"""Replies that are read late, by a process that was busy with something else."""

from __future__ import annotations

import contextlib
import itertools
import math
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import gevent
import gevent.monkey
import pytest

from amply_capacity.load import reactor as reactors
from amply_capacity.load import stamps
from amply_capacity.load.client import Connection
from amply_capacity.load.reactor import Reactor
from amply_capacity.load.stamps import StampedSocket
from amply_capacity.target import cluster as clusters
from amply_capacity.target.cluster import Cluster
from amply_capacity.target.endpoint import Endpoint

_BUSY_SECONDS = 0.4
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel stamps nothing")


def _service_seconds(endpoint: Endpoint, *, is_stamped: bool) -> float:
    """Of a command that takes 50 ms, whose reply comes while the process does something else."""
    with contextlib.closing(Connection(endpoint, is_stamped=is_stamped)) as connection:
        connection.connect()
        connection.sent = 0.0
        asking = gevent.spawn(connection.call, ("BLPOP", "none", "0.05"))
        while connection.sent in {0.0, math.inf}:
            gevent.sleep(0)
        gevent.monkey.get_original("time", "sleep")(_BUSY_SECONDS)
        assert asking.get(timeout=20.0) is None
        return connection.answered - connection.sent


@needs_linux
def test_a_reply_is_answered_when_it_arrived_not_when_it_was_read(redis_cluster: Cluster,
                                                                  redis_client: Any) -> None:
    assert 0.05 <= _service_seconds(redis_cluster.endpoint, is_stamped=True) < 0.75 * _BUSY_SECONDS
    assert _service_seconds(redis_cluster.endpoint, is_stamped=False) >= _BUSY_SECONDS


@needs_linux
def test_an_encrypted_reply_is_stamped_too() -> None:
    with clusters.throw_away(tls=True) as cluster:
        assert 0.05 <= _service_seconds(cluster.endpoint, is_stamped=True) < 0.75 * _BUSY_SECONDS


@needs_linux
def test_values_longer_than_a_read_come_whole(redis_cluster: Cluster, redis_client: Any) -> None:
    with contextlib.closing(Connection(redis_cluster.endpoint, is_stamped=True)) as connection:
        assert connection.call(("SET", "big", "x" * 1_000_000)) == "OK"
        assert connection.call(("GET", "big")) == "x" * 1_000_000
        assert connection.sent < connection.answered <= time.perf_counter()


def test_elsewhere_a_reply_is_answered_when_it_is_read(redis_cluster: Cluster, redis_client: Any,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamps.sys, "platform", "elsewhere")
    assert _service_seconds(redis_cluster.endpoint, is_stamped=True) >= _BUSY_SECONDS


_ANSWERS_IN_ORDER = """
import socket, sys, time
orders = [[int(place) for place in words.split(",")] for words in sys.argv[1:]]
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
clients = [listening.accept()[0] for _ in orders[0]]
for order in orders:
    by_number = {int(client.recv(100).split()[-1]): client for client in clients}
    moments = []
    for number in order:
        time.sleep(0.01)
        by_number[number].sendall(b"+OK\\r\\n")
        moments.append(time.perf_counter())
    print(*moments, flush=True)
sys.stdin.read()
"""
_CLIENTS = 20


class _Busy:
    """Keeps a turn busy between sending and reading."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def leave(self, packed: bytes) -> None:
        gevent.monkey.get_original("time", "sleep")(self._seconds)


@needs_linux
@pytest.mark.parametrize(("near_seconds", "stamped", "evenly"), [
    (60.0, [], range(_CLIENTS)),  # longer than between two looks: no more is known of all that came then
    (0.3, [0, 8, 16, 19], range(9)),  # longer than between two stamps
    (1e-3, range(_CLIENTS), [])])
def test_replies_of_a_full_turn_arrived_in_their_order_between_what_is_known(
        near_seconds: float, stamped: Sequence[int], evenly: Sequence[int],
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reactors, "_AT_A_STRETCH_SECONDS", 60.0)  # turn follows turn, as beside a full load
    monkeypatch.setattr(reactors, "_NEAR_TOGETHER_SECONDS", near_seconds)
    orders = [list(range(_CLIENTS)), [*range(10, _CLIENTS), *range(10)], [*reversed(range(_CLIENTS))]]
    words = [",".join(map(str, order)) for order in orders]
    answered: list[dict[int, float]] = [{}]

    def ask(number: int, client: Connection) -> None:
        client.ask(("ANY", str(number)), lambda _: take(number, client), gevent.getcurrent().throw)

    def take(number: int, client: Connection) -> None:
        answered[-1][number] = client.answered
        ask(number, client)  # in the same turn, and all others with it
        if len(answered[-1]) == _CLIENTS:
            reactor.add((_Busy(0.5), b""))
            answered.append({})

    with subprocess.Popen([sys.executable, "-c", _ANSWERS_IN_ORDER, *words], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as server, contextlib.ExitStack() as opened:
        assert server.stdin is not None
        assert server.stdout is not None
        opened.callback(server.stdin.close)
        endpoint, reactor = Endpoint("127.0.0.1", int(server.stdout.readline())), Reactor.of(gevent.get_hub())
        clients = [opened.enter_context(contextlib.closing(Connection(endpoint, is_stamped=True)))
                   for _ in range(_CLIENTS)]
        for client in clients:
            client.connect()
        for number, client in enumerate(clients):
            ask(number, client)
        reactor.add((_Busy(0.5), b""))
        with gevent.Timeout(20.0):
            while len(answered) <= len(orders):
                gevent.sleep(0.001)
        for order, found in zip(orders, answered, strict=False):
            came = [float(moment) for moment in server.stdout.readline().split()]
            moments = [found[number] for number in order]
            assert moments == sorted(moments)
            assert [moments[place] for place in stamped] == pytest.approx(
                [came[place] for place in stamped], abs=30e-3)
            gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
            is_even = [gap == pytest.approx(gaps[0], rel=1e-6) for gap in gaps]
            assert all(is_even[:len(evenly) - 1]) if evenly else not any(is_even[1:])
            if not stamped:
                assert _CLIENTS * gaps[0] >= 0.5  # which the turn was busy


def test_a_reply_read_without_its_stamp_is_answered_now() -> None:
    socket = StampedSocket(_Raw(time.time() - 2.0))
    socket.recv_into(bytearray(10))
    assert time.perf_counter() - socket.arrived() > 0.5
    socket.forget()
    assert time.perf_counter() - socket.arrived() < 0.5


class _Raw:
    """A socket whose clock is wrong."""

    def __init__(self, arrived_s: float, nanoseconds: int = 0) -> None:
        self._stamp = stamps._STAMP.pack(int(arrived_s), nanoseconds)

    def send(self, data: bytes) -> int:
        return len(data)

    def recvmsg_into(self, buffers: Any, room: int) -> Any:
        return 1, [(1, 35, self._stamp)], 0, None


@pytest.mark.parametrize("ahead_s", [3600.0, -3600.0])
def test_a_clock_that_was_set_meanwhile_is_not_believed(ahead_s: float) -> None:
    socket = StampedSocket(_Raw(time.time() + ahead_s))
    assert socket.recv_into(bytearray(10)) == 1
    assert abs(socket.arrived() - time.perf_counter()) < 1.0


@pytest.mark.parametrize(("after_s", "set_by_s", "is_compared"), [
    (4e-3, 0.0, False), (0.0, 0.5, True), (0.0, -0.5, True), (-0.3, 0.0, True)])
def test_the_clocks_are_compared_anew_for_a_stamp_outside_of_the_last_comparison(
        after_s: float, set_by_s: float, is_compared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = stamps._Clocks()
    monkeypatch.setattr(stamps, "_CLOCKS", clocks)
    clocks.look()
    looked, arrived = clocks.looked, clocks.looked + after_s
    unix_s = arrived + clocks.apart
    clocks.apart -= set_by_s  # as if Unix time had been set since
    socket = StampedSocket(_Raw(unix_s, nanoseconds=int(unix_s % 1 * 1e9)))
    socket.recv_into(bytearray(10))
    assert socket.arrived() == pytest.approx(arrived, abs=1e-3)
    assert (clocks.looked != looked) is is_compared
