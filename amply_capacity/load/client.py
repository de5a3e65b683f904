"""One Redis connection of a simulated client: RESP over a socket, no pool, no hidden retry.

As fast as Python allows: the socket is a bare non-blocking one, its read watcher is started once and switches
straight to the greenlet that waits, and one timer that is set anew only when it rings keeps the time-outs.
"""

from __future__ import annotations

from _socket import IPPROTO_TCP, TCP_NODELAY
from _socket import socket as bare_socket  # gevent and the standard library each wrap this one
from collections.abc import Iterable
from time import perf_counter
from typing import Any, NoReturn

import gevent
import gevent.socket
from gevent import getcurrent
from hiredis import Reader, pack_command

from amply_capacity.load.outbox import Outbox
from amply_capacity.load.tls import TlsChannel, client_context
from amply_capacity.target.endpoint import Endpoint
from amply_capacity.traffic.operation import Command

__all__ = ["Connection", "ReplyError"]

_READ, _WRITE = 1, 2
_RECEIVE_BYTES = 65536


class ReplyError(Exception):
    """An error that the server replied, e.g. `OOM command not allowed …`."""


class Connection:
    """Sends a command, waits for its reply, decodes it as the specification's pool does.

    Connects on first use and again after a failure, never within a command: a lost connection is the
    caller's to count. `call` raises OSError (TimeoutError among them) when the connection fails; an error
    reply is returned as a ReplyError value, also inside a pipeline's list. `sent` and `answered` are the
    moments, on `time.perf_counter`, at which the last call began to send and had its whole reply.

    For one greenlet at a time. A greenlet that is killed while it waits closes the connection: the reply to
    come belongs to nobody.
    """

    __slots__ = (
        "_channel", "_endpoint", "_hub", "_is_armed", "_outbox", "_reader", "_socket", "_timeout_seconds",
        "_timer", "_unsent", "_waiter", "_watcher", "answered", "is_closed", "sent",
    )

    def __init__(self, endpoint: Endpoint, timeout_seconds: float = 5.0) -> None:
        self._endpoint = endpoint
        self._timeout_seconds = timeout_seconds
        self._socket: Any = None
        self._channel: Any = None
        self._waiter: Any = None
        self.sent = self.answered = 0.0
        self.is_closed = True

    def call(self, command: Command) -> Any:
        """The reply to one command."""
        if self.is_closed:
            self.connect()
        self.sent = perf_counter()  # until it leaves
        try:
            # What `_wait_readable` and `_receive` do, without the calls: nearly every command takes this way.
            if not self._is_armed:
                self._arm()
            self._waiter = getcurrent()
            self._outbox.add((self, pack_command(command)))
            self._hub.switch()
            self._waiter = None
            if self._unsent:
                self._send_rest()
            try:
                data = self._channel.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                reply = self._receive()
            else:
                self._reader.feed(data)
                reply = self._reader.gets()
                if reply is False:
                    reply = self._receive() if data else self._ended()
        except BaseException:
            self.close()
            raise
        self.answered = perf_counter()
        return reply

    def pipeline(self, commands: Iterable[Command]) -> list[Any]:
        """The replies to several commands sent in one write, one per command."""
        if self.is_closed:
            self.connect()
        packed = [pack_command(command) for command in commands]
        self.sent = perf_counter()
        try:
            self._send(b"".join(packed))
            replies = [self._next() for _ in packed]
        except BaseException:
            self.close()
            raise
        self.answered = perf_counter()
        return replies

    def connect(self) -> None:
        """Open it, with TLS, AUTH and SELECT as the endpoint says. Raises OSError or ReplyError."""
        endpoint = self._endpoint
        self.sent = perf_counter()
        opened = gevent.socket.create_connection((endpoint.host, endpoint.port),
                                                 timeout=self._timeout_seconds)
        raw = bare_socket(opened.family, opened.type, opened.proto, fileno=opened.detach())
        raw.setblocking(False)
        raw.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        self._socket = self._channel = raw
        self.is_closed = False
        self._hub = gevent.get_hub()
        self._outbox = Outbox.of(self._hub)
        self._unsent = b""
        self._watcher = self._hub.loop.io(raw.fileno(), _READ)
        self._timer = self._hub.loop.timer(self._timeout_seconds)
        self._is_armed = False
        # What is no RESP ends the connection, as a reset does.
        self._reader = Reader(encoding="utf-8", errors="replace", replyError=ReplyError,
                              protocolError=ConnectionResetError)
        try:
            if endpoint.tls:
                self._channel = channel = TlsChannel(raw, client_context(endpoint), endpoint.host)
                while not channel.shake_hands():
                    self._wait_readable()
            self._greet()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next command opens a new one."""
        self._waiter = None
        if self._socket is not None:
            self._watcher.stop()
            self._watcher.close()
            self._timer.stop()
            self._timer.close()
            self._socket.close()
            self._socket = self._channel = None
            self.is_closed = True

    def leave(self, packed: bytes, now: float) -> None:
        """Runs in the hub: send what `call` put into the outbox. Whoever waits is woken where that fails."""
        waiter = self._waiter
        if waiter is None:
            return  # killed meanwhile: the connection is closed
        self.sent = now
        try:
            count = self._channel.send(packed)
        except BlockingIOError:
            count = 0
        except OSError as error:
            waiter.throw(error)
            return
        if count < len(packed):
            self._unsent = packed[count:]
            waiter.switch()

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

    def _send_rest(self) -> None:
        packed, self._unsent = self._unsent, b""
        self._send(packed)
        self._wait_readable()

    def _send(self, packed: bytes) -> None:
        while packed:
            try:
                packed = packed[self._channel.send(packed):]
            except BlockingIOError:
                self._wait_writable()

    def _next(self) -> Any:
        reply = self._reader.gets()
        if reply is not False:
            return reply
        self._wait_readable()
        return self._receive()

    def _receive(self) -> Any:
        """The next reply, from what there is to read and what is still to come."""
        while True:
            try:
                data = self._channel.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                self._wait_readable()
                continue
            self._reader.feed(data)
            reply = self._reader.gets()
            if reply is not False:
                return reply
            if not data:
                self._ended()

    def _ended(self) -> NoReturn:
        raise ConnectionResetError("the server closed the connection")

    def _wait_readable(self) -> None:
        if not self._is_armed:
            self._arm()
        self._waiter = getcurrent()
        self._hub.switch()
        self._waiter = None

    def _wait_writable(self) -> None:
        """Until the server takes more; only long pipelines and slow servers come here."""
        watcher = self._hub.loop.io(self._socket.fileno(), _WRITE)
        try:
            left = self.sent + self._timeout_seconds - perf_counter()
            with gevent.Timeout(max(left, 0.001), TimeoutError(self._too_late())):
                self._hub.wait(watcher)
        finally:
            watcher.close()

    def _arm(self) -> None:
        """Watch for bytes and for the time-out, until nobody waits when one of them calls."""
        self._watcher.start(self._readable)
        self._set_timer(self._timeout_seconds)
        self._is_armed = True

    def _disarm(self) -> None:
        self._watcher.stop()
        self._timer.stop()
        self._is_armed = False

    def _readable(self) -> None:
        """Runs in the hub when bytes, or the end of the connection, have come."""
        waiter = self._waiter
        if waiter is not None:
            waiter.switch()
        else:  # nobody asked: the next call will see it, and until then it must not wake the hub again
            self._disarm()

    def _ring(self) -> None:
        """Runs in the hub when the timer rings: too late for the command that waits, or just a look."""
        waiter = self._waiter
        left = self.sent + self._timeout_seconds - perf_counter()
        if waiter is None:
            self._disarm()
        elif left > 0.0:
            self._set_timer(left)
        else:
            self._disarm()
            waiter.throw(TimeoutError(self._too_late()))

    def _set_timer(self, seconds: float) -> None:
        self._timer.stop()
        self._timer.close()
        self._timer = self._hub.loop.timer(seconds)
        self._timer.start(self._ring)

    def _too_late(self) -> str:
        return f"no reply within {self._timeout_seconds:g} s"
