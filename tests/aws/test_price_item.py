"""Every trap of the price list, each met in real data."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from price_pages import R7G_LARGE_RESERVED, item, offer, r7g_large, t3_medium

from amply_capacity.aws.price_item import ItemReading, read_item
from amply_capacity.catalog.prices import price


def read(product: object, region: str = "us-west-2") -> ItemReading:
    return read_item(product, region)


def only_fault(reading: ItemReading) -> str:
    assert reading.prices == reading.left_out == ()
    (fault,) = reading.faults
    return fault


def with_offer(kind: str, made: dict[str, Any]) -> dict[str, Any]:
    """cache.t3.medium with this one offer."""
    product = item(usd=None)
    product["terms"] = {kind: {"any": made}}
    return product


# Trap 1: several rows for one region, node type and engine.


def test_of_the_five_rows_of_a_node_type_only_the_nodes_of_our_engines_are_read() -> None:
    readings = [read(product) for product in t3_medium()]
    assert [reading.left_out for reading in readings] == [("Memcached",), (), (), (), ()]
    assert [len(reading.rates) for reading in readings] == [0, 0, 0, 1, 1], "what is paid on top"
    prices = [one for reading in readings for one in reading.prices]
    assert {one.engine: one.hourly_usd for one in prices} == {
        "redis": Decimal("0.068"), "valkey": Decimal("0.0544")}


@pytest.mark.parametrize("usage", [
    "SyncDurability-NodeUsage", "AsyncDurability-NodeUsage", "ExtendedSupportYr3-NodeUsage",
    "Outpost-NodeUsage"])
def test_an_add_on_is_never_taken_for_a_node(usage: str) -> None:
    reading = read(item(engine="Valkey", usage=usage, prefix="USE1-", usd="0.0316"))
    assert (reading.prices, reading.faults) == ((), ())
    if usage.startswith("Sync"):
        assert [one.item for one in reading.rates] == ["sync_durability_addon"]
    else:
        assert reading == ItemReading(left_out=(usage,))


@pytest.mark.parametrize("place", ["AWS Outposts", "AWS Local Zone", "AWS Wavelength Zone"])
def test_a_node_outside_a_region_is_left_out(place: str) -> None:
    assert read(item(locationType=place)).left_out == (f"in {place}",)


@pytest.mark.parametrize("prefix", ["", "USW2-", "EU-", "EUC1-", "UGW1-"])
def test_a_node_is_read_whatever_its_regions_prefix_says(prefix: str) -> None:
    (found,) = read(item(prefix=prefix)).prices
    assert found.key == ("us-west-2", "redis", "cache.t3.medium", "on_demand")


def test_a_usage_type_of_another_node_type_is_left_out() -> None:
    assert read(item(instanceType="cache.t3.small")).left_out == ("NodeUsage",)


@pytest.mark.parametrize("family", ["ElastiCache Serverless", "Storage Snapshot"])
def test_what_is_not_billed_by_node_is_left_out_whatever_its_unit(family: str) -> None:
    product = with_offer("OnDemand", offer("S", "JRTCKXETXF", "0.125", unit="GB-Hours"))
    product["product"]["productFamily"] = family
    assert read(product) == ItemReading(left_out=(family,))


# Trap 2: three engines share one usage type.


def test_the_engine_is_its_own_attribute_and_not_the_usage_type() -> None:
    engines = [read(item(engine=engine)).prices for engine in ("Redis", "Valkey")]
    assert [found[0].engine for found in engines] == ["redis", "valkey"]


def test_the_operation_names_the_engine_where_the_attribute_is_missing() -> None:
    without = ("cacheEngine",)
    assert read(item(engine="Valkey", without=without)).prices[0].engine == "valkey"
    assert read(item(engine="Redis", without=without)).prices[0].engine == "redis"
    assert read(item(engine="Memcached", without=without)).left_out == ("Memcached",)
    assert read(item(without=("cacheEngine", "operation"))).left_out == ("engine not said",)


# Trap 3: nothing hangs on the order.


def test_reserved_terms_before_on_demand_and_upfront_before_hourly_are_read_by_their_names() -> None:
    product = r7g_large()
    assert list(product["terms"]) == ["Reserved", "OnDemand"]
    found = {one.term: one for one in read(product, "us-east-1").prices}
    assert found["on_demand"].hourly_usd == Decimal("0.219")
    for term, (hourly, upfront) in R7G_LARGE_RESERVED.items():
        assert found[term].hourly_usd == Decimal(str(hourly))
        assert found[term].upfront_usd == Decimal(upfront or "0")


def test_any_order_gives_the_same_prices() -> None:
    product = r7g_large()
    turned = json.loads(json.dumps(product))
    turned["terms"] = {kind: dict(reversed(offers.items())) for kind, offers in
                       reversed(turned["terms"].items())}
    for offers in turned["terms"].values():
        for one in offers.values():
            one["priceDimensions"] = dict(reversed(one["priceDimensions"].items()))
    assert set(read(turned, "us-east-1").prices) == set(read(product, "us-east-1").prices)


def test_the_real_prices_of_a_node_come_out_as_the_shipped_table_has_them() -> None:
    for one in read(r7g_large(), "us-east-1").prices:
        shipped = price(*one.key)
        assert float(one.effective_hourly_usd) == pytest.approx(shipped.effective_hourly_usd, rel=1e-6)


def test_a_product_with_reservations_alone_gives_those() -> None:
    # cache.c7gn.large for Valkey stands so in the offer file of 2025-06-24.
    reserved = {"1yr_all": ("0.0000000000", "1143.7056")}
    product = item("cache.c7gn.large", "Valkey", None, reserved=reserved)
    (found,) = read(product).prices
    assert (found.term, found.upfront_usd) == ("1yr_all", Decimal("1143.7056"))


# Trap 4: zeros that are meant, and terms of other times.


def test_all_upfront_may_be_zero_an_hour_and_nothing_else_may() -> None:
    assert read(item(usd=None, reserved={"1yr_all": ("0.0000000000", "100")})).prices[0].hourly_usd == 0
    assert "hourly price of 0" in only_fault(read(item(usd="0.0000000000")))
    assert "hourly price of 0" in only_fault(read(item(usd=None, reserved={"1yr_no": ("0", None)})))


@pytest.mark.parametrize("option", ["Heavy Utilization", "Medium Utilization", "Light Utilization"])
def test_legacy_purchase_options_are_left_out(option: str) -> None:
    said = {"LeaseContractLength": "1yr", "PurchaseOption": option, "OfferingClass": "standard"}
    reading = read(with_offer("Reserved", offer("S", "XYZ", "0.01", "50", attributes=said)))
    assert reading == ItemReading(left_out=(f"Reserved 1yr {option} standard",))


def test_a_kind_of_term_that_is_not_ours_is_left_out() -> None:
    assert read(with_offer("SavingsPlan", offer("S", "X", "0.01"))).left_out == ("SavingsPlan",)


def test_the_code_of_an_offer_tells_its_terms_where_they_are_not_said() -> None:
    made = offer("S", "BPH4J8HBKS", "0.0400", attributes={})
    assert read(with_offer("Reserved", made)).prices[0].term == "3yr_no"
    made = offer("S", "UNKNOWN", "0.0400", attributes={})
    assert read(with_offer("Reserved", made)).left_out == ("Reserved",)


def test_the_terms_said_stand_above_the_code() -> None:
    said = {"LeaseContractLength": "1 yr", "PurchaseOption": "No Upfront"}
    made = offer("S", "BPH4J8HBKS", "0.0400", attributes=said)
    assert read(with_offer("Reserved", made)).prices[0].term == "1yr_no"


# Trap 5: the eighth generation is for Valkey alone.


def test_a_node_listed_for_valkey_alone_gives_no_price_for_redis() -> None:
    (found,) = read(item("cache.r8g.large", "Valkey", "0.1756000000")).prices
    assert found.engine == "valkey"


# Trap 6: strings of ten decimals, other currencies and units.


def test_an_amount_is_exact_to_its_last_decimal() -> None:
    (found,) = read(item(usd="0.0680000001")).prices
    assert found.hourly_usd == Decimal("0.0680000001")


def test_another_currency_is_a_fault_that_names_it() -> None:
    reading = read(with_offer("OnDemand", offer("S", "JRTCKXETXF", "0.4500", currency="CNY")))
    assert "unknown currency, CNY instead of USD" in only_fault(reading)
    assert "cache.t3.medium for Redis in us-west-2" in only_fault(reading)


@pytest.mark.parametrize("unit", ["GB-Hours", "Hours", "Lambda-GB-Second", ""])
def test_another_unit_is_a_fault_that_names_it(unit: str) -> None:
    fault = only_fault(read(with_offer("OnDemand", offer("S", "JRTCKXETXF", "0.0680", unit=unit))))
    assert f"unknown unit {unit!r}" in fault


@pytest.mark.parametrize("amount", ["", "free", "-0.1", "NaN", "Infinity", "1e30"])
def test_an_amount_that_is_none_is_a_fault(amount: str) -> None:
    assert "no amount" in only_fault(read(item(usd=amount)))


# What is cut short, or not what it was asked for.


@pytest.mark.parametrize(("term", "amounts", "words"), [
    ("1yr_partial", ("0.01", None), "no upfront fee"),
    ("3yr_all", ("0.0", "0"), "no upfront fee"),
    ("1yr_all", (None, "100"), "no price per Hrs"),
    ("1yr_no", ("0.01", "5"), "an upfront fee of 5"),
])
def test_a_reservation_that_lacks_a_part_is_a_fault(
        term: str, amounts: tuple[str | None, str | None], words: str) -> None:
    assert words in only_fault(read(item(usd=None, reserved={term: amounts})))


def test_an_offer_without_prices_and_a_product_without_terms_are_faults() -> None:
    assert "no price per Hrs" in only_fault(read(with_offer("OnDemand", offer("S", "JRTCKXETXF", None))))
    assert "no terms" in only_fault(read(item() | {"terms": {}}))


def test_a_price_in_steps_is_a_fault() -> None:
    made = offer("S", "JRTCKXETXF", "0.0680")
    dimensions = made["priceDimensions"]
    dimensions["second"] = next(iter(dimensions.values())) | {"beginRange": "100"}
    assert "two prices per Hrs" in only_fault(read(with_offer("OnDemand", made)))


def test_a_product_of_another_region_than_asked_is_a_fault() -> None:
    assert "asked was eu-west-1" in only_fault(read(item(), "eu-west-1"))


@pytest.mark.parametrize("element", ["", "{", "null", '"text"', "[]", "{}", None, 7, {"product": "none"}])
def test_what_is_no_product_is_a_fault(element: object) -> None:
    assert "no product" in only_fault(read(element))


def test_a_product_is_read_from_a_string_as_from_an_object() -> None:
    assert read(json.dumps(r7g_large()), "us-east-1") == read(r7g_large(), "us-east-1")


ATTRIBUTES = tuple(item()["product"]["attributes"])


@given(st.sets(st.sampled_from(ATTRIBUTES)))
def test_any_attribute_may_be_missing_and_never_makes_another_price(without: set[str]) -> None:
    for product in (item(without=without), item(usage="SyncDurability-NodeUsage", without=without)):
        reading = read(product)
        assert not [one for one in reading.prices if one.key != ("us-west-2", "redis", "cache.t3.medium",
                                                                 "on_demand")]
        if "Sync" in product["product"]["attributes"].get("usagetype", "Sync"):
            assert reading.prices == ()
        assert reading.prices or reading.left_out or reading.faults


def test_a_date_of_publication_that_is_none_is_empty() -> None:
    assert read(item()).prices[0].published == "2026-11-20"
    assert read(item() | {"publicationDate": "soon"}).prices[0].published == ""
