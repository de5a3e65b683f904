"""A bill of memory: its lines, what comes on top for a while, and their sums."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from amply_capacity.interval import Interval
from amply_capacity.model.layout import Layout

__all__ = ["COUNTED", "NOT_COUNTED", "OUTSIDE", "Bill", "Item", "Peak", "added", "hull"]

COUNTED = "counted for eviction"
NOT_COUNTED = "in used_memory, not counted for eviction"
OUTSIDE = "outside used_memory"


@dataclass(frozen=True, slots=True)
class Item:
    """A line of the bill."""

    what: str
    bytes: Interval
    keys: float = 0.0
    is_evictable: bool = False
    """Whether a volatile policy may free it: it belongs to keys with a TTL."""

    def as_json(self) -> dict[str, Any]:
        return {"what": self.what, **_whole(self.bytes), "keys": round(self.keys),
                "evictable": self.is_evictable}


@dataclass(frozen=True, slots=True)
class Peak:
    """What may be needed beside the bill for seconds or minutes."""

    what: str
    bytes: Interval
    where: str = COUNTED
    """COUNTED, NOT_COUNTED (mem_not_counted_for_evict) or OUTSIDE."""

    def as_json(self) -> dict[str, Any]:
        return {"what": self.what, **_whole(self.bytes), "where": self.where}


@dataclass(frozen=True, slots=True)
class Bill:
    """What `used_memory` consists of, and what comes on top for a while."""

    items: tuple[Item, ...]
    peaks: tuple[Peak, ...]
    """Not in the sum."""
    used: Interval
    """`mid` is the sum of the items' mids; the bounds hold what the items' bounds make together."""
    unevictable: Interval
    """What stays when every key with a TTL has been evicted."""
    layout: str
    verified_on: str | None
    """The server that the layout was held against; None: it follows from source and was never run."""
    allocator: str

    @classmethod
    def of(cls, items: Sequence[Item], peaks: Iterable[Peak], layout: Layout) -> Bill:
        """The bill whose lines err independently of each other."""
        return cls(tuple(items), tuple(peaks), added(item.bytes for item in items),
                   added(item.bytes for item in items if not item.is_evictable),
                   layout.name, layout.verified_on, layout.allocator.name)

    def widened(self, other: Bill) -> Bill:
        """This bill with bounds that also hold another one's, made for the same keyspace."""
        items = [replace(mine, bytes=hull(mine.bytes, theirs.bytes))
                 for mine, theirs in zip(self.items, other.items, strict=True)]
        peaks = [replace(mine, bytes=hull(mine.bytes, theirs.bytes))
                 for mine, theirs in zip(self.peaks, other.peaks, strict=True)]
        return replace(self, items=tuple(items), peaks=tuple(peaks), used=hull(self.used, other.used),
                       unevictable=hull(self.unevictable, other.unevictable))

    def as_json(self) -> dict[str, Any]:
        used, unevictable = _whole(self.used), _whole(self.unevictable)
        return {
            "used_memory_bytes": used["bytes"], "low": used["low"], "high": used["high"],
            "unevictable_bytes": unevictable["bytes"], "unevictable_low": unevictable["low"],
            "unevictable_high": unevictable["high"],
            "items": [item.as_json() | {"share": round(item.bytes.mid / self.used.mid, 6)}
                      for item in self.items],
            "peaks": [peak.as_json() for peak in self.peaks],
            "layout": self.layout, "verified_on": self.verified_on, "allocator": self.allocator,
        }


def added(parts: Iterable[Interval]) -> Interval:
    """The sum of numbers that err independently of each other."""
    chosen = list(parts)
    mid = math.fsum(part.mid for part in chosen)
    return Interval(mid - math.hypot(*(part.mid - part.low for part in chosen)), mid,
                    mid + math.hypot(*(part.high - part.mid for part in chosen)))


def hull(first: Interval, second: Interval) -> Interval:
    """The first one with bounds that hold both."""
    return Interval(min(first.low, second.low), first.mid, max(first.high, second.high), first.confidence)


def _whole(value: Interval) -> dict[str, int]:
    return {"bytes": round(value.mid), "low": round(value.low), "high": round(value.high)}
