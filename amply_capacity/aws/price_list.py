"""AWS' price list for ElastiCache, page by page and region by region, to node prices and rates.

Source: AWS Price List Query API, GetProducts. Its few endpoints answer for all regions alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from amply_capacity.aws.price_item import read_item
from amply_capacity.aws.session import client, explained
from amply_capacity.catalog.listed_price import Key, ListedPrice
from amply_capacity.catalog.listed_rate import ListedRate, RateKey
from amply_capacity.errors import AmplyError
from amply_capacity.progress import Advance

__all__ = ["PriceList", "pricing_client", "read_price_list", "some_of"]

ACTION = "pricing:GetProducts"
_SERVICE = "AmazonElastiCache"
_ENDPOINT_REGION = "us-east-1"
_PAGE_SIZE = 100
_FAULTS_SAID = 5


@dataclass(frozen=True, slots=True)
class PriceList:
    """The node prices and the rates of some regions."""

    prices: tuple[ListedPrice, ...]
    rates: tuple[ListedRate, ...]
    left_out: Mapping[str, int]
    """How many products and offers were neither, by kind, e.g. `Memcached`; the most first."""
    unread: tuple[str, ...]
    """Rates that cannot be read, each with the reason."""

    @property
    def published(self) -> tuple[str, ...]:
        """The ISO dates of publication that the prices bear; usually one."""
        return tuple(sorted({one.published for one in self.prices if one.published}))


def pricing_client() -> Any:
    """A client of the price list; raises AmplyError where the environment does not allow one."""
    return client("pricing", _ENDPOINT_REGION)


def read_price_list(pricing: Any, regions: Sequence[str], advance: Advance) -> PriceList:
    """The price list of those regions, whole; `pricing` is a boto3 client, `advance` is told each region.

    Raises AmplyError where AWS does not answer to the end, or the answer cannot be read to the last price of
    a node: nothing is returned then, and all faults are said at once.
    """
    prices: dict[Key, ListedPrice] = {}
    rates: dict[RateKey, set[ListedRate]] = {}
    unread: list[str] = []
    left_out: Counter[str] = Counter()
    faults: list[str] = []
    for region in regions:
        for element in _elements(pricing, region):
            reading = read_item(element, region)
            left_out.update(reading.left_out)
            faults += reading.faults
            unread += reading.unread
            for rate in reading.rates:
                rates.setdefault(rate.key, set()).add(rate)
            for one in reading.prices:
                other = prices.setdefault(one.key, one)
                if other.effective_hourly_usd != one.effective_hourly_usd:
                    usd = [f"{price.effective_hourly_usd.normalize():f}" for price in (other, one)]
                    faults.append(f"two prices of {' '.join(one.key)}: {' and '.join(usd)} USD/h")
        advance()
    if faults:
        raise AmplyError("the price list cannot be read", got=some_of(faults),
                         do="leave these regions out by naming others with --region, or try again later")
    unread += [f"{' '.join(filter(None, key))}: {len({one.amount for one in found})} different rates"
               for key, found in rates.items() if len({one.amount for one in found}) > 1]
    return PriceList(
        prices=tuple(prices.values()),
        rates=tuple(min(found, key=lambda one: one.usage_type) for found in rates.values()
                    if len({one.amount for one in found}) == 1),
        left_out=dict(left_out.most_common()), unread=tuple(unread))


def some_of(faults: Sequence[str]) -> str:
    """The first few, and how many more there are."""
    more = f"; and {len(faults) - _FAULTS_SAID:,} more" if len(faults) > _FAULTS_SAID else ""
    return f"{'; '.join(faults[:_FAULTS_SAID])}{more}"


def _elements(pricing: Any, region: str) -> Iterator[object]:
    """The products of one region, over all pages; each page has to hold a list of them."""
    pages = pricing.get_paginator("get_products").paginate(
        ServiceCode=_SERVICE, FormatVersion="aws_v1",
        Filters=[{"Type": "TERM_MATCH", "Field": "regionCode", "Value": region}],
        PaginationConfig={"PageSize": _PAGE_SIZE},
    )
    with explained(ACTION):
        for page in pages:
            if "PriceList" not in page:
                raise AmplyError("the price list came in part", got=f"a page of {region} without products",
                                 do="try again later")
            yield from page["PriceList"]
