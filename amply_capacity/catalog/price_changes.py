"""What a price list changes in the table: new, gone, dearer and cheaper prices, by effective hourly rate."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from amply_capacity.catalog.files import PriceRow
from amply_capacity.catalog.listed_price import ListedPrice
from amply_capacity.catalog.price_table import PriceTable

__all__ = ["Change", "PriceChanges", "changes_of"]

_SAME = 1e-4
"""Effective rates that differ by less are one price: the sources round them differently (0.01 %)."""


@dataclass(frozen=True, slots=True)
class Change:
    """One price before and after; None where it was, or is, not there."""

    region: str
    engine: str
    node_type: str
    term: str
    was_usd_per_hour: float | None
    now_usd_per_hour: float | None

    @property
    def relative(self) -> float | None:
        """0.05 for 5 % dearer; None for a price that is new or gone."""
        if self.was_usd_per_hour is None or self.now_usd_per_hour is None:
            return None
        return self.now_usd_per_hour / self.was_usd_per_hour - 1.0

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class PriceChanges:
    """Every change, the biggest first: by hourly rate where new or gone, else relatively."""

    new: tuple[Change, ...]
    gone: tuple[Change, ...]
    """In the table, in a region that was asked for, and not on the list: they stay as they were."""
    dearer: tuple[Change, ...]
    cheaper: tuple[Change, ...]
    unchanged: int
    """Prices that the list confirms: their source and date alone change."""

    def kinds(self) -> dict[str, tuple[Change, ...]]:
        return {"new": self.new, "gone": self.gone, "dearer": self.dearer, "cheaper": self.cheaper}

    def counts(self) -> dict[str, int]:
        return {name: len(found) for name, found in self.kinds().items()} | {"unchanged": self.unchanged}


def changes_of(table: PriceTable, listed: Iterable[ListedPrice], regions: Collection[str]) -> PriceChanges:
    """What the list says otherwise than the table, in the regions that were asked for."""
    before = {key: row for key, row in table.by_key().items() if key[0] in regions}
    now = {one.key: one for one in listed}
    unchanged = 0
    dearer: list[Change] = []
    cheaper: list[Change] = []
    for key in before.keys() & now.keys():
        change = Change(*key, _effective(before[key]), float(now[key].effective_hourly_usd))
        relative = change.relative or 0.0
        if abs(relative) <= _SAME:
            unchanged += 1
        else:
            (dearer if relative > 0.0 else cheaper).append(change)
    new = [Change(*key, None, float(now[key].effective_hourly_usd)) for key in now.keys() - before.keys()]
    gone = [Change(*key, _effective(before[key]), None) for key in before.keys() - now.keys()]
    return PriceChanges(
        new=_biggest(new), gone=_biggest(gone), dearer=_biggest(dearer), cheaper=_biggest(cheaper),
        unchanged=unchanged,
    )


def _effective(row: PriceRow) -> float:
    return float(row.effective_hourly_usd)


def _biggest(found: Iterable[Change]) -> tuple[Change, ...]:
    def size(change: Change) -> float:
        if change.relative is not None:
            return abs(change.relative)
        return change.now_usd_per_hour or change.was_usd_per_hour or 0.0

    names = ("region", "engine", "node_type", "term")
    return tuple(sorted(found, key=lambda one: (-size(one), *(getattr(one, name) for name in names))))
