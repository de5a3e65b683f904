"""What a command waits for in a Redis server: its event loop, command by command, compiled by numba.

Redis reads all clients that have something, one after the other, executes each command at once, and writes
the replies when it has been through (networking.c, handleClientsWithPendingWrites, called before it sleeps).
So a reply waits for the rest of its turn, and a command that comes meanwhile for the next one: a queue whose
gate opens once a turn, not first-come-first-served with replies as they are made. An operation of several
round trips sends the next one when the last was answered and the network has carried both: it comes back into
the same rush, so that its waits go together.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["response_us", "waited_us"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def response_us(arrivals_us: Floats, services_us: Floats) -> Floats:
    """From the arrival of each command to the end of the turn that serves it, µs; arrivals in order."""
    count = len(arrivals_us)
    return waited_us(arrivals_us, np.arange(count + 1), services_us, np.zeros(count)) + services_us


def waited_us(starts_us: Floats, places: Ints, services_us: Floats, between_us: Floats) -> Floats:
    """What the round trips of each operation wait in all beyond their own services, µs, shape (operations,).

    Operations start in order; the services of the i-th are `services_us[places[i]:places[i + 1]]`, and from a
    reply to its next arrival there are `between_us[i]`.
    """
    waited: Floats = _turns(np.ascontiguousarray(starts_us), np.ascontiguousarray(places),
                            np.ascontiguousarray(services_us), np.ascontiguousarray(between_us))
    return waited


def _compiled(function: Any) -> Any:
    return njit(cache=True, nogil=True)(function)


@_compiled
def _turns(starts: Any, places: Any, services: Any, between: Any) -> Any:
    count = len(starts)
    waited, trip = np.zeros(count), places[:-1].copy()
    later = [(0.0, 0)]
    later.pop()
    now, begun = 0.0, 0
    turn = np.empty(count, dtype=np.int64)  # the operations of a turn, and when each came
    came = np.empty(count)
    while begun < count or later:
        first = np.inf if begun == count else starts[begun]
        if later and later[0][0] < first:
            first = later[0][0]
        now = max(now, first)
        opened, served = now, 0
        while True:
            if later and later[0][0] <= opened and (begun == count or later[0][0] <= starts[begun]):
                arrived, one = heappop(later)
            elif begun < count and starts[begun] <= opened:
                arrived, one = starts[begun], begun
                begun += 1
                if trip[one] == places[one + 1]:
                    continue  # it asks nothing
            else:
                break
            turn[served], came[served] = one, arrived
            served += 1
            now += services[trip[one]]
        for place in range(served):
            one = turn[place]
            waited[one] += now - came[place] - services[trip[one]]
            trip[one] += 1
            if trip[one] < places[one + 1]:
                heappush(later, (now + between[one], one))
    return waited
