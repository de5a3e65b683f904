"""The ways beside each other in every format: what is in their totals, and where these are not known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from amply_capacity.report import figures, tables
from amply_capacity.report.document import Document
from amply_capacity.report.html import render_html
from amply_capacity.report.layout_options import ways_section
from amply_capacity.report.sources import sources_of
from amply_capacity.report.text import plan_text
from amply_capacity.report.ways import WAYS_NOTE, ways_sentence

NOTE = "nothing offered is enough in 94.8 % of the worlds in some month"
_BESIDE = ("difference_expected", "probability_cheaper", "break_even_month")
_TOTALS = ("usd_total", "usd_total_expected", "usd_outages_expected")


def withhold(content: dict[str, Any]) -> None:
    """What the plan comes to is not known: `stay` and serverless still are."""
    for one in content["plan"]["strategies"]:
        one |= dict.fromkeys(_BESIDE)
        if one["name"] != "stay" and "serverless" not in one["name"]:
            one |= {**dict.fromkeys(_TOTALS), "unserved": 0.948, "note": NOTE}


def test_the_totals_are_said_to_have_outages_in_them(document: Document, page: str) -> None:
    plan = document.content["plan"]
    section = ways_section(plan, sources_of(document.content))
    assert section is not None
    assert section.notes == (WAYS_NOTE,)
    assert WAYS_NOTE in page
    assert "outages included" in ways_sentence(plan)
    (table,) = section.tables
    place = next(i for i, column in enumerate(table.columns) if column.title == "Of it outages")
    assert [row.cells[place].number for row in table.rows if row.cells[place].is_figure] == [
        one["usd_outages_expected"] for one in plan["strategies"] if one["usd_total"] is not None]


def test_a_plan_whose_total_is_not_known_is_beaten_by_nothing(changed: Callable[..., Document]) -> None:
    unknown = changed(withhold)
    plan = unknown.content["plan"]
    assert ways_sentence(plan) == (f"What the plan comes to over {len(plan['months'])} months is not known, "
                                   f"nor what other ways would save: {NOTE}.")
    section = ways_section(plan, sources_of(unknown.content))
    assert section is not None
    own = section.tables[0].rows[0]
    assert own.cells[1].number == plan["strategies"][0]["usd_first_month"]
    assert own.cells[2].text == "not known"
    assert own.cells[8].text == "94.8 %"
    assert "is not known" in figures.strategies(plan).claim


def test_every_format_says_what_is_not_known_of_the_ways(changed: Callable[..., Document]) -> None:
    unknown = changed(withhold)
    plan = unknown.content["plan"]
    page = render_html(unknown)
    assert f"not known: {NOTE}" in page
    assert "not known" in tables.strategies(plan).to_html()
    lines = [line for line in plan_text(plan).splitlines() if line.startswith("  plan ")]
    assert lines == [f"  {'plan':<28} not known: {NOTE}"]


def test_a_figure_of_no_known_way_is_drawn(plan: dict[str, Any]) -> None:
    for one in plan["strategies"]:
        one |= dict.fromkeys((*_BESIDE, *_TOTALS))
    assert "is not known" in figures.strategies(plan).claim


@pytest.mark.parametrize(("difference", "begins"), [
    (200.0, "No other way costs less than the plan’s $1,000 over"),
    (-100.25, "“stay” would save $100.25 of the plan’s $1,000 over")])
def test_what_is_saved_is_the_difference_in_the_worlds_that_both_have(
        plan: dict[str, Any], difference: float, begins: str) -> None:
    own, *others = plan["strategies"]
    own["usd_total_expected"] = 1_000.0
    for one in others:
        one |= dict.fromkeys((*_BESIDE, *_TOTALS))
    # Its total is that of fewer worlds, so the two totals tell another difference.
    others[0] |= {"name": "stay", "usd_total_expected": 950.0, "difference_expected": difference}
    assert ways_sentence(plan).startswith(begins)
