"""What became of each operation and of each write to a key, for whoever looks what of it is still there.

A run's tables are histograms and a sample of its keys; a drill needs every acknowledged write by its key. The
journal holds them for as long as it takes to look: a file for each generator process, a line of JSON for each
operation that has ended:

    [began_s, ended_s, use case, operation, whether it succeeded, key of its last command or null, writes]

and in `writes`, for each key or member that a command wrote,

    [command, key, argument, ttl_s or null, sent_s, answered_s or null]

The argument is the CRC-32 of a string's value, the member of a set, the reply to INCR, or null. A write
without an answer may have been done or not. Times are Unix time. A line is handed to the system when its
operation ends, so that a killed generator loses those alone that were under way.
"""

from __future__ import annotations

import atexit
import json
import os
from collections.abc import Generator
from pathlib import Path
from time import time
from typing import Any
from zlib import crc32

from amply_capacity.progress import say
from amply_capacity.traffic.operation import Command, Operation, Pipeline, Step

__all__ = ["Journal"]

_ANSWERED = 5  # its place in a write's row
_ARGUMENT = 2


class Journal:
    """The journal of one generator process; closed at its end."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: int | None = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._open: set[_Followed] = set()
        atexit.register(self.close)

    def follow(self, use_case: str, name: str, operation: Operation) -> Operation:
        """The same operation, which is written down when it ends."""
        followed = _Followed(self, use_case, name, operation)
        self._open.add(followed)
        return followed

    def ended(self, followed: _Followed, row: list[Any]) -> None:
        """Write a line; a disk that is full ends the journal, not the load."""
        self._open.discard(followed)
        if self._file is None:
            return
        try:
            os.write(self._file, (json.dumps(row) + "\n").encode())
        except OSError as error:
            say(f"locust: the journal ends here: {error}")
            os.close(self._file)
            self._file = None

    def close(self) -> None:
        """Write down what is under way as unanswered."""
        for followed in tuple(self._open):
            followed.close()
        if self._file is not None:
            os.close(self._file)
            self._file = None


class _Followed(Generator[Step, Any, str]):
    """An operation that notes what it sends and what is answered."""

    __slots__ = ("_began_s", "_is_over", "_journal", "_key", "_name", "_operation", "_use_case", "_waiting",
                 "_writes")

    def __init__(self, journal: Journal, use_case: str, name: str, operation: Operation) -> None:
        self._journal, self._use_case, self._name, self._operation = journal, use_case, name, operation
        self._began_s = time()
        self._key: str | None = None
        self._writes: list[list[Any]] = []
        self._waiting: list[list[Any]] = []
        self._is_over = False

    def send(self, reply: Any) -> Step:
        now = time()
        for row in self._waiting:
            row[_ANSWERED] = now
            if row[0] == "INCR":
                row[_ARGUMENT] = reply
        try:
            step = self._operation.send(reply)
        except StopIteration:
            self._end(now, is_ok=True)
            raise
        except BaseException:
            self._end(now, is_ok=False)
            raise
        commands = step.commands if type(step) is Pipeline else (step,) if type(step) is tuple else ()
        self._waiting = [row for command in commands for row in _rows(command, now)]
        self._writes += self._waiting
        for command in commands:
            if len(command) > 1:
                self._key = str(command[1])
                break
        return step

    def throw(self, *error: Any) -> Step:
        self._end(time(), is_ok=False)
        return self._operation.throw(*error)

    def close(self) -> None:
        """It ends early: what it was to be answered, nobody knows."""
        self._operation.close()
        self._end(time(), is_ok=False)

    def _end(self, now: float, *, is_ok: bool) -> None:
        if not self._is_over:
            self._is_over = True
            self._journal.ended(self, [
                round(self._began_s, 6), round(now, 6), self._use_case, self._name, is_ok, self._key,
                self._writes])


def _rows(command: Command, now: float) -> list[list[Any]]:
    """A row for each key or member that the command writes; none for one that only reads."""
    name = command[0]
    if name == "SETEX":
        return [[name, str(command[1]), crc32(str(command[3]).encode()), command[2], now, None]]
    if name == "SET":
        return [[name, str(command[1]), crc32(str(command[2]).encode()), None, now, None]]
    if name in {"DEL", "UNLINK"}:
        return [[name, str(key), None, None, now, None] for key in command[1:]]
    if name in {"SADD", "SREM"}:
        return [[name, str(command[1]), str(member), None, now, None] for member in command[2:]]
    if name == "INCR":
        return [[name, str(command[1]), None, None, now, None]]
    if name == "EXPIRE":
        return [[name, str(command[1]), None, command[2], now, None]]
    return []
