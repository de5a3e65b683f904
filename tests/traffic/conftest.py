"""A real Redis for the tests that need one, and a way to see what it was sent."""

from __future__ import annotations

import ast
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis

from amply_capacity.traffic.operation import Command

NOW = datetime(2026, 11, 23, 9, 30, 15, 123456)
NOW_S = NOW.replace(tzinfo=UTC).timestamp()


@pytest.fixture(scope="session")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    named = os.environ.get("AMPLY_REDIS_SERVER")
    program = named or shutil.which("redis-server") or shutil.which("valkey-server")
    assert program, "these tests need a redis-server on PATH"
    directory: Path = tmp_path_factory.mktemp("redis")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory), "--save", ""]
    with (directory / "log").open("wb") as log:
        server = subprocess.Popen([program, *options], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 20.0
        while True:
            try:
                with redis.Redis(port=port) as client:
                    client.ping()
                break
            except redis.ConnectionError:
                assert server.poll() is None, (directory / "log").read_text()
                assert time.monotonic() < deadline, "the server did not answer within 20 s"
                time.sleep(0.02)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=10)


@pytest.fixture
def client(redis_port: int) -> Iterator[redis.Redis]:
    """A client whose replies are decoded, as the application's are, on an emptied server."""
    with redis.Redis(port=redis_port, decode_responses=True, single_connection_client=True) as connected:
        connected.flushall()
        yield connected


@pytest.fixture
def answer(client: redis.Redis) -> Callable[[Command], Any]:
    """The server as a function from command to reply; the members of a set come in a known order."""

    def reply(command: Command) -> Any:
        answered = client.execute_command(*command)
        return sorted(answered) if command[0] == "SMEMBERS" else answered

    return reply


class Monitor:
    """What the server was sent since the last look, connection set-up aside, as its own MONITOR tells it."""

    _SET_UP = ("CLIENT", "HELLO", "AUTH", "SELECT", "PING", "INFO")
    _ARGUMENT = re.compile(r'"((?:[^"\\]|\\.)*)"')

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._socket.sendall(b"MONITOR\r\n")
        self._lines = self._socket.makefile("rb")
        assert self._lines.readline() == b"+OK\r\n"

    def commands(self) -> list[tuple[str, ...]]:
        end = uuid4().hex
        with redis.Redis(port=self._port) as client:
            client.echo(end)
        seen: list[tuple[str, ...]] = []
        while True:
            line = self._lines.readline().decode()
            quoted = self._ARGUMENT.findall(line)
            arguments = tuple(ast.literal_eval(f'b"{text}"').decode() for text in quoted)
            if arguments == ("ECHO", end):
                return seen
            if arguments[0].upper() not in self._SET_UP:
                seen.append((arguments[0].upper(), *arguments[1:]))

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


@pytest.fixture
def monitor(client: redis.Redis, redis_port: int) -> Iterator[Monitor]:
    watching = Monitor(redis_port)
    yield watching
    watching.close()
