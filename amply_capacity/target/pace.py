"""Commands at a bounded rate, so that a question to a live server costs it a known share of its time."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Pace"]


class Pace:
    """Whoever asks waits until the commands asked for before have had their time."""

    def __init__(self, per_second: float, *, clock: Callable[[], float] = time.monotonic,
                 sleep: Callable[[float], None] = time.sleep) -> None:
        self.per_second = per_second
        self._clock, self._sleep = clock, sleep
        self._free_at = clock()

    def ask(self, commands: float) -> None:
        """Wait until so many commands may be sent at once."""
        now = self._clock()
        if self._free_at > now:
            self._sleep(self._free_at - now)
        self._free_at = max(self._free_at, now) + commands / self.per_second
