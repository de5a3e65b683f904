"""Reads what `redis-cli MONITOR` printed, block by block, as accesses to keys."""

from __future__ import annotations

import contextlib
import gc
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from amply_capacity.errors import BadInput
from amply_capacity.run.monitor_command import (
    KEYLESS,
    LOOK,
    ONE_KEY,
    UNKNOWN,
    Access,
    CutOff,
    accesses_of,
    arguments,
    is_known,
)
from amply_capacity.run.text_file import Block, Faults, blocks_of
from amply_capacity.run.trace_file import OPS

__all__ = ["MONITORED_OPS", "MonitorFile"]

_Array = NDArray[Any]

MONITORED_OPS = (*OPS, LOOK)
"""Those of a run, and LOOK."""
_NUMBERS = {op: number for number, op in enumerate(MONITORED_OPS)}
_LINE = re.compile(
    # Time, database, (source,) command, its first argument unless empty or with escapes, what follows.
    rb'\n\+?(\d+\.\d+) \[(\d+) [^"\n]*\] "([^"\\\n]+)"(?: "([^"\\\n]+)")?([^\n]*)')
_GREETINGS = {b"", b"OK", b"+OK"}
_DO = "give it what `redis-cli MONITOR` printed"
_LONGEST_LINE_BYTES = 64 << 20
_NAME = re.compile(r"[A-Z][A-Z0-9._-]{0,39}")
_MOST_KINDS = 200
_MANY_COUNTERS = 1 << 17
_CONDITIONAL = {"SET", "SETNX", "MSETNX", "EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT"}
_OTHER, _NO_OP = -1, -2


class MonitorFile:
    """One file of MONITOR's output; when its blocks have been read, what of it was left out."""

    def __init__(self, path: Path) -> None:
        self.left_out: Counter[str] = Counter()
        """Commands on keys for which a run has no op, by name."""
        self.keyless: Counter[str] = Counter()
        """Commands that touch no key, by name."""
        self.databases: Counter[int] = Counter()
        """Commands by their database."""
        self.conditional = 0
        """Writes that Redis does only where the key is there, or is not: NX and XX."""
        self.is_cut_off = False
        """Whether the last line was not whole."""
        self._path = path
        self._faults = Faults(path, "output of MONITOR")
        self._names: dict[bytes, str] = {}
        self._kinds: dict[bytes, int] = {}
        self._until_s: dict[bytes, float] = {}
        self._until_limit = _MANY_COUNTERS

    def blocks(self) -> Iterator[tuple[dict[str, pa.Array], int]]:
        """Yield the accesses in blocks of columns, each with how many bytes of the file have been read.

        `time_s` float64, `op` a dictionary of MONITORED_OPS, `key` one of bytes, `key_bytes` int64,
        `value_bytes` int64 or null, `ttl_s` float64, infinite for none, null where the command sets none. A
        key outside database 0 has its database behind it, as two databases may have keys of one name.
        Raises BadInput: the file, and up to ten faults by line.
        """
        last_s, count = -math.inf, 0
        for block in blocks_of(self._path, self._faults, longest_line_bytes=_LONGEST_LINE_BYTES, do=_DO):
            with _no_collector():
                times_s, columns = self._read(block, last_s)
            last_s, count = (float(times_s[-1]) if len(times_s) else last_s), count + len(times_s)
            if not self._faults and len(columns["time_s"]):
                yield columns, block.end_byte
        if self._faults:
            self._faults.fail()
        if not count:
            raise BadInput(f"{self._path} holds no command", got="no line that MONITOR would print", do=_DO)

    def _read(self, block: Block, last_s: float) -> tuple[_Array, dict[str, pa.Array]]:
        """The times of the block's commands, and the accesses that they make."""
        found, lines = self._found(block)
        stamps, databases, names, words, rests = zip(*found, strict=True) if found else ((),) * 5
        times_s = np.fromiter(map(float, stamps), dtype=np.float64, count=len(stamps))
        before = np.concatenate(([last_s], times_s))[:-1]
        for row in np.flatnonzero(times_s < before)[:10].tolist():
            self._faults.add(lines[row], f"the time goes back from {before[row]:.6f} to {times_s[row]:.6f}")
        self._count(names, databases)
        return times_s, self._columns(times_s, databases, names, words, rests, lines)

    def _found(self, block: Block) -> tuple[list[Any], Sequence[int]]:
        """The parts of each command, and its line; other lines become faults."""
        text = block.text.replace(b"\r\n", b"\n") if b"\r\n" in block.text else block.text
        first_line = block.first_line + text.startswith(b"OK\n")
        last_line = block.first_line + text.count(b"\n")
        text = text.removeprefix(b"OK\n")
        found = _LINE.findall(b"\n" + text)
        if len(found) == last_line - first_line and text.endswith(b"\n"):
            return found, range(first_line, last_line)
        found, lines = [], []
        for line, content in enumerate(text.split(b"\n"), first_line):
            match = _LINE.fullmatch(b"\n" + content)
            is_last = line == last_line  # it has no line feed behind it
            if match and not (is_last and _is_cut(match)):
                found.append(match.groups(b""))
                lines.append(line)
            elif is_last and content[:1].isdigit():
                self.is_cut_off = True
            elif content.strip() not in _GREETINGS:
                # What stands between quotes may be a secret.
                shown = content.partition(b'"')[0][:40].decode(errors="replace")
                self._faults.add(line, f"no command as MONITOR prints it, {shown!r}")
        return found, lines

    def _count(self, names: Sequence[bytes], databases: Sequence[bytes]) -> None:
        """Count databases, and commands that are left out."""
        for database, count in Counter(databases).items():
            self.databases[int(database)] += count
        for raw, count in Counter(names).items():
            if raw not in self._kinds:
                self._meet(raw)
            name, kind = self._names[raw], self._kinds[raw]
            if kind in {_NO_OP, _NUMBERS[LOOK]}:
                (self.keyless if name in KEYLESS else self.left_out)[name] += count

    def _meet(self, raw: bytes) -> None:
        """Note a command's name in capitals; and its op where nothing matters but its one key."""
        name = raw.decode("ascii", errors="replace").upper()
        if not _NAME.fullmatch(name) or len(self._kinds) >= _MOST_KINDS:
            name = "other names"
        self._names[raw] = name
        self._kinds[raw] = (_NUMBERS[ONE_KEY[name]] if name in ONE_KEY else
                            _OTHER if is_known(name) else _NO_OP)

    def _columns(self, times_s: _Array, databases: Sequence[bytes], names: Sequence[bytes],
                 words: Sequence[bytes], rests: Sequence[bytes], lines: Sequence[int]) -> dict[str, pa.Array]:
        """The accesses that the commands make, in their order."""
        count = len(names)
        kinds = np.fromiter(map(self._kinds.__getitem__, names), dtype=np.int8, count=count)
        is_plain = (kinds >= 0) & np.fromiter(map(bool, words), dtype=np.bool_, count=count) & ~np.fromiter(
            map(bool, rests), dtype=np.bool_, count=count) & np.fromiter(
            map(b"0".__eq__, databases), dtype=np.bool_, count=count)
        keys = list(compress(words, is_plain.tolist()))
        rows = np.flatnonzero(is_plain).tolist()
        ops = kinds[is_plain].tolist()
        lengths = list(map(len, keys))
        values, ttls = [UNKNOWN] * len(keys), [math.nan] * len(keys)
        for row in np.flatnonzero(~is_plain & (kinds != _NO_OP)).tolist():
            name, word, database = self._names[names[row]], words[row], databases[row]
            try:
                parts = [word, *arguments(rests[row])] if word else arguments(rests[row])
            except CutOff:
                self._faults.add(lines[row], f"the arguments of {name} are not whole")
                continue
            for op, key, value_bytes, ttl_s in self._made(name, parts, database, float(times_s[row])):
                rows.append(row)
                ops.append(_NUMBERS[op])
                keys.append(key if database == b"0" else b"%b\0%b" % (key, database))
                lengths.append(len(key))
                values.append(value_bytes)
                ttls.append(ttl_s)
        order = np.argsort(np.array(rows, dtype=np.int64), kind="stable")
        sizes = np.array(values, dtype=np.int64)[order]
        named = pa.array(keys, pa.binary()).dictionary_encode()
        return {
            "time_s": pa.array(times_s[np.array(rows, dtype=np.int64)[order]]),
            "op": pa.DictionaryArray.from_arrays(pa.array(np.array(ops, dtype=np.int8)[order]),
                                                 pa.array(MONITORED_OPS)),
            "key": pa.DictionaryArray.from_arrays(named.indices.take(pa.array(order)), named.dictionary),
            "key_bytes": pa.array(np.array(lengths, dtype=np.int64)[order]),
            "value_bytes": pa.array(sizes, mask=sizes == UNKNOWN),
            "ttl_s": pa.array(np.array(ttls, dtype=np.float64)[order], from_pandas=True),
        }

    def _made(self, name: str, words: list[bytes], database: bytes, now_s: float) -> list[Access]:
        try:
            made = accesses_of(name, words, now_s)
        except (ValueError, LookupError):
            self.left_out[f"{name}, refused by Redis"] += 1
            return []
        if name in _CONDITIONAL:
            options = {word.upper() for word in words[2:]}
            if name.endswith("NX") or (name == "SET" and options & {b"NX", b"XX"}):
                self.conditional += 1
            elif b"NX" in options:
                return self._without_idle(made, True, database, now_s)
        return self._without_idle(made, False, database, now_s) if self._until_s else made

    def _without_idle(self, made: list[Access], is_conditional: bool, database: bytes,
                      now_s: float) -> list[Access]:
        """Leave out an EXPIRE NX of a key that got a TTL by one before, since it does nothing."""
        kept = []
        for access in made:
            op, name, _, ttl_s = access
            key = b"%b\0%b" % (name, database)
            if op == "expire" and is_conditional:
                if now_s < self._until_s.get(key, 0.0):
                    continue
                self._until_s[key] = now_s + ttl_s
            elif op in {"del", "set", "setex"}:
                self._until_s.pop(key, None)
            kept.append(access)
        if len(self._until_s) > self._until_limit:
            self._until_s = {key: until_s for key, until_s in self._until_s.items() if until_s > now_s}
            self._until_limit = max(_MANY_COUNTERS, 2 * len(self._until_s))
        return kept


def _is_cut(match: re.Match[bytes]) -> bool:
    """Whether the arguments of the file's last line are not whole."""
    try:
        arguments(match[5])
    except CutOff:
        return True
    return False


@contextlib.contextmanager
def _no_collector() -> Iterator[None]:
    """Within: Python looks for no circles among the many parts of lines, which have none."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
