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


def renewals_within(requests_per_second: float, shares: _Array, ttl_s: float, seconds: float,
                    filled_before_s: float = 0.0) -> float:
    """Expected number in the first seconds, after a pre-fill so long before; `ttl_s` at most together.

    When it is filled, every key stands, and what is left of its TTL is uniform: it ends at a rate of 1 / TTL,
    and a request has to follow.
    """
    if not (seconds >= 0.0 and filled_before_s >= 0.0 and seconds + filled_before_s <= ttl_s):
        raise ValueError(f"the first {ttl_s:g} s after the pre-fill only, got {seconds:g} that begin "
                         f"{filled_before_s:g} s after it")
    rates = requests_per_second * shares[shares > 0.0]
    if requests_per_second <= 0.0:
        return 0.0
    asked_for = -np.expm1(-rates * seconds)
    return float(((seconds - asked_for / rates + filled_before_s * asked_for) / ttl_s).sum())
