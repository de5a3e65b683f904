"""The report document: from runs, demand and seed alone, with the recommendation in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from amply_capacity.model.digest import digest
from amply_capacity.report.document import Document, conclusion, document_of, month_text, plan_of
from amply_capacity.run.reader import read_run

pytestmark = pytest.mark.xdist_group("report")


def test_the_same_inputs_give_the_same_document(document: Document, recorded_run: Path, demand: Path) -> None:
    again = document_of([recorded_run], demand, worlds=2_000)
    assert json.dumps(again.content) == json.dumps(document.content)


def test_its_plan_is_the_plan(document: Document, recorded_run: Path, demand: Path) -> None:
    assert document.content["plan"] == plan_of([recorded_run], demand, worlds=2_000).as_json()


def test_it_can_be_written_as_json_without_a_figure_that_is_no_number(document: Document) -> None:
    assert json.loads(json.dumps(document.content, allow_nan=False)) == document.content


def test_what_was_measured_is_what_the_models_say_of_the_run(document: Document, recorded_run: Path) -> None:
    evidence = digest(read_run(recorded_run))
    (run,) = document.content["runs"]
    assert run["run"] == evidence.run_id
    assert run["hit_rate"] == evidence.hit_rate
    assert run["evictions"] == evidence.evictions
    assert evidence.footprint.session_bytes is not None
    assert run["bytes"]["session_bytes"]["mid"] == round(evidence.footprint.session_bytes.mid, 1)
    assert evidence.cpu_us_per_command is not None
    assert run["cpu_us_per_command"]["mid"] == round(evidence.cpu_us_per_command.mid, 2)
    assert sum(row["operations"] for row in run["operations"]) == sum(
        latency.operations for latency in evidence.latency.values())


def test_the_conclusion_names_node_price_verdict_and_next_upgrade(plan: dict[str, Any]) -> None:
    plan["chosen"] |= {"node_type": "cache.t4g.small", "engine": "valkey", "region": "eu-west-1", "shards": 1,
                       "replicas": 1, "term": "on_demand", "usd_per_month": 1234.5}
    plan["replica"] |= {"verdict": "add", "probability": 0.934}
    plan["upgrades"] = [{"to": "cache.m7g.large", "month": "2027-09", "act_by": "2027-05"}]
    assert conclusion(plan) == (
        "Run 2 cache.t4g.small (valkey, eu-west-1, on demand) for $1,234 a month. "
        "Add a replica: it saves more than it costs in 93 % of the worlds. "
        "The next upgrade is to cache.m7g.large in September 2027; be ready by May 2027.")


@pytest.mark.parametrize(("verdict", "words"), [
    ("do not add", "Do not add a replica: it saves more than it costs in only 40 % of the worlds."),
    ("undecided",
     "Whether a replica pays is undecided (40 % of the worlds say yes), so today's number, 1, stays."),
])
def test_each_verdict_has_its_words(plan: dict[str, Any], verdict: str, words: str) -> None:
    plan["replica"] |= {"verdict": verdict, "probability": 0.4, "replicas": 1}
    assert words in conclusion(plan)


@pytest.mark.parametrize(("verdict", "words"), [
    ("add", "A replica would save more than it costs in 90 % of the worlds, but the demand allows no "
            "replica."),
    ("undecided", "Whether a replica pays is undecided (90 % of the worlds say yes), and the demand allows "
                  "no replica."),
])
def test_the_conclusion_asks_for_no_replica_that_is_not_allowed(
        plan: dict[str, Any], verdict: str, words: str) -> None:
    plan["replica"] |= {"verdict": verdict, "probability": 0.9, "replicas": 0}
    plan["replica"]["break_even_notes"]["allowed"] = "the demand allows no replica"
    assert words in conclusion(plan)


def test_without_an_upgrade_the_conclusion_says_so(plan: dict[str, Any]) -> None:
    plan["upgrades"] = []
    assert conclusion(plan).endswith("No upgrade is in sight for 36 months.")


def test_a_month_is_written_out() -> None:
    assert [month_text("2026-12"), month_text("2027-01")] == ["December 2026", "January 2027"]
