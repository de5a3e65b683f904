"""What falls due month by month."""

from __future__ import annotations

from datetime import date

import pytest

from amply_capacity.catalog.prices import TERMS
from amply_capacity.errors import BadInput
from amply_capacity.plan.cash_flow import month_after, nodes_cash_flow, serverless_cash_flow
from amply_capacity.plan.cost import nodes_bill
from amply_capacity.plan.extras import Extras
from amply_capacity.plan.reservations import Reservation
from amply_capacity.plan.serverless_bill import serverless_bill

START = date(2026, 11, 30)


@pytest.mark.parametrize("term", TERMS)
def test_over_whole_terms_the_cash_flow_is_the_amortised_bill(term: str) -> None:
    flow = nodes_cash_flow("us-east-1", "redis", "cache.r7g.large", 2, 1, term, START, 36)
    bill = nodes_bill("us-east-1", "redis", "cache.r7g.large", 2, 1, term)
    assert flow.usd == pytest.approx(36 * bill.usd_per_month, abs=0.02)
    assert (flow.usd_prepaid_beyond, flow.usd_committed_beyond) == (0.0, 0.0)


def test_an_upfront_fee_falls_due_at_once_and_again_at_the_end_of_its_term() -> None:
    flow = nodes_cash_flow("us-east-1", "redis", "cache.t3.micro", 1, 1, "1yr_partial", START, 18)
    assert [due.month for due in flow.dues][:3] == ["2026-11", "2026-12", "2027-01"]
    assert [due.usd_upfront for due in flow.dues] == [96.0, *[0.0] * 11, 96.0, *[0.0] * 5]
    assert [due.usd_hourly for due in flow.dues] == pytest.approx([2 * 730 * 0.006] * 18)
    assert flow.dues[0].usd == pytest.approx(96.0 + 8.76)
    # Half of the second year's fee is for months beyond the eighteenth, and its hours are still to be paid.
    assert flow.usd_prepaid_beyond == 48.0
    assert flow.usd_committed_beyond == pytest.approx(6 * 8.76)


def test_nothing_is_bound_on_demand() -> None:
    flow = nodes_cash_flow("us-east-1", "redis", "cache.t3.micro", 1, 0, "on_demand", START, 5)
    assert [due.usd for due in flow.dues] == [12.41] * 5
    assert (flow.usd_prepaid_beyond, flow.usd_committed_beyond) == (0.0, 0.0)


def test_extended_support_begins_and_grows_in_its_months() -> None:
    flow = nodes_cash_flow("us-east-1", "redis", "cache.t3.micro", 1, 0, "on_demand", date(2026, 1, 1), 26,
                           Extras(engine_version="5.0.6"))
    other = [due.usd_other for due in flow.dues]
    assert other == pytest.approx([0.0, *[730 * 0.014] * 24, 730 * 0.027])


def test_the_last_month_of_an_engine_bounds_the_months() -> None:
    with pytest.raises(BadInput, match=r"Redis OSS 6\.2 no longer runs in the last of these months.*2030-02"):
        nodes_cash_flow("us-east-1", "redis", "cache.t3.micro", 1, 0, "on_demand", date(2029, 1, 1), 14,
                        Extras(engine_version="6.2"))
    flow = nodes_cash_flow("us-east-1", "redis", "cache.t3.micro", 1, 0, "on_demand", date(2029, 1, 1), 13,
                           Extras(engine_version="6.2"))
    assert len(flow.dues) == 13


def test_a_reservation_that_is_there_is_due_when_it_is_renewed_beside_what_it_leaves_over() -> None:
    flow = nodes_cash_flow("us-east-1", "redis", "cache.r7g.xlarge", 1, 0, "on_demand", START, 13,
                           reservation=Reservation("redis", "cache.r7g.large", 1, "1yr_all"))
    assert [due.usd_upfront for due in flow.dues] == [*[0.0] * 12, 1227.802]
    assert [due.usd_hourly for due in flow.dues] == pytest.approx([365 * 0.437] * 13)
    assert flow.usd_prepaid_beyond == pytest.approx(1227.802 * 11 / 12, abs=1e-4)


def test_the_fee_of_a_reservation_that_is_there_is_not_due_again() -> None:
    """It covers the node, so nothing is due within its three years; the bill still spreads the fee."""
    asked = ("us-east-1", "redis", "cache.t3.micro", 1, 0, "on_demand")
    there = Reservation("redis", "cache.t3.micro", 1, "3yr_all")
    flow = nodes_cash_flow(*asked, START, 12, reservation=there)
    assert [due.usd for due in flow.dues] == [0.0] * 12
    assert (flow.usd, flow.usd_prepaid_beyond) == (0.0, 0.0)
    assert flow.notes == (
        "The reservation's upfront fee, 202 USD, is paid already: it is not in here. Its term is "
        "taken to begin with the first month, so it is renewed as late as can be.",)
    assert nodes_bill(*asked, reservation=there).usd_per_month == pytest.approx(202 / 36, abs=1e-4)
    renewed = nodes_cash_flow(*asked, START, 40, reservation=there)
    assert [due.usd for due in renewed.dues] == [*[0.0] * 36, 202.0, *[0.0] * 3]
    assert renewed.usd_prepaid_beyond == pytest.approx(202 * 32 / 36, abs=1e-4)


def test_of_a_partly_prepaid_reservation_the_hours_are_still_due() -> None:
    flow = nodes_cash_flow("us-east-1", "redis", "cache.t3.micro", 1, 0, "on_demand", START, 6,
                           reservation=Reservation("redis", "cache.t3.micro", 1, "1yr_partial"))
    assert [due.usd for due in flow.dues] == pytest.approx([730 * 0.006] * 6)
    assert flow.usd_committed_beyond == pytest.approx(6 * 730 * 0.006)
    assert flow.usd_prepaid_beyond == 0.0


@pytest.mark.parametrize("term", ["on_demand", "1yr_no", "1yr_all"])
def test_what_is_bought_now_is_not_said_to_be_paid_already(term: str) -> None:
    flow = nodes_cash_flow("us-east-1", "redis", "cache.t3.micro", 1, 0, term, START, 3)
    assert flow.as_json()["notes"] == []


def test_without_its_split_a_reservation_has_no_cash_flow_and_says_why() -> None:
    flow = nodes_cash_flow("eu-north-1", "valkey", "cache.r6g.large", 1, 0, "3yr_partial", START, 12)
    assert flow.dues == ()
    assert "not what of it is paid upfront" in flow.absent[0].reason
    shown = flow.as_json()
    assert (shown["months"], shown["usd"], shown["usd_prepaid_beyond"]) == ([], None, None)


def test_what_is_absent_from_the_bill_is_absent_from_the_cash_flow() -> None:
    flow = nodes_cash_flow("eu-west-1", "valkey", "cache.r7g.large", 1, 1, "on_demand", START, 3,
                           Extras(durability="sync"))
    assert [one.what for one in flow.absent] == ["durability, sync writes"]
    assert flow.as_json()["absent"][0]["reason"]


def test_a_serverless_cache_is_due_every_month_alike() -> None:
    bill = serverless_bill("us-east-1", "valkey", 1.0, 100.0)
    flow = serverless_cash_flow(bill, START, 3)
    assert [due.usd for due in flow.dues] == [bill.usd_per_month] * 3
    assert flow.usd == pytest.approx(3 * bill.usd_per_month)


@pytest.mark.parametrize("months", [0, -1, 121, True, 1.5])
def test_an_impossible_number_of_months_is_refused(months: int) -> None:
    with pytest.raises(BadInput, match="impossible number of months"):
        nodes_cash_flow("us-east-1", "redis", "cache.t3.micro", 1, 0, "on_demand", START, months)
    with pytest.raises(BadInput, match="impossible number of months"):
        serverless_cash_flow(serverless_bill("us-east-1", "redis", 1.0, 1.0), START, months)


def test_months_follow_each_other_over_the_year() -> None:
    assert month_after(date(2026, 12, 31), 1) == date(2027, 1, 1)
    assert month_after(date(2026, 1, 1), 35) == date(2028, 12, 1)
