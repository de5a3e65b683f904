from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.catalog.files import PriceRow
from amply_capacity.catalog.listed_price import ListedPrice
from amply_capacity.catalog.price_changes import changes_of
from amply_capacity.catalog.price_table import PriceTable

PLACE = ("eu-west-1", "redis")


def row(node_type: str, effective: str, term: str = "on_demand", region: str = "eu-west-1") -> PriceRow:
    return PriceRow(region, "redis", node_type, term, effective, "", effective, "no", "", "1", "2025-03-14")


def listed(node_type: str, usd: str, region: str = "eu-west-1") -> ListedPrice:
    return ListedPrice(region, "redis", node_type, "on_demand", Decimal(usd), Decimal(), "2026-11-20")


def table(*rows: PriceRow) -> PriceTable:
    return PriceTable(rows, ())


def test_each_price_is_of_one_kind() -> None:
    before = table(row("a", "1"), row("b", "1"), row("c", "1"), row("d", "1"))
    now = [listed("a", "1.00000"), listed("b", "1.1"), listed("c", "0.8"), listed("e", "2")]
    found = changes_of(before, now, {"eu-west-1"})
    assert {kind: [one.node_type for one in changes] for kind, changes in found.kinds().items()} == {
        "new": ["e"], "gone": ["d"], "dearer": ["b"], "cheaper": ["c"]}
    assert found.counts() == {"new": 1, "gone": 1, "dearer": 1, "cheaper": 1, "unchanged": 1}


def test_the_biggest_stands_first_relatively_where_both_prices_are_known() -> None:
    before = table(row("small", "0.01"), row("large", "10"), row("gone-small", "0.1"), row("gone-large", "9"))
    now = [listed("small", "0.02"), listed("large", "11"),
           listed("new-small", "0.1"), listed("new-large", "9")]
    found = changes_of(before, now, {"eu-west-1"})
    assert [one.node_type for one in found.dearer] == ["small", "large"]
    assert found.dearer[0].relative == 1.0
    assert [one.node_type for one in found.new] == ["new-large", "new-small"]
    assert [one.node_type for one in found.gone] == ["gone-large", "gone-small"]
    assert found.new[0].relative is None


def test_a_difference_in_the_rounding_of_the_sources_is_no_change() -> None:
    found = changes_of(table(row("a", "0.0220730594")), [listed("a", "0.02207306")], {"eu-west-1"})
    assert found.counts()["unchanged"] == 1


def test_regions_that_were_not_asked_for_are_not_gone() -> None:
    before = table(row("a", "1"), row("a", "1", region="us-east-1"))
    assert changes_of(before, [], {"eu-west-1"}).counts()["gone"] == 1


PRICES = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 9_000), max_size=8)


@given(PRICES, PRICES)
def test_every_price_before_and_now_is_counted_once(before: dict[str, int], now: dict[str, int]) -> None:
    rows = table(*(row(name, f"{cents / 10_000}") for name, cents in before.items()))
    counts = changes_of(rows, [listed(name, f"{cents / 10_000}") for name, cents in now.items()],
                        {"eu-west-1"}).counts()
    assert sum(counts.values()) == len(before.keys() | now.keys())
    assert counts["new"] == len(now.keys() - before.keys())
    assert counts["gone"] == len(before.keys() - now.keys())
    assert counts["unchanged"] == sum(now.get(name) == cents for name, cents in before.items())
