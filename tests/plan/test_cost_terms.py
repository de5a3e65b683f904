"""The price of a node at every term, for a search over terms."""

from __future__ import annotations

import pytest

from amply_capacity.catalog.prices import ENGINES, TERMS, prices
from amply_capacity.errors import BadInput, UnknownName
from amply_capacity.plan.cost import nodes_bill
from amply_capacity.plan.savings_plan import SAVINGS_PLAN
from amply_capacity.plan.term_prices import term_prices


def test_a_term_price_is_the_bill_of_one_node() -> None:
    checked = 0
    for engine in ENGINES:
        for name in sorted({found.node_type for found in prices() if found.region == "eu-central-1"})[::7]:
            for term, found in term_prices("eu-central-1", engine, name).items():
                if found.usd_per_month is not None:
                    bill = nodes_bill("eu-central-1", engine, name, term=term)
                    assert found.usd_per_month == pytest.approx(bill.usd_per_month, abs=1e-4), (name, term)
                    assert (found.source is not None, found.as_of is not None) == (True, True)
                    assert found.reason is None
                    checked += 1
    assert checked > 50


def test_every_term_has_a_price_or_a_reason() -> None:
    found = term_prices("us-east-1", "redis", "cache.t3.micro")
    assert tuple(found) == (*TERMS, SAVINGS_PLAN)
    assert found["on_demand"].usd_per_month == 12.41
    assert found["1yr_all"].usd_per_month == pytest.approx(95 / 12)
    assert (found["3yr_partial"].hourly_usd, found["3yr_partial"].upfront_usd) == (0.004, 107.0)
    assert [found[term].months for term in ("on_demand", "1yr_no", "3yr_all")] == [None, 12, 36]
    plan = found[SAVINGS_PLAN]
    assert plan.usd_per_month is None
    assert plan.reason is not None
    assert "Valkey only" in plan.reason


def test_what_is_not_sold_has_a_reason_at_every_term() -> None:
    nowhere = term_prices("us-west-2", "redis", "cache.r8g.large")
    assert all(found.usd_per_month is None for found in nowhere.values())
    assert "no price at all is" in str(nowhere["on_demand"].reason)
    some = term_prices("ap-southeast-7", "redis", "cache.t3.micro")
    assert some["on_demand"].usd_per_month is not None
    assert "no 3yr_all price of cache.t3.micro" in str(some["3yr_all"].reason)
    assert "prices of on_demand" in str(some["3yr_all"].reason)


def test_a_price_that_is_arithmetic_or_lacks_its_split_says_so() -> None:
    assert term_prices("us-west-2", "redis", "cache.t3.medium")["1yr_partial"].inferred
    unsplit = term_prices("eu-north-1", "valkey", "cache.r6g.large")["3yr_partial"]
    assert (unsplit.hourly_usd, unsplit.upfront_usd) == (None, None)
    assert unsplit.usd_per_month == pytest.approx(730 * 0.0827656012)


@pytest.mark.parametrize(("term", "caveat"), [
    ("on_demand", ""),
    ("1yr_no", "its price is as of 2025-04-24"),
    ("1yr_all", "its price is as of 2024-10-07, inferred at least in part"),
    ("3yr_all", "its price is as of 2025-04-24")])
def test_a_reservations_price_tells_its_day_and_whether_it_is_inferred(term: str, caveat: str) -> None:
    found = term_prices("us-east-1", "redis", "cache.t4g.micro")[term]
    assert found.caveat == caveat
    assert found.inferred == ("inferred" in caveat)
    assert not found.inferred or "INFERRED" in found.basis


def test_a_reservations_price_without_a_date_says_so() -> None:
    (name, *_) = [found.node_type for found in prices() if (found.region, found.engine, found.term) == (
        "us-east-1", "valkey", "3yr_all") and found.as_of == "undated"]
    assert term_prices("us-east-1", "valkey", name)["3yr_all"].caveat == "its price bears no date"


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UnknownName, match=r"cache\.t3\.mikro"):
        term_prices("us-east-1", "redis", "cache.t3.mikro")
    with pytest.raises(BadInput, match="2 inputs are wrong"):
        term_prices("mars", "radis", "cache.t3.micro")
