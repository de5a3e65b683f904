"""Where the report's figures come from: prices with the day and the doubt of each."""

from __future__ import annotations

from typing import Any

import pytest

from amply_capacity.report.document import Document
from amply_capacity.report.layout_options import ways_section
from amply_capacity.report.plan_prices import price_dates
from amply_capacity.report.sources import Source, sources_of

pytestmark = pytest.mark.xdist_group("report")


def by_key(content: dict[str, Any]) -> dict[str, Source]:
    return {line.key: line for line in sources_of(content).lines if line.key}


def test_what_reserving_would_cost_stands_under_the_days_of_its_own_prices(document: Document) -> None:
    """Options are priced on demand, as of October; no price of a reserved t4g.micro is younger than 2025."""
    content = document.content
    lines, sources = by_key(content), sources_of(content)
    assert [lines[key].as_of for key in sources.prices()] == ["2026-10-02"]
    reserved = [lines[key] for key in sources.reserved()]
    assert {line.as_of for line in reserved} == {"2024-10-07", "2025-04-24"}
    assert {line.what for line in reserved} == {"prices of cache.t4g.micro, redis, reserved"}
    said = "; ".join(line.value.text for line in reserved)
    # 89 USD for twelve months, and 0.011 USD for each of 730 hours.
    assert "1yr all: $7.42 a month, inferred at least in part" in said
    assert "1yr no: $8.03 a month; " in said
    ways = ways_section(content["plan"], sources)
    assert ways is not None
    for row in ways.tables[0].rows:
        assert {*sources.prices(), *sources.reserved()} <= set(row.keys)


def test_a_demand_that_allows_reservations_is_dated_by_their_prices_too(plan: dict[str, Any]) -> None:
    """Of the 70 types on demand 59 have an all-upfront price, and that of 26 is inferred."""
    plan["demand"]["allowed"]["terms"] = ["on_demand", "1yr_all"]
    content = {"plan": plan, "runs": []}
    (key,) = sources_of(content).prices()
    line = by_key(content)[key]
    assert line.what == "prices of all node types in us-east-1, redis, on demand, 1yr all"
    assert line.as_of == "2024-10-07 to 2026-10-02"
    assert line.value.text == "26 of 129 inferred at least in part"
    assert len(price_dates(plan)) == 70 + 59 + len(
        [one for one in plan["strategies"] if one["name"].startswith("reserve ")])


def test_without_a_priced_reservation_none_is_cited(plan: dict[str, Any]) -> None:
    plan["strategies"] = []
    content = {"plan": plan, "runs": []}
    assert sources_of(content).reserved() == ()
    assert price_dates(plan) == ["2026-10-02"] * 70
