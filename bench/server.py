"""A bare server for one measurement, and one connection to it."""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any

import hiredis

from amply_capacity.target.process import die_with, free_port
from amply_capacity.target.program import find_server

__all__ = ["Wire", "bare_server"]


@contextlib.contextmanager
def bare_server(**settings: str | int) -> Iterator[int]:
    """An empty server on a port of this host, with settings such as `maxmemory_policy`; it ends with the
    block, or the thread, even one that is killed."""
    port = free_port()
    options = [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}",
                                                                     str(value))]
    with tempfile.TemporaryDirectory() as directory:
        process = subprocess.Popen(
            [str(find_server().path), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir",
             directory, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=functools.partial(die_with, os.getpid()))
        try:
            deadline = time.monotonic() + 20.0
            while time.monotonic() < deadline:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.02)
            yield port
        finally:
            process.kill()
            process.wait()


class Wire:
    """Commands out in one write, all replies back."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The reply to each; an error is an exception among them."""
        self._socket.sendall(b"".join(hiredis.pack_command(command) for command in commands))
        replies: list[Any] = []
        while len(replies) < len(commands):
            data = self._socket.recv(1 << 20)
            if not data:
                raise ConnectionResetError("the server has gone")
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not False:
                replies.append(reply)
        return replies

    def info(self) -> dict[str, int]:
        """Whole numbers of INFO, and the number of keys as `keys`."""
        text, keys = self.ask([("INFO",), ("DBSIZE",)])
        pairs = (line.split(":", 1) for line in text.decode().splitlines() if ":" in line)
        return {**{name: int(value) for name, value in pairs if value.lstrip("-").isdigit()}, "keys": keys}
