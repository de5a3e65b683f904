"""A connection to a Redis Cluster: one to each primary, and redirects followed as its protocol says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import perf_counter
from typing import Any

from amply_capacity.load.client import Connection
from amply_capacity.load.link import Unreachable
from amply_capacity.load.replies import ReplyError, errors_in
from amply_capacity.load.slots import SlotMap, key_of, slot_of
from amply_capacity.target.endpoint import Endpoint
from amply_capacity.traffic.operation import Command

__all__ = ["ShardedConnection"]

_MOST_REDIRECTS = 5
_ASKING: Command = ("ASKING",)


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
            errors = [str(error) for error in errors_in(replies)]
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
