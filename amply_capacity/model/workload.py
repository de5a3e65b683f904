"""A run's key accesses as what the emulator plays: bytes of memory instead of lengths, TTLs where unsaid.

What a trace leaves open is filled in here, and each such assumption is put into words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amply_capacity.model.accesses import HUNDREDTHS, UNKNOWN, Accesses, read_accesses
from amply_capacity.model.emulator import (
    EXPIRE,
    GET,
    INCR,
    LEAVE,
    NEVER,
    SADD,
    SET,
    SREM,
    TTL,
    Commands,
    scattered,
)
from amply_capacity.model.layout import Layout
from amply_capacity.model.standing import BEFORE_SECONDS, standing_before
from amply_capacity.run.reader import Run

__all__ = ["Workload", "workload_of"]

_Array = NDArray[Any]

_MOST_ACCESSES = 3_000_000
_LASTING_SECONDS = 7 * 86_400
_FILL_SECONDS = 5
_READ_BEFORE_WRITTEN = "celery-task-meta"  # Celery's backend looks before it stores a result
_LOOKED_AT = "session"  # whose TTL the application reads before it rewrites one
_LONGEST_TABLE = 1 << 20


@dataclass(frozen=True, slots=True)
class Workload:
    """What was asked of a server, ready to be played."""

    commands: Commands
    key_count: int
    """Distinct keys."""
    sampling_rate: float
    """R: the share of keys whose accesses these are."""
    expected_reads: float | None
    """Reads of what a miss fills that a share R of all would be; None where all are not known."""
    hot_hit_rate: float = field(default=1.0, kw_only=True)
    """Of reads that were expected and are missing: of the keys that are asked for most."""
    ops: tuple[str, ...]
    """The kinds of access met."""
    assumptions: tuple[str, ...]
    measured_from: int = 0
    """The command with which the measured time begins; those before make the keyspace that it finds."""
    key_classes: Mapping[str, NDArray[np.int32]] = field(default_factory=dict)
    """The keys of each class; of made-up traffic."""

    @property
    def seconds(self) -> float:
        """Of the measured time."""
        times = self.commands.times[self.measured_from:]
        return float(times[-1] - times[0]) / HUNDREDTHS if len(times) else 0.0


def workload_of(run: Run, layout: Layout, *, most_accesses: int = _MOST_ACCESSES) -> Workload:
    """The run's accesses with the sizes of that layout.

    Of more than `most_accesses` those of a hash-sampled share of the keys are kept; each takes 30 bytes.
    Raises BadRun where the run has none.
    """
    imported = (run.manifest.get("imported") or {}).get("kind")
    source = read_accesses(run, most_accesses)
    accesses, names, assumptions = source.accesses, source.class_names, []
    rate = source.recorded_rate * source.used_share
    before = standing_before(run, accesses, names, rate) if not imported else None
    if imported != "trace":
        accesses, filled = _with_fills(accesses, names, shows_misses=not imported)
        if filled.any():
            which = ", ".join(f"{names[number]}:*" for number in np.flatnonzero(filled))
            assumptions.append(f"a read of {which} that misses is filled, as most were" + (
                ", of unknown size with the usual one" if imported else ""))
    if not imported:
        accesses = _with_looks(accesses, names)
    accesses, said = _with_ttls(accesses, names)
    assumptions += said
    if source.used_share < 1.0:
        assumptions.append(
            f"of {source.all_accesses:,} accesses those of {source.used_share:.1%} of the keys were played")
    is_part = imported == "trace" and source.used_share < 1.0
    expected = source.all_reads * source.used_share if is_part else None
    if before is not None and len(before.times):
        stood = len(np.unique(before.keys)) / rate
        assumptions.append(f"{stood:,.0f} keys were there before, as the pre-fill left them")
        later = replace(accesses, times=accesses.times + np.int32(BEFORE_SECONDS * HUNDREDTHS))
        accesses = before.followed_by(later)
    key_count = int(accesses.keys.max()) + 1
    commands, _ = scattered(_commands(accesses, layout), key_count)
    return Workload(commands, key_count, rate, expected, source.op_names, tuple(assumptions),
                    measured_from=0 if before is None else len(before.times))


def _with_fills(accesses: Accesses, class_names: tuple[str, ...], *,
                shows_misses: bool) -> tuple[Accesses, _Array]:
    """Turn a miss and the write that fills it into one read that says what would fill it.

    A class of keys is filled on a miss where most of its missed reads are directly followed by a write of the
    same key (unless they do not show: of MONITOR a read without a size may have been any), and most of its
    writes follow such a read.
    Its other reads are given the size of the same key's neighbouring access, else the class' median. Which
    classes those are comes second, a truth value a class.
    """
    class_count = len(class_names)
    order = np.argsort(accesses.keys, kind="stable")
    now, after = order[:-1], order[1:]
    follows = (accesses.keys[now] == accesses.keys[after]) & (accesses.ops[now] == GET) & (
        accesses.ops[after] == SET) & (accesses.values[now] == UNKNOWN) & (
        accesses.times[after] - accesses.times[now] <= _FILL_SECONDS * HUNDREDTHS)
    reads, writes = now[follows], after[follows]
    fills = np.bincount(accesses.classes[writes], minlength=class_count)
    sets = np.bincount(accesses.classes[accesses.ops == SET], minlength=class_count)
    missed = np.bincount(accesses.classes[(accesses.ops == GET) & (accesses.values == UNKNOWN)],
                         minlength=class_count)
    is_filled = (fills > 0) & (2 * fills >= sets) & ((2 * fills >= missed) | (not shows_misses)) & ~np.array(
        [name == _READ_BEFORE_WRITTEN for name in class_names])
    pairs = is_filled[accesses.classes[writes]]
    reads, writes = reads[pairs], writes[pairs]
    values, ttls = accesses.values.copy(), accesses.ttls.copy()
    values[reads], ttls[reads] = accesses.values[writes], accesses.ttls[writes]
    is_get = accesses.ops == GET
    values[is_get & ~is_filled[accesses.classes]] = UNKNOWN
    open_reads = is_get & is_filled[accesses.classes] & (values == UNKNOWN)
    for number in np.flatnonzero(is_filled):
        known = values[is_get & (accesses.classes == number) & (values != UNKNOWN)]
        usual = int(np.median(known)) if len(known) else 0
        values[open_reads & (accesses.classes == number)] = usual
    keep = np.ones(len(values), dtype=bool)
    keep[writes] = False
    return replace(accesses, values=values, ttls=ttls).where(keep), is_filled


def _with_looks(accesses: Accesses, class_names: tuple[str, ...]) -> Accesses:
    """Add the TTL that the application asks for between reading a session and writing it again.

    It is in no table of accesses, since it touches no key; INFO counts it as a hit.
    """
    if _LOOKED_AT not in class_names:
        return accesses
    order = np.argsort(accesses.keys, kind="stable")
    now, after = order[:-1], order[1:]
    touches = after[(accesses.keys[now] == accesses.keys[after]) & (accesses.ops[now] == GET)
                    & (accesses.ops[after] == SET)
                    & (accesses.classes[after] == class_names.index(_LOOKED_AT))
                    & (accesses.times[after] - accesses.times[now] <= _FILL_SECONDS * HUNDREDTHS)]
    looks = accesses.where(touches)
    looks = replace(looks, ops=np.full(len(touches), TTL, dtype=np.int8),
                    values=np.full(len(touches), UNKNOWN, dtype=np.int32),
                    ttls=np.full(len(touches), LEAVE, dtype=np.int32))
    both = looks.followed_by(accesses)
    return both.where(np.argsort(both.times, kind="stable"))


def _with_ttls(accesses: Accesses, class_names: tuple[str, ...]) -> tuple[Accesses, list[str]]:
    """Give each value whose TTL is unknown the usual one of its class; and say so.

    A counter gets its TTL from an EXPIRE once it has begun: where its class has such, that is the TTL with
    which an INCR begins one.
    """
    accesses = _with_counter_ttls(accesses)
    needs = (accesses.ops == SET) | ((accesses.ops == GET) & (accesses.values != UNKNOWN))
    unknown = needs & (accesses.ttls == LEAVE)
    if not unknown.any():
        return accesses, []
    ttls, said = accesses.ttls.copy(), []
    lasting: list[str] = []
    for number in np.unique(accesses.classes[unknown]):
        mine = accesses.classes == number
        known, counts = np.unique(ttls[needs & mine & (ttls != LEAVE)], return_counts=True)
        name = f"{class_names[number]}:*" if class_names[number] else "keys without a prefix"
        if len(known):
            usual = int(known[np.argmax(counts)])
            text = "no TTL" if usual == NEVER else f"{usual / HUNDREDTHS:g} s"
            said.append(f"where the TTL of {name} is unknown it is the usual one, {text}")
        else:
            usual = _LASTING_SECONDS * HUNDREDTHS
            lasting.append(name)
        ttls[unknown & mine] = usual
    if lasting:
        named = ", ".join(lasting[:5]) + (f" and {len(lasting) - 5} more" if len(lasting) > 5 else "")
        said.append(f"nothing says a TTL for {named}: they are taken to have one of "
                    f"{_LASTING_SECONDS // 86400} days, so that a volatile policy may evict them")
    return replace(accesses, ttls=ttls), said


def _with_counter_ttls(accesses: Accesses) -> Accesses:
    ttls = accesses.ttls.copy()
    for number in np.unique(accesses.classes[accesses.ops == EXPIRE]):
        mine = accesses.classes == number
        known, counts = np.unique(ttls[mine & (accesses.ops == EXPIRE)], return_counts=True)
        ttls[mine & (accesses.ops == INCR) & (ttls == LEAVE)] = known[np.argmax(counts)]
    return replace(accesses, ttls=ttls)


def _commands(accesses: Accesses, layout: Layout) -> Commands:
    """The accesses with what their keys take in memory."""
    ops, values = accesses.ops, accesses.values
    names = _looked_up(lambda length: layout.key(length, False), accesses.key_bytes)
    sizes, growths = np.zeros(len(ops), dtype=np.int32), np.zeros(len(ops), dtype=np.int32)
    fills = (ops == SET) | ((ops == GET) & (values != UNKNOWN))
    sizes[fills] = names[fills] + _looked_up(layout.string, values[fills])
    counters = ops == INCR
    sizes[counters] = names[counters] + layout.integer()
    members = (ops == SADD) | (ops == SREM)
    if members.any():
        lengths = np.where(values[members] == UNKNOWN, _usual_member(accesses), values[members])
        usual = _usual_members(accesses)
        sizes[members] = names[members] + _looked_up(lambda length: round(layout.set(1, length)), lengths)
        growths[members] = _looked_up(lambda length: round(
            (layout.set(usual, length) - layout.set(1, length)) / (usual - 1)), lengths)
        growths[ops == SREM] *= -1
    return Commands(accesses.times, accesses.keys, ops, sizes, growths, accesses.ttls)


def _usual_member(accesses: Accesses) -> int:
    known = accesses.values[(accesses.ops == SADD) & (accesses.values != UNKNOWN)]
    return int(np.median(known)) if len(known) else 32


def _usual_members(accesses: Accesses) -> int:
    """How many members a set has that was added to, two at least."""
    keys = accesses.keys[accesses.ops == SADD]
    removed = np.count_nonzero(accesses.ops == SREM)
    return max(2, round((len(keys) - removed) / len(np.unique(keys)))) if len(keys) else 2


def _looked_up(size: Callable[[int], int], lengths: _Array) -> _Array:
    """The size of each length; asked once for each that occurs."""
    if len(lengths) == 0 or lengths.max() > _LONGEST_TABLE:
        known, places = np.unique(lengths, return_inverse=True)
        table: _Array = np.array([size(int(one)) for one in known], dtype=np.int32)
        return np.asarray(table[places])
    table = np.zeros(int(lengths.max()) + 1, dtype=np.int32)
    for one in np.flatnonzero(np.bincount(lengths)):
        table[one] = size(int(one))
    return np.asarray(table[lengths])
