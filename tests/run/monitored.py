"""A real server's MONITOR output, captured as `redis-cli MONITOR` prints it."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import hiredis

_GREETING = b"+OK\r\n"


class Monitored:
    """Two connections to a server: one that sends commands, and one that watches."""

    def __init__(self, port: int) -> None:
        self._client = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._watcher = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._watcher.sendall(hiredis.pack_command(("MONITOR",)))
        greeting = b""
        while len(greeting) < len(_GREETING):
            greeting += self._watcher.recv(len(_GREETING) - len(greeting))
        assert greeting == _GREETING
        self._count = 0

    def __enter__(self) -> Monitored:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self._client.close()
        self._watcher.close()

    def capture(self, commands: Iterable[tuple[Any, ...]]) -> tuple[bytes, list[Any]]:
        """Send the commands; what MONITOR shows of them, and the replies."""
        self._count += 1
        end = b"end-of-capture-%d" % self._count
        sent = [*commands, ("ECHO", end)]
        self._client.sendall(b"".join(hiredis.pack_command(command) for command in sent))
        reader = hiredis.Reader()
        replies: list[Any] = []
        while len(replies) < len(sent):
            reader.feed(self._client.recv(1 << 16))
            while (reply := reader.gets()) is not False:
                replies.append(reply)
        text = b""
        while end not in text or not text.endswith(b"\r\n"):
            text += self._watcher.recv(1 << 16)
        lines = [line.removeprefix(b"+") for line in text.split(b"\r\n") if end not in line]
        return b"OK\n" + b"\n".join(lines), replies[:-1]
