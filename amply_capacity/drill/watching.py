"""Looking at servers beside the load, from threads of their own, for as long as a drill lasts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Self

__all__ = ["Watching"]

_JOIN_SECONDS = 5.0


class Watching:
    """Within: one thread for each of `watches`, which look at `stopping` as they go."""

    def __init__(self, watches: Sequence[Callable[[], None]]) -> None:
        self.stopping = threading.Event()
        self._threads = [threading.Thread(target=watch, daemon=True) for watch in watches]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)
