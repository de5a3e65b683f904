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
    "CLOCKS", "LATENESS", "TIME_BITS", "TIME_MASK", "Access", "Begin", "Buffer", "Close", "Event", "Kind",
    "Label", "Limits", "Open", "RawBatch", "Search", "Sync", "packed", "received", "unpacked", "write",
]

_LENGTH = struct.Struct("<Q")
_PIECE_BYTES = 1 << 16
"""What is written at once: some 30 µs, in which no client is served."""
TIME_BITS = 32
TIME_MASK = (1 << TIME_BITS) - 1

CLOCKS = ("service", "response", "lateness")

Kind = tuple[str, str, str, str, str]
"""Use case, operation, command (empty for the operation itself), outcome, clock."""

Label = tuple[Kind, ...]
"""What one recorded time stands for: itself in the clock `service`, with its lateness in `response`."""

LATENESS = 0
"""The number of no label: its time is how late the sample before it was; without one that was not late."""

Buffer = bytes | pickle.PickleBuffer
"""The second kind travels without being copied, and arrives as bytes."""

Access = tuple[float, str, str, int | None, float | None, int]
"""Unix time, operation, key, value bytes, TTL in seconds, and the CRC-32 below which keys were kept."""


@dataclass(slots=True)
class RawBatch:
    """What a generator process measured since the last batch, in the form that costs it least.

    A sample is `label number << 32 | microseconds`, 64-bit little-endian; `seconds` holds those of each Unix
    second, and a sample counts once for each kind of its label, of which `LATENESS` has none. What a worker
    sends has `counts` instead, those of each second (`counts.sparse`).
    """

    labels: list[Label]
    seconds: list[tuple[int, Buffer]]
    accesses: list[Access] = field(default_factory=list)
    errors: list[tuple[str, str, str, int]] = field(default_factory=list)
    """Use case, operation, the error's first words, how often."""
    events: list[dict[str, Any]] = field(default_factory=list)
    offered: list[tuple[int, int]] = field(default_factory=list)
    """By Unix second: operations that the schedule wanted started in it, whatever became of them."""
    counts: list[tuple[int, bytes]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Search:
    """A knee to be searched: the objectives by use case, and the rate to begin with."""

    objectives_ms: dict[str, float]
    first_rate: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What ends a run before its time; None is no limit."""

    error_share: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Open:
    """The first message: where to write, what is known, which servers to sample, and what to watch for."""

    directory: Path
    manifest: dict[str, Any]
    nodes: tuple[Endpoint, ...]
    emulated_node_type: str | None
    is_ours: bool
    search: Search | None = None
    limits: Limits | None = None
    has_workers: bool = False


@dataclass(frozen=True, slots=True)
class Begin:
    """The measured phase begins, as soon as the server is sampled."""

    users: int


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


def packed(message: Any) -> list[memoryview]:
    """A message in pieces, to be written one after the other, of which the large ones are no copies."""
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL, buffer_callback=buffers.append)
    parts = [memoryview(body), *(buffer.raw() for buffer in buffers)]
    head = b"".join(map(_LENGTH.pack, [len(parts), *map(len, parts)]))
    return [memoryview(head), *(part[start:start + _PIECE_BYTES] for part in parts
                                for start in range(0, len(part), _PIECE_BYTES))]


def write(pipe: IO[bytes], piece: memoryview) -> None:
    """Send one piece of a message. Raises OSError when the other end is gone."""
    pipe.write(piece)
    pipe.flush()


def received(pipe: IO[bytes]) -> list[bytes] | None:
    """The parts of the next message; None where the pipe ends, be it in the middle of one."""
    try:
        count = _LENGTH.unpack(_exactly(pipe, _LENGTH.size))[0]
        lengths = [length for (length,) in _LENGTH.iter_unpack(_exactly(pipe, count * _LENGTH.size))]
        return [_exactly(pipe, length) for length in lengths]
    except EOFError:
        return None


def unpacked(parts: list[bytes]) -> Any:
    """The message of those parts."""
    return pickle.loads(parts[0], buffers=parts[1:])  # our own parent wrote it


def _exactly(pipe: IO[bytes], count: int) -> bytes:
    data = pipe.read(count)
    if len(data) < count:
        raise EOFError
    return data
