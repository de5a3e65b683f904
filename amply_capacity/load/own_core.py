"""A core of its own for the local server that is loaded, as a node's engine has one.

Without it the system puts server and generator on one core for some seconds and on two for others: a round
trip then costs the server 12 µs or 24, whichever it was, and no model can tell which comes next. A client
beside the server on its core also wakes it with warm caches, which no client of a node ever does.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

__all__ = ["OwnCore"]


@dataclass(frozen=True, slots=True)
class OwnCore:
    """Given until `give_back`; the processes that this one starts meanwhile stay off the core as it does."""

    server_pid: int
    core: int
    before: frozenset[int]
    """The cores that this process could use, and the server."""

    @classmethod
    def take(cls, server_pid: int) -> OwnCore | None:
        """The last of the cores that this process may use; None where there is one, or no such choice."""
        if not hasattr(os, "sched_setaffinity"):
            return None
        cores = frozenset(os.sched_getaffinity(0))
        if len(cores) < 2:
            return None
        core = max(cores)
        try:
            os.sched_setaffinity(server_pid, {core})
            os.sched_setaffinity(0, cores - {core})
        except OSError:  # the server has gone, or is not ours to place
            return None
        return cls(server_pid, core, cores)

    def give_back(self) -> None:
        """Both may use all of the cores again."""
        for pid in (self.server_pid, 0):
            with contextlib.suppress(OSError):
                os.sched_setaffinity(pid, self.before)
