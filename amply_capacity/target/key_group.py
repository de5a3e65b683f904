"""Keys of one prefix and type that all have a TTL, or all have none: how many, and what they take."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from amply_capacity.interval import Interval
from amply_capacity.run.keyspace import Shape
from amply_capacity.target.estimates import mean_of, share_of
from amply_capacity.target.prefixes import printable
from amply_capacity.target.sampled_key import SampledKey

__all__ = ["KeyGroup", "groups_of", "shapes_of", "usual_ttl_s"]

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_USUAL_SECONDS = tuple(number * unit for unit, numbers in (
    (1, (1, 2, 3, 5, 10, 15, 20, 30, 45)), (_MINUTE, (1, 2, 3, 5, 10, 15, 20, 30, 45)),
    (_HOUR, (1, 2, 3, 4, 6, 8, 12, 18)), (_DAY, (1, 2, 3, 4, 5, 7, 10, 14, 21, 28, 30, 31, 60, 90, 180, 365)),
) for number in numbers)
_LONGEST_EMBEDDED, _EMBEDDING_BYTES = 44, 20  # object, header and end of a string in its object (object.c)
_ENTRY_BYTES, _SLOT_BYTES, _DICT_BYTES = 24, 16, 56
_FEW_MEMBERS = 32
_STEPS_A_DOUBLING = 8


@dataclass(frozen=True, slots=True)
class KeyGroup:
    """What the sample says of the group; 90 % intervals, exact where all of its keys were looked at."""

    prefix: str
    type: str
    is_volatile: bool
    count: Interval
    bytes_each: float
    """Mean bytes of `used_memory` that a key takes, its share of the dictionaries' tables left out."""
    bytes_bounds: Interval | None
    """None where one sampled key stands for several."""
    ttl_s: float | None
    """The TTL that its keys seem to be given (`usual_ttl_s`)."""
    keys: tuple[SampledKey, ...]
    """Those sampled."""

    @property
    def bytes(self) -> float:
        """Of all its keys."""
        return self.count.mid * self.bytes_each

    @property
    def bytes_error(self) -> tuple[float, float]:
        """By how much their bytes may be fewer, and more, as far as the sample can tell."""
        size = self.bytes_bounds or Interval.exact(self.bytes_each)
        return (self.bytes - self.count.low * size.low, self.count.high * size.high - self.bytes)

    def as_json(self) -> dict[str, Any]:
        bounds = self.bytes_bounds
        return {
            "prefix": printable(self.prefix), "type": self.type, "count": round(self.count.mid),
            "count_low": math.floor(self.count.low), "count_high": math.ceil(self.count.high),
            "bytes_each": round(self.bytes_each, 1),
            "bytes_low": None if bounds is None else round(bounds.low, 1),
            "bytes_high": None if bounds is None else round(bounds.high, 1),
            "bytes": round(self.bytes), "ttl_s": self.ttl_s,
            "sampled": len(self.keys), "key_bytes": round(fmean(key.name_bytes for key in self.keys), 1),
            **{name: _mean(self.keys, name) for name in ("value_bytes", "member_bytes")},
            "members": None if self.type in {"string", "int"} else _mean(self.keys, "length"),
        }


def groups_of(counts: Mapping[str, Interval], keys: Iterable[tuple[str, SampledKey]], *,
              quantum_bytes: int | None, is_cluster: bool) -> list[KeyGroup]:
    """The groups of a keyspace, those that take most first.

    `counts` holds the number of keys of each prefix, `keys` the sampled ones with their prefix. A prefix of
    whose keys none could be read is left out. The bytes are MEMORY USAGE with what it leaves out: the entry
    of the TTL and, where the spacing of the allocator's smallest classes is known, the rounding of entries
    and dictionaries, of which it counts what they asked for (object.c, objectComputeSize).
    """
    by_prefix: defaultdict[str, list[SampledKey]] = defaultdict(list)
    for prefix, key in keys:
        by_prefix[prefix].append(key)
    groups = []
    for prefix, sampled in by_prefix.items():
        count = counts[prefix]
        alike: defaultdict[tuple[str, bool], list[SampledKey]] = defaultdict(list)
        for key in sampled:
            alike[key.type, key.is_volatile].append(key)
        for (kind, is_volatile), same in alike.items():
            share = share_of(len(same), len(sampled), count.mid)
            number = Interval(count.low * share.low, count.mid * share.mid, count.high * share.high)
            sizes = [_memory_bytes(key, quantum_bytes, is_cluster) for key in same]
            groups.append(KeyGroup(
                prefix, kind, is_volatile, number, fmean(sizes), mean_of(sizes, number.mid),
                usual_ttl_s([key.ttl_ms for key in same if key.ttl_ms is not None]), tuple(same)))
    return sorted(groups, key=lambda group: (-group.bytes, group.prefix, group.type, group.is_volatile))


def shapes_of(groups: Iterable[KeyGroup]) -> Iterator[Shape]:
    """The groups as rows of `keyspace.csv`: a row for the keys of a group that the allocator treats alike.

    Its classes grow in steps, so that a mean over keys of many sizes would be billed wrongly; within a class
    it is not.
    """
    for group in groups:
        bins: defaultdict[tuple[str, tuple[int, ...]], list[SampledKey]] = defaultdict(list)
        for key in group.keys:
            bins[key.encoding, _bin(key)].append(key)
        for _, same in sorted(bins.items()):
            yield Shape(
                printable(group.prefix), group.type, group.count.mid * len(same) / len(group.keys),
                fmean(key.name_bytes for key in same), _mean(same, "value_bytes"),
                None if group.type in {"string", "int"} else fmean(key.length for key in same),
                _mean(same, "member_bytes"), group.ttl_s)


def usual_ttl_s(left_ms: Sequence[int]) -> float | None:
    """The TTL, in seconds, that keys with so much of it left were probably given; None without keys.

    No key has more left than it was given, and the one with most has nearly all of it: of `n` keys written at
    an even rate the largest falls short by more than five `n`-ths once in 150 samples. The next usual length
    of time (5 min, 1 h, 7 days, …) within that reach is taken, else the largest itself in whole seconds.
    """
    if not left_ms:
        return None
    most_s = max(left_ms) / 1000.0
    reach_s = most_s * (1.0 + min(5.0 / len(left_ms), 1.0))
    usual = next((seconds for seconds in _USUAL_SECONDS if seconds >= most_s), math.inf)
    return float(usual if usual <= reach_s else math.ceil(most_s))


def _memory_bytes(key: SampledKey, quantum_bytes: int | None, is_cluster: bool) -> int:
    def rounding(size: int) -> int:
        return -size % quantum_bytes if quantum_bytes else 0

    extra = rounding(_ENTRY_BYTES + (_SLOT_BYTES if is_cluster else 0))
    if key.is_volatile:
        extra += _ENTRY_BYTES + rounding(_ENTRY_BYTES)
    if key.encoding in {"hashtable", "skiplist"}:
        extra += rounding(_DICT_BYTES) + key.length * rounding(_ENTRY_BYTES)
    return key.usage_bytes + extra


def _bin(key: SampledKey) -> tuple[int, ...]:
    """Keys of one bin have name, value and members in the same classes, and nearly as many members."""
    name = _class(_text_bytes(key.name_bytes))
    if key.type in {"string", "int"}:
        value = key.value_bytes or 0.0
        if value <= _LONGEST_EMBEDDED:
            return (name, 0, _class(value + _EMBEDDING_BYTES))
        return (name, 1, _class(_text_bytes(value)))
    member = -1 if key.member_bytes is None else _class(_text_bytes(key.member_bytes))
    many = math.floor(math.log2(key.length - 1) * _STEPS_A_DOUBLING) if key.length > _FEW_MEMBERS else 0
    few = min(key.length, _FEW_MEMBERS + 1)
    value = key.value_bytes or 0.0
    return (name, member, _class(_text_bytes(value)) if key.type == "hash" else round(value), many, few)


def _text_bytes(length: float) -> float:
    """What a string of its own asks for: header, text and end (sds.h)."""
    return length + 1 + (1 if length < 32 else 3 if length < 256 else 5 if length < 65536 else 9)


def _class(wanted_bytes: float) -> int:
    """The number of jemalloc's size class that holds so much, where they are 8 bytes apart at first."""
    wanted = math.ceil(wanted_bytes)
    if wanted <= 64:
        return -(-wanted // 8)
    doubling = (wanted - 1).bit_length() - 1
    return 4 * doubling + -(-wanted // (1 << (doubling - 2)))


def _mean(keys: Sequence[SampledKey], name: str) -> float | None:
    """The mean of a size; None where the keys have none."""
    sizes = [size for key in keys if (size := getattr(key, name)) is not None]
    return round(fmean(sizes), 4) if sizes else None
