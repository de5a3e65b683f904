"""How long a cache that was emptied takes to be as warm as before, and what the database bears meanwhile.

A key that is read λ times a second at random and kept for τ seconds after each miss is a renewal process:
from one miss to the next pass τ and an exponential time of mean 1/λ. Emptied at 0, its next read is a miss.
So until τ it misses at λ exp(−λt), against λ/(1 + λτ) usually, and the limit of a delayed renewal process
(Feller, An Introduction to Probability Theory II, XI.4) leaves it with h²/2 misses too many, where
h = λτ/(1 + λτ) is its hit rate.
"""

from __future__ import annotations

import math

__all__ = ["extra_misses_per_key", "hit_rate", "refill_seconds"]


def hit_rate(reads_per_second: float, ttl_seconds: float) -> float:
    """Of one key, from 0 to 1."""
    expected = reads_per_second * ttl_seconds
    return expected / (1.0 + expected)


def refill_seconds(reads_per_second: float, ttl_seconds: float) -> float:
    """Until a key that was lost misses no more often than usual: ln(1 + λτ)/λ, at most τ.

    Of many keys it is exact where all are read as often; `reads_per_second` is then the mean of one.

    Example: at 36 reads an hour and a TTL of 300 s, 139 s.
    """
    expected = reads_per_second * ttl_seconds
    return ttl_seconds * (math.log1p(expected) / expected if expected > 1e-9 else 1.0)


def extra_misses_per_key(reads_per_second: float, ttl_seconds: float) -> float:
    """Misses, each a query of the database, that a key has in all because it was lost: h²/2."""
    return hit_rate(reads_per_second, ttl_seconds) ** 2 / 2.0
