"""What generator and recording process say to each other: the messages, and how they travel.

Light to import: the generator needs none of what the recording process does with them.
"""

from __future__ import annotations

import pickle
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from amply_capacity.target.endpoint import Endpoint

__all__ = [
    "TIME_BITS", "TIME_MASK", "Access", "Begin", "Close", "Event", "Label", "Open", "RawBatch", "Sync",
    "read_message", "write_message",
]

_LENGTH = struct.Struct("<Q")
TIME_BITS = 32
TIME_MASK = (1 << TIME_BITS) - 1

Label = tuple[str, str, str, str, str]
"""use case, operation, command (empty for the operation itself), outcome, clock"""

Access = tuple[float, str, str, int | None, float | None, int]
"""Unix time, operation, key, value bytes, TTL in seconds, and the CRC-32 below which keys were kept."""


@dataclass(slots=True)
class RawBatch:
    """What a generator process measured since the last batch, in the form that costs it least.

    A sample is `label number << 32 | microseconds`, 64-bit little-endian; `seconds` holds those of each Unix
    second.
    """

    labels: list[Label]
    seconds: list[tuple[int, bytes]]
    accesses: list[Access] = field(default_factory=list)
    errors: list[tuple[str, str, str, int]] = field(default_factory=list)
    """Use case, operation, the error's first words, how often."""
    events: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Open:
    """The first message: where to write, what is known, and which server to sample."""

    directory: Path
    manifest: dict[str, Any]
    endpoint: Endpoint
    node: str
    emulated_node_type: str | None
    is_ours: bool


@dataclass(frozen=True, slots=True)
class Begin:
    """The measured phase begins."""

    users: int
    time_s: float


@dataclass(frozen=True, slots=True)
class Event:
    """One row of the events."""

    kind: str
    name: str
    detail: dict[str, Any]
    time_s: float


@dataclass(frozen=True, slots=True)
class Sync:
    """Answered once everything sent before has been counted."""

    number: int


@dataclass(frozen=True, slots=True)
class Close:
    """The last message. A reason means that the run was broken off."""

    ended_at: str
    broken_off: str = ""


def write_message(pipe: IO[bytes], message: Any) -> None:
    """Send one message. Raises OSError when the other end is gone."""
    packed = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.write(_LENGTH.pack(len(packed)) + packed)
    pipe.flush()


def read_message(pipe: IO[bytes]) -> Any | None:
    """The next message; None at the end, also where it comes in the middle of one."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    packed = pipe.read(_LENGTH.unpack(head)[0])
    return pickle.loads(packed) if len(packed) == _LENGTH.unpack(head)[0] else None  # our own parent wrote it
