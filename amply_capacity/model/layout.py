"""What keys and values take in Redis, byte for byte: its structures over the allocator's classes.

Sizes are those of 64-bit builds. Redis 7.0 has been measured (tests/model/test_layout.py); the other layouts
follow from source and say so in `is_verified`.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from amply_capacity.model.allocator import BUNDLED, Allocator

__all__ = ["LAYOUTS", "Layout", "layout_of", "lingering_share", "table_bytes"]

_POINTER = 8
_SMALLEST_TABLE = 4
_LONGEST_EMBEDDED = 44
_SHARED_INTEGERS = 10_000
_SKIPLIST_LEVELS, _LEVEL_SHARE = 32, 0.25
_LISTPACK_FRAME = 7  # six bytes of header, one of end
_LIST_NODE_BYTES, _LIST_NODE_SLACK = 8192, 8  # list-max-listpack-size -2; SIZE_ESTIMATE_OVERHEAD


def table_bytes(entries: int) -> int:
    """Bytes of a dict's bucket array for so many entries: pointers to the next power of two; 0 for none.

    Redis dict.c. The smaller array that also exists while it is being moved is not counted here.
    """
    if entries == 0:
        return 0
    return _POINTER * max(_SMALLEST_TABLE, 1 << (entries - 1).bit_length())


class Layout:
    """Redis 7.0. The sizes of values and keys in bytes of `used_memory`; expectations where chance decides.

    `is_cluster` adds what cluster mode keeps of each key; `shares_integers` says that counters below 10,000
    are shared objects, as they are without maxmemory or without an LRU or LFU policy (object.c).
    """

    name = "redis 7.0"
    is_verified = True
    dict_bytes, entry_bytes, object_bytes = 56, 24, 16
    cluster_entry_bytes, cluster_slots_bytes = 16, 16 * 16384
    set_listpack_entries, set_listpack_bytes = 0, 0
    hash_listpack_entries, hash_listpack_bytes = 512, 64
    zset_listpack_entries, zset_listpack_bytes = 128, 64

    def __init__(self, allocator: Allocator = BUNDLED, *, is_cluster: bool = False,
                 shares_integers: bool = False) -> None:
        self.allocator = allocator
        self.is_cluster = is_cluster
        self.shares_integers = shares_integers
        self._size = lru_cache(maxsize=100_000)(allocator.size)

    def text(self, length: int) -> int:
        """A name, a member or a field: an sds string of its own (sds.c)."""
        header = 1 if length < 32 else 3 if length < 256 else 5 if length < 65536 else 9
        return self._size(header + length + 1)

    def key(self, length: int, has_ttl: bool) -> int:
        """A key's name and its entries in the two dictionaries, without its value."""
        entry = self._size(self.entry_bytes + (self.cluster_entry_bytes if self.is_cluster else 0))
        return self.text(length) + entry + (self._size(self.entry_bytes) if has_ttl else 0)

    def tables(self, keys: int, volatile_keys: int) -> int:
        """The bucket arrays of the database, after their moves have ended."""
        return table_bytes(keys) + table_bytes(volatile_keys)

    def string(self, length: int) -> int:
        """A string value."""
        if length <= _LONGEST_EMBEDDED:
            return self._size(self.object_bytes + 3 + length + 1)
        header = 3 if length < 256 else 5 if length < 65536 else 9
        return self._size(self.object_bytes) + self._size(header + length + 1)

    def integer(self, value: int | None = None) -> int:
        """A string value that is an integer; `value` where it is known, since small ones may be shared."""
        is_shared = self.shares_integers and value is not None and 0 <= value < _SHARED_INTEGERS
        return 0 if is_shared else self._size(self.object_bytes)

    def integer_set(self, members: int, width: int = 8) -> int:
        """A set of integers, each `width` bytes wide (2, 4 or 8), up to set-max-intset-entries."""
        return self._size(self.object_bytes) + self._size(8 + members * width)

    def set(self, members: int, member_length: int, *, is_settled: bool = False) -> float:
        """A set of strings that grew one by one and lost none; `is_settled`: no bucket is to be moved."""
        if members <= self.set_listpack_entries and member_length <= self.set_listpack_bytes:
            return self._listpack(members * _entry(member_length))
        each = self._size(self.entry_bytes) + self.text(member_length)
        return self._dict(members, is_settled) + members * each

    def hash(self, fields: int, field_length: int, value_length: int, *, is_settled: bool = False) -> float:
        """A hash that grew field by field; `is_settled` as for a set."""
        was_listpack = max(field_length, value_length) <= self.hash_listpack_bytes
        if was_listpack and fields <= self.hash_listpack_entries:
            return self._listpack(fields * (_entry(field_length) + _entry(value_length)))
        each = self._size(self.entry_bytes) + self.text(field_length) + self.text(value_length)
        # A listpack that has become too long is moved into a table that is large enough from the start.
        sized_for = self.hash_listpack_entries + 1 if was_listpack else 0
        return self._dict(fields, is_settled, sized_for) + fields * each

    def zset(self, members: int, member_length: int, score_length: int = 9, *,
             is_settled: bool = False) -> float:
        """A sorted set; `score_length` is what its listpack's entry takes for a score; else as a set."""
        if members <= self.zset_listpack_entries and member_length <= self.zset_listpack_bytes:
            return self._listpack(members * (_entry(member_length) + score_length + 1))
        levels = range(1, _SKIPLIST_LEVELS + 1)
        node = sum(_LEVEL_SHARE ** (level - 1) * (1 - _LEVEL_SHARE) * self._size(24 + 16 * level)
                   for level in levels)
        fixed = self._size(16) + self._size(32) + self._size(24 + 16 * _SKIPLIST_LEVELS)
        return self._dict(members, is_settled) + fixed + members * (
            self._size(self.entry_bytes) + node + self.text(member_length))

    def list(self, elements: int, element_length: int) -> int:
        """A list that grew at one end: a quicklist of listpacks of 8 KB."""
        entry = _entry(element_length)
        room = _LIST_NODE_BYTES - _LISTPACK_FRAME - _LIST_NODE_SLACK - element_length
        most = max(1 + max(room, 0) // entry, 1)
        whole, rest = divmod(elements, most)
        full = self._size(40) + self._size(_LISTPACK_FRAME + most * entry)
        last = self._size(40) + self._size(_LISTPACK_FRAME + rest * entry) if rest else 0
        return self._size(self.object_bytes) + self._size(40) + whole * full + last

    def _listpack(self, content: int) -> int:
        return self._size(self.object_bytes) + self._size(_LISTPACK_FRAME + content)

    def _dict(self, entries: int, is_settled: bool, sized_for: int = 0) -> float:
        """The object, its dictionary and the bucket arrays, both of them while entries are being moved."""
        table = max(table_bytes(entries), table_bytes(sized_for))
        is_moving = table > table_bytes(sized_for) and not is_settled
        lingering = lingering_share(entries) * table / 2 if is_moving else 0.0
        return self._size(self.object_bytes) + self._size(self.dict_bytes) + self._size(table) + lingering


class Redis72(Layout):
    """Redis and Valkey 7.2: small sets of strings are listpacks (t_set.c)."""

    name = "redis 7.2"
    is_verified = False
    set_listpack_entries, set_listpack_bytes = 128, 64


class Valkey80(Redis72):
    """Valkey 8.0: a key's name lies in its entry of the main dictionary (dict.c), tables are per slot."""

    name = "valkey 8.0"
    cluster_entry_bytes, cluster_slots_bytes = 0, 0

    def key(self, length: int, has_ttl: bool) -> int:
        header = 1 if length < 32 else 3 if length < 256 else 5 if length < 65536 else 9
        return self._size(17 + 1 + header + length + 1) + (self._size(self.entry_bytes) if has_ttl else 0)


class Valkey81(Valkey80):
    """Valkey 8.1: a table of 64-byte buckets with seven entries; key, TTL and a short value in one object.

    hashtable.c, object.c. Tables of values are taken to be of the same kind.
    """

    name = "valkey 8.1"
    _BUCKET_BYTES, _BUCKET_ENTRIES, _MOST_FILLED = 64, 7, 0.9143

    def key(self, length: int, has_ttl: bool) -> int:
        header = 1 if length < 32 else 3 if length < 256 else 5 if length < 65536 else 9
        return self._size(self.object_bytes + (8 if has_ttl else 0) + 1 + header + length + 1) - self._size(
            self.object_bytes)  # the value's own object is this one

    def tables(self, keys: int, volatile_keys: int) -> int:
        return self._buckets(keys) + self._buckets(volatile_keys)

    def _buckets(self, entries: int) -> int:
        if entries == 0:
            return 0
        wanted = math.ceil(entries / (self._BUCKET_ENTRIES * self._MOST_FILLED))
        return self._BUCKET_BYTES << (wanted - 1).bit_length()

    def set(self, members: int, member_length: int, *, is_settled: bool = False) -> float:
        if members <= self.set_listpack_entries and member_length <= self.set_listpack_bytes:
            return self._listpack(members * _entry(member_length))
        return (self._size(self.object_bytes) + self._size(self.dict_bytes) + self._buckets(members)
                + members * self.text(member_length))


LAYOUTS: dict[str, type[Layout]] = {one.name: one for one in (Layout, Redis72, Valkey80, Valkey81)}


def layout_of(engine: str, version: str) -> type[Layout]:
    """The layout of an engine's version, the nearest earlier one known; the first for anything older."""
    parts = [int(part) for part in version.split(".")[:2] if part.isdigit()]
    number = (*parts, 0, 0)[:2]
    if engine == "valkey" and number >= (8, 1):
        return Valkey81
    if engine == "valkey" and number >= (8, 0):
        return Valkey80
    return Redis72 if number >= (7, 2) else Layout


@lru_cache(maxsize=10_000)
def lingering_share(entries: int) -> float:
    """How probably the smaller bucket array is still there in a dictionary that grew to so many entries.

    It doubled when its `n` buckets had `n` entries; every entry added since has moved one bucket that was not
    empty (dict.c, _dictRehashStep). Nothing else moves those of a set, but for looking members up.
    """
    if entries <= _SMALLEST_TABLE:
        return 0.0
    before = 1 << ((entries - 1).bit_length() - 1)
    moved = entries - (before + 1)
    if before > 1024:
        return 1.0 if moved < before * (1 - 1 / math.e) else 0.0
    occupied = np.zeros(before + 1)  # the probability of so many buckets that are not empty
    occupied[0] = 1.0
    counts = np.arange(before + 1)
    for _ in range(before):
        grown = np.roll(occupied * (before - counts) / before, 1)
        occupied = occupied * counts / before + grown
    return float(occupied[moved + 1:].sum())


def _entry(length: int) -> int:
    """An element of a listpack (listpack.c) that is a string of so many bytes."""
    content = length + (1 if length < 64 else 2 if length < 4096 else 5)
    return content + (1 if content < 128 else 2 if content < 16384 else 3)
