"""New rates beside the catalog's: which are believed, what changes, and what stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from amply_capacity.catalog.files import CATALOG_DIR
from amply_capacity.catalog.listed_rate import OF_NODES, UNITS, ListedRate, key_of
from amply_capacity.catalog.price_table import PriceTable, read_price_table
from amply_capacity.catalog.rate_changes import rate_changes_of
from amply_capacity.catalog.rate_checks import why_doubtful

STORAGE = ListedRate("serverless_storage", "us-west-2", "redis", "", Decimal("0.125"), "u", "2026-11-20")
SUPPORT = ListedRate("extended_support_surcharge_Yr3", "us-west-2", "redis", "cache.t3.medium",
                     Decimal("0.109"), "u", "2026-11-20")


@pytest.fixture(scope="module")
def table() -> PriceTable:
    return read_price_table(CATALOG_DIR)


Doubt = Callable[[ListedRate], str | None]


@pytest.fixture(scope="module")
def doubt(table: PriceTable) -> Doubt:
    prices = table.by_key()
    return lambda one: why_doubtful(one, table.rates, prices)


def test_every_rate_that_the_catalog_has_observed_is_believed(table: PriceTable, doubt: Doubt) -> None:
    doubts = []
    for row in table.rates:
        key = key_of(row)
        if key is not None:
            assert row.unit == UNITS[row.item]
            doubts.append(doubt(ListedRate(*key, Decimal(row.amount), "u", "")))
    assert doubts.count(None) > 130
    assert {one for one in doubts if one} == {"0.031608 USD/h on top of a node without a price"}


@pytest.mark.parametrize("times", ["1e-6", "0.001", "0.2", "5", "730", "1e6"])
@pytest.mark.parametrize("rate", [STORAGE, replace(STORAGE, item="serverless_ecpu", amount=Decimal("0.0034")),
                                  SUPPORT])
def test_a_rate_in_another_unit_is_not_believed(doubt: Doubt, rate: ListedRate, times: str) -> None:
    wrong = replace(rate, amount=rate.amount * Decimal(times))
    assert "as usual" in (doubt(wrong) or "")


def test_an_add_on_of_a_node_without_a_price_is_not_believed(doubt: Doubt) -> None:
    assert "without a price" in (doubt(replace(SUPPORT, node_type="cache.t9.medium")) or "")
    assert why_doubtful(STORAGE, (), {}) is None, "where nothing is known nothing speaks against it"


def test_changes_are_told_by_name(table: PriceTable) -> None:
    listed = [replace(STORAGE, amount=Decimal("0.1250000000")), replace(SUPPORT, amount=Decimal("0.110")),
              replace(SUPPORT, node_type="cache.t3.small", amount=Decimal("0.055"))]
    found = rate_changes_of(table.rates, listed, ["us-west-2"], ["that one"])
    assert (found.unchanged, found.listed) == (1, 3)
    (changed,) = found.changed
    assert (changed.was, changed.now) == (0.109, 0.11)
    assert [one.node_type for one in found.new] == ["cache.t3.small"]
    assert {one.region for one in found.gone} == {"us-west-2"}
    assert {one.item for one in found.gone} == {*UNITS} - {"extended_support_surcharge_Yr3"}
    content = found.as_json()
    assert content["changed"] == [{
        "item": "extended_support_surcharge_Yr3", "region": "us-west-2", "engine": "redis",
        "node_type": "cache.t3.medium", "was": 0.109, "now": 0.11, "unit": UNITS[changed.item]}]
    assert content["unread"] == ["that one"]


def test_what_no_price_list_has_has_no_key(table: PriceTable) -> None:
    unknown = {row.item for row in table.rates if key_of(row) is None}
    assert "backup_storage" in unknown
    assert not unknown & UNITS.keys()
    assert {item for item in UNITS if item.startswith("serverless")}.isdisjoint(OF_NODES)
