"""The keys of an emulated Redis: who is there, what it takes, when it expires, and which bucket it lies in.

A key's number is its place in the order of all keys' hashes. So the keys of a bucket are neighbours, whatever
the size of the table, which is nothing but the number of leading bits that make a bucket; and what a policy
samples, a run of buckets, is a stretch of memory. A table's entries are the set bits of a bitmap.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amply_capacity.model import places
from amply_capacity.model.bits import clear_bit, compiled, next_bit, set_bit
from amply_capacity.model.layout import Layout

__all__ = ["BYTES", "CLOCK", "COUNTS", "EXPIRES", "LEAVE", "NEVER", "Space", "bucket_end", "draw", "key_at",
           "new_space", "remove", "set_expiry", "store"]

_Array = NDArray[Any]

NEVER = 2**31 - 1
"""A TTL that is none."""
LEAVE = -1
"""A TTL of a command that leaves its key's as it is."""
COUNTS = ("reads", "hits", "info_hits", "info_misses", "evictions", "expired", "refused", "writes")

CLOCK, EXPIRES, BYTES = range(3)
"""Columns of `cells`. A key that takes no bytes is not there."""
_COLUMNS = 4  # so that a row never lies in two lines of the cache
_REFUSED_LOAD = Layout.refused_load  # beyond it a table grows whatever the memory
_FIRST_BITS = 2  # of the buckets of a new table: DICT_HT_INITIAL_SIZE


class Space(NamedTuple):
    """A server's keys, tables, pool and figures."""

    cells: _Array
    """A row a key: the clock of its last use (of an LFU policy: minutes and counter), when it expires in
    hundredths of a second, and the bytes it takes."""
    present: _Array
    """Bits: the table of all keys."""
    volatile: _Array
    """Bits: the table of those with a TTL."""
    first: _Array
    """The first key of each bucket of the largest table there may be, and the number of keys: a bucket of a
    smaller table is a row of these."""
    state: _Array
    """All other numbers: `places`."""


def new_space(key_count: int, seed: int) -> Space:
    """No key there yet, of so many that may come."""
    random = np.random.default_rng((seed, 32))
    count = max(key_count, 1)
    cells = np.zeros((count, _COLUMNS), dtype=np.int32)
    cells[:, EXPIRES] = NEVER
    bits = max((count - 1).bit_length(), _FIRST_BITS)
    in_buckets = np.bincount(random.integers(0, 1 << bits, count), minlength=1 << bits)
    first = np.concatenate([[0], np.cumsum(in_buckets)]).astype(np.int32)
    words = np.zeros(len(cells) // 64 + 1, dtype=np.uint64)
    words[-1] |= np.uint64(1 << 63)  # where a search ends
    if len(cells) % 64 == 63:
        words = np.append(words, words[-1])  # that bit is a key's
        words[-2] = 0
    state = np.zeros(places.SIZE, dtype=np.int64)
    state[places.KEY_BITS] = state[places.TTL_BITS] = _FIRST_BITS
    state[places.FIRST_BITS] = bits
    state[places.POOL_KEYS:places.POOL_IDLE] = -1
    state[places.RANDOM] = (2 * seed + 1) * 0x9E3779B97F4A7C15 % 2**63
    return Space(cells, words, words.copy(), first, state)


@compiled
def draw(state: _Array) -> Any:
    """A random number of 53 bits: xorshift64*."""
    x = np.uint64(state[places.RANDOM])
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    state[places.RANDOM] = np.int64(x)
    return np.int64((x * np.uint64(2685821657736338717)) >> np.uint64(11))


@compiled
def key_at(space: Space, table: _Array, bucket: int, bits: int) -> Any:
    """The first entry of a table of 2 ** bits buckets in that or a later one; no key where there is none."""
    return next_bit(table, space.first[bucket << (space.state[places.FIRST_BITS] - bits)])


@compiled
def bucket_end(space: Space, bucket: int, bits: int) -> Any:
    """The key after the last of a bucket."""
    return space.first[(bucket + 1) << (space.state[places.FIRST_BITS] - bits)]


@compiled
def _grow(state: _Array, place: int, entries: int) -> None:
    """Double a table before one more entry comes, if Redis would; dict.c and server.c, dictExpandAllowed."""
    size = np.int64(1) << state[place]
    if entries < size or state[place] >= state[places.FIRST_BITS]:
        return
    wider = state[places.USED] + 2 * state[places.BUCKET] * size
    if wider <= state[places.LIMIT] or entries > _REFUSED_LOAD * size:
        state[places.USED] += state[places.BUCKET] * size
        state[place] += 1


@compiled
def set_expiry(space: Space, key: int, expires: int) -> None:
    """Give a key that is there a time to expire, or NEVER."""
    cells, state = space.cells, space.state
    had_one = cells[key, EXPIRES] != NEVER
    cells[key, EXPIRES] = expires
    if had_one == (expires != NEVER):
        return
    if had_one:
        state[places.VOLATILE] -= 1
        state[places.USED] -= state[places.TTL_ENTRY]
        clear_bit(space.volatile, key)
    else:
        _grow(state, places.TTL_BITS, state[places.VOLATILE])
        state[places.VOLATILE] += 1
        state[places.USED] += state[places.TTL_ENTRY]
        set_bit(space.volatile, key)


@compiled
def store(space: Space, key: int, size: int) -> None:
    """Have a key take so many bytes, one or more."""
    cells, state = space.cells, space.state
    before = cells[key, BYTES]
    state[places.USED] += size - before
    cells[key, BYTES] = size
    if before == 0:
        _grow(state, places.KEY_BITS, state[places.KEYS])
        state[places.KEYS] += 1
        set_bit(space.present, key)


@compiled
def remove(space: Space, key: int) -> None:
    """Take a key out."""
    cells, state = space.cells, space.state
    set_expiry(space, key, NEVER)
    state[places.USED] -= cells[key, BYTES]
    cells[key, BYTES] = 0
    state[places.KEYS] -= 1
    clear_bit(space.present, key)
