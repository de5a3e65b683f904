"""One Redis connection of a simulated client: RESP over a socket, no pool, no hidden retry.

As fast as Python allows: the socket is a bare non-blocking one that the reactor watches, each reply is handed
to whoever asked from within the event loop, and one timer that is set anew only when it rings keeps the
time-outs.
"""

from __future__ import annotations

import contextlib
from _socket import IPPROTO_TCP, MSG_PEEK, TCP_NODELAY
from _socket import socket as bare_socket  # gevent and the standard library each wrap this one
from collections.abc import Callable, Iterable
from math import inf
from time import perf_counter
from typing import Any

import gevent
import gevent.socket
from gevent import getcurrent
from hiredis import pack_command

from amply_capacity.errors import AmplyError
from amply_capacity.load.reactor import BUFFER_BYTES, Reactor
from amply_capacity.load.readiness import READ, WRITE
from amply_capacity.load.replies import ReplyError, parser
from amply_capacity.load.stamps import StampedSocket, stamped
from amply_capacity.load.tls import TlsChannel, client_context
from amply_capacity.target.endpoint import Endpoint
from amply_capacity.traffic.operation import Command

__all__ = ["Connection"]

_NOT_YET = inf  # when a command leaves that waits for the turn's end


class Connection:
    """Sends a command, waits for its reply, decodes it as the specification's pool does.

    Connects on first use and again after a failure, never within a command: a lost connection is the
    caller's to count. `call` and `pipeline` let their greenlet wait, and raise OSError (TimeoutError among
    them) when the connection fails; `ask` calls back instead. An error reply is returned as a ReplyError
    value, also inside a pipeline's list. `sent` and `answered` are the moments, on `time.perf_counter`, at
    which the last commands began to leave and had their whole reply: with `is_stamped`, at which it had
    reached this machine, else at which it was read.

    One question at a time. A greenlet that is killed while it waits closes the connection: the reply to come
    belongs to nobody.
    """

    __slots__ = (
        "_add", "_channel", "_descriptor", "_endpoint", "_fail", "_hub", "_is_armed", "_is_stamped",
        "_parser", "_reactor", "_replies", "_send", "_socket", "_timeout_seconds", "_timer", "_unsent",
        "_wanted", "answer", "answered", "is_closed", "is_single", "receive", "receive_unstamped", "sent",
        "stamps",
    )

    def __init__(self, endpoint: Endpoint, timeout_seconds: float = 5.0, is_stamped: bool = False) -> None:
        self._endpoint = endpoint
        self._timeout_seconds = timeout_seconds
        self._is_stamped = is_stamped
        self.stamps: StampedSocket | None = None
        self._socket: Any = None
        self._channel: Any = None
        self._wanted = 0
        self._replies: list[Any] | None = None
        self.answer: Callable[[Any], None] | None = None
        self._fail: Any = None
        self.sent = self.answered = 0.0
        self.is_closed, self.is_single = True, False

    @property
    def is_asked(self) -> bool:
        """Whether somebody waits for a reply."""
        return self.answer is not None

    def is_lost(self) -> bool:
        """Whether the server has closed it while nobody waited, as far as the event loop has noticed."""
        if self.is_closed or self._is_armed:  # armed: nothing has come since the last reply
            return self.is_closed
        try:
            return not self._socket.recv(1, MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def call(self, command: Command) -> Any:
        """The reply to one command."""
        if self.is_closed:
            self.connect()
        return self._wait(self.ask, command)

    def pipeline(self, commands: Iterable[Command]) -> list[Any]:
        """The replies to several commands sent in one write, one per command."""
        if self.is_closed:
            self.connect()
        chosen = list(commands)
        if not chosen:
            self.sent = self.answered = perf_counter()
            return []
        replies: list[Any] = self._wait(self.ask_all, chosen)
        return replies

    def ask(self, command: Command, answer: Callable[[Any], None], fail: Callable[[OSError], None]) -> None:
        """Send a command; later one of the two is called from the event loop, unless it is closed before.

        The connection has to be open, and nobody may wait for it. When `fail` is called it is closed.
        """
        if not self._is_armed:
            self._arm()
        self.sent = _NOT_YET
        self.answer, self._fail = answer, fail
        add = self._add
        add((self, pack_command(command)))

    def ask_all(self, commands: Iterable[Command], answer: Callable[[list[Any]], None],
                fail: Callable[[OSError], None]) -> None:
        """Send at least one command in one write; as `ask`, with the list of their replies."""
        if not self._is_armed:
            self._arm()
        packed = [pack_command(command) for command in commands]
        self.sent = _NOT_YET
        self.answer, self._fail, self._wanted, self._replies = answer, fail, len(packed), []
        self.is_single = False
        self._add((self, b"".join(packed)))

    def connect(self) -> None:
        """Open it, with TLS, AUTH and SELECT as the endpoint says. Raises OSError or ReplyError."""
        endpoint = self._endpoint
        opened = gevent.socket.create_connection((endpoint.host, endpoint.port),
                                                 timeout=self._timeout_seconds)
        raw: Any = bare_socket(opened.family, opened.type, opened.proto, fileno=opened.detach())
        raw.setblocking(False)
        raw.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        self._socket = raw
        self.stamps = stamped(raw) if self._is_stamped else None
        self._channel = self.stamps or raw
        self.is_closed = False
        self._hub = gevent.get_hub()
        self._reactor = Reactor.of(self._hub)
        self._unsent = b""
        self._descriptor = raw.fileno()
        self._timer = self._hub.loop.timer(self._timeout_seconds)
        self._is_armed = False
        self._parser = parser()
        try:
            if endpoint.tls:
                self._channel = channel = TlsChannel(self._channel, client_context(endpoint), endpoint.host)
                with gevent.Timeout(self._timeout_seconds, TimeoutError(self._too_late())):
                    while not channel.shake_hands():
                        gevent.socket.wait_read(self._descriptor)
            # Bound once, not for each command.
            self._add, self._send, self.receive = (
                self._reactor.add, self._channel.send, self._channel.recv_into)
            self.receive_unstamped = raw.recv_into
            self.is_single = not endpoint.tls
            self._greet()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next command opens a new one, and nobody is called any more."""
        self.answer = self._replies = None
        if self._socket is not None:
            self._reactor.forget(self._descriptor)
            self._timer.stop()
            self._timer.close()
            self._socket.close()
            self._socket = self._channel = self._send = self._fail = None
            self.receive = self.receive_unstamped = None
            self.is_closed = True

    def leave(self, packed: bytes) -> None:
        """Runs in the hub: send what was given to the reactor."""
        if self.answer is None:
            return  # closed meanwhile
        self.sent = perf_counter()
        try:
            send = self._send
            count = send(packed)
        except BlockingIOError:
            count = 0
        except OSError as error:
            self.end(error)
            return
        if count < len(packed):
            self._unsent = packed[count:]
            self.is_single = False
            self._reactor.serve(self._descriptor, READ | WRITE, self)

    def take(self, events: int) -> None:
        """Runs in the hub when something has come, unless the reactor takes it, or there is room to send."""
        if events & WRITE:
            self._send_more()
        if not events & ~WRITE or self.is_closed:
            return
        if self.answer is None:
            self._take_unasked()
            return
        try:
            count = self.receive(self._reactor.buffer)
        except BlockingIOError:
            return
        except OSError as error:
            self.end(error)
            return
        self.take_more(count)

    def take_more(self, count: int) -> None:
        """Runs in the hub: the first bytes of the reactor's buffer are a piece of a reply, or of several."""
        self.is_single = False
        try:
            self._parser.feed(self._reactor.buffer, 0, count)
            if count == BUFFER_BYTES:
                self._receive_more()
            reply = self._parser.gets()
            if self._replies is not None:
                reply = self._collect(reply)
            if reply is False:
                if not count:
                    raise ConnectionResetError("the server closed the connection")
                return
            if self._parser.has_data():
                raise ConnectionResetError("the server replied more than it was asked for")
        except OSError as error:
            self.end(error)
            return
        self.is_single = not self._endpoint.tls
        self.answered = perf_counter() if self.stamps is None else max(self.stamps.arrived(), self.sent)
        self._reactor.hand((self, reply))

    def _take_unasked(self) -> None:
        """Nobody waits: an end the next command will meet, but a reply it would take for its own."""
        try:
            count = self.receive(self._reactor.buffer)
        except BlockingIOError:  # nothing of Redis': TLS renews its tickets
            return
        except OSError:
            count = 0
        if count:
            self.close()
        else:
            self._disarm()  # until then it must not wake the hub

    def end(self, error: OSError) -> None:
        """Runs in the hub: close it, and tell whoever waits."""
        fail = self._fail
        self.close()
        fail(error)

    def _wait(self, ask: Callable[..., None], question: Any) -> Any:
        """Let the greenlet wait for what it asks."""
        waiting = getcurrent()
        try:
            ask(question, waiting.switch, waiting.throw)
            return self._hub.switch()
        except BaseException:
            self.close()
            raise

    def _greet(self) -> None:
        endpoint = self._endpoint
        reply = None
        try:
            credentials = endpoint.credentials()
            if credentials is not None:
                reply = self._authenticate(*credentials)
                # A password that is refused may have been rotated since it was read.
                newer = endpoint.renewed(credentials[1]) if isinstance(reply, ReplyError) else None
                if newer is not None:
                    reply = self._authenticate(*newer)
        except AmplyError as error:
            raise ConnectionError(f"no password could be had: {error}") from error
        if endpoint.database and not isinstance(reply, ReplyError):
            reply = self.call(("SELECT", endpoint.database))
        if isinstance(reply, ReplyError):
            raise reply

    def _authenticate(self, user: str | None, password: str) -> Any:
        return self.call(("AUTH", user, password) if user else ("AUTH", password))

    def _receive_more(self) -> None:
        """Take what did not fit into the buffer: of bytes that TLS has decrypted, no watcher tells."""
        buffer = self._reactor.buffer
        with contextlib.suppress(BlockingIOError):
            while count := self.receive(buffer):
                self._parser.feed(buffer, 0, count)

    def _collect(self, reply: Any) -> Any:
        """The replies to a pipeline when they are complete, else False."""
        replies = self._replies
        assert replies is not None
        while reply is not False:
            replies.append(reply)
            if len(replies) == self._wanted:
                self._replies = None
                return replies
            reply = self._parser.gets()
        return False

    def _send_more(self) -> None:
        """The server takes more; only long commands and slow servers come here."""
        try:
            self._unsent = self._unsent[self._send(self._unsent):]
        except BlockingIOError:
            return
        except OSError as error:
            self.end(error)
            return
        if not self._unsent:
            self._reactor.serve(self._descriptor, READ, self)

    def _arm(self) -> None:
        """Watch for bytes and for the time-out, until nobody waits when one of them calls."""
        self._reactor.serve(self._descriptor, READ, self)
        self._set_timer(self._timeout_seconds)
        self._is_armed = True

    def _disarm(self) -> None:
        self._reactor.forget(self._descriptor)
        self._timer.stop()
        self._is_armed = False

    def _ring(self) -> None:
        """Runs in the hub when the timer rings: too late for the command that waits, or just a look."""
        left = min(self.sent + self._timeout_seconds - perf_counter(), self._timeout_seconds)
        if self.answer is None:
            self._disarm()
        elif left > 0.0:
            self._set_timer(left)
        else:
            self.end(TimeoutError(self._too_late()))

    def _set_timer(self, seconds: float) -> None:
        self._timer.stop()
        self._timer.close()
        self._timer = self._hub.loop.timer(seconds)
        self._timer.start(self._ring)

    def _too_late(self) -> str:
        return f"no reply within {self._timeout_seconds:g} s"
