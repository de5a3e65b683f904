"""A newer table from the price list: what is believed, what changes, what stays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest
from price_pages import item, listed_items, page, question, serverless, set_environment, stubbed, t3_medium

from amply_capacity.aws.price_refresh import Refresh, read_refresh, regions_to_ask
from amply_capacity.catalog.files import CATALOG_DIR
from amply_capacity.catalog.price_table import PriceTable, read_price_table
from amply_capacity.catalog.prices import regions
from amply_capacity.errors import AmplyError, BadInput, UnknownName

WEST = "us-west-2"
DAY = date(2026, 11, 28)
MEDIUM = "cache.t3.medium"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)


@pytest.fixture(scope="module")
def shipped() -> PriceTable:
    return read_price_table(CATALOG_DIR)


@pytest.fixture(scope="module")
def small(shipped: PriceTable) -> PriceTable:
    """The shipped rows of cache.t3.medium in two regions, so that a page or two can speak of all of them."""
    rows = [row for row in shipped.rows if row.region in (WEST, "us-east-1") and row.node_type == MEDIUM]
    return PriceTable(tuple(rows), shipped.sources, shipped.rates)


def refresh(table: PriceTable, items: Sequence[Any], asked: tuple[str, ...] = (WEST,)) -> Refresh:
    """Against one page of these items for the first region; nothing for the others."""
    answers = [(question(region), page(items if region == asked[0] else [])) for region in asked]
    with stubbed(*answers) as pricing:
        return read_refresh(pricing, table, asked, DAY, lambda steps=1: None)


def refusal(table: PriceTable, items: Sequence[Any]) -> str:
    with pytest.raises(AmplyError) as caught:
        refresh(table, items)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_a_list_of_a_whole_region_at_the_tables_own_prices_changes_no_figure(shipped: PriceTable) -> None:
    items = listed_items(shipped.rows, "eu-west-1")
    assert len(items) > 100
    answers = [(question("eu-west-1", f"{start}" if start else None),
                page(items[start:start + 100], f"{start + 100}" if start + 100 < len(items) else None))
               for start in range(0, len(items), 100)]
    with stubbed(*answers) as pricing:
        found = read_refresh(pricing, shipped, ("eu-west-1",), DAY, lambda steps=1: None)
    assert found.prices == found.changes.unchanged > 400
    assert [found.changes.counts()[kind] for kind in ("new", "dearer", "cheaper")] == [0, 0, 0]
    spoken_of = 0
    for before, after in zip(shipped.rows, found.after.rows, strict=True):
        assert before[:7] == after[:7]
        if after.as_of == DAY.isoformat():
            spoken_of += 1
            assert (after.inferred, after.basis) == ("no", "")
        else:
            assert before == after
    assert spoken_of == found.prices


def test_what_is_dearer_cheaper_and_new_is_told_and_what_is_not_spoken_of_stays(small: PriceTable) -> None:
    found = refresh(small, [item(usd="0.0700000000"), item(engine="Valkey", usd="0.0540000000"),
                            item("cache.t9.medium", usd="0.0800000000")])
    counts = found.changes.counts()
    assert (counts["new"], counts["dearer"], counts["cheaper"], counts["unchanged"]) == (1, 1, 1, 0)
    (dearer,) = found.changes.dearer
    assert (dearer.was_usd_per_hour, dearer.now_usd_per_hour) == (0.068, 0.07)
    rows, before = found.after.by_key(), small.by_key()
    assert rows[WEST, "redis", MEDIUM, "on_demand"].hourly_usd == "0.07"
    reserved = [key for key in before if key[0] == WEST and key[3] != "on_demand"]
    assert reserved
    assert counts["gone"] == len(reserved)
    assert all(rows[key] == before[key] for key in reserved)
    assert all(rows[key] == before[key] for key in before if key[0] == "us-east-1")


def test_each_price_bears_the_lists_publication_and_the_day_of_reading(small: PriceTable) -> None:
    found = refresh(small, [item(), item(engine="Valkey", usd="0.0544000000")])
    texts = {row.source: row.text for row in found.after.sources}
    row = found.after.by_key()[WEST, "redis", MEDIUM, "on_demand"]
    assert row.as_of == "2026-11-28"
    assert texts[row.source] == ("AWS Price List API, get_products of AmazonElastiCache, "
                                 "published 2026-11-20, read 2026-11-28")
    assert found.after.sources[:-1] == small.sources


def test_a_list_that_answers_for_less_than_half_of_a_region_is_refused(shipped: PriceTable) -> None:
    text = refusal(shipped, [item(), item(engine="Valkey", usd="0.0544000000")])
    assert "came in part" in text
    assert "us-west-2: 2 of its" in text


def test_a_region_that_the_list_does_not_know_is_told(small: PriceTable) -> None:
    found = refresh(small, [item(), item(engine="Valkey", usd="0.0544")], (WEST, "ap-east-2"))
    assert found.silent == ("ap-east-2",)
    with pytest.raises(AmplyError, match=r"came in part.*no node's price in ap-east-2"):
        refresh(small, [], ("ap-east-2",))


def test_a_reservation_that_saves_nothing_is_refused(small: PriceTable) -> None:
    # As it looks where the durability add-on, 0.18 of the node's price, is taken for the node.
    misread = item(engine="Valkey", usd="0.0098", reserved={"1yr_no": ("0.0400", None)})
    text = refusal(small, [misread, item()])
    assert "contradicts itself" in text
    assert "a reservation that saves nothing: us-west-2 valkey cache.t3.medium 1yr_no" in text


@pytest.mark.parametrize("redis_usd", ["0.0540", "0.1090"])
def test_extended_support_taken_for_a_node_is_refused_by_what_valkey_costs(
        small: PriceTable, redis_usd: str) -> None:
    text = refusal(small, [item(usd=redis_usd), item(engine="Valkey", usd="0.0544")])
    assert "Valkey far from four fifths of Redis: us-west-2 valkey cache.t3.medium on_demand" in text


def test_the_answer_in_json_holds_every_change(small: PriceTable) -> None:
    content = refresh(small, [item(usd="0.0700"), item(engine="Valkey", usd="0.0560")]).as_json(kept=False)
    assert content["kept"] is False
    assert content["counts"]["dearer"] == len(content["dearer"]) == 2
    assert content["dearer"][0].keys() == {"region", "engine", "node_type", "term", "was_usd_per_hour",
                                           "now_usd_per_hour"}
    assert (content["read_on"], content["published"]) == ("2026-11-28", ["2026-11-20"])


def test_rates_of_serverless_and_add_ons_are_renewed_with_the_prices(small: PriceTable) -> None:
    """Backups, transfer and rules stay, and so does what is of another region."""
    found = refresh(small, [
        *t3_medium(), *serverless(storage="0.1300000000"), *serverless("Valkey", ecpu="0.0023"),
        item("cache.t3.medium", "Valkey", "0.0098", usage="SyncDurability-NodeUsage")])
    assert found.rates.listed == 6
    assert [(one.item, one.engine, one.was, one.now) for one in found.rates.changed] == [
        ("serverless_storage", "redis", 0.125, 0.13), ("serverless_storage", "valkey", 0.084, 0.125)]
    assert [one.item for one in found.rates.new] == ["sync_durability_addon"]
    assert found.rates.unchanged == 3
    (unread,) = found.rates.unread
    assert unread.startswith("USW2-ElastiCacheProcessingUnits:Valkey in us-west-2: 2300 beside 0.0014 to")
    texts = {row.source: row.text for row in found.after.sources}
    before = {row[:3]: row for row in small.rates if row.item.startswith("serverless")}
    for row in found.after.rates:
        if row.as_of == DAY.isoformat():
            assert row.region == WEST
            assert texts[row.source].endswith("published 2026-11-20, read 2026-11-28")
        else:
            assert row in small.rates
    assert before["serverless_ecpu", WEST, "valkey"] in found.after.rates, "what is not believed stays"
    assert len(found.after.rates) == len(small.rates) + 1
    assert sorted(found.after.rates, key=lambda row: row.item) == list(found.after.rates)


def test_all_regions_are_asked_where_none_is_named_but_for_local_zones() -> None:
    asked = regions_to_ask([])
    assert set(regions()) - set(asked) == {"us-west-2-lax-1"}


def test_regions_named_are_asked_once_each_in_that_order() -> None:
    assert regions_to_ask([WEST, "eu-west-1", WEST]) == (WEST, "eu-west-1")


def test_wrong_names_and_china_are_refused_at_once() -> None:
    with pytest.raises(UnknownName, match=r"'us-eest-1'.*us-east-1"):
        regions_to_ask(["us-eest-1"])
    with pytest.raises(BadInput, match=r"2 inputs.*'eu-wast-1'.*CNY"):
        regions_to_ask(["eu-wast-1", "cn-north-1"])
