"""Replies that are read late, by a process that was busy with something else."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from typing import Any

import gevent
import gevent.monkey
import pytest

from amply_capacity.load import stamps
from amply_capacity.load.client import Connection
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
