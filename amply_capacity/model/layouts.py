"""The layouts of other versions than Redis 7.0, from their source; which were run says `verified_on`."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

from amply_capacity.model.allocator import BUNDLED, DEBIAN, Allocator
from amply_capacity.model.dictionary import occupied_buckets, table_bytes
from amply_capacity.model.layout import Layout, text_header

__all__ = ["LAYOUTS", "Redis62", "Redis72", "Valkey80", "Valkey81", "allocator_named", "layout_of"]

_SLOTS = 16_384


class Redis62(Layout):
    """Redis 6.2 and before: ziplists (ziplist.c) instead of listpacks, and larger dictionaries.

    In cluster mode the names of all keys stand a second time in a radix tree, by slot: about a node of its
    own for a key whose name is random.
    """

    name = "redis 6.2"
    verified_on = "redis 6.2.5"
    dict_bytes = 96
    cluster_bytes = 720_000
    server_bytes, histogram_bytes = 269_600, 0
    client_bytes, client_dictionaries = 4_354, 2
    settled_reply_bytes, query_buffer_bytes, gives_buffer_back = 16_384, 32_768, True
    listpack_frame = 11
    list_node_bytes, stream_bytes = 32, 40
    sizes_converted = False

    def key(self, length: int, has_ttl: bool) -> int:
        entries = self.size(self.entry_bytes) * (2 if has_ttl else 1)
        return self.text(length) + entries + (self.size(length + 12) if self.is_cluster else 0)

    def _element(self, length: int) -> int:
        """Its length, itself, and the length of the one before it, which is taken to be of this one's."""
        content = length + (1 if length < 64 else 2 if length < 16384 else 5)
        return content + (1 if content < 254 else 5)


class Redis72(Layout):
    """Redis and Valkey 7.2: small sets of strings are listpacks (t_set.c), larger ones keep no values.

    The first member of a bucket needs no entry of its own, the others one of two pointers (dict.c).
    """

    name = "redis 7.2"
    verified_on: str | None = None
    set_listpack_entries, set_listpack_bytes = 128, 64
    largest_small_list_bytes = 8192

    def set(self, members: int, member_length: int, *, is_settled: bool = False) -> float:
        if members <= self.set_listpack_entries and member_length <= self.set_listpack_bytes:
            return self._listpack(members * self._element(member_length))
        sized_for = self.set_listpack_entries + 1 if member_length <= self.set_listpack_bytes else 0
        buckets = max(table_bytes(members), table_bytes(sized_for)) // 8
        entries = members - occupied_buckets(members, buckets)
        return (self._dict(members, is_settled, sized_for) + members * self.text(member_length)
                + entries * self.size(16))


    def list(self, elements: int, element_length: int) -> int:
        """One listpack where it fits into 8 KB (t_list.c), else as in 7.0."""
        content = elements * self._element(element_length)
        if content + self.listpack_frame <= self.largest_small_list_bytes:
            return self._listpack(content)
        return super().list(elements, element_length)


class Valkey80(Redis72):
    """Valkey 8.0: a key's name lies in its entry of the main dictionary (dict.c), tables are per slot."""

    name = "valkey 8.0"
    cluster_bytes = 1_971_000
    server_bytes, query_buffer_bytes = 339_300, 0
    backlog_bytes = 10 << 20

    def key(self, length: int, has_ttl: bool) -> int:
        entry = self.size(17 + text_header(length) + length + 1)
        return entry + (self.size(self.entry_bytes) if has_ttl else 0)

    def table(self, entries: int) -> int:
        if not self.is_cluster:
            return self._table(entries)
        each = _expected(entries / _SLOTS, lambda count: self._slot_struct() + self._table(count))
        return round(_SLOTS * each)

    def table_room(self, entries: int) -> int | None:
        """None in cluster mode too: each slot has a table of its own."""
        return None if self.is_cluster else self._room(entries)

    def _room(self, entries: int) -> int | None:
        return table_bytes(entries) // 8 or None

    def _table(self, entries: int) -> int:
        return table_bytes(entries)

    def _slot_struct(self) -> int:
        return self.size(self.dict_bytes + 8)


class Valkey81(Valkey80):
    """Valkey 8.1: tables of 64-byte buckets of seven; key, TTL and a short value in one object.

    hashtable.c, object.c, t_hash.c. A bucket with more than seven gets another one behind it.
    """

    name = "valkey 8.1"
    verified_on = "valkey 8.1.1"
    client_bytes, client_dictionaries = 773, 0
    place_bytes, refused_load, shrink_below = 64 / 7, 5.0, 0.13
    _BUCKET_BYTES, _BUCKET_ENTRIES = 64, 7
    _LARGEST_WITH_VALUE, _LARGEST_FIELD, _LONG_NAME = 64, 128, 128
    table_struct_bytes = 72

    def key(self, length: int, has_ttl: bool) -> int:
        """A key's name beside its value's object, which is allocated together with it."""
        return self._object(length, has_ttl) - self.size(self.object_bytes)

    def string_key(self, key_length: int, has_ttl: bool, length: int) -> int:
        name = text_header(key_length) + key_length + 1
        ttl = 8 if has_ttl else 0
        if self.object_bytes + ttl + key_length + 3 + length + 4 <= self._LARGEST_WITH_VALUE:
            return self.size(self.object_bytes + ttl + 1 + name + 3 + length + 1)
        return self._object(key_length, has_ttl) + self.text(length)

    def filled_table(self, entries: float, room: int) -> float:
        if not room:
            return 0.0
        buckets = room / self._BUCKET_ENTRIES
        return (1.0 + _children(entries / buckets)) * buckets * self._BUCKET_BYTES

    def _room(self, entries: int) -> int | None:
        return self._BUCKET_ENTRIES * self._bucket_count(entries) or None

    def _table(self, entries: int) -> int:
        return self._buckets(entries)

    def _slot_struct(self) -> int:
        return self.size(self.table_struct_bytes + 8)

    def set(self, members: int, member_length: int, *, is_settled: bool = False) -> float:
        if members <= self.set_listpack_entries and member_length <= self.set_listpack_bytes:
            return self._listpack(members * self._element(member_length))
        return self._table_value(members) + members * self.text(member_length)

    def hash(self, fields: int, field_length: int, value_length: int, *, is_settled: bool = False) -> float:
        is_listpack = (max(field_length, value_length) <= self.hash_listpack_bytes
                       and fields <= self.hash_listpack_entries)
        if is_listpack:
            return super().hash(fields, field_length, value_length, is_settled=is_settled)
        return self._table_value(fields) + fields * self._field(field_length, value_length)

    def zset(self, members: int, member_length: int, score_length: int = 9, *,
             is_settled: bool = False) -> float:
        if members <= self.zset_listpack_entries and member_length <= self.zset_listpack_bytes:
            return super().zset(members, member_length, score_length)
        return self._table_value(members) + self._skiplist(members, member_length)

    def _object(self, key_length: int, has_ttl: bool) -> int:
        ttl = 8 if has_ttl or key_length >= self._LONG_NAME else 0
        return self.size(self.object_bytes + ttl + 1 + text_header(key_length) + key_length + 1)

    def _field(self, field_length: int, value_length: int) -> int:
        name = text_header(field_length) + field_length + 1
        together = name + 3 + value_length + 1
        if together <= self._LARGEST_FIELD:
            return self.size(together)
        return self.size(8 + max(text_header(field_length), 3) + field_length + 1) + self.text(value_length)

    def _table_value(self, entries: int) -> int:
        return self.size(self.object_bytes) + self.size(self.table_struct_bytes) + self._buckets(entries)

    def _buckets(self, entries: int) -> int:
        buckets = self._bucket_count(entries)
        if buckets == 0:
            return 0
        return self.size(self._BUCKET_BYTES * buckets) + round(
            buckets * _children(entries / buckets) * self._BUCKET_BYTES)

    def _bucket_count(self, entries: int) -> int:
        return 1 << (-(-entries // self._BUCKET_ENTRIES) - 1).bit_length() if entries else 0


LAYOUTS: dict[str, type[Layout]] = {one.name: one for one in (Redis62, Layout, Redis72, Valkey80, Valkey81)}


def layout_of(engine: str, version: str) -> type[Layout]:
    """The layout of an engine's version: the nearest earlier one known, the oldest for anything older."""
    parts = [int(part) for part in version.split(".")[:2] if part.isdigit()]
    number = (*parts, 0, 0)[:2]
    if engine == "valkey" and number >= (8, 1):
        return Valkey81
    if engine == "valkey" and number >= (8, 0):
        return Valkey80
    return Redis72 if number >= (7, 2) else Layout if number >= (7, 0) else Redis62


def allocator_named(name: str, kind: type[Layout]) -> Allocator | None:
    """The allocator that INFO calls `name`, of a server of that kind; None: it is not jemalloc.

    Redis 7.0's own is jemalloc 5.2.1, an older one's 5.1; 5.3 is the system's there. From 7.2 on Redis' own
    is 5.3 as well: its version does not tell them apart, and it is taken for Redis' own.
    """
    if not name.startswith("jemalloc"):
        return None
    brings_older = kind in {Layout, Redis62}
    return DEBIAN if brings_older and name.startswith("jemalloc-5.3") else BUNDLED


def _expected(mean: float, size: Callable[[int], int]) -> float:
    """Of what a slot takes, when keys fall into slots at random; an empty one takes nothing."""
    most = math.ceil(mean + 8.0 * math.sqrt(mean) + 8.0)
    if mean == 0.0:
        return 0.0
    return math.fsum(math.exp(count * math.log(mean) - mean - math.lgamma(count + 1)) * size(count)
                     for count in range(1, most))


@lru_cache(maxsize=10_000)
def _children(mean: float) -> float:
    """Buckets behind one into which so many entries fall: each keeps six, the last one seven."""
    probability, total = math.exp(-mean), 0.0
    for entries in range(1, 60):
        probability *= mean / entries
        if entries > 7:
            total += probability * -(-(entries - 7) // 6)
    return total
