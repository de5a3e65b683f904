"""What keys and values take in Redis 7.0, byte for byte: its structures over the allocator's classes.

Sizes are those of 64-bit builds, measured in tests/model/test_layout.py; `model.layouts` has other versions.
"""

from __future__ import annotations

from functools import lru_cache

from amply_capacity.model.allocator import BUNDLED, Allocator
from amply_capacity.model.dictionary import lingering_share, table_bytes

__all__ = ["Layout", "text_header"]

_LONGEST_EMBEDDED = 44
_SHARED_INTEGERS = 10_000
_SKIPLIST_LEVELS, _LEVEL_SHARE = 32, 0.25
_LIST_NODE_BYTES, _LIST_NODE_SLACK = 8192, 8  # list-max-listpack-size -2; SIZE_ESTIMATE_OVERHEAD
_STREAM_NODE_BYTES, _STREAM_NODE_ENTRIES = 4096, 100  # stream-node-max-bytes, stream-node-max-entries
_STREAM_COUNTS = 10  # t_stream.c: count, deleted, number of fields and end of a node; then the fields' names
_STREAM_ENTRY = 9  # flags, milliseconds (of less than 4 s) and sequence since the first, number of elements


class Layout:
    """Redis 7.0. The sizes of values and keys in bytes of `used_memory`; expectations where chance decides.

    `is_cluster` adds what cluster mode keeps of each key; `shares_integers` says that counters below 10,000
    are shared objects, as they are without maxmemory or without an LRU or LFU policy (object.c).
    """

    name = "redis 7.0"
    verified_on: str | None = "redis 7.0.15"
    """The server that these sizes were held against (tests/model/test_layout.py); None: from source alone."""
    dict_bytes, entry_bytes, object_bytes = 56, 24, 16
    place_bytes = 8.0
    """Of a hash table of the keyspace for each entry that it is made for."""
    refused_load, shrink_below = 1.618, 0.1
    """At maxmemory the keyspace's tables grow only when they hold so many times what they are made for
    (dictExpandAllowed); with less than such a share of it they are made smaller (htNeedsResize)."""
    cluster_entry_bytes = 16
    cluster_bytes = 895_000
    """What a server takes more for being in cluster mode, its map of the slots included; measured."""
    server_bytes, server_entries, clients_bytes_each = 318_400, 2_165, (32, 8, 12)
    """Without keys and clients; how many 24-byte allocations are in it, as far as a coarser allocator makes
    it larger; and the event loop's three arrays of room for clients (ae.c). Measured."""
    set_listpack_entries, set_listpack_bytes = 0, 0
    hash_listpack_entries, hash_listpack_bytes = 512, 64
    zset_listpack_entries, zset_listpack_bytes = 128, 64
    listpack_frame = 7
    """Six bytes of header, one of end (listpack.c)."""
    list_node_bytes, stream_bytes = 40, 80
    sizes_converted = True
    """Whether a hash that becomes a table gets one of its size, and a stream's node keeps to its limit."""
    client_bytes, client_dictionaries = 1_003, 3
    """A connection without its buffers and dictionaries: the client, its lists, the socket; measured."""
    new_reply_bytes, settled_reply_bytes = 16_384, 1_024
    """Its reply buffer at first, and after some seconds of replies that are smaller than half of it."""
    query_buffer_bytes = 16_384
    """While it sends; 0 where all clients have one together, as from Valkey 8.0 on."""
    gives_buffer_back = False
    """Whether a busy connection's query buffer is taken away and given anew every second."""
    backlog_bytes = 1 << 20
    """ElastiCache's default repl-backlog-size."""
    histogram_bytes = 24_688
    """Of each command that was called, where latency-tracking is on: from 1 ns to 1 s with two digits
    (hdr_histogram.c)."""

    def __init__(self, allocator: Allocator = BUNDLED, *, is_cluster: bool = False,
                 shares_integers: bool = False) -> None:
        self.allocator = allocator
        self.is_cluster = is_cluster
        self.shares_integers = shares_integers
        self.size = lru_cache(maxsize=100_000)(allocator.size)

    def text(self, length: int) -> int:
        """A name, a member or a field: an sds string of its own (sds.c)."""
        return self.size(text_header(length) + length + 1)

    def key(self, length: int, has_ttl: bool) -> int:
        """A key's name and its entries in the two dictionaries, without its value."""
        entry = self.size(self.entry_bytes + (self.cluster_entry_bytes if self.is_cluster else 0))
        return self.text(length) + entry + (self.size(self.entry_bytes) if has_ttl else 0)

    def string_key(self, key_length: int, has_ttl: bool, length: int) -> int:
        """A key together with its string value."""
        return self.key(key_length, has_ttl) + self.string(length)

    def filled_table(self, entries: float, room: int) -> float:
        """The bucket array that was made for up to `room` entries, when it has so many."""
        return float(8 * room)

    def table(self, entries: int) -> int:
        """The bucket array of the keys, or of the TTLs, after its moves have ended."""
        return table_bytes(entries)

    def table_room(self, entries: int) -> int | None:
        """How many entries that bucket array takes before it is doubled; None where there is none."""
        return table_bytes(entries) // 8 or None

    def tables(self, keys: int, volatile_keys: int) -> int:
        """The bucket arrays of the database, after their moves have ended."""
        return self.table(keys) + self.table(volatile_keys)

    def string(self, length: int) -> int:
        """A string value."""
        if length <= _LONGEST_EMBEDDED:
            return self.size(self.object_bytes + 3 + length + 1)
        header = max(text_header(length), 3)
        return self.size(self.object_bytes) + self.size(header + length + 1)

    def integer(self, value: int | None = None) -> int:
        """A string value that is an integer; `value` where it is known, since small ones may be shared."""
        is_shared = self.shares_integers and value is not None and 0 <= value < _SHARED_INTEGERS
        return 0 if is_shared else self.size(self.object_bytes)

    def integer_set(self, members: int, width: int = 8) -> int:
        """A set of integers, each `width` bytes wide (2, 4 or 8), up to set-max-intset-entries."""
        return self.size(self.object_bytes) + self.size(8 + members * width)

    def set(self, members: int, member_length: int, *, is_settled: bool = False) -> float:
        """A set of strings that grew one by one and lost none; `is_settled`: no bucket is to be moved."""
        if members <= self.set_listpack_entries and member_length <= self.set_listpack_bytes:
            return self._listpack(members * self._element(member_length))
        each = self.size(self.entry_bytes) + self.text(member_length)
        return self._dict(members, is_settled) + members * each

    def hash(self, fields: int, field_length: int, value_length: int, *, is_settled: bool = False) -> float:
        """A hash that grew field by field; `is_settled` as for a set."""
        was_listpack = max(field_length, value_length) <= self.hash_listpack_bytes
        if was_listpack and fields <= self.hash_listpack_entries:
            return self._listpack(fields * (self._element(field_length) + self._element(value_length)))
        # A listpack that has become too long is moved into a table that is large enough from the start.
        sized_for = self.hash_listpack_entries + 1 if was_listpack and self.sizes_converted else 0
        return self._dict(fields, is_settled, sized_for) + fields * self._field(field_length, value_length)

    def zset(self, members: int, member_length: int, score_length: int = 9, *,
             is_settled: bool = False) -> float:
        """A sorted set; `score_length` is what its listpack's entry takes for a score; else as a set."""
        if members <= self.zset_listpack_entries and member_length <= self.zset_listpack_bytes:
            return self._listpack(members * (self._element(member_length) + score_length + 1))
        return (self._dict(members, is_settled) + self._skiplist(members, member_length)
                + members * self.size(self.entry_bytes))

    def list(self, elements: int, element_length: int) -> int:
        """A list that grew at one end: a quicklist of listpacks of 8 KB."""
        entry = self._element(element_length)
        room = _LIST_NODE_BYTES - self.listpack_frame - _LIST_NODE_SLACK - element_length
        most = max(1 + max(room, 0) // entry, 1)
        whole, rest = divmod(elements, most)
        node = self.size(self.list_node_bytes)
        full = node + self.size(self.listpack_frame + most * entry)
        last = node + self.size(self.listpack_frame + rest * entry) if rest else 0
        return self.size(self.object_bytes) + self.size(40) + whole * full + last

    def stream(self, entries: int, entry_length: int, fields: int = 1) -> int:
        """A stream without groups: listpacks of up to 4 KB in a radix tree (t_stream.c, rax.c).

        `entry_length` is what the values of one entry take together; all entries have the same fields, whose
        names stand once in a listpack and are taken to be of 8 bytes.
        """
        entry = _STREAM_ENTRY + sum(self._element(entry_length // fields) for _ in range(fields))
        master = self.listpack_frame + _STREAM_COUNTS + fields * self._element(8)
        room = _STREAM_NODE_BYTES - master - (entry_length if self.sizes_converted else 0)
        most = min(max(1 + max(room, 0) // entry, 1), _STREAM_NODE_ENTRIES)
        whole = max(-(-entries // most) - 1, 0)
        rest = entries - whole * most
        tree = self.size(24) + self.size(32) + self.size(16)
        branch = self.size(32) + self.size(16) + 9
        last = self.size(max(_STREAM_NODE_BYTES, master + rest * entry)) if entries else 0
        return (self.size(self.object_bytes) + self.size(self.stream_bytes) + tree + last
                + whole * (self.size(master + most * entry) + branch))

    def _element(self, length: int) -> int:
        """An element of a listpack (listpack.c) that is a string of so many bytes."""
        content = length + (1 if length < 64 else 2 if length < 4096 else 5)
        return content + (1 if content < 128 else 2 if content < 16384 else 3)

    def _field(self, field_length: int, value_length: int) -> int:
        """A field of a hash that is a table, with its value."""
        return self.size(self.entry_bytes) + self.text(field_length) + self.text(value_length)

    def _skiplist(self, members: int, member_length: int) -> float:
        """What a sorted set has beside its dictionary: nodes of one level or, one in four each, another."""
        levels = range(1, _SKIPLIST_LEVELS + 1)
        node = sum(_LEVEL_SHARE ** (level - 1) * (1 - _LEVEL_SHARE) * self.size(24 + 16 * level)
                   for level in levels)
        fixed = self.size(16) + self.size(32) + self.size(24 + 16 * _SKIPLIST_LEVELS)
        return fixed + members * (node + self.text(member_length))

    def _listpack(self, content: int) -> int:
        return self.size(self.object_bytes) + self.size(self.listpack_frame + content)

    def _dict(self, entries: int, is_settled: bool, sized_for: int = 0) -> float:
        """The object, its dictionary and the bucket arrays, both of them while entries are being moved."""
        table = max(table_bytes(entries), table_bytes(sized_for))
        is_moving = table > table_bytes(sized_for) and not is_settled
        lingering = lingering_share(entries) * table / 2 if is_moving else 0.0
        return self.size(self.object_bytes) + self.size(self.dict_bytes) + self.size(table) + lingering


def text_header(length: int) -> int:
    """The header of an sds string of so many bytes (sds.h)."""
    return 1 if length < 32 else 3 if length < 256 else 5 if length < 65536 else 9
