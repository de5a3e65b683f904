"""Connections that follow the topology, with the surface of a plain one: `load.client.Connection`.

A plain connection knows one server. `FailoverConnection` asks who is the primary whenever it connects;
`ShardedConnection` sends each command to the primary that owns its key. Neither retries: what fails is the
caller's to count. A redirect (MOVED, ASK) is no failure but the protocol's way to say where a slot is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any, Protocol

from amply_capacity.load.client import Connection
from amply_capacity.load.replies import ReplyError
from amply_capacity.load.slots import SlotMap, key_of, slot_of
from amply_capacity.target.cluster import Cluster
from amply_capacity.target.configuration import SERVICE_NAME
from amply_capacity.target.endpoint import Endpoint
from amply_capacity.traffic.operation import Command

__all__ = ["Askable", "FailoverConnection", "Link", "ShardedConnection", "SlotMap", "Unreachable", "opener",
           "primary_from_sentinels"]

_MOST_REDIRECTS = 5
_NO_PRIMARY = ("READONLY", "MASTERDOWN", "LOADING")
"""Error replies of a server that is no primary, or not one yet (Redis' `shared` replies, server.c)."""
_ASKING: Command = ("ASKING",)


class Unreachable(ConnectionError):
    """A connection that a command wanted could not be opened."""


class Link(Protocol):
    """What a player of operations needs of a connection."""

    sent: float
    answered: float

    @property
    def is_closed(self) -> bool: ...
    def call(self, command: Command) -> Any: ...
    def pipeline(self, commands: Iterable[Command]) -> list[Any]: ...
    def connect(self) -> None: ...
    def close(self) -> None: ...


class Askable(Link, Protocol):
    """A connection that can be asked from within the event loop too."""

    def ask(self, command: Command, answer: Callable[[Any], None],
            fail: Callable[[OSError], None]) -> None: ...
    def ask_all(self, commands: Iterable[Command], answer: Callable[[list[Any]], None],
                fail: Callable[[OSError], None]) -> None: ...
    def is_lost(self) -> bool: ...


def opener(endpoint: Endpoint, cluster: Cluster | None, topology: str, timeout_seconds: float,
           is_stamped: bool = False) -> Callable[[], Link]:
    """A function that makes the kind of connection that the target's topology wants.

    A replication group of others is followed by its name: whoever is the primary then has its address. Call
    this once in a process: the connections of a sharded cluster then share one map of its slots.
    """
    if topology == "replicated":
        if cluster is None:
            return lambda: FailoverConnection(lambda: endpoint, timeout_seconds, is_stamped)
        sentinels = cluster.sentinels

        def find_primary() -> Endpoint:
            return primary_from_sentinels(sentinels, SERVICE_NAME)

        return lambda: FailoverConnection(find_primary, timeout_seconds, is_stamped)
    if topology == "sharded":
        slots = SlotMap(endpoint, timeout_seconds)
        return lambda: ShardedConnection(slots, timeout_seconds, is_stamped)
    return lambda: Connection(endpoint, timeout_seconds, is_stamped)


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
        for error in _errors(replies):
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
            for error in _errors((reply,)):
                self._judge(error)
            answer(reply)

        def failed(error: OSError) -> None:
            self.sent = connection.sent
            fail(error)

        return answered, failed

    def _judge(self, error: ReplyError) -> None:
        if str(error).startswith(_NO_PRIMARY):
            self.close()


class ShardedConnection:
    """A connection to each primary of a Redis Cluster, opened when first used.

    MOVED and ASK are followed, at most five times in a row, and counted in `redirects`; every other error
    reply is returned, CROSSSLOT, TRYAGAIN and CLUSTERDOWN among them. A command with several keys goes to the
    first one's node; one without keys to any. A pipeline is split by node, each part one write, one after the
    other; what stands between MULTI and EXEC stays together.
    """

    def __init__(self, slots: SlotMap, timeout_seconds: float = 5.0, is_stamped: bool = False) -> None:
        self._slots = slots
        self._timeout_seconds, self._is_stamped = timeout_seconds, is_stamped
        self._connections: dict[Endpoint, Connection] = {}
        self.redirects = 0
        self.sent = self.answered = 0.0

    @property
    def is_closed(self) -> bool:
        return all(connection.is_closed for connection in self._connections.values())

    def call(self, command: Command) -> Any:
        """The reply to one command. Raises OSError, Unreachable where its node could not be connected to."""
        key = key_of(command)
        node = self._slots.primary_of(None if key is None else slot_of(key))
        connection = self._opened(node)
        try:
            reply = connection.call(command)
        except OSError:
            self._slots.suspect()
            raise
        finally:
            self.sent, self.answered = sent, _ = connection.sent, connection.answered
        if type(reply) is ReplyError:
            try:
                (reply,) = self._follow([command], [reply], node)
            finally:
                self.sent = sent
        return reply

    def pipeline(self, commands: Iterable[Command]) -> list[Any]:
        """The replies to several commands in their order, one per command. Raises as `call`."""
        parts = _parts(list(commands))
        slots = [_slot(part) for part in parts]
        nodes = [self._slots.primary_of(slot) for slot in slots]
        answers: list[list[Any]] = [[] for _ in parts]
        sent: float | None = None
        try:
            for node in dict.fromkeys(nodes):
                chosen = [number for number, one in enumerate(nodes) if one == node]
                replies = iter(self._send(node, [command for number in chosen for command in parts[number]]))
                sent = self.sent if sent is None else sent
                for number in chosen:
                    answers[number] = [next(replies) for _ in parts[number]]
            for number, part in enumerate(parts):
                answers[number] = self._follow(part, answers[number], nodes[number])
        finally:
            self.sent = self.sent if sent is None else sent
        return [reply for answer in answers for reply in answer]

    def connect(self) -> None:
        """Learn who owns the slots, and connect to one primary that answers, so that the loss of one shard is
        not the loss of all. Raises OSError where none does."""
        failure: OSError | None = None
        for node in self._slots.primaries():
            try:
                self._opened(node)
                return
            except Unreachable as error:
                failure = error
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Close all of them; the next command opens those that it needs."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def _opened(self, node: Endpoint) -> Connection:
        """The connection to that node. Raises Unreachable; the others stay open."""
        connection = self._connections.get(node)
        if connection is None:
            connection = self._connections[node] = Connection(node, self._timeout_seconds, self._is_stamped)
        if connection.is_closed:
            self.sent = perf_counter()
            try:
                connection.connect()
            except (OSError, ReplyError) as error:
                self._slots.suspect()
                raise Unreachable(str(error)) from error
        return connection

    def _send(self, node: Endpoint, commands: Sequence[Command]) -> list[Any]:
        connection = self._opened(node)
        try:
            return connection.pipeline(commands)
        except OSError:
            self._slots.suspect()
            raise
        finally:
            self.sent, self.answered = connection.sent, connection.answered

    def _follow(self, part: list[Command], replies: list[Any], asked: Endpoint) -> list[Any]:
        """The replies to a command or transaction after its redirects; they executed nothing before."""
        for _ in range(_MOST_REDIRECTS):
            errors = [str(error) for error in _errors(replies)]
            redirect = next((error for error in errors if error.startswith(("MOVED ", "ASK "))), None)
            if redirect is None:
                if any(error.startswith("CLUSTERDOWN") for error in errors):
                    self._slots.suspect()
                break
            if len(part) > 1 and _slot_count(part) > 1:  # no node owns them all: the error is the answer
                break
            kind, slot, address = redirect.split()[:3]
            node = self._slots.at(address, asked)
            self.redirects += 1
            if kind == "MOVED":
                self._slots.move(int(slot), node)
                replies = self._send(node, part)
            else:
                replies = self._send(node, [_ASKING, *part])[1:]
            asked = node
        return replies


def _errors(replies: Iterable[Any]) -> Iterable[ReplyError]:
    """Error replies among them, those inside EXEC's list included."""
    for reply in replies:
        if type(reply) is ReplyError:
            yield reply
        elif type(reply) is list:
            yield from _errors(reply)


def _parts(commands: list[Command]) -> list[list[Command]]:
    """The commands one by one, but each MULTI with all that follows it up to its EXEC or DISCARD."""
    parts: list[list[Command]] = []
    is_within = False
    for command in commands:
        if is_within:
            parts[-1].append(command)
        else:
            parts.append([command])
        name = str(command[0]).upper()
        is_within = name == "MULTI" or (is_within and name not in {"EXEC", "DISCARD"})
    return parts


def _slot(part: list[Command]) -> int | None:
    keys = (key_of(command) for command in part)
    return next((slot_of(key) for key in keys if key is not None), None)


def _slot_count(part: list[Command]) -> int:
    keys = (key_of(command) for command in part)
    return len({slot_of(key) for key in keys if key is not None})
