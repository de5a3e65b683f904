"""Where the numbers of an emulated server stand in its `state`, whose one type is int64.

One array for all of them, since each costs at every call of a compiled function. Bits are those of the
tables' bucket numbers; times are hundredths of a second.
"""

from __future__ import annotations

(USED, KEYS, VOLATILE, KEY_BITS, TTL_BITS, CURSOR, NOW, SECOND, NEXT_TICK, LIMIT, POLICY, SAMPLES_ALL,
 SAMPLES,
 TTL_ENTRY, PHASE, BUCKET, FIRST_BITS, RANDOM) = range(18)
READS, HITS, INFO_HITS, INFO_MISSES, EVICTIONS, EXPIRED, REFUSED, WRITES = range(20, 28)
COUNTS = slice(20, 28)
POOL_SIZE = 16
POOL_KEYS = 32
"""Where the keys of the pool begin, least idle first; -1 where there is none."""
POOL_IDLE = POOL_KEYS + POOL_SIZE
FOUND = POOL_IDLE + POOL_SIZE
"""Where the keys sampled begin."""
SIZE = FOUND + 64
