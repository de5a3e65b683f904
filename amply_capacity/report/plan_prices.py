"""The prices that a plan rests on beside those of its bill, as the catalog holds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from amply_capacity.catalog import prices
from amply_capacity.plan.term_prices import TermPrice, term_prices
from amply_capacity.report.bought import is_serverless

__all__ = ["asked_prices", "price_dates", "reserved_prices"]

Plan = Mapping[str, Any]
Named = tuple[str, TermPrice]
"""E.g. `cache.t3.micro, redis`, and a price of one of them."""

_RESERVE = "reserve "


def asked_prices(plan: Plan) -> list[Named]:
    """Of every node type in the region, at the demand's terms: what the choice was made from."""
    region, demand = plan["chosen"]["region"], plan["demand"]
    if region not in prices.regions():
        return []
    named = {plan["chosen"]["engine"], *(one["engine"] for one in plan["ranked"])}
    terms = dict.fromkeys([demand["cluster"]["term"], *demand["allowed"].get("terms", ())])
    return [(f"{offer.node_type}, {engine}", found)
            for engine in prices.ENGINES if engine in named
            for offer in prices.offered(region, engine)
            for found in _known(region, engine, offer.node_type, terms)]


def reserved_prices(plan: Plan) -> list[Named]:
    """Of the best nodes, at the terms of the reservations that stand priced among the other ways."""
    nodes = next((one for one in plan["ranked"] if not is_serverless(one)), None)
    if nodes is None or nodes["region"] not in prices.regions():
        return []
    terms = {one["name"].removeprefix(_RESERVE): None for one in plan["strategies"]
             if one["name"].startswith(_RESERVE) and one["usd_total_expected"] is not None}
    return [(f"{nodes['node_type']}, {nodes['engine']}", found)
            for found in _known(nodes["region"], nodes["engine"], nodes["node_type"], terms)]


def price_dates(plan: Plan) -> list[str]:
    """Of all of them, `undated` among them."""
    return [found.as_of or "undated" for _, found in (*asked_prices(plan), *reserved_prices(plan))]


def _known(region: str, engine: str, node_type: str, terms: Mapping[str, None]) -> Iterator[TermPrice]:
    if engine in prices.ENGINES and prices.terms_of(region, engine, node_type):
        found = term_prices(region, engine, node_type)
        yield from (found[term] for term in terms if term in found and found[term].usd_per_month is not None)
