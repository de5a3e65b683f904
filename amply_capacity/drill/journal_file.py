"""What the load did, as its journal tells: every operation, and every write to a key with its answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Journal", "Played", "Write", "read_journal"]


@dataclass(frozen=True, slots=True)
class Played:
    """One operation; times are Unix time."""

    began_s: float
    ended_s: float
    use_case: str
    operation: str
    is_ok: bool
    """False: it failed, whatever the reason."""
    key: str | None
    """Of its last command; None where none was sent."""


@dataclass(frozen=True, slots=True)
class Write:
    """What one command did to one key, or to one member of a set."""

    command: str
    """SET, SETEX, DEL, UNLINK, SADD, SREM, INCR or EXPIRE."""
    key: str
    argument: str | int | None
    """CRC-32 of a string's value, a set's member, INCR's reply; None for a command that has none."""
    ttl_s: float | None
    sent_s: float
    answered_s: float | None
    """None: nobody knows whether it was done."""


@dataclass(frozen=True, slots=True)
class Journal:
    """All of a load, in the order in which its operations ended."""

    operations: tuple[Played, ...]
    writes: tuple[Write, ...]

    @property
    def acknowledged(self) -> tuple[Write, ...]:
        """The writes that were answered; EXPIRE, which goes with its INCR, left out."""
        return tuple(one for one in self.writes if one.answered_s is not None and one.command != "EXPIRE")


def read_journal(directory: Path) -> Journal:
    """The journal of every generator process in that directory; a line cut off by a kill is left out.

    The format is `load.journal`'s.
    """
    operations: list[Played] = []
    writes: list[Write] = []
    for line in _lines(directory):
        began_s, ended_s, use_case, name, is_ok, key, done = line
        operations.append(Played(began_s, ended_s, use_case, name, is_ok, key))
        writes += [Write(*one) for one in done]
    operations.sort(key=lambda one: one.ended_s)
    return Journal(tuple(operations), tuple(writes))


def _lines(directory: Path) -> Iterator[list[Any]]:
    for file in sorted(directory.iterdir()):
        with file.open(encoding="utf-8") as text:
            for line in text:
                if line.endswith("\n"):
                    yield json.loads(line)
