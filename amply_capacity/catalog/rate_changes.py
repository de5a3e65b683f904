"""What a price list changes in the catalog's rates: new, changed and confirmed ones, and what it leaves."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from amply_capacity.catalog.files import RateRow
from amply_capacity.catalog.listed_rate import UNITS, ListedRate, RateKey, key_of

__all__ = ["RateChange", "RateChanges", "rate_changes_of"]


@dataclass(frozen=True, slots=True)
class RateChange:
    """One rate before and after, in its unit; None where it was, or is, not there."""

    item: str
    region: str
    engine: str
    node_type: str
    was: float | None
    now: float | None

    @property
    def unit(self) -> str:
        return UNITS[self.item]

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in (*self.__slots__, "unit")}


@dataclass(frozen=True, slots=True)
class RateChanges:
    """Every change, by name; those that are gone stay in the catalog as they were."""

    new: tuple[RateChange, ...]
    changed: tuple[RateChange, ...]
    gone: tuple[RateChange, ...]
    unchanged: int
    unread: tuple[str, ...] = ()
    """What the list holds and cannot be read or believed, each with the reason: those stay, too."""

    @property
    def listed(self) -> int:
        """How many were read."""
        return len(self.new) + len(self.changed) + self.unchanged

    def as_json(self) -> dict[str, Any]:
        kinds = {"new": self.new, "changed": self.changed, "gone": self.gone}
        return {"unchanged": self.unchanged, "unread": list(self.unread),
                **{name: [one.as_json() for one in found] for name, found in kinds.items()}}


def rate_changes_of(rows: Iterable[RateRow], listed: Iterable[ListedRate], regions: Collection[str],
                    unread: Iterable[str] = ()) -> RateChanges:
    """What the list says otherwise than these rows, in the regions that were asked for."""
    before: dict[RateKey, Decimal] = {key: Decimal(row.amount) for row in rows
                                      if (key := key_of(row)) is not None and key[1] in regions}
    now = {one.key: one.amount for one in listed}
    both = sorted(before.keys() & now.keys())
    changed = [RateChange(*key, float(before[key]), float(now[key])) for key in both
               if before[key] != now[key]]
    return RateChanges(
        new=tuple(RateChange(*key, None, float(now[key])) for key in sorted(now.keys() - before.keys())),
        changed=tuple(changed),
        gone=tuple(RateChange(*key, float(before[key]), None) for key in sorted(before.keys() - now.keys())),
        unchanged=len(both) - len(changed), unread=tuple(unread))
