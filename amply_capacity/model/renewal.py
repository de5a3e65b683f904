"""How often a key with a TTL begins anew: a rate-limit window that opens, a cached value that is computed.

A key that lives for its TTL from its writing, and is written by the first request after that, is a renewal
process: at Poisson requests its cycle lasts the TTL and the wait for the next request (Cox, Renewal Theory,
1962). Nothing is evicted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["renewals_per_second", "renewals_within", "zipf_shares"]

_Array = NDArray[np.float64]


def zipf_shares(size: int, exponent: float) -> _Array:
    """Each key's share of the requests under a bounded Zipf law, the most popular first."""
    weights = np.arange(1, size + 1, dtype=np.float64) ** -exponent
    return np.asarray(weights / weights.sum())


def renewals_per_second(requests_per_second: float, shares: _Array, ttl_s: float) -> float:
    """In the long run: of checks, those that open a window; of cached reads, the misses."""
    rates = requests_per_second * shares[shares > 0.0]
    return float((rates / (1.0 + rates * ttl_s)).sum()) if requests_per_second > 0.0 else 0.0


def renewals_within(requests_per_second: float, shares: _Array, ttl_s: float, seconds: float) -> float:
    """Expected number in the first seconds, `ttl_s` at most, after a pre-fill.

    There every key stands, and what is left of its TTL is uniform: it ends at a rate of 1 / TTL, and a
    request has to follow.
    """
    if not 0.0 <= seconds <= ttl_s:
        raise ValueError(f"the first {ttl_s:g} s only, got {seconds:g}")
    rates = requests_per_second * shares[shares > 0.0]
    if requests_per_second <= 0.0:
        return 0.0
    return float(((seconds - -np.expm1(-rates * seconds) / rates) / ttl_s).sum())
