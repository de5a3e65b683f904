"""What a player of operations needs of a connection, whatever the topology behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from amply_capacity.traffic.operation import Command

__all__ = ["Askable", "Link", "Unreachable"]


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
