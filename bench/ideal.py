"""How late anything is that fills a share of this core: one queue of equal pieces of work, and nothing else.

    python -m bench.ideal SEED SHARE...     prints a line of JSON for each share of what it does flat out

No sockets, no other process, nothing that comes once a second. Where even these begin late, the core was
away, or slower for a while than it is as a rule, as one is whose other half works for somebody else: no
generator that fills it as much keeps its schedule better.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
from itertools import islice
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amply_capacity.traffic.arrivals import positions

__all__ = ["main"]

_OBJECTS, _PIECE = 5000, 100
"""As much memory as a few dozen clients have, a piece of some 10 µs at a time."""
_FLAT_OUT_SECONDS, _SECONDS = 3, 5


class _Work:
    def __init__(self) -> None:
        self._objects: list[dict[str, Any]] = [{"number": number, "parts": [number] * 8, "name": str(number)}
                                               for number in range(_OBJECTS)]
        self._place = 0

    def do_a_piece(self) -> None:
        total, place = 0, self._place
        for each in self._objects[place:place + _PIECE]:
            total += each["number"] + len(each["name"])
            each["parts"][3] = total & 255
        self._place = (place + _PIECE) % _OBJECTS


def main(seed: int, shares: list[float]) -> None:
    work = _Work()
    most = statistics.median(_flat_out(work) for _ in range(_FLAT_OUT_SECONDS))
    for share in shares:
        due_s, late_s = _scheduled(work, share * most, random.Random(f"{seed}/{share}"))
        p99s_ms = [1000.0 * float(np.quantile(late_s[np.floor(due_s) == second], 0.99))
                   for second in range(_SECONDS)]
        print(json.dumps({"share": share, "p99_ms": 1000.0 * float(np.quantile(late_s, 0.99)),
                          "median_second_ms": statistics.median(p99s_ms)}), flush=True)


def _flat_out(work: _Work) -> float:
    """Pieces in a second."""
    count, until = 0, perf_counter() + 1.0
    while perf_counter() < until:
        work.do_a_piece()
        count += 1
    return count


def _scheduled(work: _Work, per_second: float, rng: random.Random
               ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """When each piece was due (Poisson), and how much later it began; seconds."""
    due_s = [place / per_second for place in islice(positions("poisson", rng), int(per_second * _SECONDS))]
    late_s, began = [], perf_counter()
    for due in due_s:
        now = perf_counter() - began
        while now < due:
            now = perf_counter() - began
        late_s.append(now - due)
        work.do_a_piece()
    return np.array(due_s), np.array(late_s)


if __name__ == "__main__":
    main(int(sys.argv[1]), [float(word) for word in sys.argv[2:]])
