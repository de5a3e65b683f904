"""A product of AWS' price list that is no node: Serverless' storage and ECPUs, and what a node costs on top.

What it is, its usage type tells (`EU-CachedData:Redis`, `USW2-ExtendedSupportYr3-NodeUsage:cache.t3.medium`),
its price the one offer on demand. What cannot be read is no fault of the whole list: it is told, and the
catalog's rate stays. Sources: usage types of bills; AWS' own reader of the list, aws/agent-toolkit-for-aws
`amazon-elasticache/scripts/pricing.py`, 2026-08-20.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from amply_capacity.aws.price_json import dollars, mapping, offers
from amply_capacity.catalog.listed_rate import ListedRate

__all__ = ["RateReading", "read_rate"]

_PREFIX = r"(?:[A-Z0-9]+-)?"
_SERVERLESS, _NODE = "ElastiCache Serverless", "Cache Instance"
_ECPUS = ("ElastiCacheProcessingUnit", "ElastiCacheProcessingUnits")
_MILLION = 1_000_000


class _Kind(NamedTuple):
    """How a rate stands on the list."""

    item: str
    family: str
    usage: re.Pattern[str]
    """Matches the whole usage type; a group is the node type."""
    engines: tuple[str, ...]
    units: tuple[str, ...]
    """In which its price may stand."""
    times: int = 1
    """How many of them the catalog's unit has."""


def _node_usage(word: str) -> re.Pattern[str]:
    return re.compile(rf"{_PREFIX}{word}-NodeUsage:(cache\.[a-z0-9-]+\.[a-z0-9-]+)")


_KINDS = (
    _Kind("serverless_storage", _SERVERLESS, re.compile(rf"{_PREFIX}CachedData:\w+"), ("redis", "valkey"),
          ("GB-Hours",)),
    _Kind("serverless_ecpu", _SERVERLESS, re.compile(rf"{_PREFIX}ElastiCacheProcessingUnits:\w+"),
          ("redis", "valkey"), _ECPUS, _MILLION),
    _Kind("extended_support_surcharge_Yr1_Yr2", _NODE, _node_usage("ExtendedSupportYr1_Yr2"), ("redis",),
          ("Hrs",)),
    _Kind("extended_support_surcharge_Yr3", _NODE, _node_usage("ExtendedSupportYr3"), ("redis",), ("Hrs",)),
    _Kind("sync_durability_addon", _NODE, _node_usage("SyncDurability"), ("valkey",), ("Hrs",)),
)


class RateReading(NamedTuple):
    """A rate, or why it could not be read."""

    rate: ListedRate | None
    fault: str = ""


def read_rate(family: str, attributes: Mapping[str, Any], terms: Mapping[str, Any], region: str, engine: str,
              published: str) -> RateReading | None:
    """The rate of a product asked for that region; None for what is none, or of another engine or place.

    `engine` in lower case. Unlike a node's price, one of 0 is not believed either.
    """
    usage = str(attributes.get("usagetype", ""))
    found = next(((kind, match) for kind in _KINDS if kind.family == family
                  and (match := kind.usage.fullmatch(usage)) is not None), None)
    if found is None or engine not in found[0].engines or (
            attributes.get("locationType", "AWS Region") != "AWS Region"):
        return None
    kind, match = found
    place = str(attributes.get("regionCode", region))
    fault, usd = f"asked was {region}", None
    if place == region:
        fault, usd = _amount(terms, kind.units)
    if usd is None:
        return RateReading(None, f"{usage} in {place}: {fault}")
    node_type = match[1] if kind.usage.groups else ""
    return RateReading(ListedRate(kind.item, region, engine, node_type, usd * kind.times, usage, published))


def _amount(terms: Mapping[str, Any], units: tuple[str, ...]) -> tuple[str, Decimal | None]:
    """What is wrong, and the price where nothing is."""
    dimensions = [mapping(priced, name) for kind, offer in offers(terms) if kind == "OnDemand"
                  for priced in [mapping(offer, "priceDimensions")] for name in priced]
    if len(dimensions) != 1:
        return f"{len(dimensions) or 'no'} prices on demand", None
    unit, money = dimensions[0].get("unit"), mapping(dimensions[0], "pricePerUnit")
    if unit not in units:
        return f"unknown unit {str(unit)[:40]!r}", None
    usd = dollars(money.get("USD"))
    return ("", usd) if usd else ("no amount in USD", None)
