"""Moments as the application writes them: naive UTC, in ISO 8601, as `datetime.utcnow().isoformat()` does."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache

__all__ = ["utc_text"]

_EPOCH = datetime(1970, 1, 1)


def utc_text(unix_s: float) -> str:
    """That moment of Unix time; only its microseconds are new each time, so for a third of an `isoformat`."""
    second, us = divmod(round(unix_s * 1e6), 1_000_000)
    return f"{_whole_second(second)}.{us:06}" if us else _whole_second(second)


@lru_cache(16)
def _whole_second(unix_s: int) -> str:
    return (_EPOCH + timedelta(seconds=unix_s)).isoformat()
