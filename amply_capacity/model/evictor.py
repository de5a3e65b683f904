"""Which key goes: Redis' sampling of buckets, its pool of sixteen, and its policies.

A translation of evict.c and of dictGetSomeKeys (dict.c) of Redis 7.0. Not of how long they take: as much is
evicted as is needed at once.
"""

from __future__ import annotations

import numpy as np

from amply_capacity.model import places
from amply_capacity.model.bits import compiled, next_bit
from amply_capacity.model.space import BYTES, CLOCK, EXPIRES, NEVER, Space, bucket_end, draw, key_at, remove

__all__ = ["POLICIES", "VOLATILE_LFU", "counter_now", "make_room"]

POLICIES = ("noeviction", "volatile-lru", "allkeys-lru", "volatile-ttl", "volatile-random", "allkeys-random",
            "volatile-lfu", "allkeys-lfu")
_NO_EVICTION, _, _, _VOLATILE_TTL, _VOLATILE_RANDOM, _ALLKEYS_RANDOM, VOLATILE_LFU, _ = range(8)
_A_MINUTE = 6000
_EMPTY_AT_LEAST = 5


@compiled
def make_room(space: Space, needed: int) -> bool:
    """Evict until so much fits beside the rest; whether it does. evict.c, performEvictions."""
    state = space.state
    while state[places.USED] + needed > state[places.LIMIT]:
        key = _chosen(space)
        if key < 0:
            return False
        remove(space, key)
        state[places.EVICTIONS] += 1
    return True


@compiled
def counter_now(packed: int, now: int) -> int:
    """The LFU counter, less one for every minute since it was looked at; evict.c, LFUDecrAndReturn."""
    return int(max((packed & 255) - (now // _A_MINUTE - (packed >> 8)), 0))


@compiled
def _chosen(space: Space) -> int:
    """The key that goes next; -1 where none may."""
    state, cells = space.state, space.cells
    policy = state[places.POLICY]
    if policy == _NO_EVICTION:
        return -1
    while True:
        entries = state[places.KEYS] if state[places.SAMPLES_ALL] else state[places.VOLATILE]
        if entries == 0:
            return -1
        if _VOLATILE_RANDOM <= policy <= _ALLKEYS_RANDOM:
            return _any_key(space)
        _populate(space, entries)
        for place in range(places.POOL_IDLE - 1, places.POOL_KEYS - 1, -1):
            key = state[place]
            if key >= 0:
                state[place] = -1
                # One that went meanwhile is a ghost; one that was used since stays as idle as it was.
                if cells[key, BYTES] > 0 and (state[places.SAMPLES_ALL] or cells[key, EXPIRES] != NEVER):
                    return int(key)


@compiled
def _populate(space: Space, entries: int) -> None:
    """Take sampled keys into the pool, which is sorted by idleness, least first; evictionPoolPopulate."""
    state = space.state
    pool_keys = state[places.POOL_KEYS:places.POOL_IDLE]
    pool_idle = state[places.POOL_IDLE:places.FOUND]
    last = places.POOL_SIZE - 1
    for number in range(_sample(space, entries)):
        key = state[places.FOUND + number]
        idle = _idle(space, key)
        is_full = pool_keys[last] >= 0
        if is_full and idle <= pool_idle[0]:
            continue
        place = 0
        while place <= last and pool_keys[place] >= 0 and pool_idle[place] < idle:
            place += 1
        if is_full:
            place -= 1
            for one in range(place):
                pool_keys[one], pool_idle[one] = pool_keys[one + 1], pool_idle[one + 1]
        elif pool_keys[place] >= 0:
            for one in range(last, place, -1):
                pool_keys[one], pool_idle[one] = pool_keys[one - 1], pool_idle[one - 1]
        pool_keys[place], pool_idle[place] = key, idle


@compiled
def _idle(space: Space, key: int) -> int:
    """How much a key deserves to go, by the policy; evict.c, evictionPoolPopulate."""
    cells, state = space.cells, space.state
    if state[places.POLICY] == _VOLATILE_TTL:
        return int(NEVER - cells[key, EXPIRES])
    if state[places.POLICY] >= VOLATILE_LFU:
        return 255 - counter_now(cells[key, CLOCK], state[places.NOW])
    return int(state[places.SECOND] - cells[key, CLOCK])


@compiled
def _sample(space: Space, entries: int) -> int:
    """Put the entries of a run of buckets into `found`; how many. dict.c, dictGetSomeKeys."""
    state = space.state
    found = state[places.FOUND:]
    samples_all = state[places.SAMPLES_ALL] == 1
    table = space.present if samples_all else space.volatile
    bits = state[places.KEY_BITS] if samples_all else state[places.TTL_BITS]
    mask = (np.int64(1) << bits) - 1
    wanted = min(state[places.SAMPLES], entries)
    most_empty = max(_EMPTY_AT_LEAST, wanted + 1)
    steps, stored, empty = 10 * wanted, 0, 0
    bucket = draw(state) & mask
    at = key_at(space, table, bucket, bits)
    while stored < wanted and steps > 0:
        steps -= 1
        end = bucket_end(space, bucket, bits)
        if at >= end:
            empty += 1
            if empty >= most_empty:
                bucket, empty = draw(state) & mask, 0
                at = key_at(space, table, bucket + 1 & mask, bits)
        else:
            empty = 0
            while at < end:
                if stored < wanted:
                    found[stored] = at
                else:
                    place = draw(state) % (stored + 1)
                    if place < wanted:
                        found[place] = at
                stored += 1
                at = next_bit(table, at + 1)
        bucket += 1
        if bucket > mask:
            bucket = 0
            at = key_at(space, table, bucket, bits)
    return int(min(stored, wanted))


@compiled
def _any_key(space: Space) -> int:
    """A key at random, one in a full bucket less often; dict.c, dictGetRandomKey."""
    state = space.state
    samples_all = state[places.SAMPLES_ALL] == 1
    table = space.present if samples_all else space.volatile
    bits = state[places.KEY_BITS] if samples_all else state[places.TTL_BITS]
    while True:
        bucket = draw(state) & ((np.int64(1) << bits) - 1)
        at, end = key_at(space, table, bucket, bits), bucket_end(space, bucket, bits)
        if at < end:
            break
    length, one = 0, at
    while one < end:
        length += 1
        one = next_bit(table, one + 1)
    for _ in range(draw(state) % length):
        at = next_bit(table, at + 1)
    return int(at)
