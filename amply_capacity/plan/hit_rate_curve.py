"""Hit rate and evictions of a demand's peak hour, at every memory that a node type offers.

The traffic is made up from the demand (`model.synthesis`): as many keys as it has, used as often as it says,
as unevenly as the load test's population. Three worlds are played: that in which every number is its median,
and those whose need of memory is the 5 % and the 95 % quantile.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

import numpy as np

from amply_capacity.catalog.nodes import NodeType
from amply_capacity.interval import Interval
from amply_capacity.model.eviction import Outcome, Setting, emulated
from amply_capacity.model.layout import Layout
from amply_capacity.model.memory import Server
from amply_capacity.model.shapes import RunShapes
from amply_capacity.model.synthesis import synthesise
from amply_capacity.model.workload import Workload as Played
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.key_classes import key_classes
from amply_capacity.plan.memory import Course, Holder, Median, course
from amply_capacity.plan.worlds import Worlds

__all__ = ["HitRateCurve", "Point", "hit_rate_curve"]

_WORLDS = 2000
_QUANTILES = (0.05, 0.95)
_WARM_UP_S, _MEASURED_S = 900.0, 1800.0
_MOST_USES = 800_000
_SIZES = 9
_LEAST_SHARE = 0.55
"""Of the memory needed: with less, even the keys that cannot be evicted hardly fit."""
_TABLE = "hash table of the keys"


@dataclass(frozen=True, slots=True)
class Point:
    """What a maxmemory gives: the median world, and the worlds of least and of most need."""

    memory_bytes: int
    hit_rate: Interval
    evictions_per_minute: Interval


@dataclass(frozen=True, slots=True)
class HitRateCurve:
    """Points by memory, ascending, the last without a limit; and what each node type leaves for keys."""

    points: tuple[Point, ...]
    unlimited: Point
    needed: Interval
    """Bytes of `used_memory` when nothing is evicted."""
    node_types: tuple[tuple[str, int], ...]

    def at(self, memory_bytes: int) -> Point:
        """The point of a memory; of one beyond the largest, where nothing is evicted, the last."""
        return next((point for point in self.points if point.memory_bytes >= memory_bytes), self.unlimited)


def hit_rate_curve(demand: Demand, shapes: RunShapes, layout: Layout, node_types: Sequence[NodeType], *,
                   month: int = 0, policy: str = "volatile-lru", samples: int = 5,
                   reserved_memory_percent: float = 25.0, seed: int = 1,
                   start: date | None = None) -> HitRateCurve:
    """The curve of that month's peak hour; `start` is month 0, for the demand's campaigns.

    Raises BadRun where the run's shapes lack a class of keys.
    """
    holder = Holder(layout, Server())
    median, found = (course(demand, shapes, holder, worlds, start)
                     for worlds in (Median(), Worlds(_WORLDS, seed, demand.correlated)))
    least, most = np.quantile(found.used[:, month], _QUANTILES)
    middle = float(np.clip(median.used[0, month], least, most))
    chosen = [(median, 0), *((found, int(np.argmin(np.abs(found.used[:, month] - one)))) for one in (least,
                                                                                                     most))]
    usable = sorted({(one.name, one.usable_bytes(reserved_memory_percent)) for one in node_types},
                    key=lambda pair: (pair[1], pair[0]))
    memories = _memories(float(least), float(most), [size for _, size in usable])
    setups = [(_traffic(each, shapes, layout, world, month, seed),
               _setting(each, layout, world, month, policy, samples)) for each, world in chosen]
    with ThreadPoolExecutor(2) as pool:
        of_worlds = list(pool.map(lambda setup: _outcomes(setup[0], setup[1], memories), setups))
    minutes = setups[0][0].seconds / 60.0
    points = []
    for memory, *own in zip(memories, *of_worlds, strict=True):
        points.append(Point(memory, _between([one.hit_rate for one in own]),
                            _between([one.evictions / minutes for one in own])))
    return HitRateCurve(tuple(points), points[-1], Interval(float(least), middle, float(most)),
                        tuple(usable))


def _outcomes(played: Played, setting: Setting, memories: Sequence[int]) -> list[Outcome]:
    """At each memory, ascending: where nothing is evicted any more, all larger ones are alike."""
    found: list[Outcome] = []
    for memory in memories:
        is_roomy = bool(found) and found[-1].evictions == 0.0
        found.append(found[-1] if is_roomy else emulated(played, setting, memory))
    return found


def _memories(least: float, most: float, usable: Sequence[int]) -> list[int]:
    """Between the least and the most that matters, those of node types among them."""
    first, last = _LEAST_SHARE * least, 1.15 * most
    inner = [size for size in usable if first < size < last]
    return sorted({*(round(size) for size in np.geomspace(first, last, _SIZES)), *inner})


def _setting(found: Course, layout: Layout, world: int, month: int, policy: str, samples: int) -> Setting:
    """What cannot be evicted is there whatever happens; the emulator keeps the table of the keys itself."""
    lasting = sum(float(each[world, month]) for name, each in found.items.items()
                  if name not in found.evictable and not name.startswith(_TABLE))
    return Setting(layout, Interval.exact(lasting), policy, samples)


def _traffic(found: Course, shapes: RunShapes, layout: Layout, world: int, month: int, seed: int) -> Played:
    def bytes_of(name: str) -> int:
        entry = layout.key(8, True) - layout.key(8, False)  # of the TTL: the emulator adds it
        return max(round(shapes.classes[name].bytes_each(layout).mid) - entry, 1)

    load = found.load
    classes = key_classes(load, world, month, bytes_of)
    uses = sum(each.uses_per_second for each in classes) * (_WARM_UP_S + _MEASURED_S)
    share = min(1.0, _MOST_USES / max(uses + load.sessions[world, month], 1.0))
    return synthesise(classes, seconds=_MEASURED_S, warm_up_seconds=_WARM_UP_S, share=share, seed=seed)


def _between(values: Sequence[float]) -> Interval:
    """The median world, which comes first, within the least and the most of all."""
    return Interval(float(min(values)), float(values[0]), float(max(values)))
