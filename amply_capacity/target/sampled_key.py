"""What single keys of a live server are: type, encoding, TTL, memory and sizes, without reading their values.

What asking does to a server, measured on redis 7.0.15 (tests/target/test_sampled_key.py):

    SCAN, MEMORY USAGE                        no access time is renewed, and nothing counts as a hit
    TYPE, OBJECT ENCODING, PTTL               none is renewed; they count as keyspace_hits
    STRLEN, SCARD, HLEN, LLEN, ZCARD, XLEN,   a key's access time is renewed; they count as hits
    SRANDMEMBER, HRANDFIELD, HSTRLEN,
    ZRANDMEMBER, LRANGE, XRANGE

A sampled key thus looks as if it had been used once more. MEMORY USAGE alone would leave it as it was, but it
tells a value's class in the allocator (12 to 25 % wide) instead of its size, and nothing of members, and the
sizes are worth more. From 7.2 on CLIENT NO-TOUCH keeps the access times; on a replica they mean nothing.
Looking at members of a table that has grown lately moves a few of its buckets on, as every use of it does.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

from amply_capacity.errors import TargetError
from amply_capacity.target.endpoint import Endpoint
from amply_capacity.target.pace import Pace

__all__ = ["COMMANDS", "KeyReader", "SampledKey", "not_permitted"]

COMMANDS = ("ping", "info", "dbsize", "scan", "type", "pttl", "object|encoding", "memory|usage", "strlen",
            "scard", "hlen", "llen", "zcard", "xlen", "srandmember", "hrandfield", "hstrlen", "zrandmember",
            "lrange", "xrange")
"""What the server's user has to be permitted, as ACL rules name it."""

_LENGTH_COMMANDS = {"string": "STRLEN", "set": "SCARD", "hash": "HLEN", "list": "LLEN", "zset": "ZCARD",
                    "stream": "XLEN"}
_MEMBERS_LOOKED_AT = 5
_MOST_MEMBER_BYTES = 16_384  # where members are larger on average, none is transferred
_MEMORY_SAMPLES = 100
_OF_MANY_ALLOCATIONS = frozenset({"hashtable", "skiplist", "quicklist", "stream"})
_ENTRY_BYTES, _OBJECT_BYTES = 24, 16
_ELEMENT_BYTES = 2  # what listpack.c adds to a short element
_BATCH_KEYS = 100
_BATCH_SECONDS = 0.1
_COMMANDS_A_ROUND = 3


@dataclass(frozen=True, slots=True)
class SampledKey:
    """One key as the server describes it; sizes in bytes."""

    name: str
    type: str
    """One of `run.keyspace.TYPES`."""
    encoding: str
    """As OBJECT ENCODING names it."""
    ttl_ms: int | None
    """What is left of it; None for a key that never expires."""
    usage_bytes: int
    """What MEMORY USAGE says: name, value and the dictionary's entry, without that of the TTL."""
    length: int
    """Of a string its bytes, else the number of members, fields, elements or entries."""
    member_bytes: float | None = None
    """Mean of the members, field names or elements looked at; None for a set of integers. Of a stream: of
    the values of an entry, as if they were one."""
    value_bytes: float | None = None
    """Of a string; of a hash the mean of the values looked at; of a set of integers its width (2, 4, 8); of a
    sorted set what a score takes in a listpack."""

    @property
    def name_bytes(self) -> int:
        return _bytes(self.name)

    @property
    def is_volatile(self) -> bool:
        return self.ttl_ms is not None


@dataclass(slots=True)
class KeyReader:
    """Reads keys in pipelines at a pace, and counts those that it could not read."""

    client: Any
    endpoint: Endpoint
    pace: Pace
    vanished: int = 0
    """Keys that expired, or were deleted or replaced, while they were read."""
    unknown_types: Counter[str] = field(default_factory=Counter)
    """Keys of modules' types, by type."""

    def read(self, names: Sequence[str]) -> Iterator[SampledKey]:
        """The keys of those names that are still there. Raises TargetError for a command that is refused."""
        at_once = int(self.pace.per_second * _BATCH_SECONDS / _COMMANDS_A_ROUND)
        size = min(max(at_once, 1), _BATCH_KEYS)
        for first in range(0, len(names), size):
            yield from self._with_members(self._without_members(names[first:first + size]))

    def _without_members(self, names: Sequence[str]) -> list[SampledKey]:
        kinds = self._ask([command for name in names for command in (
            ("TYPE", name), ("OBJECT", "ENCODING", name), ("PTTL", name))])
        there = []
        for name, kind, encoding, ttl_ms in zip(names, kinds[::3], kinds[1::3], kinds[2::3], strict=True):
            if kind in {None, "none"} or encoding is None or ttl_ms in {None, -2}:
                self.vanished += 1
            elif kind in _LENGTH_COMMANDS:
                there.append((name, kind, encoding, None if ttl_ms == -1 else ttl_ms))
            else:
                self.unknown_types[kind] += 1
        sizes = self._ask([command for name, kind, encoding, _ in there for command in (
            ("MEMORY", "USAGE", name, "SAMPLES", _MEMORY_SAMPLES if encoding in _OF_MANY_ALLOCATIONS else 0),
            (_LENGTH_COMMANDS[kind], name))])
        keys = []
        for (name, kind, encoding, ttl_ms), usage, length in zip(there, sizes[::2], sizes[1::2], strict=True):
            if usage is None or length is None:
                self.vanished += 1
            elif kind == "string" and encoding == "int":
                keys.append(SampledKey(name, "int", encoding, ttl_ms, usage, length))
            else:
                keys.append(SampledKey(name, kind, encoding, ttl_ms, usage, length,
                                       value_bytes=length if kind == "string" else None))
        return keys

    def _with_members(self, keys: Sequence[SampledKey]) -> Iterator[SampledKey]:
        """The keys with the sizes of a few of their members."""
        asked = [key for key in keys if _members_command(key)]
        seen = {key.name: reply for key, reply in zip(
            asked, self._ask([_members_command(key) for key in asked]), strict=True) if reply}
        fields = [(key.name, name) for key in asked if key.type == "hash" for name in seen.get(key.name, ())]
        values = defaultdict(list)
        for (hash_name, _), length in zip(
                fields, self._ask([("HSTRLEN", *one) for one in fields]), strict=True):
            values[hash_name].append(length or 0)
        for key in keys:
            members = [_member_bytes(member) for member in seen.get(key.name, ())]
            if key.type in {"string", "int"}:
                yield key
            elif key.encoding == "intset":
                yield replace(key, value_bytes=float(_integer_width(seen.get(key.name, ()))))
            elif key.type == "zset" and members:
                scores = seen[key.name][1::2]
                yield replace(key, member_bytes=fmean(members[::2]),
                              value_bytes=fmean(map(_score_bytes, scores)))
            elif key.type == "hash":
                yield replace(key, member_bytes=fmean(members or [0.0]),
                              value_bytes=fmean(values[key.name] or [0.0]))
            elif members:
                yield replace(key, member_bytes=fmean(members))
            else:
                yield replace(key, member_bytes=_member_bytes_by_usage(key))

    def _ask(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The replies in order; None for a key that is of another type by now, or has moved elsewhere."""
        from redis import exceptions

        if not commands:
            return []
        self.pace.ask(len(commands))
        pipeline = self.client.pipeline(transaction=False)
        for word, *arguments in commands:
            # As bytes: hiredis would refuse to pack the surrogates of a name that is no text.
            pipeline.execute_command(word, *(_encoded(text) if isinstance(text, str) else text
                                             for text in arguments))
        replies = list(pipeline.execute(raise_on_error=False))
        for number, reply in enumerate(replies):
            if isinstance(reply, exceptions.NoPermissionError):
                raise not_permitted(self.endpoint, str(reply))
            if isinstance(reply, exceptions.ResponseError):
                if not str(reply).startswith(("WRONGTYPE", "MOVED", "ASK", "no such key")):
                    raise reply
                replies[number] = None
        return replies


def not_permitted(endpoint: Endpoint, said: str) -> TargetError:
    """The refusal of a user who may not all that a profile asks."""
    return TargetError(
        f"this user of {endpoint.url} may not read a profile", got=said,
        do="choose a user who may, or have the owner grant on all keys (~*): "
           + " ".join(f"+{command}" for command in COMMANDS))


def _members_command(key: SampledKey) -> tuple[Any, ...]:
    """What asks for a few members; nothing where they are large."""
    if key.type == "hash":
        return ("HRANDFIELD", key.name, _MEMBERS_LOOKED_AT)
    if key.usage_bytes > _MOST_MEMBER_BYTES * max(key.length, 1):
        return ()
    match key.type:
        case "set":
            return ("SRANDMEMBER", key.name, _MEMBERS_LOOKED_AT)
        case "zset":
            return ("ZRANDMEMBER", key.name, _MEMBERS_LOOKED_AT, "WITHSCORES")
        case "list":
            return ("LRANGE", key.name, 0, _MEMBERS_LOOKED_AT - 1)
        case "stream":
            return ("XRANGE", key.name, "-", "+", "COUNT", _MEMBERS_LOOKED_AT)
        case _:
            return ()


def _member_bytes(member: Any) -> int:
    """Of a stream's entry (an id and its fields): its values and what separates them."""
    if isinstance(member, str):
        return _bytes(member)
    _, entry = member
    return sum(map(_bytes, entry.values())) + _ELEMENT_BYTES * max(len(entry) - 1, 0)


def _score_bytes(score: str) -> int:
    """A number as listpack.c encodes it: a whole one in as few bytes as hold it, another as its text."""
    try:
        number = int(score)
    except ValueError:
        return len(score) + 1
    if 0 <= number < 128:
        return 1
    return next((size for size, bits in ((2, 12), (3, 15), (4, 23), (5, 31))
                 if -(1 << bits) <= number < 1 << bits), 9)


def _integer_width(numbers: Sequence[str]) -> int:
    """The width that the widest of these integers needs (intset.c); a set has the width of its widest."""
    most = max((abs(int(number)) for number in numbers), default=0)
    return 2 if most < 1 << 15 else 4 if most < 1 << 31 else 8


def _member_bytes_by_usage(key: SampledKey) -> float:
    """What a member takes of the key's memory, for want of its own size."""
    value = key.usage_bytes - _ENTRY_BYTES - _OBJECT_BYTES - key.name_bytes
    return max(value, 0) / max(key.length, 1)


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(_encoded(text))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
