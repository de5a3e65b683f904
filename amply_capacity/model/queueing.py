"""What a command waits for in a Redis server: its event loop, command by command, compiled by numba.

Redis reads all clients that have something, one after the other, executes each command at once, and writes
the replies when it has been through (networking.c, handleClientsWithPendingWrites, called before it sleeps).
So a reply waits for the rest of its turn, and a command that comes meanwhile for the next one: a queue whose
gate opens once a turn, not first-come-first-served with replies as they are made.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["response_us", "waits_us"]

Floats = NDArray[np.float64]


def waits_us(arrivals_us: Floats, services_us: Floats) -> Floats:
    """What each command waits beyond its own service, µs; arrivals in order, both of shape (commands,)."""
    return response_us(arrivals_us, services_us) - services_us


def response_us(arrivals_us: Floats, services_us: Floats) -> Floats:
    """From the arrival of each command to the end of the turn that serves it, µs."""
    answered: Floats = _turns(np.ascontiguousarray(arrivals_us), np.ascontiguousarray(services_us))
    return answered


def _compiled(function: Any) -> Any:
    return njit(cache=True, nogil=True)(function)


@_compiled
def _turns(arrivals: Any, services: Any) -> Any:
    count = len(arrivals)
    taken = np.empty(count)
    now, place = 0.0, 0
    while place < count:
        now = max(now, arrivals[place])
        opened, first = now, place
        while place < count and arrivals[place] <= opened:
            now += services[place]
            place += 1
        for one in range(first, place):
            taken[one] = now - arrivals[one]
    return taken
