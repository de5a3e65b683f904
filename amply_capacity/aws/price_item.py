"""One product of AWS' price list for ElastiCache, read to node prices, or to a rate.

Nothing is guessed from order or position: what is a node is told by its usage type and place, the engine by
its own attribute, a price by its term and unit. Any attribute may be missing. What is neither a node in a
region nor a rate of the catalog is left out by kind; what should be a node's price and cannot be read is a
fault.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from amply_capacity.aws.price_json import decoded, dollars, iso_date, mapping, offers
from amply_capacity.aws.rate_item import RateReading, read_rate
from amply_capacity.catalog.listed_price import ListedPrice
from amply_capacity.catalog.listed_rate import ListedRate

__all__ = ["ItemReading", "read_item"]

# Extended Support, durability and Outposts put a word of their own between the region's prefix and NodeUsage.
_NODE_USAGE = re.compile(r"(?:[A-Z0-9]+-)?NodeUsage:(cache\.[a-z0-9-]+\.[a-z0-9-]+)")
_REGION_PREFIX = re.compile(r"^[A-Z0-9]+-")
_ENGINES = {"Redis": "redis", "Valkey": "valkey"}
_ENGINE_OF_OPERATION = {"CreateCacheCluster:0001": "Memcached", "CreateCacheCluster:0002": "Redis",
                        "CreateCacheCluster:Valkey": "Valkey"}
_PAYMENTS = {"No Upfront": "no", "Partial Upfront": "partial", "All Upfront": "all"}
_TERM_OF_CODE = {"4NA7Y494T4": "1yr_no", "HU7G6KETJZ": "1yr_partial", "6QCMYABX3D": "1yr_all",
                 "BPH4J8HBKS": "3yr_no", "38NPMPTW36": "3yr_partial", "NQ3QZPMQV9": "3yr_all"}
"""AWS uses one code per kind of offer for all products: read where an offer does not say its terms."""
_HOURLY, _UPFRONT = "Hrs", "Quantity"


@dataclass(frozen=True, slots=True)
class ItemReading:
    """What one product of the list gave."""

    prices: tuple[ListedPrice, ...] = ()
    rates: tuple[ListedRate, ...] = ()
    left_out: tuple[str, ...] = ()
    """A kind for each thing that is neither, e.g. `Memcached`."""
    unread: tuple[str, ...] = ()
    """What should be a rate and cannot be read."""
    faults: tuple[str, ...] = ()


def read_item(element: object, region: str) -> ItemReading:
    """The prices or the rate of an element of `PriceList`, a JSON string or object, asked for that region."""
    item = decoded(element)
    product = mapping(item, "product")
    attributes = mapping(product, "attributes")
    if not attributes:
        return ItemReading(faults=(f"an entry is no product: {str(element)[:60]!r}",))
    usage = str(attributes.get("usagetype", ""))
    node = _NODE_USAGE.fullmatch(usage)
    engine = attributes.get("cacheEngine") or _ENGINE_OF_OPERATION.get(str(attributes.get("operation")))
    family = str(product.get("productFamily", "Cache Instance"))
    terms, published = mapping(item, "terms"), iso_date(item.get("publicationDate"))
    rate = read_rate(family, attributes, terms, region, str(engine).lower(), published)
    if rate is not None:
        return _of_rate(rate)
    kind = _no_node(family, attributes, usage, engine)
    if kind is not None or node is None:
        return ItemReading(left_out=(kind or _usage_kind(usage),))
    place = str(attributes.get("regionCode", region))
    label = f"{node[1]} for {engine} in {place} (SKU {product.get('sku', 'not said')})"
    if place != region:
        return ItemReading(faults=(f"{label}: asked was {region}",))
    if not terms:
        return ItemReading(faults=(f"{label}: no terms",))
    names = (region, _ENGINES[str(engine)], node[1])
    return _read_terms(terms, names, label, published)


def _of_rate(found: RateReading) -> ItemReading:
    return ItemReading(unread=(found.fault,)) if found.rate is None else ItemReading(rates=(found.rate,))


def _no_node(family: str, attributes: Mapping[str, Any], usage: str, engine: object) -> str | None:
    """The kind of a product that is no Redis or Valkey node in a region; None for one that is."""
    if family != "Cache Instance":
        return family
    node = _NODE_USAGE.fullmatch(usage)
    if node is None or attributes.get("instanceType", node[1]) != node[1]:
        return _usage_kind(usage)
    if attributes.get("locationType") != "AWS Region":
        return f"in {attributes.get('locationType', 'a place not said')}"
    if engine not in _ENGINES:
        return str(engine or "engine not said")
    return None


def _usage_kind(usage: str) -> str:
    """`SyncDurability-NodeUsage` of `USE1-SyncDurability-NodeUsage:cache.r7g.large`."""
    return _REGION_PREFIX.sub("", usage).partition(":")[0] or "usage type not said"


def _read_terms(terms: Mapping[str, Any], names: tuple[str, str, str], label: str,
                published: str) -> ItemReading:
    prices: list[ListedPrice] = []
    left_out: list[str] = []
    faults: list[str] = []
    for kind, offer in offers(terms):
        term = "on_demand" if kind == "OnDemand" else _reserved_term(offer) if kind == "Reserved" else None
        if term is None:
            left_out.append(_offer_kind(kind, offer))
            continue
        amounts, wrong = _amounts(offer)
        wrong = wrong or _amount_faults(term, amounts)
        if wrong:
            faults += [f"{label}, {term}: {fault}" for fault in wrong]
        else:
            prices.append(ListedPrice(*names, term, amounts[_HOURLY], amounts.get(_UPFRONT, Decimal()),
                                      published))
    return ItemReading(tuple(prices), left_out=tuple(left_out), faults=tuple(faults))


def _reserved_term(offer: Mapping[str, Any]) -> str | None:
    """Our name of a reservation's terms; None for those of other times (Heavy Utilization, …)."""
    said = mapping(offer, "termAttributes")
    if not said:
        return _TERM_OF_CODE.get(str(offer.get("offerTermCode")))
    years = str(said.get("LeaseContractLength", "")).replace(" ", "")
    payment = _PAYMENTS.get(str(said.get("PurchaseOption")))
    if years not in {"1yr", "3yr"} or payment is None or said.get("OfferingClass", "standard") != "standard":
        return None
    return f"{years}_{payment}"


def _offer_kind(kind: str, offer: Mapping[str, Any]) -> str:
    said = " ".join(map(str, mapping(offer, "termAttributes").values()))
    return f"{kind} {said}".strip()


def _amounts(offer: Mapping[str, Any]) -> tuple[dict[str, Decimal], list[str]]:
    """US dollars by unit, and what cannot be read."""
    amounts: dict[str, Decimal] = {}
    faults = []
    dimensions = mapping(offer, "priceDimensions")
    for name in dimensions:
        dimension = mapping(dimensions, name)
        unit, money = dimension.get("unit"), mapping(dimension, "pricePerUnit")
        if unit not in (_HOURLY, _UPFRONT):
            faults.append(f"unknown unit {unit!r}")
        elif "USD" not in money:
            faults.append(f"unknown currency, {' and '.join(map(str, money)) or 'none said'} instead of USD")
        elif unit in amounts:
            faults.append(f"two prices per {unit}")
        elif (usd := dollars(money["USD"])) is None:
            faults.append(f"no amount, {str(money['USD'])[:40]!r}")
        else:
            amounts[unit] = usd
    return amounts, faults


def _amount_faults(term: str, amounts: Mapping[str, Decimal]) -> list[str]:
    """What a price of that term lacks: one that is not there is not 0, though one that AWS gives may be."""
    faults = []
    if _HOURLY not in amounts:
        faults.append(f"no price per {_HOURLY}")
    elif not amounts[_HOURLY] and not term.endswith("_all"):
        faults.append("an hourly price of 0")
    upfront = amounts.get(_UPFRONT)
    if term.endswith(("_partial", "_all")):
        if not upfront:
            faults.append("no upfront fee")
    elif upfront:
        faults.append(f"an upfront fee of {upfront}")
    return faults
