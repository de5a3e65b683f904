from __future__ import annotations

import pytest

from amply_capacity.catalog.files import PriceRow
from amply_capacity.catalog.price_checks import missing_shares, oddities


def row(engine: str, effective: str, term: str = "on_demand", node_type: str = "cache.t3.medium",
        region: str = "us-west-2") -> PriceRow:
    return PriceRow(region, engine, node_type, term, effective, "", effective, "no", "", "1", "2026-11-28")


SOUND = (row("redis", "0.068"), row("valkey", "0.0544"), row("redis", "0.046", "1yr_no"))


def test_a_sound_table_has_nothing_odd() -> None:
    assert oddities(SOUND) == []


@pytest.mark.parametrize(("wrong", "rule"), [
    (row("redis", "0.060"), "two prices"),
    (row("redis", "0.068"), "two prices"),
    (row("redis", "0.068", "3yr_no"), "a reservation that saves nothing"),
])
def test_each_rule_names_the_price_that_breaks_it(wrong: PriceRow, rule: str) -> None:
    (found,) = oddities([*SOUND, wrong])
    assert (found.rule, found.key) == (rule, wrong[:4])
    assert wrong.effective_hourly_usd in found.got


@pytest.mark.parametrize(("valkey_usd", "is_odd"), [
    ("0.0098", True), ("0.0544", False), ("0.0680", False), ("0.0690", True)])
def test_valkey_is_held_against_redis(valkey_usd: str, is_odd: bool) -> None:
    assert bool(oddities([row("redis", "0.068"), row("valkey", valkey_usd)])) == is_odd


def test_what_stands_alone_is_compared_with_nothing() -> None:
    assert oddities([row("valkey", "0.01"), row("redis", "9", "1yr_no", node_type="cache.r5.large")]) == []


def test_a_region_is_missing_below_half_of_its_on_demand_prices() -> None:
    rows = [row("redis", "1", node_type=name) for name in "abc"] + [row("redis", "1", "1yr_no", "a")]
    keys = [one[:4] for one in rows]
    assert missing_shares(rows, keys[:2], ["us-west-2"]) == []
    said = missing_shares(rows, [keys[0], keys[3]], ["us-west-2"])
    assert said == ["us-west-2: 1 of its 3 on-demand prices"]
    assert missing_shares(rows, [], ["eu-west-1"]) == []
