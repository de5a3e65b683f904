"""The price table as its two files hold it, with newer prices put into it, and kept in one step.

Rows that a price list does not speak of stay as they were, byte for byte; so do the figures of a row that is
confirmed, whose source and date alone change.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from amply_capacity.catalog import prices
from amply_capacity.catalog.compact import as_csv
from amply_capacity.catalog.files import PriceRow, SourceRow, read_table
from amply_capacity.catalog.listed_price import Key, ListedPrice
from amply_capacity.disk import on_disk, replacing
from amply_capacity.errors import AmplyError

__all__ = ["PriceTable", "keep_price_table", "read_price_table", "with_listed"]

_LIST = "AWS Price List API, get_products of AmazonElastiCache"


@dataclass(frozen=True, slots=True)
class PriceTable:
    """The rows of `prices.csv`, and those of `sources.csv`, whose numbers they name."""

    rows: tuple[PriceRow, ...]
    sources: tuple[SourceRow, ...]

    def by_key(self) -> dict[Key, PriceRow]:
        return {row[:4]: row for row in self.rows}


def read_price_table(directory: Path) -> PriceTable:
    """The table in that directory; raises BadInput where a file of it is missing or of another version."""
    return PriceTable(read_table(PriceRow, directory / "prices.csv"),
                      read_table(SourceRow, directory / "sources.csv"))


def with_listed(table: PriceTable, listed: Iterable[ListedPrice], read_on: date) -> PriceTable:
    """The table with the listed prices in the place of what it had for them.

    Each becomes observed, its source names the list's publication and the day of reading, and `as_of` is that
    day: a price that is on the list was true when it was read.
    """
    rows = table.by_key()
    numbers = {row.text: row.source for row in table.sources}
    following = 1 + max((int(number) for number in numbers.values()), default=0)
    for one in listed:
        published = f"published {one.published}" if one.published else "publication date not said"
        text = f"{_LIST}, {published}, read {read_on.isoformat()}"
        if text not in numbers:
            numbers[text], following = str(following), following + 1
        new, old = one.row(numbers[text], read_on.isoformat()), rows.get(one.key)
        if old is not None and _same_amounts(old, new):
            new = new._replace(hourly_usd=old.hourly_usd, upfront_usd=old.upfront_usd,
                               effective_hourly_usd=old.effective_hourly_usd)
        rows[one.key] = new
    return PriceTable(tuple(sorted(rows.values())),
                      tuple(SourceRow(number, text) for text, number in numbers.items()))


def keep_price_table(directory: Path, before: PriceTable, after: PriceTable) -> None:
    """Put `after` in the place of `before`, wholly or not at all.

    Raises AmplyError where the files changed since `before` was read, and BadInput or DiskFull where they
    cannot be written; they are as they were then.
    """
    if read_price_table(directory) != before:
        raise AmplyError("the price table is left as it is", got="it changed while the new prices were read",
                         do="start again")
    table, sources = directory / "prices.csv", directory / "sources.csv"
    # The sources take their place first: a reader never meets a price without its source.
    with on_disk(table), replacing(table) as new_table, replacing(sources) as new_sources:
        new_table.write_bytes(as_csv([PriceRow._fields, *after.rows]).encode())
        new_sources.write_bytes(as_csv([SourceRow._fields, *after.sources]).encode())
    prices.forget()


def _same_amounts(old: PriceRow, new: PriceRow) -> bool:
    """Whether both say the same dollars, however they write them."""
    cells = ((old.hourly_usd, new.hourly_usd), (old.upfront_usd, new.upfront_usd))
    return all(one == other or (one and other and Decimal(one) == Decimal(other)) for one, other in cells)
