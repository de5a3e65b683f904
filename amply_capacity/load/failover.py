"""A connection to whoever is the primary of a replication group, which Sentinels or its name tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from amply_capacity.load.client import Connection
from amply_capacity.load.replies import ReplyError, errors_in
from amply_capacity.target.endpoint import Endpoint
from amply_capacity.traffic.operation import Command

__all__ = ["FailoverConnection", "primary_from_sentinels"]

_NO_PRIMARY = ("READONLY", "MASTERDOWN", "LOADING")
"""Error replies of a server that is no primary, or not one yet (Redis' `shared` replies, server.c)."""


def primary_from_sentinels(sentinels: Iterable[Endpoint], service_name: str,
                           timeout_seconds: float = 1.0) -> Endpoint:
    """The primary that the first Sentinel names which knows it; TLS and password as for that Sentinel.

    Each is tried once. Raises ConnectionError where none knows it.
    """
    faults = []
    for sentinel in sentinels:
        connection = Connection(sentinel, timeout_seconds)
        try:
            address = connection.call(("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service_name))
        except (OSError, ReplyError) as error:
            faults.append(f"{sentinel.url}: {error or type(error).__name__}")
            continue
        finally:
            connection.close()
        if isinstance(address, list):
            return replace(sentinel, host=address[0], port=int(address[1]))
        faults.append(f"{sentinel.url}: {address or 'unknown service'}")
    raise ConnectionError(f"no Sentinel names the primary of {service_name} ({'; '.join(faults) or 'none'})")


class FailoverConnection:
    """A connection to whichever server is the primary when it connects.

    A reply that only a server without writes gives (READONLY, MASTERDOWN, LOADING) is returned as what it is,
    and closes the connection, so that the next command asks again. `switches` counts connections that came
    to another server than the one before.
    """

    def __init__(self, find_primary: Callable[[], Endpoint], timeout_seconds: float = 5.0,
                 is_stamped: bool = False) -> None:
        self._find_primary = find_primary
        self._timeout_seconds, self._is_stamped = timeout_seconds, is_stamped
        self._connection: Connection | None = None
        self.endpoint: Endpoint | None = None
        self.switches = 0
        self.sent = self.answered = 0.0

    @property
    def is_closed(self) -> bool:
        return self._connection is None or self._connection.is_closed

    def call(self, command: Command) -> Any:
        """The reply to one command. Raises OSError."""
        connection = self._open()
        try:
            reply = connection.call(command)
        finally:
            self.sent, self.answered = connection.sent, connection.answered
        if type(reply) is ReplyError:
            self._judge(reply)
        return reply

    def pipeline(self, commands: Iterable[Command]) -> list[Any]:
        """The replies to several commands sent in one write, one per command. Raises OSError."""
        connection = self._open()
        try:
            replies = connection.pipeline(commands)
        finally:
            self.sent, self.answered = connection.sent, connection.answered
        for error in errors_in(replies):
            self._judge(error)
        return replies

    def ask(self, command: Command, answer: Callable[[Any], None], fail: Callable[[OSError], None]) -> None:
        """As a plain connection's, which has to be open."""
        connection = self._open()
        connection.ask(command, *self._between(connection, answer, fail))

    def ask_all(self, commands: Iterable[Command], answer: Callable[[list[Any]], None],
                fail: Callable[[OSError], None]) -> None:
        """As a plain connection's, which has to be open."""
        connection = self._open()
        connection.ask_all(commands, *self._between(connection, answer, fail))

    def is_lost(self) -> bool:
        """As a plain connection's."""
        return self._connection is None or self._connection.is_lost()

    def connect(self) -> None:
        """Ask for the primary and connect to it. Raises OSError or ReplyError."""
        self.close()
        endpoint = self._find_primary()
        connection = Connection(endpoint, self._timeout_seconds, self._is_stamped)
        connection.connect()
        if self.endpoint is not None and endpoint != self.endpoint:
            self.switches += 1
        self.endpoint, self._connection = endpoint, connection

    def close(self) -> None:
        """Close it; the next command asks for the primary anew."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> Connection:
        if self.is_closed:
            self.connect()
        assert self._connection is not None
        return self._connection

    def _between(self, connection: Connection, answer: Callable[[Any], None], fail: Callable[[OSError], None],
                 ) -> tuple[Callable[[Any], None], Callable[[OSError], None]]:
        """What looks at a reply, or a failure, before those who asked."""

        def answered(reply: Any) -> None:
            self.sent, self.answered = connection.sent, connection.answered
            for error in errors_in((reply,)):
                self._judge(error)
            answer(reply)

        def failed(error: OSError) -> None:
            self.sent = connection.sent
            fail(error)

        return answered, failed

    def _judge(self, error: ReplyError) -> None:
        if str(error).startswith(_NO_PRIMARY):
            self.close()
