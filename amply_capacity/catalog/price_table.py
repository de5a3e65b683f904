"""The prices and rates as their files hold them, with newer ones put into them, and kept in one step.

Rows that a price list does not speak of stay as they were, byte for byte; so do the figures of a row that is
confirmed, whose source and date alone change.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from amply_capacity.catalog import prices, serverless
from amply_capacity.catalog.compact import as_csv
from amply_capacity.catalog.files import PriceRow, RateRow, SourceRow, read_table
from amply_capacity.catalog.listed_price import Key, ListedPrice
from amply_capacity.catalog.listed_rate import ListedRate, RateKey, key_of
from amply_capacity.disk import on_disk, replacing
from amply_capacity.errors import AmplyError

__all__ = ["PriceTable", "keep_price_table", "read_price_table", "with_listed"]

_LIST = "AWS Price List API, get_products of AmazonElastiCache"


@dataclass(frozen=True, slots=True)
class PriceTable:
    """The rows of `prices.csv` and `rates.csv`, and those of `sources.csv`, whose numbers they name."""

    rows: tuple[PriceRow, ...]
    sources: tuple[SourceRow, ...]
    rates: tuple[RateRow, ...] = ()

    def by_key(self) -> dict[Key, PriceRow]:
        return {row[:4]: row for row in self.rows}


def read_price_table(directory: Path) -> PriceTable:
    """The table in that directory; raises BadInput where a file of it is missing or of another version."""
    return PriceTable(read_table(PriceRow, directory / "prices.csv"),
                      read_table(SourceRow, directory / "sources.csv"),
                      read_table(RateRow, directory / "rates.csv"))


def with_listed(table: PriceTable, listed: Iterable[ListedPrice], read_on: date,
                rates: Iterable[ListedRate] = ()) -> PriceTable:
    """The table with the listed prices and rates in the place of what it had for them.

    Each becomes observed, its source names the list's publication and the day of reading, and `as_of` is that
    day: a price that is on the list was true when it was read.
    """
    rows, day = table.by_key(), read_on.isoformat()
    numbers = {row.text: row.source for row in table.sources}

    def source(published: str) -> str:
        said = f"published {published}" if published else "publication date not said"
        following = 1 + max(map(int, numbers.values()), default=0)
        return numbers.setdefault(f"{_LIST}, {said}, read {day}", str(following))

    for one in listed:
        new, old = one.row(source(one.published), day), rows.get(one.key)
        if old is not None and _same_amounts(old, new):
            new = new._replace(hourly_usd=old.hourly_usd, upfront_usd=old.upfront_usd,
                               effective_hourly_usd=old.effective_hourly_usd)
        rows[one.key] = new
    kept = _with_rates(table.rates, {one.key: one.row(source(one.published), day) for one in rates})
    return PriceTable(tuple(sorted(rows.values())),
                      tuple(SourceRow(number, text) for text, number in numbers.items()), kept)


def keep_price_table(directory: Path, before: PriceTable, after: PriceTable) -> None:
    """Put `after` in the place of `before`, wholly or not at all.

    Raises AmplyError where the files changed since `before` was read, and BadInput or DiskFull where they
    cannot be written; they are as they were then.
    """
    if read_price_table(directory) != before:
        raise AmplyError("the price table is left as it is", got="it changed while the new prices were read",
                         do="start again")
    tables: dict[str, Sequence[tuple[str, ...]]] = {
        "prices.csv": [PriceRow._fields, *after.rows], "rates.csv": [RateRow._fields, *after.rates],
        "sources.csv": [SourceRow._fields, *after.sources]}
    with on_disk(directory / "prices.csv"), contextlib.ExitStack() as files:
        # The last of them takes its place first: a reader never meets a price without its source.
        for name, rows in tables.items():
            files.enter_context(replacing(directory / name)).write_bytes(as_csv(rows).encode())
    prices.forget()
    serverless.forget()


def _with_rates(rows: Sequence[RateRow], listed: Mapping[RateKey, RateRow]) -> tuple[RateRow, ...]:
    """The rows, each in its place with what is listed for it, and new ones where their item's end."""
    left = dict(listed)
    kept = [left.pop(key) if (key := key_of(row)) in left else row for row in rows]
    return tuple(sorted([*kept, *left.values()], key=lambda row: row.item))  # stable: but for the item


def _same_amounts(old: PriceRow, new: PriceRow) -> bool:
    """Whether both say the same dollars, however they write them."""
    cells = ((old.hourly_usd, new.hourly_usd), (old.upfront_usd, new.upfront_usd))
    return all(one == other or (one and other and Decimal(one) == Decimal(other)) for one, other in cells)
