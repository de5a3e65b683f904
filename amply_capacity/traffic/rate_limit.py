"""Use case 2, API rate limiting: a counter per API key and fixed window."""

from __future__ import annotations

from .operation import ALLOWED, LIMITED, Operation

__all__ = ["LIMIT", "RATE_LIMIT_PREFIX", "WINDOW_SECONDS", "check", "counter_key"]

RATE_LIMIT_PREFIX = "rate:"
LIMIT = 300
WINDOW_SECONDS = 60


def counter_key(api_key: str) -> str:
    """The counter of an API key: the spec's middleware passes `api:{api_key}` to check_rate_limit."""
    return f"{RATE_LIMIT_PREFIX}api:{api_key}"


def check(api_key: str, limit: int = LIMIT, window: int = WINDOW_SECONDS) -> Operation:
    """Count a request (check_rate_limit): allowed up to `limit` in the `window` seconds from the first.

    The counting command is the spec's INCR; redis-py's `incr()` spells it `INCRBY key 1` on the wire.
    INCR and EXPIRE are two round trips, as in the spec: a client that dies between them leaves a counter
    without a TTL.
    """
    key = counter_key(api_key)
    count = yield ("INCR", key)
    if count == 1:
        yield ("EXPIRE", key, window)
    return ALLOWED if count <= limit else LIMITED
