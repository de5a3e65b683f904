"""A command as MONITOR shows it: its arguments, and the accesses to keys that it makes.

MONITOR (`replicationFeedMonitors` in replication.c of Redis) writes each argument between quotes and escapes
it as `sdscatrepr` in sds.c does. It shows commands that ran, also those that then failed; never a reply.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

__all__ = ["KEYLESS", "LOOK", "ONE_KEY", "UNKNOWN", "Access", "CutOff", "accesses_of", "arguments",
           "byte_count", "is_known", "unescaped"]

Access: TypeAlias = tuple[str, bytes, int, float]
"""Op, key, bytes of the value (UNKNOWN where there is none or MONITOR does not show it), and TTL in seconds
(infinite for none, NaN where the command sets none)."""

_Maker: TypeAlias = Callable[[Sequence[bytes], float], list[Access]]

UNKNOWN = -1
LOOK = "look"
"""An op of our own, which no run holds: the key was there, as far as the client knew."""

ONE_KEY = {
    "GET": "get", "INCR": "incr", "INCRBY": "incr", "DECR": "incr", "DECRBY": "incr", "INCRBYFLOAT": "incr",
    "SMEMBERS": "smembers", "SISMEMBER": "smembers", "SMISMEMBER": "smembers", "SCARD": "smembers",
    "TTL": LOOK, "PTTL": LOOK, "EXPIRETIME": LOOK, "PEXPIRETIME": LOOK,
}
"""Commands of one key whose other arguments do not matter."""
KEYLESS = frozenset((
    "ACL", "ASKING", "AUTH", "BGREWRITEAOF", "BGSAVE", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "DBSIZE",
    "DEBUG", "DISCARD", "ECHO", "EVAL", "EVALSHA", "EVALSHA_RO", "EVAL_RO", "EXEC", "FAILOVER", "FCALL",
    "FCALL_RO", "FUNCTION", "HELLO", "INFO", "KEYS", "LASTSAVE", "LATENCY", "LOLWUT", "MEMORY", "MODULE",
    "MONITOR", "MULTI", "PING", "PSUBSCRIBE", "PSYNC", "PUBLISH", "PUBSUB", "PUNSUBSCRIBE", "QUIT",
    "READONLY", "READWRITE", "REPLCONF", "REPLICAOF", "RESET", "ROLE", "SAVE", "SCAN", "SCRIPT", "SELECT",
    "SHUTDOWN", "SLAVEOF", "SLOWLOG", "SPUBLISH", "SSUBSCRIBE", "SUBSCRIBE", "SUNSUBSCRIBE", "SYNC",
    "TIME", "UNSUBSCRIBE", "UNWATCH", "WAIT", "WAITAOF", "WATCH",
))
"""Commands that touch no key themselves; what a script does follows it, command by command."""

_ARGUMENT = re.compile(rb' "([^"\\]*(?:\\.[^"\\]*)*)"')
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}
_LONGEST_NUMBER = 20
_UNIT_S = {b"EX": 1.0, b"EXAT": 1.0, b"PX": 1e-3, b"PXAT": 1e-3}


class CutOff(ValueError):
    """What follows the name of a command is no list of quoted arguments."""


def arguments(text: bytes) -> list[bytes]:
    """The arguments, still escaped, of ` "one" "two"`. Raises CutOff."""
    if not text:
        return []
    if not (text.startswith(b' "') and text.endswith(b'"') and len(text) > 2):
        raise CutOff
    if b'\\" "' not in text and not text.endswith(b'\\"'):  # then no argument holds what stands between two
        return text[2:-1].split(b'" "')
    found = _ARGUMENT.findall(text)
    if sum(map(len, found)) + 3 * len(found) != len(text):
        raise CutOff
    return found


def unescaped(argument: bytes) -> bytes:
    """The bytes of an argument."""
    return _ESCAPE.sub(_byte, argument) if b"\\" in argument else argument


def _byte(escape: re.Match[bytes]) -> bytes:
    what = escape[1]
    return bytes.fromhex(what[1:].decode()) if len(what) == 3 else _ESCAPED.get(what, what)


def byte_count(argument: bytes) -> int:
    """How many bytes an argument has when it is not escaped."""
    if b"\\" not in argument:
        return len(argument)
    simple = argument.replace(b"\\\\", b"_")
    return len(simple) - simple.count(b"\\") - 2 * simple.count(b"\\x")


def is_known(name: str) -> bool:
    """Whether a run has an op for the command."""
    return name in ONE_KEY or name in _MAKERS


def accesses_of(name: str, words: Sequence[bytes], now_s: float) -> list[Access]:
    """The accesses of a command that is known, with those arguments, escaped.

    A command of several keys, or of several members of a set, makes one for each. Raises ValueError or
    LookupError where Redis answers with an error.
    """
    op = ONE_KEY.get(name)
    return [_look(op, words[0])] if op is not None else _MAKERS[name](words, now_s)


def _look(op: str, key: bytes) -> Access:
    return op, unescaped(key), UNKNOWN, math.nan


def _written(op: str, key: bytes, value: bytes, ttl_s: float) -> Access:
    return (op, unescaped(key), byte_count(value), ttl_s) if not ttl_s <= 0.0 else _look("del", key)


def _set(words: Sequence[bytes], now_s: float) -> list[Access]:
    key, value, *options = words
    ttl_s, was_there, rest = math.inf, False, iter(options)
    for option in map(bytes.upper, rest):
        if option in _UNIT_S:
            ttl_s = _ttl_s(option, next(rest, b""), now_s)
        elif option == b"KEEPTTL":
            ttl_s, was_there = math.nan, True
        elif option == b"XX":
            was_there = True
        elif option not in {b"NX", b"GET"}:
            raise ValueError
    return [*([_look(LOOK, key)] if was_there else []), _written("set", key, value, ttl_s)]


def _setex(words: Sequence[bytes], now_s: float) -> list[Access]:
    key, ttl, value = words
    return [_written("setex", key, value, _ttl_s(b"EX", ttl, now_s))]


def _psetex(words: Sequence[bytes], now_s: float) -> list[Access]:
    key, ttl, value = words
    return [_written("setex", key, value, _ttl_s(b"PX", ttl, now_s))]


def _set_lasting(words: Sequence[bytes], _now_s: float) -> list[Access]:
    """SETNX, MSET and MSETNX: pairs of a key and its value."""
    if len(words) % 2 or not words:
        raise ValueError
    return [_written("set", key, value, math.inf) for key, value in zip(words[::2], words[1::2], strict=True)]


def _getset(words: Sequence[bytes], now_s: float) -> list[Access]:
    return [_look(LOOK, words[0]), *_set_lasting(words, now_s)]


def _getex(words: Sequence[bytes], now_s: float) -> list[Access]:
    accesses = [_look("get", words[0])]
    if len(words) > 1:
        option = words[1].upper()
        ttl_s = math.inf if option == b"PERSIST" else _ttl_s(option, words[2], now_s)
        accesses.append(_expiry(words[0], ttl_s))
    return accesses


def _getdel(words: Sequence[bytes], _now_s: float) -> list[Access]:
    return [_look("get", words[0]), _look("del", words[0])]


def _expire(unit: bytes) -> _Maker:
    return lambda words, now_s: [_expiry(words[0], _ttl_s(unit, words[1], now_s, or_less=True))]


def _persist(words: Sequence[bytes], _now_s: float) -> list[Access]:
    return [_expiry(words[0], math.inf)]


def _expiry(key: bytes, ttl_s: float) -> Access:
    """A TTL for a key; one that is over removes it."""
    return ("expire", unescaped(key), UNKNOWN, ttl_s) if ttl_s > 0.0 else _look("del", key)


def _each_key(op: str) -> _Maker:
    return lambda words, _now_s: [_look(op, key) for key in words]


def _members(op: str) -> _Maker:
    def accesses(words: Sequence[bytes], _now_s: float) -> list[Access]:
        key = unescaped(words[0])
        return [(op, key, byte_count(member), math.nan) for member in words[1:]]

    return accesses


def _ttl_s(unit: bytes, word: bytes, now_s: float, *, or_less: bool = False) -> float:
    """A TTL in seconds. Raises ValueError or KeyError for what Redis refuses, below 1 unless `or_less`."""
    if not (word.removeprefix(b"-").isdigit() and len(word) <= _LONGEST_NUMBER):
        raise ValueError
    ttl_s = int(word) * _UNIT_S[unit]
    if unit.endswith(b"AT"):
        return ttl_s - now_s
    if ttl_s <= 0.0 and not or_less:
        raise ValueError
    return ttl_s


_MAKERS: dict[str, _Maker] = {
    "SET": _set, "SETEX": _setex, "PSETEX": _psetex, "SETNX": _set_lasting, "GETSET": _getset,
    "MSET": _set_lasting, "MSETNX": _set_lasting, "MGET": _each_key("get"), "GETEX": _getex,
    "GETDEL": _getdel, "DEL": _each_key("del"), "UNLINK": _each_key("del"), "PERSIST": _persist,
    "EXPIRE": _expire(b"EX"), "PEXPIRE": _expire(b"PX"), "EXPIREAT": _expire(b"EXAT"),
    "PEXPIREAT": _expire(b"PXAT"), "SADD": _members("sadd"), "SREM": _members("srem"),
}
