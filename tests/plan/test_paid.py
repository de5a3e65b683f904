"""What worlds pay where a reservation binds, by hand: the small node is half of the medium one's units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from amply_capacity.catalog.nodes import node_type
from amply_capacity.plan.decision import Plan
from amply_capacity.plan.options import Option
from amply_capacity.plan.paid import paid_usd
from amply_capacity.plan.projection import Path, projection
from amply_capacity.plan.term_prices import term_prices

Plans = Callable[..., Plan]


def option(name: str, usd: float, term: str = "on_demand", engine: str = "redis") -> Option:
    return Option(engine, node_type(f"cache.{name}"), 1, 0, term, usd)


SMALL, MEDIUM, OTHER = ON_DEMAND = (
    option("t4g.small", 20.0), option("t4g.medium", 40.0), option("m7g.large", 100.0))
A_YEAR = tuple(replace(one, term="1yr_no", node_usd_per_month=0.5 * one.usd_per_month) for one in ON_DEMAND)


def going(*types: int) -> Path:
    """One world, which has these options month by month."""
    return Path(np.array([types]), np.zeros((1, len(types)), dtype=bool))


def paid(path: Path, options: tuple[Option, ...] = ON_DEMAND, first: Option | None = None,
         held_months: int = 0) -> list[float]:
    return list(map(float, paid_usd(path, options, 0, first, held_months)[0]))


def test_on_demand_a_month_is_the_price_of_what_runs() -> None:
    assert paid(going(0, 0, 1, 2), first=SMALL, held_months=3) == [20, 20, 40, 100]


def test_a_reservation_covers_half_of_twice_the_size_and_is_paid_beside_another_family() -> None:
    reserved = replace(SMALL, term="3yr_all", node_usd_per_month=8.0)
    assert paid(going(0, 1, 2), first=reserved) == [8, 8 + 40 / 2, 8 + 100]


def test_after_its_end_the_same_node_costs_what_the_way_pays() -> None:
    reserved = replace(SMALL, term="1yr_no", node_usd_per_month=12.0)
    assert paid(going(*[0] * 14), first=reserved) == [12.0] * 12 + [20.0] * 2


def test_a_reservation_of_redis_covers_more_of_valkey_whose_nodes_are_worth_a_fifth_less() -> None:
    reserved = replace(SMALL, term="3yr_all", node_usd_per_month=8.0)
    valkey = option("t4g.medium", 32.0, engine="valkey")
    # A small one of Redis is 1 unit, a medium one of Valkey 0.8 × 2 = 1.6 units: 0.625 of it are covered.
    assert paid(going(0, 1), (SMALL, valkey), reserved) == pytest.approx([8.0, 8.0 + 32.0 * 0.375])


def test_a_way_at_a_reserved_term_pays_the_rest_of_what_it_leaves() -> None:
    months = paid(going(0, 0, 2, *[2] * 10), A_YEAR)
    # The small one of month 0 is paid until month 11; the other family's from month 2 on.
    assert months == [10, 10, *[10 + 50] * 10, 50]


def test_within_the_family_such_a_way_reserves_what_is_missing_and_wastes_nothing() -> None:
    # The first half ends in month 12 and is reserved anew, the second in month 14.
    assert paid(going(0, 0, *[1] * 14), A_YEAR) == [10, 10, *[20] * 14]


def test_what_is_held_on_demand_beside_a_reserved_way_costs_its_own_price_until_the_review() -> None:
    assert paid(going(*[0] * 5), A_YEAR, SMALL, held_months=3) == [20, 20, 20, 10, 10]


def test_the_bands_of_a_month_are_bills_with_the_reservation_in_them() -> None:
    path = Path(np.array([[0], [1], [2]]), np.zeros((3, 1), dtype=bool))
    reserved = replace(SMALL, term="3yr_all", node_usd_per_month=8.0)
    (month,) = projection(path, ON_DEMAND, ["2026-12"], paid_usd(path, ON_DEMAND, 0, reserved))
    assert (month.node_type, month.usd_low, month.usd_mid, month.usd_high) == (
        "cache.t4g.medium", 8, 28, 108)


ALL_TERMS: dict[str, object] = {
    "allowed.engines": ["redis", "valkey"], "plan.horizon_months": 36,
    "allowed.terms": ["on_demand", "1yr_no", "1yr_partial", "1yr_all", "3yr_no", "3yr_partial", "3yr_all"]}


def test_the_same_nodes_at_a_dearer_reservation_cost_the_difference_of_the_prices(whole_plan: Plans) -> None:
    made = whole_plan(ALL_TERMS)
    ways: dict[str, dict[str, Any]] = {one["name"]: one for one in made.strategies}
    bill = made.chosen.bill
    assert (made.chosen.option.name, made.chosen.option.term) == ("cache.t4g.small, valkey", "3yr_all")
    # Both bind for all 36 months, and what runs beyond them is the same: $9.16 against $8.42.
    months = 36 * (9.1611 - bill.usd_per_month)
    assert months == pytest.approx(26.6, abs=0.05)
    assert ways["reserve 3yr_partial"]["difference_expected"] == pytest.approx(months, abs=0.05)
    assert ways["reserve 3yr_partial"]["probability_cheaper"] == 0.0


def test_a_month_in_which_the_median_world_has_outgrown_the_reservation_says_both(whole_plan: Plans) -> None:
    last = whole_plan(ALL_TERMS).months[-1]
    # 0.052 USD an hour for the medium one, half of it covered.
    assert last.node_type == "cache.t4g.medium"
    assert last.usd_mid == pytest.approx(8.4222 + 0.052 * 730 / 2, abs=1e-3)


def test_a_year_that_is_reserved_saves_nothing_after_it(whole_plan: Plans) -> None:
    made = whole_plan({**ALL_TERMS, "users.growth_percent_per_month": 0, "users.registered": 5_000})
    ways = {one["name"]: one for one in made.strategies}
    option = made.chosen.option
    assert isinstance(option, Option)
    assert option.term == "3yr_all"
    prices = term_prices("us-east-1", option.engine, option.node.name)
    year, on_demand = (prices[term].usd_per_month for term in ("1yr_all", "on_demand"))
    assert year is not None
    assert on_demand is not None
    by_hand = 12 * year + 24 * on_demand
    way = ways["reserve 1yr_all"]
    assert way["usd_total_expected"] - way["usd_outages_expected"] == pytest.approx(by_hand, abs=0.02)


def test_a_replica_of_a_reserved_node_costs_what_a_second_reserved_one_does(whole_plan: Plans) -> None:
    made = whole_plan(ALL_TERMS)
    assert made.replica.usd_per_month == pytest.approx(made.chosen.bill.usd_per_month, abs=1e-3)
