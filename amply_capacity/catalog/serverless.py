"""Rates that no node's price holds: ElastiCache Serverless, backups, transfer, Extended Support, add-ons."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from decimal import Decimal

from amply_capacity.catalog.faults import refuse
from amply_capacity.catalog.files import CATALOG_DIR, RateRow, read_table, source_texts
from amply_capacity.catalog.prices import name_faults
from amply_capacity.errors import BadInput, NotOffered

__all__ = ["Rate", "Serverless", "amount", "forget", "node_rate", "rates", "serverless"]


@dataclass(frozen=True, slots=True)
class Rate:
    """One rate with its source."""

    item: str
    region: str
    """A region's name, or `all`."""
    engine: str
    """`redis`, `valkey`, `redis/valkey` or `all`."""
    unit: str
    """What `amount` counts, e.g. `USD per GB-hour`; a few items are ratios or gigabytes."""
    amount: float | None
    """None where the item is a rule in words, in `detail`."""
    detail: str
    """For a rate of one node type, its name up to the first semicolon."""
    source: str
    as_of: str


@dataclass(frozen=True, slots=True)
class Serverless:
    """What a serverless cache of one engine costs in one region."""

    storage: Rate
    """USD per GB-hour."""
    ecpus: Rate
    """USD per million ElastiCache Processing Units."""
    minimum_storage: Rate
    """GB per cache that are billed even when it is empty."""


def serverless(region: str, engine: str) -> Serverless:
    """The three rates; raises UnknownName, or NotOffered where the region has no serverless caches."""
    refuse(name_faults(region, engine))
    found = [rates(item, region, engine) for item in ("serverless_storage", "serverless_ecpu")]
    if not all(found):
        sold = sorted({rate.region for rate in rates("serverless_storage")})
        raise NotOffered(f"serverless caches are not offered in {region}", got="no price there",
                         do=f"choose a node type, or one of the {len(sold)} regions: {', '.join(sold)}")
    return Serverless(found[0][0], found[1][0], rates("serverless_minimum_metered_storage", engine=engine)[0])


def rates(item: str, region: str | None = None, engine: str | None = None) -> tuple[Rate, ...]:
    """The rates of that item, with a region or engine those that hold there; empty where there is none."""
    return tuple(
        rate for rate in _rates().get(item, ())
        if (region is None or rate.region in (region, "all"))
        and (engine is None or rate.engine == "all" or engine in rate.engine.split("/"))
    )


def node_rate(item: str, region: str, node_type: str) -> Rate | None:
    """The rate of that item that was read for that very node type there; None where none was."""
    return next((rate for rate in rates(item, region) if rate.detail.partition(";")[0] == node_type), None)


def amount(rate: Rate) -> Decimal:
    """The rate's number as it is written; raises BadInput where the catalog lost it."""
    if rate.amount is None:
        raise BadInput("the catalog's rates lack a number", got=f"{rate.item} of {rate.region}",
                       do="restore data/catalog, or rebuild it with "
                          "`python -m amply_capacity.catalog.compact`")
    return Decimal(repr(rate.amount))


def forget() -> None:
    """Read the rates anew at the next question: they have been replaced."""
    _rates.cache_clear()


@functools.cache
def _rates() -> dict[str, list[Rate]]:
    """By item, in the file's order."""
    texts = source_texts()
    found: dict[str, list[Rate]] = {}
    for row in read_table(RateRow, CATALOG_DIR / "rates.csv"):
        found.setdefault(row.item, []).append(
            Rate(row.item, row.region, row.engine, row.unit, float(row.amount) if row.amount else None,
                 row.detail, texts[row.source], row.as_of))
    return found
