"""Sliders: each moves what it says and nothing else, and the decision follows."""

from __future__ import annotations

import asyncio
from dataclasses import fields, replace
from typing import Any

import IPython.display
import pytest

from amply_capacity.files import EXAMPLE_RUN, ROOT
from amply_capacity.model.digest import digest
from amply_capacity.plan.demand import Demand, load_demand
from amply_capacity.report import what_if as module
from amply_capacity.report.controls import box
from amply_capacity.report.live import Html
from amply_capacity.report.what_if import DRAFT_WORLDS, STATIC_VARIABLE, Question, WhatIf
from amply_capacity.run.reader import read_run


@pytest.fixture(scope="module")
def demand() -> Demand:
    return load_demand(ROOT / "data" / "demand.example.toml")


@pytest.fixture
def asked(demand: Demand) -> WhatIf:
    return WhatIf(digest(read_run(EXAMPLE_RUN)), demand)


def test_the_demands_own_numbers_change_nothing_but_what_may_be_chosen(demand: Demand) -> None:
    same = Question.of(demand).put_to(demand)
    for table in fields(Demand):
        if table.name not in ("allowed", "slo"):
            assert getattr(same, table.name) == getattr(demand, table.name), table.name
    assert same.slo.p99_ms.rate_limit.mid == pytest.approx(demand.slo.p99_ms.rate_limit.mid)


def test_each_slider_moves_its_number_and_keeps_how_sure_it_is(demand: Demand) -> None:
    moved = replace(Question.of(demand), users=50_000, growth_percent=20, peak_to_mean=6,
                    p99_ms=1.5).put_to(demand)
    assert moved.users.registered.mid == 50_000
    growth, before = moved.users.growth_percent_per_month, demand.users.growth_percent_per_month
    assert growth.mid == 20
    assert growth.high - growth.low == pytest.approx(before.high - before.low)
    assert moved.activity.peak_to_mean.high == pytest.approx(2 * demand.activity.peak_to_mean.high)
    assert moved.slo.p99_ms.sessions.mid == pytest.approx(0.5 * demand.slo.p99_ms.sessions.mid)
    assert moved.connections.tasks.mid == pytest.approx(2 * demand.connections.tasks.mid)


def test_a_draft_says_that_it_is_one_and_the_decision_follows_the_slider(asked: WhatIf) -> None:
    before = asked.move()
    after = asked.move(users=300_000.0)
    assert f"draft of {DRAFT_WORLDS:,} worlds" in before
    assert "t4g.micro" in before
    assert "Run 1 cache.t4g.micro" not in after
    assert after.count("<svg") == 1


def test_what_cannot_be_planned_is_said_in_place_of_the_decision(asked: WhatIf) -> None:
    assert "no node type that may be chosen" in asked.move(users=1e9)
    assert "are known" in asked.move(users=25_000.0, term="3yr_all", region="eu-west-1") or asked.move()


def test_when_the_hand_rests_all_worlds_are_planned(asked: WhatIf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REST_SECONDS", 0.05)
    monkeypatch.setattr(module, "WORLDS", 600)
    shown: list[str] = []

    class Shown:
        def show(self, drawn: Html) -> None:
            shown.append(drawn.html)

    asked._shown = Shown()  # type: ignore[assignment]

    async def hand() -> None:
        for users in (30_000.0, 35_000.0, 40_000.0):
            asked.move(users=users)
            await asyncio.sleep(0.01)
        for _ in range(200):
            await asyncio.sleep(0.05)
            if "600 worlds" in shown[-1]:
                return

    asyncio.run(hand())
    drafts = [one for one in shown if "draft of" in one]
    assert len(drafts) == 3
    assert "draft" not in shown[-1]
    assert len(shown) == 4, "a move before the rest is over is not planned in full"


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is shown in a notebook."""
    found: list[Any] = []
    monkeypatch.setattr(IPython.display, "display", lambda shown, **_: found.append(shown))
    return found


def test_jupyter_gets_sliders_with_the_answer_as_an_output_of_its_own(
        asked: WhatIf, displayed: list[Any]) -> None:
    asked._ipython_display_()
    sliders, answer = displayed
    assert "application/vnd.jupyter.widget-view+json" in sliders
    assert "In JupyterLab there are sliders here" in sliders["text/html"]
    assert isinstance(answer, Html)


def test_an_export_gets_a_table_of_usual_questions(
        asked: WhatIf, displayed: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STATIC_VARIABLE, "1")
    asked._ipython_display_()
    (table,) = displayed
    assert table.html.count("<tr>") >= 8
    assert "on valkey" in table.html
    assert "From run 20261123T210543Z-mixed-f69989" in table.html


def test_an_answer_says_what_was_asked_and_of_which_run(asked: WhatIf) -> None:
    drawn = asked.move(users=30_000.0, growth_percent=5.0)
    assert ("30,000 users, +5 % a month, peak 3 times the mean, tightest p99 3 ms, us-east-1, redis, "
            "on demand. draft of") in drawn
    assert "run 20261123T210543Z-mixed-f69989" in drawn


def test_another_run_answers_the_same_question(asked: WhatIf) -> None:
    before = asked.move(users=30_000.0)
    footprint = asked._evidence.footprint
    assert footprint.session_bytes
    larger = replace(footprint, session_bytes=footprint.session_bytes.scaled(9.0))
    after = asked.rest_on(replace(asked._evidence, footprint=larger))
    assert asked.question.users == 30_000.0
    assert "30,000 users" in after
    assert before.split("</b>")[0] != after.split("</b>")[0]


def test_no_slider_moves_what_the_demand_says_by_itself(demand: Demand) -> None:
    now = {"users": 25_000.0, "growth_percent": 7.3, "peak_to_mean": 3.1, "p99_ms": 2.9,
           "region": "us-east-1", "engine": "redis", "term": "on_demand"}
    sliders = [one for column in box(now, ["us-east-1"], ["redis"], ["on_demand"], print).children
               for one in column.children]
    for one in sliders[1:4]:
        steps = (one.value - one.min) / one.step
        assert steps == pytest.approx(round(steps)), one.description
        assert one.min <= one.value <= one.max
    assert [one.value for one in sliders] == list(now.values())
