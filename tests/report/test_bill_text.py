"""Bills and cash flows as a person reads them."""

from __future__ import annotations

from datetime import date

from amply_capacity.plan.cash_flow import nodes_cash_flow
from amply_capacity.plan.cost import nodes_bill
from amply_capacity.plan.extras import Extras
from amply_capacity.plan.reservations import Reservation
from amply_capacity.report.bill_text import bill_text, cash_flow_text


def test_a_bill_is_a_table_whose_sources_stand_once() -> None:
    bill = nodes_bill("us-east-1", "redis", "cache.r7g.large", 1, 1, "1yr_partial",
                      Extras(snapshots_retained_days=7, snapshot_gb=1.5)).as_json()
    text = bill_text(bill)
    lines = text.splitlines()
    assert lines[0].split() == ["USD", "quantity", "unit", "USD", "a", "unit", "what"]
    starts = {line.index("2 × cache.r7g.large") for line in lines[1:3]}
    assert len(starts) == 1
    assert "$208.34  a month" in text
    hourly, upfront = bill["lines"][:2]
    assert hourly["source"] == upfront["source"]
    assert text.count(f"source: {hourly['source']}, as of {hourly['as_of']}") == 1
    assert lines[1].endswith("[1]")
    assert lines[3].endswith("[2]")
    for note in bill["notes"]:
        assert f"note: {note}" in text


def test_what_is_absent_is_named_with_its_reason() -> None:
    bill = nodes_bill("eu-west-1", "valkey", "cache.r7g.large", replicas=1, extras=Extras(durability="sync"))
    text = bill_text(bill.as_json())
    for one in bill.absent:
        assert f"absent: {one.what}: {one.reason}" in text


def test_a_line_without_a_unit_price_leaves_its_place_empty() -> None:
    bill = nodes_bill("us-east-1", "redis", "cache.t3.micro").as_json()
    bill["lines"][0]["usd_per_unit"] = None
    assert "node-hour" in bill_text(bill)


def test_a_cash_flow_shows_its_months_and_what_lies_beyond() -> None:
    flow = nodes_cash_flow("us-east-1", "redis", "cache.t3.micro", 1, 0, "1yr_partial", date(2026, 12, 1), 18)
    text = cash_flow_text(flow.as_json())
    lines = text.splitlines()
    assert lines[1].split() == ["2026-12", "4.38", "48.00", "0.00", "52.38"]
    assert len({len(line) for line in lines[:20]}) == 1
    assert lines[19].split() == ["in", "all", "174.84"]
    assert "$24.00 of it is paid upfront" in text
    assert "$26.28 by the hour is still to be paid" in text


def test_nothing_beyond_is_said_where_nothing_is() -> None:
    flow = nodes_cash_flow("us-east-1", "redis", "cache.t3.micro", 1, 0, "on_demand", date(2026, 12, 1), 2)
    assert "after the last" not in cash_flow_text(flow.as_json())


def test_a_cash_flow_says_that_a_reservation_that_is_there_is_paid_already() -> None:
    flow = nodes_cash_flow("us-east-1", "redis", "cache.t3.micro", 1, 0, "on_demand", date(2026, 12, 1), 12,
                           reservation=Reservation("redis", "cache.t3.micro", 1, "3yr_all"))
    lines = cash_flow_text(flow.as_json()).splitlines()
    assert lines[1].split() == ["2026-12", "0.00", "0.00", "0.00", "0.00"]
    assert lines[-1].startswith("note: The reservation's upfront fee, 202 USD, is paid already")


def test_a_cash_flow_that_is_not_known_says_why() -> None:
    flow = nodes_cash_flow("eu-north-1", "valkey", "cache.r6g.large", 1, 0, "3yr_partial", date(2026, 12, 1),
                           12)
    text = cash_flow_text(flow.as_json())
    assert text.startswith("absent: cash flow: the source gives the effective rate")
