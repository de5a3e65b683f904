"""One Redis connection of a simulated client: RESP over a socket, no pool, no hidden retry."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterable
from typing import Any

import hiredis

from amply_capacity.target.endpoint import CA_BUNDLE_VARIABLE, Endpoint
from amply_capacity.traffic.operation import Command

__all__ = ["Connection", "ReplyError"]


class ReplyError(Exception):
    """An error that the server replied, e.g. `OOM command not allowed …`."""


class Connection:
    """Sends a command, waits for its reply, decodes it as the specification's pool does.

    Connects on first use and again after a failure, never within a command: a lost connection is the
    caller's to count. `call` raises OSError (TimeoutError among them) when the connection fails; an error
    reply is returned as a ReplyError value, also inside a pipeline's list.
    """

    def __init__(self, endpoint: Endpoint, timeout_seconds: float = 5.0) -> None:
        self._endpoint = endpoint
        self._timeout_seconds = timeout_seconds
        self._socket: socket.socket | None = None
        self._reader: Any = None

    @property
    def is_closed(self) -> bool:
        return self._socket is None

    def call(self, command: Command) -> Any:
        """The reply to one command."""
        if self._socket is None:
            self.connect()
        self._socket.sendall(hiredis.pack_command(command))  # type: ignore[union-attr]
        reply = self._reader.gets()
        return reply if reply is not False else self._wait()

    def pipeline(self, commands: Iterable[Command]) -> list[Any]:
        """The replies to several commands sent in one write, one per command."""
        if self._socket is None:
            self.connect()
        packed = [hiredis.pack_command(command) for command in commands]
        self._socket.sendall(b"".join(packed))  # type: ignore[union-attr]
        return [self._next() for _ in packed]

    def connect(self) -> None:
        """Open it, with TLS, AUTH and SELECT as the endpoint says. Raises OSError or ReplyError."""
        endpoint = self._endpoint
        raw = socket.create_connection((endpoint.host, endpoint.port), timeout=self._timeout_seconds)
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if endpoint.tls:
                context = ssl.create_default_context(cafile=os.environ.get(CA_BUNDLE_VARIABLE))
                raw = context.wrap_socket(raw, server_hostname=endpoint.host)
            self._socket = raw
            # What is no RESP ends the connection, as a reset does.
            self._reader = hiredis.Reader(encoding="utf-8", errors="replace", replyError=ReplyError,
                                          protocolError=ConnectionResetError)
            self._greet()
        except BaseException:
            self.close()
            raw.close()
            raise

    def close(self) -> None:
        """Close the connection; the next command opens a new one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _greet(self) -> None:
        endpoint = self._endpoint
        greetings: list[Command] = []
        if endpoint.password is not None:
            user = (endpoint.username,) if endpoint.username else ()
            greetings.append(("AUTH", *user, endpoint.password))
        if endpoint.database:
            greetings.append(("SELECT", endpoint.database))
        for greeting in greetings:
            reply = self.call(greeting)
            if isinstance(reply, ReplyError):
                raise reply

    def _next(self) -> Any:
        reply = self._reader.gets()
        return reply if reply is not False else self._wait()

    def _wait(self) -> Any:
        receive, reader = self._socket.recv, self._reader  # type: ignore[union-attr]
        while True:
            data = receive(65536)
            if not data:
                raise ConnectionResetError("the server closed the connection")
            reader.feed(data)
            reply = reader.gets()
            if reply is not False:
                return reply
