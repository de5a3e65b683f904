"""Which connections have something to read, or room to send: asked of the kernel, all in one call."""

from __future__ import annotations

from typing import Any

from gevent.monkey import get_original

__all__ = ["READ", "WRITE", "Epoll", "LoopWatchers"]

READ, WRITE = 1, 4
"""EPOLLIN and EPOLLOUT (sys/epoll.h)."""
_LIBEV_READ, _LIBEV_WRITE = 1, 2


class Epoll:
    """Linux' epoll, in which gevent's own loop is woken by what is watched here."""

    def __init__(self, loop: Any) -> None:
        self._epoll = get_original("select", "epoll")()  # gevent takes it out of its module
        self.register, self.modify = self._epoll.register, self._epoll.modify
        self.unregister, self.poll = self._epoll.unregister, self._epoll.poll
        self._watcher = loop.io(self._epoll.fileno(), _LIBEV_READ)
        self._watcher.start(lambda: None)  # to be woken is all

    def close(self) -> None:
        """Watch nothing any more."""
        self._watcher.stop()
        self._watcher.close()
        self._epoll.close()


class LoopWatchers:
    """The event loop's own watchers, where there is no epoll: what they tell is noted until the next turn."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._watchers: dict[int, Any] = {}
        self._noted: dict[int, int] = {}

    def register(self, descriptor: int, events: int) -> None:
        """As an epoll's."""
        watcher = self._watchers[descriptor] = self._loop.io(
            descriptor, (_LIBEV_READ if events & READ else 0) | (_LIBEV_WRITE if events & WRITE else 0))
        watcher.start(self._note, descriptor, events)

    def modify(self, descriptor: int, events: int) -> None:
        """As an epoll's."""
        self.unregister(descriptor)
        self.register(descriptor, events)

    def unregister(self, descriptor: int) -> None:
        """As an epoll's."""
        watcher = self._watchers.pop(descriptor)
        watcher.stop()
        watcher.close()
        self._noted.pop(descriptor, None)

    def close(self) -> None:
        """As an epoll's."""
        for descriptor in list(self._watchers):
            self.unregister(descriptor)

    def poll(self, _timeout: float, _most: int) -> list[tuple[int, int]]:
        """What has come since the last call."""
        noted = list(self._noted.items())
        self._noted.clear()
        return noted

    def _note(self, descriptor: int, events: int) -> None:
        self._noted[descriptor] = events
