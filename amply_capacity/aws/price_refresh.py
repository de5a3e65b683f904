"""A newer price table from AWS' price list: which regions to ask, what changes, and whether to believe it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from amply_capacity.aws.price_list import read_price_list, some_of
from amply_capacity.aws.session import regions_of
from amply_capacity.catalog.faults import refuse
from amply_capacity.catalog.price_changes import PriceChanges, changes_of
from amply_capacity.catalog.price_checks import missing_shares, oddities
from amply_capacity.catalog.price_table import PriceTable, with_listed
from amply_capacity.catalog.rate_changes import RateChanges, rate_changes_of
from amply_capacity.catalog.rate_checks import why_doubtful
from amply_capacity.errors import AmplyError, BadInput, UnknownName
from amply_capacity.progress import Advance

__all__ = ["Refresh", "read_refresh", "regions_to_ask"]


@dataclass(frozen=True, slots=True)
class Refresh:
    """A table that could be kept, beside the one that stands."""

    regions: tuple[str, ...]
    read_on: date
    published: tuple[str, ...]
    prices: int
    """How many the list holds."""
    silent: tuple[str, ...]
    """Regions that were asked for, and have no node on the list."""
    changes: PriceChanges
    rates: RateChanges
    """Of Serverless and add-ons."""
    left_out: Mapping[str, int]
    before: PriceTable
    after: PriceTable

    def as_json(self, *, kept: bool) -> dict[str, Any]:
        """The object that `amply-capacity prices refresh --json` prints."""
        return {
            "kept": kept,
            "regions": list(self.regions),
            "read_on": self.read_on.isoformat(),
            "published": list(self.published),
            "prices": self.prices,
            "counts": self.changes.counts(),
            **{kind: [change.as_json() for change in found] for kind, found in self.changes.kinds().items()},
            "rates": self.rates.as_json(),
            "left_out": dict(self.left_out),
        }


def regions_to_ask(named: Sequence[str]) -> tuple[str, ...]:
    """The regions named, or all that boto3 knows where none is; raises UnknownName or BadInput.

    Local zones of the table are not among them: the price list keeps them apart from regions.
    """
    known = regions_of("elasticache")
    faults: list[BadInput] = []
    for name in dict.fromkeys(named):
        if name.startswith("cn-"):
            faults.append(BadInput(f"{name} cannot be refreshed", got="China's price list is in CNY",
                                   do="leave it out: the table is in US dollars"))
        elif name not in known:
            faults.append(UnknownName("region", name, known))
    refuse(faults)
    return tuple(dict.fromkeys(named)) or known


def read_refresh(pricing: Any, table: PriceTable, regions: Sequence[str], read_on: date,
                 advance: Advance) -> Refresh:
    """What AWS lists today for those regions, against the table; nothing is kept.

    Raises AmplyError where the list cannot be had whole, where it answers for less than half of what a
    region is known to offer, or where its prices contradict each other. A rate of Serverless or of an add-on
    that cannot be read or believed is told, and stays as it was.
    """
    listed = read_price_list(pricing, regions, advance)
    keys = {one.key for one in listed.prices}
    answering = {key[0] for key in keys}
    missing = missing_shares(table.rows, keys, regions)
    if not keys and not missing:
        missing = [f"no node's price in {', '.join(regions)}"]
    if missing:
        raise AmplyError("the price list came in part", got=some_of(missing),
                         do="try again later, or name the other regions with --region")
    after = with_listed(table, listed.prices, read_on)
    odd = oddities(row for row in after.rows if row[:4] in keys)
    if odd:
        raise AmplyError("the price list contradicts itself",
                         got=some_of([f"{one.rule}: {' '.join(one.key)}, {one.got}" for one in odd]),
                         do="compare with the prices on AWS' pages, or name the other regions with --region")
    doubts = {one: why_doubtful(one, table.rates, after.by_key()) for one in listed.rates}
    rates = [one for one, doubt in doubts.items() if doubt is None]
    unread = [*listed.unread, *(f"{one.usage_type} in {one.region}: {doubt}"
                                for one, doubt in doubts.items() if doubt)]
    return Refresh(
        regions=tuple(regions), read_on=read_on, published=listed.published, prices=len(listed.prices),
        silent=tuple(region for region in regions if region not in answering),
        changes=changes_of(table, listed.prices, regions),
        rates=rate_changes_of(table.rates, rates, regions, unread), left_out=listed.left_out,
        before=table, after=with_listed(after, (), read_on, rates),
    )
