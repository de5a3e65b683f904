"""Lets the commands of one turn of the event loop leave together.

A command that is sent on its own wakes the server, which answers and sleeps again before the next one: on
loopback waking it is most of what sending costs. Sent in a row, the first wakes it for all.
"""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["Outbox", "Sender"]

_ATTRIBUTE = "amply_outbox"
_BUFFER_BYTES = 65536


class Sender(Protocol):
    """A connection that has something to send."""

    def leave(self, packed: bytes) -> None: ...


class Outbox:
    """The commands that are to leave before the event loop waits the next time.

    `buffer` is what all connections of the loop read into, one after the other. `is_used` is set whenever
    something is sent or received, for whoever wants to know and unsets it.
    """

    def __init__(self, hub: Any) -> None:
        self.buffer = bytearray(_BUFFER_BYTES)
        self.is_used = False
        self._waiting: list[tuple[Sender, bytes]] = []
        self.add = self._waiting.append
        # The last thing before a wait: gevent runs what was spawned there too, and that may send as well.
        self._watcher = hub.loop.prepare(priority=hub.loop.MINPRI)
        self._watcher.start(self.flush)
        hub.loop.run_callback(self.flush)  # a watcher started while its like are run waits for the next turn

    @classmethod
    def of(cls, hub: Any) -> Outbox:
        """The outbox of that event loop, made when first asked for."""
        outbox = getattr(hub, _ATTRIBUTE, None)
        if outbox is None:
            outbox = cls(hub)
            setattr(hub, _ATTRIBUTE, outbox)
        return outbox

    def flush(self) -> None:
        """Have all of them leave, in their order."""
        waiting = self._waiting
        if waiting:
            leaving = waiting[:]
            waiting.clear()
            self.is_used = True
            for sender, packed in leaving:
                sender.leave(packed)
