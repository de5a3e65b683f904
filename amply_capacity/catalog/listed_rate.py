"""A rate as a price list states it, and as a row of the catalog's rates: Serverless, and add-ons of nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from amply_capacity.catalog.files import RateRow

__all__ = ["OF_NODES", "UNITS", "ListedRate", "RateKey", "key_of"]

RateKey = tuple[str, str, str, str]
"""Item, region, engine, node type; the last is empty for what no node has."""

_ON_TOP = "USD per node-hour, on top of the node price"
UNITS: Mapping[str, str] = {
    "serverless_storage": "USD per GB-hour", "serverless_ecpu": "USD per million ECPU",
    "extended_support_surcharge_Yr1_Yr2": _ON_TOP, "extended_support_surcharge_Yr3": _ON_TOP,
    "sync_durability_addon": _ON_TOP,
}
"""The items that a price list has, each with its unit in the catalog."""
OF_NODES = frozenset(item for item, unit in UNITS.items() if unit == _ON_TOP)


@dataclass(frozen=True, slots=True)
class ListedRate:
    """One rate, read and not inferred."""

    item: str
    region: str
    engine: str
    node_type: str
    amount: Decimal
    """In the item's unit."""
    usage_type: str
    """AWS' own name of it, as a bill shows it."""
    published: str
    """ISO date of the price list's publication; empty where it does not say."""

    @property
    def key(self) -> RateKey:
        return self.item, self.region, self.engine, self.node_type

    def row(self, source: str, as_of: str) -> RateRow:
        """The table's row; `source` is a number of `sources.csv`, `as_of` the ISO date of the reading."""
        detail = "; ".join(part for part in (self.node_type, self.usage_type) if part)
        return RateRow(self.item, self.region, self.engine, UNITS[self.item],
                       format(self.amount.normalize(), "f"), detail, source, as_of)


def key_of(row: RateRow) -> RateKey | None:
    """By what a price list would replace the row; None for what no price list has."""
    if row.item not in UNITS:
        return None
    node_type = row.detail.partition(";")[0] if row.item in OF_NODES else ""
    return row.item, row.region, row.engine, node_type
