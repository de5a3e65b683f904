"""A Redis server, played key by key: memory, hits, evictions and expiry as Redis 7.0 has them.

A translation of what evict.c, dict.c, db.c and expire.c do, compiled by numba (`space`, `evictor` and this).
Of time it knows hundredths of a second; a table that grows has grown.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amply_capacity.model import places
from amply_capacity.model.bits import compiled, next_bit, prefetch
from amply_capacity.model.evictor import POLICIES, VOLATILE_LFU, counter_now, make_room
from amply_capacity.model.space import (
    BYTES,
    CLOCK,
    COUNTS,
    EXPIRES,
    LEAVE,
    NEVER,
    Space,
    bucket_end,
    draw,
    key_at,
    new_space,
    remove,
    set_expiry,
    store,
)

__all__ = ["COUNTS", "DEL", "EXPIRE", "GET", "INCR", "LEAVE", "NEVER", "POLICIES", "SADD", "SET", "SMEMBERS",
           "SREM", "TTL", "Commands", "Emulator", "scattered"]

_Array = NDArray[Any]

GET, SMEMBERS, TTL, SET, INCR, SADD, DEL, EXPIRE, SREM = range(9)
_TICK = 10  # hz 10
_A_SECOND, _A_MINUTE = 100, 6000
_KEYS_PER_LOOP, _ACCEPTABLE_STALE_PERCENT = 20, 10
_EXPIRES_PER_TICK = 12_000  # what a quarter of a tick's time is enough for, measured on redis 7.0.15
_LFU_INIT, _LFU_LOG_FACTOR = 5, 10
_SMALLEST_TABLE_BITS = 2
_AHEAD = 12  # commands, by which a key's row is asked for before it is needed


class Commands(NamedTuple):
    """What is played, in the order of its times: an array a field, all of one length, int32 but `ops`, int8.

    Sizes are bytes of `used_memory`, without tables and TTL entries.
    """

    times: _Array
    """Hundredths of a second since the start."""
    keys: _Array
    """From 0 on, in an order that has nothing to do with their use: `scattered`."""
    ops: _Array
    sizes: _Array
    """What the key takes when the command writes it. A GET with a size is filled with it when it misses; an
    SREM whose set would become smaller removes it."""
    growths: _Array
    """What SADD or SREM adds to a set that is there."""
    ttls: _Array
    """Hundredths of a second, NEVER, or LEAVE. That of an INCR or SADD is given to a key that it begins."""


def scattered(commands: Commands, key_count: int, seed: int = 0) -> tuple[Commands, _Array]:
    """The commands with their keys renumbered at random, as a hash would; and each key's new number."""
    numbers = np.random.default_rng((seed, 33)).permutation(key_count).astype(np.int32)
    return commands._replace(keys=numbers[commands.keys]), numbers


class Emulator:
    """A server with so much memory and so many keys that might come, and what happens on it."""

    def __init__(self, key_count: int, *, policy: str, limit_bytes: int | None, fixed_bytes: int,
                 ttl_entry_bytes: int, bucket_bytes: int = 8, samples: int = 5, phase: int = 0,
                 seed: int = 0) -> None:
        """`limit_bytes`: maxmemory, None for none; `fixed_bytes`: what is taken beside keys and tables.

        `bucket_bytes`: of a place in a hash table; 0 leaves the tables out. `phase`: where within a second,
        in hundredths, its clock stands at time 0.
        """
        self._space = new_space(key_count, seed)
        state = self._space.state
        state[places.USED] = fixed_bytes + 2 * 4 * bucket_bytes  # each table's first four
        state[places.LIMIT] = limit_bytes or np.iinfo(np.int64).max // 2
        state[places.POLICY], state[places.SAMPLES] = POLICIES.index(policy), samples
        state[places.SAMPLES_ALL] = policy.startswith("allkeys")
        state[places.TTL_ENTRY], state[places.BUCKET] = ttl_entry_bytes, bucket_bytes
        state[places.PHASE] = phase

    def play(self, commands: Commands, first: int = 0, last: int | None = None) -> None:
        """Play the commands from `first` up to before `last`."""
        _play(self._space, *commands, first, len(commands.times) if last is None else last)

    def played(self, commands: Commands, measured_from: int = 0) -> dict[str, int]:
        """Play all; what happened from that command on, by COUNTS."""
        self.play(commands, 0, measured_from)
        before = self.counts
        self.play(commands, measured_from)
        return {name: count - before[name] for name, count in self.counts.items()}

    def wait_until(self, time: int) -> None:
        """Let the server alone until then: what expires is reclaimed, as far as it comes to it."""
        _tick(self._space, time)

    @property
    def counts(self) -> dict[str, int]:
        """What happened so far, by COUNTS."""
        return dict(zip(COUNTS, self._space.state[places.COUNTS].tolist(), strict=True))

    @property
    def used_bytes(self) -> int:
        """`used_memory` now; a table whose entries are being moved counts once."""
        return int(self._space.state[places.USED])

    @property
    def key_count(self) -> int:
        """DBSIZE: keys there, the expired that were not reclaimed included."""
        return int(self._space.state[places.KEYS])

    @property
    def volatile_count(self) -> int:
        """Those of them that have a TTL."""
        return int(self._space.state[places.VOLATILE])

    def present(self) -> NDArray[np.bool_]:
        """Which keys are there, the expired that were not reclaimed included."""
        there: NDArray[np.bool_] = self._space.cells[:, BYTES] > 0
        return there

    def live(self) -> NDArray[np.bool_]:
        """Which of them have not expired."""
        alive: NDArray[np.bool_] = self._space.cells[:, EXPIRES] > self._space.state[places.NOW]
        return self.present() & alive


@compiled
def _touch(space: Space, key: int, is_new: bool) -> None:
    """Note that a key was used."""
    cells, state = space.cells, space.state
    if state[places.POLICY] < VOLATILE_LFU:
        cells[key, CLOCK] = state[places.SECOND]
        return
    counter = _LFU_INIT if is_new else counter_now(cells[key, CLOCK], state[places.NOW])
    if not is_new and counter < 255:
        chance = 1.0 / (max(counter - _LFU_INIT, 0) * _LFU_LOG_FACTOR + 1)
        if float(draw(space.state) & 0xFFFFFF) < chance * 16777216.0:
            counter += 1
    cells[key, CLOCK] = (state[places.NOW] // _A_MINUTE) << 8 | counter


@compiled
def _reclaim(space: Space) -> None:
    """One tick of the slow cycle: expire.c, activeExpireCycle. Its fast cycle never runs in 7.0."""
    state, cells, table = space.state, space.cells, space.volatile
    total = 0
    while state[places.VOLATILE] > 0 and total < _EXPIRES_PER_TICK:
        bits = state[places.TTL_BITS]
        size = np.int64(1) << bits
        if bits > _SMALLEST_TABLE_BITS and state[places.VOLATILE] * 100 // size < 1:
            break
        wanted = min(state[places.VOLATILE], _KEYS_PER_LOOP)
        most_checked = 20 * wanted
        sampled = expired = checked = 0
        bucket = state[places.CURSOR] & (size - 1)
        at = key_at(space, table, bucket, bits)
        while sampled < wanted and checked < most_checked:
            checked += 1
            end = bucket_end(space, bucket, bits)
            while at < end:
                if cells[at, EXPIRES] < state[places.NOW]:
                    remove(space, at)
                    expired += 1
                sampled += 1
                at = next_bit(table, at + 1)
            bucket += 1
            if bucket == size:
                bucket = 0
                at = key_at(space, table, bucket, bits)
        state[places.CURSOR] = bucket
        total += expired
        if sampled > 0 and expired * 100 // sampled <= _ACCEPTABLE_STALE_PERCENT:
            break
    space.state[places.EXPIRED] += total


@compiled
def _tick(space: Space, until: int) -> None:
    """What the server does by itself, ten times a second."""
    state = space.state
    while state[places.NEXT_TICK] <= until:
        state[places.NOW] = state[places.NEXT_TICK]
        state[places.SECOND] = (state[places.NOW] + state[places.PHASE]) // _A_SECOND + 1
        _reclaim(space)
        state[places.NEXT_TICK] += _TICK


@compiled
def _write(space: Space, op: int, key: int, size: int, growth: int, expires: int, is_there: bool) -> None:
    """SET, INCR or SADD, where there is room for it."""
    if not make_room(space, size):
        space.state[places.REFUSED] += 1
        return
    is_there = is_there and space.cells[key, BYTES] > 0  # it may have gone to make room
    space.state[places.WRITES] += 1
    if op == SET or not is_there:
        store(space, key, size)
    elif growth != 0:
        store(space, key, space.cells[key, BYTES] + growth)
    _touch(space, key, not is_there)
    if op == SET or not is_there:
        set_expiry(space, key, expires if expires != LEAVE else NEVER)


@compiled
def _change(space: Space, op: int, key: int, size: int, growth: int, expires: int) -> None:
    """DEL, EXPIRE or SREM of a key that is there."""
    if op == DEL:
        remove(space, key)
    elif op == EXPIRE:
        _touch(space, key, False)
        set_expiry(space, key, expires)
    else:
        left = space.cells[key, BYTES] + growth
        if left < size:
            remove(space, key)
        else:
            store(space, key, left)
            _touch(space, key, False)


@compiled
def _play(space: Space, times: _Array, keys: _Array, ops: _Array, sizes: _Array, growths: _Array,
          ttls: _Array,
          first: int, last: int) -> None:
    cells, state = space.cells, space.state
    uses_clock = state[places.POLICY] < VOLATILE_LFU
    next_tick, second = state[places.NEXT_TICK], state[places.SECOND]
    filled_hits = other_hits = 0
    end = len(keys) - 1
    for number in range(first, last):
        prefetch(cells, keys[min(number + _AHEAD, end)])
        now, key, op, size = times[number], keys[number], ops[number], sizes[number]
        if now >= next_tick:
            _tick(space, now)
            next_tick, second = state[places.NEXT_TICK], state[places.SECOND]
        is_there = cells[key, BYTES] > 0
        if is_there and cells[key, EXPIRES] > now:
            if op <= TTL:
                if size > 0:
                    filled_hits += 1
                else:
                    other_hits += 1
                if op == TTL:  # counts as a hit, and leaves the clock as it is: db.c, LOOKUP_NOTOUCH
                    continue
                if uses_clock:
                    cells[key, CLOCK] = second
                    continue
                state[places.NOW] = now
                _touch(space, key, False)
                continue
        elif is_there:
            remove(space, key)
            state[places.EXPIRED] += 1
            is_there = False
        state[places.NOW] = now
        ttl: Any = np.int64(ttls[number])
        expires = ttl if ttl == NEVER or ttl < 0 else min(now + ttl, NEVER - 1)
        if op <= TTL:
            state[places.INFO_MISSES] += 1
            if size > 0 and op == GET:  # the application fills it
                state[places.READS] += 1
                _write(space, SET, key, size, 0, expires, False)
        elif op <= SADD:
            _write(space, op, key, size, growths[number], expires, is_there)
        elif is_there:
            _change(space, op, key, size, growths[number], expires)
    state[places.READS] += filled_hits
    state[places.HITS] += filled_hits
    state[places.INFO_HITS] += filled_hits + other_hits
