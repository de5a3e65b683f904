"""Plans, runs, bills and money as text, and the tables of the notebooks."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from amply_capacity.catalog import prices
from amply_capacity.model.digest import digest
from amply_capacity.model.latency import operation_table
from amply_capacity.plan.cost import nodes_bill
from amply_capacity.report import tables
from amply_capacity.report.bill_text import bill_text
from amply_capacity.report.bought import would_win
from amply_capacity.report.document import conclusion
from amply_capacity.report.money import usd
from amply_capacity.report.numbers import plain
from amply_capacity.report.text import evidence_text, plan_text
from amply_capacity.run.reader import Run, read_run

pytestmark = pytest.mark.xdist_group("report")


@pytest.mark.parametrize(("amount", "text"), [
    (12.41, "$12.41"), (0.0, "$0.00"), (999.994, "$999.99"), (1000.0, "$1,000"), (9108.4, "$9,108"),
    (None, "unknown")])
def test_money_has_cents_below_a_thousand_and_is_unknown_rather_than_zero(
        amount: float | None, text: str) -> None:
    assert usd(amount) == text


@pytest.mark.parametrize(("number", "text"), [
    (40_780.4, "40,780"), (12.5, "12.5"), (0.47741, "0.4774"), (1e-4, "0.0001"), (0.0, "0"),
    (5.277e-6, "5.277 millionths"), (-2e-5, "-20 millionths")])
def test_a_number_has_neither_an_exponent_nor_a_row_of_noughts(number: float, text: str) -> None:
    assert plain(number) == text


def test_a_bill_shows_lines_sources_sum_and_what_is_not_in_it() -> None:
    bill = nodes_bill("us-east-1", "redis", "cache.t3.micro", 1, 1, "on_demand").as_json()
    text = bill_text(bill)
    assert "$24.82  a month" in text
    for line in bill["lines"]:
        assert f"source: {line['source']}, as of {line['as_of']}" in text
    for note in bill["notes"]:
        assert note in text


@pytest.mark.parametrize(("fall", "number", "text"), [
    (5.88, None, "it would win if its price fell by 5.9 %"),
    (0.17, "users.registered", "it would win if its price fell by 0.2 %, or with users: registered above "
                               "40,780"),
    (130.0, "users.registered", "it would win with users: registered above 40,780, but at no price"),
    (130.0, None, "it would not win even if it cost nothing")])
def test_what_turns_the_choice_is_never_a_fall_of_more_than_the_price(
        fall: float, number: str | None, text: str) -> None:
    assert would_win({"price_fall_percent": fall, "number": number, "threshold": number and 40_780.4,
                      "wins": number and "above"}) == text


def test_a_plans_text_shows_its_conclusion_limits_and_months(plan: dict[str, Any]) -> None:
    plan["headroom"][-1] |= {"headroom_percent": None, "available_is": None}
    plan["months"][-1] |= {"usd_mid": None, "usd_high": None}
    text = plan_text(plan)
    assert text.splitlines()[0] == conclusion(plan)
    assert f"  {plan['headroom'][-1]['constraint']:<14} unknown" in text
    # Its year and month begin the line; what else is unknown depends on what the recording could tell.
    (month,) = (line for line in text.splitlines() if line.startswith(plan["months"][-1]["month"]))
    assert month.count("unknown") == 2
    assert f"… and {len(plan['excuses']) - 12} more" in text


def test_a_plan_without_break_even_or_many_excuses_says_so(plan: dict[str, Any]) -> None:
    plan["replica"]["break_even"] = dict.fromkeys(plan["replica"]["break_even"])
    plan["excuses"] = plan["excuses"][:3]
    text = plan_text(plan)
    assert "cannot break even" in text
    assert "more (--json lists all)" not in text


def test_what_a_run_does_not_hold_is_not_measured_in_its_text(recorded_run: Path) -> None:
    run = read_run(recorded_run)
    evidence = dataclasses.replace(digest(run), hit_rate=None, cpu_us_per_command=None, warnings=("beware",))
    text = evidence_text(evidence, operation_table(run))
    assert "Hit rate of cached reads: not measured" in text
    assert "Server CPU per command: not measured" in text
    assert "warning: beware" in text


def frame_of(styler: Any) -> pd.DataFrame:
    """The data that a styled table shows; rendering it must not fail."""
    assert "<table" in styler.to_html()
    frame: pd.DataFrame = styler.data
    return frame


@pytest.fixture
def run(recorded_run: Path) -> Run:
    return read_run(recorded_run)


def test_the_tables_of_a_run_show_operations_server_and_bytes(run: Run) -> None:
    assert set(frame_of(tables.operations(run))["operation"]) == set(operation_table(run)["operation"])
    server = frame_of(tables.server(run))
    names = {name.removesuffix(" (emulated)") for name in server["metric"]}
    assert {"EngineCPUUtilization", "CurrConnections", "Evictions"} <= names
    assert "ReplicationBytes" not in names, "without a replica it is absent"
    assert (server["min"] <= server["median"]).all()
    assert "FreeableMemory (emulated)" in set(server["metric"])
    assert list(frame_of(tables.footprint(run))["one"]) == [
        "session", "index", "counter", "cached", "result", "connection"]


def test_the_tables_of_a_plan_show_its_rows(plan: dict[str, Any]) -> None:
    assert len(frame_of(tables.headroom(plan))) == len(plan["headroom"])
    assert frame_of(tables.ranked(plan))["nodes"].iloc[0] == f"1 × {plan['chosen']['node_type']}"
    assert len(frame_of(tables.strategies(plan))) == len(plan["strategies"])
    assert len(frame_of(tables.influences(plan))) == len(plan["influences"])
    assert len(frame_of(tables.excuses(plan))) == len(plan["excuses"])
    assert len(frame_of(tables.break_even(plan))) == 3
    assert list(frame_of(tables.months(plan))["month"]) == [row["month"] for row in plan["months"]]
    assert frame_of(tables.bill(plan))["USD"].sum() == pytest.approx(plan["chosen"]["usd_per_month"])
    assert len(frame_of(tables.assumptions(plan))) == len(plan["assumptions"])
    assert len(frame_of(tables.upgrades(plan))) == len(plan["upgrades"])


def test_tables_of_a_plan_without_upgrades_excuses_or_known_costs_are_drawn(plan: dict[str, Any]) -> None:
    plan["upgrades"], plan["excuses"] = [], []
    for month in plan["months"][3:]:
        month |= {"usd_mid": None, "usd_high": None}
    plan["replica"]["break_even"]["users"] = None
    assert frame_of(tables.upgrades(plan)).empty
    assert frame_of(tables.excuses(plan)).empty
    assert "<caption>none</caption>" in tables.excuses(plan).to_html()
    assert tables.months(plan).to_html().count("not known") == 2 * 33
    assert "not known" in tables.break_even(plan).to_html()


def test_hostile_text_in_a_table_is_escaped(plan: dict[str, Any]) -> None:
    plan["excuses"] = [{"node_type": "x", "constraint": "memory", "reason": "<script>alert(1)</script>"}]
    assert "<script>" not in tables.excuses(plan).to_html()


def test_the_specifications_costs_stand_above_the_true_ones_of_all_regions() -> None:
    frame = frame_of(tables.specification_costs())
    assert frame["region"].tolist() == ["the specification says", *prices.regions()]
