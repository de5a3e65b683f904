"""Fills the keyspace before the measured phase, and measures what each class of keys costs while it does."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterable, Iterator
from typing import Any

from amply_capacity.errors import TargetError
from amply_capacity.load.client import Connection, ReplyError
from amply_capacity.progress import progress
from amply_capacity.target.endpoint import Endpoint
from amply_capacity.target.info import InfoSample, sample
from amply_capacity.traffic.operation import Command
from amply_capacity.traffic.prefill import PrefillClass

__all__ = ["fill"]

_CHUNK_COMMANDS = 500
_SETTLE_SECONDS = 3.0
_SETTLED_BYTES = 512
# The shortest-lived last: what expires while the next class is written would be counted against it.
_ORDER = ("sessions", "user_sessions", "results", "cached", "counters")


def fill(endpoint: Endpoint, control: Any, node: str, plan: Iterable[PrefillClass]) -> list[dict[str, Any]]:
    """Write the classes, one after the other, with progress; per class what it left and what it took.

    Each result: `name`, `keys` (as DBSIZE counts them), `volatile_keys`, `used_before_bytes`,
    `used_after_bytes`, `keys_before`, `volatile_before`, `seconds`. Memory is read when it has come to rest:
    rehashing has then ended. Raises TargetError when the server refuses a write or goes away.
    """
    classes = sorted((one for one in plan if one.count), key=lambda one: _ORDER.index(one.name))
    results = []
    _warm_up(endpoint, classes)
    for one in classes:
        before = _settled(control, node)
        began = time.monotonic()
        _write(endpoint, one)
        seconds = time.monotonic() - began
        after = _settled(control, node)
        results.append({
            "name": one.name, "keys": after.keys - before.keys, "volatile_keys":
            after.volatile_keys - before.volatile_keys, "keys_before": before.keys,
            "volatile_before": before.volatile_keys, "used_before_bytes": int(before.info["used_memory"]),
            "used_after_bytes": int(after.info["used_memory"]), "seconds": round(seconds, 3),
        })
    return results


def _warm_up(endpoint: Endpoint, classes: list[PrefillClass]) -> None:
    """Have each command called once before the first reading.

    Redis 7 allots a latency histogram of 24.7 kB at a command's first call: that is not what a key costs.
    """
    with _connection(endpoint) as connection:
        for one in classes:
            first = list(itertools.islice(one.commands(), one.commands_per_key))
            remove: list[Command] = [("UNLINK", first[0][1])]
            for commands in (first, remove):
                _check(connection.pipeline(commands), endpoint, commands)


def _write(endpoint: Endpoint, one: PrefillClass) -> None:
    with _connection(endpoint) as connection, progress(f"prefill     {one.name}", one.count) as advance:
        commands = one.commands()
        while chunk := list(itertools.islice(commands, _CHUNK_COMMANDS)):
            _check(connection.pipeline(chunk), endpoint, chunk)
            advance(len(chunk) // one.commands_per_key)


@contextlib.contextmanager
def _connection(endpoint: Endpoint) -> Iterator[Connection]:
    """A connection that is closed afterwards, so that its buffers do not count as the keys' memory."""
    connection = Connection(endpoint, timeout_seconds=30.0)
    try:
        yield connection
    except (OSError, ReplyError) as error:
        raise TargetError(f"{endpoint.url} went away during the pre-fill", got=str(error),
                          do="look at its log and its memory, then start again") from error
    finally:
        connection.close()


def _check(replies: list[Any], endpoint: Endpoint, chunk: list[Command]) -> None:
    for reply, command in zip(replies, chunk, strict=True):
        if isinstance(reply, ReplyError):
            raise TargetError(f"{endpoint.url} refused the pre-fill's {command[0]!s}", got=str(reply),
                              do="choose a larger --node-type or --maxmemory, or a smaller --prefill")


def _settled(control: Any, node: str) -> InfoSample:
    """INFO once used_memory has stopped moving, or after a few seconds at most."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    last = sample(control, node)
    while time.monotonic() < deadline:
        time.sleep(0.15)
        current = sample(control, node)
        if abs(int(current.info["used_memory"]) - int(last.info["used_memory"])) <= _SETTLED_BYTES:
            return current
        last = current
    return last
