"""The reconnect storm: how many connections the servers were asked for, and how many at its worst."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import pairwise

from amply_capacity.drill.observer import Sample

__all__ = ["Storm", "storm_of"]

_WINDOW_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Storm:
    """Connections that the data servers received from the fault on, Sentinels' and replicas' among them."""

    connections: int
    peak_per_second: int
    """In any one second."""
    usual_per_second: float
    """Before the fault."""

    def as_json(self) -> dict[str, float]:
        return {**asdict(self), "usual_per_second": round(self.usual_per_second, 2)}


def storm_of(samples: Iterable[Sample], fault_s: float) -> Storm:
    """From the samples of all servers; one that began anew has received what it says since then."""
    received = _received(samples)
    after = [(time_s, count) for time_s, count in received if time_s >= fault_s]
    before = [(time_s, count) for time_s, count in received if time_s < fault_s]
    seconds = fault_s - before[0][0] if before else 0.0
    usual = sum(count for _, count in before) / seconds if seconds > 0.0 else 0.0
    peak = max((sum(count for other_s, count in after if time_s - _WINDOW_SECONDS < other_s <= time_s)
                for time_s, count in after if count), default=0)
    return Storm(sum(count for _, count in after), peak, usual)


def _received(samples: Iterable[Sample]) -> list[tuple[float, int]]:
    """How many connections came until each sample, since that server's last one; in the order of time."""
    by_node: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_node[sample.node].append(sample)
    counted = []
    for series in by_node.values():
        for earlier, later in pairwise(sorted(series, key=lambda one: one.time_s)):
            begins = earlier.connections_received if later.run_id == earlier.run_id else 0
            counted.append((later.time_s, later.connections_received - begins))
    return sorted(counted)
