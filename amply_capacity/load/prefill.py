"""Fills the keyspace before the measured phase, and measures what each class of keys costs while it does."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from amply_capacity.errors import TargetError
from amply_capacity.load.link import Link
from amply_capacity.load.replies import ReplyError
from amply_capacity.progress import progress
from amply_capacity.target.info import sample
from amply_capacity.traffic.operation import Command
from amply_capacity.traffic.prefill import PrefillClass

__all__ = ["fill"]

_CHUNK_COMMANDS = 500
_SETTLE_SECONDS = 3.0
_SETTLED_BYTES = 512
# The shortest-lived last: what expires while the next class is written would be counted against it.
_ORDER = ("sessions", "user_sessions", "results", "cached", "counters")


def fill(open_link: Callable[[], Link], controls: Sequence[Any], plan: Iterable[PrefillClass],
         url: str) -> list[dict[str, Any]]:
    """Write the classes, one after the other, with progress; per class what it left and what it took.

    Each result: `name`, `keys` (as DBSIZE counts them), `volatile_keys`, `used_before_bytes`,
    `used_after_bytes`, `keys_before`, `volatile_before`, `seconds` of writing and its middle, `written_at_s`
    of the epoch: what is left of a TTL counts from there. Memory is read when it has come to rest:
    rehashing has then ended. `controls` are clients of the primaries, whose figures are added up. Raises
    TargetError, naming the target by `url`, when a server refuses a write or goes away.
    """
    classes = sorted((one for one in plan if one.count), key=lambda one: _ORDER.index(one.name))
    results = []
    _warm_up(open_link, classes, url)
    for one in classes:
        before = _settled(controls)
        written_at_s, began = time.time(), time.monotonic()
        _write(open_link, one, url)
        seconds = time.monotonic() - began
        after = _settled(controls)
        results.append({
            "name": one.name, "keys": after.keys - before.keys, "volatile_keys":
            after.volatile_keys - before.volatile_keys, "keys_before": before.keys,
            "volatile_before": before.volatile_keys, "used_before_bytes": before.used_bytes,
            "used_after_bytes": after.used_bytes, "seconds": round(seconds, 3),
            "written_at_s": round(written_at_s + seconds / 2.0, 3),
        })
    return results


def _warm_up(open_link: Callable[[], Link], classes: list[PrefillClass], url: str) -> None:
    """Have each command called once before the first reading.

    Redis 7 allots a latency histogram of 24.7 kB at a command's first call: that is not what a key costs.
    """
    with _connection(open_link, url) as connection:
        for one in classes:
            first = list(itertools.islice(one.commands(), one.commands_per_key))
            remove: list[Command] = [("UNLINK", first[0][1])]
            for commands in (first, remove):
                _check(connection.pipeline(commands), url, commands)


def _write(open_link: Callable[[], Link], one: PrefillClass, url: str) -> None:
    with _connection(open_link, url) as connection, progress(f"prefill     {one.name}", one.count) as advance:
        commands = one.commands()
        while chunk := list(itertools.islice(commands, _CHUNK_COMMANDS)):
            _check(connection.pipeline(chunk), url, chunk)
            advance(len(chunk) // one.commands_per_key)


@contextlib.contextmanager
def _connection(open_link: Callable[[], Link], url: str) -> Iterator[Link]:
    """A connection that is closed afterwards, so that its buffers do not count as the keys' memory."""
    connection = open_link()
    try:
        yield connection
    except (OSError, ReplyError) as error:
        raise TargetError(f"{url} went away during the pre-fill", got=str(error),
                          do="look at its log and its memory, then start again") from error
    finally:
        connection.close()


def _check(replies: list[Any], url: str, chunk: list[Command]) -> None:
    for reply, command in zip(replies, chunk, strict=True):
        if isinstance(reply, ReplyError):
            raise TargetError(f"{url} refused the pre-fill's {command[0]!s}", got=str(reply),
                              do="choose a larger --node-type or --maxmemory, or a smaller --prefill")


def _settled(controls: Sequence[Any]) -> _Reading:
    """INFO once used_memory has stopped moving, or after a few seconds at most."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    last = _read(controls)
    while time.monotonic() < deadline:
        time.sleep(0.15)
        current = _read(controls)
        if abs(current.used_bytes - last.used_bytes) <= _SETTLED_BYTES:
            return current
        last = current
    return last


def _read(controls: Sequence[Any]) -> _Reading:
    samples = [sample(control, "") for control in controls]
    return _Reading(sum(one.keys for one in samples), sum(one.volatile_keys for one in samples),
                    sum(int(one.info["used_memory"]) for one in samples))


@dataclass(frozen=True, slots=True)
class _Reading:
    """What all primaries hold together."""

    keys: int
    volatile_keys: int
    used_bytes: int
