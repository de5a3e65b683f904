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
    "CLOCKS", "Access", "Batch", "Begin", "Close", "Event", "Kind", "Label", "Limits", "Open", "Search",
    "Sync", "packed", "received", "unpacked",
]

_LENGTH = struct.Struct("<Q")

CLOCKS = ("service", "response", "lateness")
"""Of each time, in the order in which `counts` has them."""

Kind = tuple[str, str, str, str, str]
"""Use case, operation, command (empty for the operation itself), outcome, clock."""

Label = tuple[Kind, ...]
"""What one recorded time stands for: itself in the clock `service`, with its lateness in `response`."""

Access = tuple[float, str, str, int | None, float | None, int]
"""Unix time, operation, key, value bytes, TTL in seconds, and the CRC-32 below which keys were kept."""


@dataclass(slots=True)
class Batch:
    """What a generator process measured since the last batch.

    `counts` holds each Unix second's times (`counts.sparse`); one that was recorded under a label counts once
    for each of the label's kinds.
    """

    labels: list[Label]
    counts: list[tuple[int, bytes]] = field(default_factory=list)
    accesses: list[Access] = field(default_factory=list)
    errors: list[tuple[str, str, str, int]] = field(default_factory=list)
    """Use case, operation, the error's first words, how often."""
    events: list[dict[str, Any]] = field(default_factory=list)
    offered: list[tuple[int, int]] = field(default_factory=list)
    """By Unix second: operations that the schedule wanted started in it, whatever became of them."""


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


def packed(message: Any) -> bytes:
    """A message as it travels."""
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(body)) + body


def received(pipe: IO[bytes]) -> bytes | None:
    """The next message, still packed; None where the pipe ends, be it in the middle of one."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    count = _LENGTH.unpack(head)[0]
    body = pipe.read(count)
    return None if len(body) < count else body


def unpacked(body: bytes) -> Any:
    """That message."""
    return pickle.loads(body)  # our own parent wrote it
