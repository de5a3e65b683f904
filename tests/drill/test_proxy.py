"""The proxy between a replica and its primary: late, held back, bounded, and gone with what it held."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from amply_capacity.drill.companion import Companion
from amply_capacity.drill.proxy import MOST_CONNECTIONS
from amply_capacity.errors import AmplyError


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10.0)
        yield server


@pytest.fixture
def proxy(listening: socket.socket, tmp_path: Path) -> Iterator[Companion]:
    with Companion("proxy", "--to", str(listening.getsockname()[1]), directory=tmp_path) as started:
        yield started


@pytest.fixture
def ends(proxy: Companion, listening: socket.socket) -> Iterator[tuple[socket.socket, socket.socket]]:
    """The client's end, and the target's."""
    with socket.create_connection(("127.0.0.1", int(proxy.read())), timeout=10.0) as client:
        target, _ = listening.accept()
        with target:
            target.settimeout(10.0)
            yield client, target


def _read(source: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += source.recv(count - len(data))
    return data


def test_what_the_target_sends_comes_later_by_the_delay_and_in_order(
        proxy: Companion, ends: tuple[socket.socket, socket.socket]) -> None:
    client, target = ends
    proxy.tell("delay 0.15")
    began = time.monotonic()
    target.sendall(b"one")
    target.sendall(b"two")
    assert _read(client, 3) == b"one"
    late = time.monotonic() - began
    assert _read(client, 3) == b"two"
    client.sendall(b"back")
    at_once = time.monotonic()
    assert _read(target, 4) == b"back"
    assert late >= 0.149
    assert time.monotonic() - at_once < 0.14, "what is sent to the target is not delayed"


def test_what_is_held_back_comes_when_it_flows_again(
        proxy: Companion, ends: tuple[socket.socket, socket.socket]) -> None:
    client, target = ends
    proxy.tell("hold")
    target.sendall(b"x" * 100_000)
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.recv(1)
    client.settimeout(10.0)
    proxy.tell("flow")
    assert len(_read(client, 100_000)) == 100_000


def test_killed_it_takes_what_was_on_its_way_along(
        proxy: Companion, ends: tuple[socket.socket, socket.socket]) -> None:
    client, target = ends
    proxy.tell("delay 5")
    target.sendall(b"never")
    proxy.kill()
    with contextlib.suppress(ConnectionResetError):
        assert client.recv(5) == b""


def test_an_end_is_an_end_on_the_other_side(ends: tuple[socket.socket, socket.socket]) -> None:
    client, target = ends
    target.close()
    assert client.recv(1) == b""


def test_where_no_target_is_the_connection_closes(proxy: Companion, listening: socket.socket) -> None:
    listening.close()
    address = "127.0.0.1", int(proxy.read())
    with (socket.create_connection(address, timeout=10.0) as client,
          contextlib.suppress(ConnectionResetError)):
        assert client.recv(1) == b""


def _opened(port: int, listening: socket.socket, open_: contextlib.ExitStack) -> tuple[
        socket.socket, socket.socket]:
    """A connection through the proxy: the client's end, and the target's."""
    client = open_.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10.0))
    target, _ = listening.accept()
    return client, open_.enter_context(target)


def test_connections_that_have_ended_do_not_count(proxy: Companion, listening: socket.socket) -> None:
    port = int(proxy.read())
    for _ in range(MOST_CONNECTIONS + 10):
        with contextlib.ExitStack() as open_:
            client, target = _opened(port, listening, open_)
            client.sendall(b"one")
            assert _read(target, 3) == b"one"


def test_a_hundred_users_pass_and_who_is_too_many_waits_for_a_place(
        listening: socket.socket, tmp_path: Path) -> None:
    to = str(listening.getsockname()[1])
    with (Companion("proxy", "--to", to, "--most", "100", directory=tmp_path) as proxy,
          contextlib.ExitStack() as open_):
        port = int(proxy.read())
        pairs = [_opened(port, listening, open_) for _ in range(100)]
        for client, target in pairs:
            target.sendall(b"one")
            assert _read(client, 3) == b"one"
        waiting = open_.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10.0))
        listening.settimeout(0.3)
        with pytest.raises(TimeoutError):
            listening.accept()
        listening.settimeout(10.0)
        pairs[0][0].close()
        target = open_.enter_context(listening.accept()[0])
        waiting.sendall(b"late")
        assert _read(target, 4) == b"late"


def test_an_order_that_it_does_not_know_and_a_program_that_is_gone_are_errors(proxy: Companion) -> None:
    proxy.read()
    with pytest.raises(AmplyError, match="does not know an order"):
        proxy.tell("dance")
    proxy.kill()
    with pytest.raises(AmplyError, match="did not answer"):
        proxy.tell("flow")


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_throttled_process_stands_still_most_of_its_time_and_runs_on_afterwards(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            with Companion("throttle", str(busy.pid), "0.2", directory=tmp_path):
                time.sleep(0.5)
                states = []
                for _ in range(150):
                    states.append(_state(busy.pid))
                    time.sleep(0.007)
            assert 0.4 < states.count("T") / len(states) < 0.98
            time.sleep(0.05)
            assert _state(busy.pid) != "T"
        finally:
            busy.kill()


def test_the_throttle_ends_with_its_process(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as sleeping:
        beside = Companion("throttle", str(sleeping.pid), "0.5", directory=tmp_path)
        sleeping.kill()
        sleeping.wait()
        beside.close()
