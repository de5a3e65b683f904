"""What is no node on the price list: Serverless and add-ons, read by usage type and unit, or told."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from price_pages import item, serverless, t3_medium

from amply_capacity.aws.price_item import ItemReading, read_item
from amply_capacity.catalog.listed_rate import UNITS, ListedRate
from amply_capacity.catalog.serverless import amount, node_rate
from amply_capacity.catalog.serverless import serverless as shipped

WEST = "us-west-2"


def read(product: object, region: str = WEST) -> ItemReading:
    return read_item(product, region)


def only_rate(product: object) -> ListedRate:
    reading = read(product)
    assert (reading.prices, reading.left_out, reading.unread, reading.faults) == ((), (), (), ())
    (rate,) = reading.rates
    return rate


def unread(product: object, region: str = WEST) -> str:
    reading = read(product, region)
    assert (reading.prices, reading.rates, reading.left_out, reading.faults) == ((), (), (), ())
    (why,) = reading.unread
    return why


def dimension_of(product: dict[str, Any]) -> dict[str, Any]:
    (offer,) = product["terms"]["OnDemand"].values()
    (dimension,) = offer["priceDimensions"].values()
    assert isinstance(dimension, dict)
    return dimension


def test_stored_data_and_ecpus_come_out_in_the_catalogs_units() -> None:
    storage, ecpu, _ = serverless()
    known = shipped(WEST, "redis")
    assert only_rate(storage).key == ("serverless_storage", WEST, "redis", "")
    assert (only_rate(storage).amount, only_rate(ecpu).amount) == (amount(known.storage), amount(known.ecpus))
    assert only_rate(ecpu).usage_type == "USW2-ElastiCacheProcessingUnits:Redis"
    assert (known.storage.unit, known.ecpus.unit) == (UNITS["serverless_storage"], UNITS["serverless_ecpu"])


@pytest.mark.parametrize("prefix", ["", "EU-", "APN2-"])
def test_a_regions_prefix_does_not_matter(prefix: str) -> None:
    assert only_rate(serverless("Valkey", prefix=prefix)[0]).engine == "valkey"


def test_backups_and_memcached_are_left_out() -> None:
    assert read(serverless()[2]).left_out == ("ElastiCache Serverless",)
    assert read(serverless("Memcached")[0]).left_out == ("ElastiCache Serverless",)


def test_extended_support_comes_out_as_the_catalog_has_it() -> None:
    first, third = (only_rate(product) for product in t3_medium()[3:])
    assert first.key == ("extended_support_surcharge_Yr1_Yr2", WEST, "redis", "cache.t3.medium")
    for one in (first, third):
        known = node_rate(one.item, WEST, one.node_type)
        assert known is not None
        assert (one.amount, UNITS[one.item]) == (amount(known), known.unit)


def test_durability_is_valkeys_alone() -> None:
    usage = {"usage": "SyncDurability-NodeUsage", "usd": "0.0316080000"}
    assert only_rate(item("cache.r8g.large", "Valkey", **usage)).amount == Decimal("0.031608")
    assert read(item("cache.r8g.large", "Redis", **usage)).left_out == ("SyncDurability-NodeUsage",)


def test_what_is_of_another_place_is_no_rate() -> None:
    outpost = item(engine="Valkey", usage="SyncDurability-NodeUsage", locationType="AWS Outposts")
    assert read(outpost).left_out == ("SyncDurability-NodeUsage",)
    assert "EU" not in unread(serverless()[0], "eu-west-1")
    assert "asked was eu-west-1" in unread(serverless()[0], "eu-west-1")


@pytest.mark.parametrize(("change", "words"), [
    ({"unit": "GB-Mo"}, "unknown unit 'GB-Mo'"), ({"pricePerUnit": {"CNY": "1"}}, "no amount in USD"),
    ({"pricePerUnit": {"USD": "much"}}, "no amount"), ({"pricePerUnit": {"USD": "0.0000"}}, "no amount"),
])
def test_a_rate_that_cannot_be_read_is_told_and_is_no_fault_of_the_list(
        change: dict[str, Any], words: str) -> None:
    product = serverless()[0]
    dimension_of(product).update(change)
    assert f"USW2-CachedData:Redis in us-west-2: {words}" in unread(product)


def test_a_rate_in_steps_or_without_an_offer_is_told() -> None:
    product = serverless()[1]
    (offer,) = product["terms"]["OnDemand"].values()
    offer["priceDimensions"]["more"] = dict(dimension_of(product))
    assert "2 prices on demand" in unread(product)
    product["terms"] = {}
    assert "no prices on demand" in unread(product)


def test_a_rates_row_names_the_bills_word_for_it() -> None:
    row = only_rate(t3_medium()[3]).row("40", "2026-11-28")
    assert row == (
        "extended_support_surcharge_Yr1_Yr2", WEST, "redis", UNITS[row.item], "0.054",
        "cache.t3.medium; USW2-ExtendedSupportYr1_Yr2-NodeUsage:cache.t3.medium", "40", "2026-11-28")
