"""The figures, sentences and tables of the decision on a replica."""

from __future__ import annotations

import copy
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from amply_capacity.errors import BadInput, BadRun
from amply_capacity.files import DATA_DIR, EXAMPLE_RUN
from amply_capacity.report import figures, replica_figures, tables
from amply_capacity.report.document import Document, document_of, plan_of
from amply_capacity.report.drill_figure import drill_timelines
from amply_capacity.report.html import render_html
from amply_capacity.report.layout_document import layout_of
from amply_capacity.report.layout_replica import replica_section
from amply_capacity.report.look import Picture
from amply_capacity.report.replica_sentences import beside_the_verdict, headline
from amply_capacity.report.replica_words import amount_of, listed, rounded
from amply_capacity.report.sources import sources_of
from amply_capacity.report.text import plan_text
from amply_capacity.run.reader import Run, read_run

DRILLS = [DATA_DIR / "examples" / f"drill-{name}" for name in ("single", "replicated")]


@pytest.fixture(scope="module")
def drilled(demand: Path) -> Document:
    """The report of the example that ships, and of its drills."""
    return document_of([EXAMPLE_RUN, *DRILLS], demand, worlds=1_000)


@pytest.fixture
def known(drilled: Document) -> dict[str, Any]:
    """Its plan's JSON, a copy to be changed."""
    content: dict[str, Any] = copy.deepcopy(drilled.content["plan"])
    return content


def assert_is_drawn(picture: Picture) -> None:
    ET.fromstring(picture.svg)
    assert "nan" not in picture.claim


def test_the_figures_are_drawn_the_same_from_the_same_plan(known: dict[str, Any]) -> None:
    for draw in (replica_figures.setups, replica_figures.break_even_map, replica_figures.sensitivity):
        assert_is_drawn(draw(known))
        assert draw(known) == draw(known)


def test_the_set_ups_claim_what_is_expected_to_cost_least(known: dict[str, Any]) -> None:
    for one, usd in zip(known["replica"]["setups"], (50.0, 40.0, 30.0, 20.0, 25.0), strict=True):
        one["total_usd"]["expected"] = usd
    assert replica_figures.setups(known).claim == (
        "A replica in another zone is expected to cost least, $20.00 a month with its outages; a single node "
        "$50.00")
    known["replica"]["setups"][0]["total_usd"]["expected"] = 10.0
    assert replica_figures.setups(known).claim.startswith("A single node is expected to cost least, $10.00")


def test_the_map_says_from_which_failure_rate_on_it_pays(known: dict[str, Any]) -> None:
    known["replica"]["break_even"]["failures_per_year"] = 0.4567
    known["replica"]["map"]["point"] = [2.0, 0.3]
    assert replica_figures.break_even_map(known).claim == (
        "From 0.46 failures of a node a year on, a replica pays at the median cost of a minute; 0.3 are "
        "thought likely")
    known["replica"]["break_even"]["failures_per_year"] = None
    assert "never pays" in replica_figures.break_even_map(known).claim


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_map_of_one_verdict_and_of_a_minute_that_costs_nothing_is_drawn(known: dict[str, Any],
                                                                          share: float) -> None:
    drawn = known["replica"]["map"]
    drawn["probability"] = [[share] * 25] * 25
    drawn["point"], drawn["region"] = [0.0, 0.3], [[0.0, 0.3]] * 4
    assert_is_drawn(replica_figures.break_even_map(known))


def test_what_turns_the_verdict_is_the_claim(known: dict[str, Any]) -> None:
    swings = known["replica"]["sensitivity"]
    for one in swings:
        one["flips"] = False
    verdict = known["replica"]["verdict"]
    assert replica_figures.sensitivity(known).claim == f"No number alone turns the verdict “{verdict}”"
    swings[0]["flips"] = True
    assert replica_figures.sensitivity(known).claim == (
        "Failures of a node a year decides whether a replica pays")
    swings[1]["flips"] = True
    assert replica_figures.sensitivity(known).claim == (
        "Failures of a node a year and cost of a lost session decide whether a replica pays")


def test_a_draft_has_none_of_them(known: dict[str, Any]) -> None:
    known["replica"] |= {"setups": [], "sensitivity": [], "map": None}
    for draw in (replica_figures.setups, replica_figures.break_even_map, replica_figures.sensitivity):
        with pytest.raises(BadInput, match="a draft leaves it out"):
            draw(known)
    assert beside_the_verdict(known) == {}
    assert "expected in a month" not in plan_text(known)


def test_a_report_of_a_draft_is_still_written(drilled: Document) -> None:
    content = copy.deepcopy(drilled.content)
    content["plan"]["replica"] |= {
        "setups": [], "learned": [], "drills": [], "refill": None, "after_failover": None,
        "read_scaling": None, "cluster_mode": [], "sensitivity": [], "map": None}
    assert "When to pay for a replica" in render_html(Document(content, drilled.recorded))
    assert [table.key for table in layout_of(content).sections[1].tables] == ["break_even", "replica_months"]


@pytest.mark.parametrize(("verdict", "begins"), [
    ("add", "Add a replica: it saves more than its $12.41 a month in 93 % of the worlds"),
    ("do not add", "Do not add a replica: it saves more than its $12.41 a month in 93 %"),
    ("undecided", "Whether a replica pays is undecided: it saves more than its $12.41 a month in 93 %"),
])
def test_the_headline_is_one_sentence_with_the_verdict_and_where_it_turns(
        known: dict[str, Any], verdict: str, begins: str) -> None:
    known["replica"] |= {"verdict": verdict, "probability": 0.934, "usd_per_month": 12.41}
    known["replica"]["break_even"]["failures_per_year"] = 0.477
    said = headline(known)
    assert said.startswith(begins)
    assert said.endswith("and breaks even at 0.48 failures of a node a year, where 0.30 are thought likely.")
    assert ". " not in said
    known["replica"]["break_even"]["failures_per_year"] = None
    assert headline(known).endswith("at no failure rate at the medians.")


@pytest.mark.parametrize(("verdict", "begins"), [
    ("add", "A replica would pay, but the demand allows no replica: it saves more than its"),
    ("undecided", "Whether a replica pays is undecided, and the demand allows no replica: it saves"),
])
def test_the_headline_asks_for_no_replica_that_is_not_allowed(
        known: dict[str, Any], verdict: str, begins: str) -> None:
    known["replica"] |= {"verdict": verdict}
    known["replica"]["break_even_notes"]["allowed"] = "the demand allows no replica"
    assert headline(known).startswith(begins)


def test_the_median_of_what_is_avoided_is_not_called_expected(known: dict[str, Any]) -> None:
    known["replica"] |= {"usd_per_month": 12.41, "avoided_usd_per_month": {
        "low": 1.5, "mid": 8.0, "high": 40.0, "expected": 12.0}}
    section = replica_section(known, sources_of({"plan": known, "runs": []}))
    assert section.said[0].text == (
        "A replica costs $12.41 a month. In the median world it avoids $8.00 of downtime and lost sessions "
        "($1.50 to $40.00); expected, the mean of the worlds, is $12.00.")
    assert "expected" not in figures.replica_balance(known).svg


def test_what_stands_beside_is_said_by_topic(known: dict[str, Any]) -> None:
    said = beside_the_verdict(known)
    assert set(said) == {"turn", "setups", "after_failover", "reads", "shards", "learned"}
    assert "is expected to cost least" in said["setups"]
    assert "carries the whole load" in said["after_failover"]
    assert "CROSSSLOT" in said["shards"]
    assert "Celery" in said["shards"]
    assert "time to reconnect from 5 s (1 – 20)" in said["learned"]
    known["demand"]["application"]["cluster_mode"] = True
    known["replica"]["learned"] = []
    known["replica"]["flips_in"] = known["replica"]["months"][7]["month"]
    known["replica"]["months"][7]["verdict"] = "add"
    said = beside_the_verdict(known)
    assert {"shards", "learned"}.isdisjoint(said)
    assert said["turn"].startswith("The verdict turns to “add” in ")


def test_reads_are_a_reason_only_where_one_lost_replica_leaves_enough(known: dict[str, Any]) -> None:
    reads = known["replica"]["read_scaling"]
    reads |= {"cpu_short_from": "2027-09", "is_a_reason": True, "relieved": [
        {"replicas": 1, "probability": 0.95, "probability_without_one": 0.4},
        {"replicas": 2, "probability": 0.99, "probability_without_one": 0.95}]}
    said = beside_the_verdict(known)["reads"]
    assert said.startswith("CPU runs out in September 2027 though memory would do. Reads from replicas are a "
                           "reason of their own")
    assert "2 would be enough in 99 % of the worlds, in 95 % with one of them lost" in said
    reads["is_a_reason"] = False
    assert "would not put that off safely" in beside_the_verdict(known)["reads"]


def test_every_format_shows_the_set_ups_and_leads_to_the_drills(drilled: Document) -> None:
    layout = layout_of(drilled.content)
    section = next(one for one in layout.sections if one.key == "replica")
    assert [table.key for table in section.tables] == ["break_even", "setups", "swings", "replica_months"]
    runs = {layout.sources.run(drilled.content["runs"][place]["run"])[0] for place in (1, 2)}
    assert runs <= {key for said in section.said for key in said.keys}
    page = render_html(drilled)
    for one in drilled.content["plan"]["replica"]["setups"]:
        assert one["name"] in page
    text = plan_text(drilled.content["plan"])
    assert "one replica, Multi-AZ" in text
    assert "CROSSSLOT" in text


def test_the_tables_of_the_notebook_show_each_way_and_what_was_learned(known: dict[str, Any]) -> None:
    ways = tables.setups(known).to_html()
    for one in known["replica"]["setups"]:
        assert one["name"] in ways
    learned = tables.learned(known).to_html()
    assert "time to refill the cache" in learned
    assert all(one["run"] in learned for one in known["replica"]["drills"])
    known["replica"]["learned"] = []
    assert "none" in tables.learned(known).to_html()


def test_drills_stand_under_each_other_from_the_moment_of_the_crash() -> None:
    picture = drill_timelines([read_run(one) for one in DRILLS])
    ET.fromstring(picture.svg)
    assert picture.claim.startswith("Single node: away ")
    assert picture.claim.endswith("with a replica: away 2.3 s, none lost")
    alone = drill_timelines([read_run(DRILLS[1])])
    assert alone.claim == "With a replica: away 2.3 s, none lost"
    with pytest.raises(BadRun, match="of no drill"):
        drill_timelines([read_run(EXAMPLE_RUN)])


def test_what_a_drill_does_not_know_is_said_in_its_claim(tmp_path: Path) -> None:
    run = read_run(DRILLS[0])
    drill = {**run.manifest["drill"], "unavailable_seconds": None, "lost_sessions": None, "cache": None}
    unknown = Run(run.directory, {**run.manifest, "drill": drill})
    assert drill_timelines([unknown]).claim == (
        "Single node: away for an unknown time, what was lost is not known")


def test_numbers_of_any_size_are_said_with_the_digits_that_mean_something() -> None:
    assert [rounded(one) for one in (0.0, 1e-6, 0.0123, 0.5, 3.14159, 27.6, 3_763.2)] == [
        "0", "< 0.01", "0.01", "0.50", "3.1", "28", "3,763"]
    assert amount_of("failures.refill_seconds", 97.22) == "97 s"
    assert amount_of("money.usd_per_lost_session", 0.0005) == "0.0005 USD"
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed([]) == ""


def test_a_plan_of_the_run_alone_knows_of_no_drill(demand: Path, plan: dict[str, Any],
                                                   recorded_run: Path) -> None:
    assert plan["replica"]["drills"] == []
    assert plan["replica"]["learned"] == []
    with_it = plan_of([recorded_run, DRILLS[0]], demand, worlds=200).as_json()
    assert [one["kind"] for one in with_it["replica"]["drills"]] == ["crash"]



def test_the_workbooks_sheet_of_the_replica_reckons_with_what_was_learned(known: dict[str, Any]) -> None:
    medians, now = known["replica"]["medians"], {
        one["number"]: one["now"] for one in known["replica"]["learned"]}
    assert medians["refill_minutes"] == pytest.approx(now["failures.refill_seconds"]["mid"] / 60, rel=1e-3)
    assert medians["minutes_replica"] < 0.7, "clients were back sooner than was believed"
