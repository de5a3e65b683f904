"""A price as a price list states it, and as a row of the catalog's table."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from amply_capacity.catalog.files import PriceRow

__all__ = ["HOURS_OF_TERM", "Key", "ListedPrice"]

Key = tuple[str, str, str, str]
"""Region, engine, node type, term."""

HOURS_OF_TERM = {"1yr": 8_760, "3yr": 26_280}
_EFFECTIVE_DIGITS = Decimal("1e-10")


@dataclass(frozen=True, slots=True)
class ListedPrice:
    """One node for one hour under one term, US dollars, all of it read and none inferred."""

    region: str
    engine: str
    node_type: str
    term: str
    hourly_usd: Decimal
    upfront_usd: Decimal
    """Paid once; 0 on demand."""
    published: str
    """ISO date of the price list's publication; empty where it does not say."""

    @property
    def key(self) -> Key:
        return self.region, self.engine, self.node_type, self.term

    @property
    def effective_hourly_usd(self) -> Decimal:
        """The hourly rate plus the upfront fee spread over the hours of the term."""
        hours = HOURS_OF_TERM.get(self.term.partition("_")[0])
        return self.hourly_usd if hours is None else self.hourly_usd + self.upfront_usd / hours

    def row(self, source: str, as_of: str) -> PriceRow:
        """The table's row; `source` is a number of `sources.csv`, `as_of` the ISO date of the reading."""
        upfront = "" if self.term == "on_demand" else _plain(self.upfront_usd)
        effective = _plain(self.effective_hourly_usd.quantize(_EFFECTIVE_DIGITS))
        return PriceRow(*self.key, _plain(self.hourly_usd), upfront, effective, "no", "", source, as_of)


def _plain(usd: Decimal) -> str:
    """`0.017`, `1228`, `0`: no exponent and no zeros at the end."""
    return format(usd.normalize(), "f")
