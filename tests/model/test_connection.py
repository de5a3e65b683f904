"""Connections: what busy and idle ones take, counted by a real server and by arithmetic."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable

import pytest
import redis
from measured_server import layout_of_server

from amply_capacity.model.connection import connection_bytes, waiting_reply_bytes
from amply_capacity.model.layout import Layout
from amply_capacity.model.layouts import Redis62, Valkey81

CLIENTS = 400
PING = b"*1\r\n$4\r\nPING\r\n"


def used(port: int) -> int:
    """As a new connection sees it, which takes as much each time."""
    with redis.Redis(port=port) as client:
        return int(client.info("memory")["used_memory"])


def test_busy_and_idle_connections_take_what_is_computed(plain_redis: Callable[..., int]) -> None:
    port = plain_redis()
    with redis.Redis(port=port) as client:
        each = connection_bytes(layout_of_server(client))
        client.ping()
    used(port)
    before = used(port)
    with contextlib.ExitStack() as open_sockets:
        clients = [open_sockets.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5.0))
                   for _ in range(CLIENTS)]
        for _ in range(5):
            for one in clients:
                one.sendall(PING)
                assert one.recv(16) == b"+PONG\r\n"
            time.sleep(0.7)
        busy = (used(port) - before) / CLIENTS
        assert busy == pytest.approx(each.busy.mid, rel=0.03)
        assert each.busy.low <= busy <= each.busy.high
        time.sleep(6.0)
        assert (used(port) - before) / CLIENTS == pytest.approx(each.idle, rel=0.03)


def test_a_new_connection_takes_more_than_it_will_and_most_with_its_first_command() -> None:
    each = connection_bytes(Layout())
    assert each.idle < each.new < each.busy.mid < each.burst
    assert (each.idle, each.busy.mid, each.new, each.burst) == (2_227.0, 22_699.0, 17_587.0, 38_059.0)


def test_where_all_share_a_query_buffer_a_busy_connection_takes_no_more_than_an_idle_one() -> None:
    each = connection_bytes(Valkey81())
    assert each.busy.mid == each.idle == 1_821.0


def test_before_7_0_a_connection_never_gives_its_reply_buffer_back() -> None:
    each = connection_bytes(Redis62())
    assert each.idle == each.new > 20_000.0
    assert each.busy.low == each.idle < each.busy.mid


def test_a_reply_that_waits_takes_blocks_of_16_kb_beyond_the_buffer() -> None:
    layout = Layout()
    assert waiting_reply_bytes(layout, 800.0) == 0
    assert waiting_reply_bytes(layout, 2_000.0) == 20_480 + 24
    assert waiting_reply_bytes(layout, 100_000.0) > 100_000
