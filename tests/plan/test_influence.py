"""What decides: found where it is known to be, worth what arithmetic says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from amply_capacity.catalog.nodes import node_type
from amply_capacity.model.evidence import Evidence
from amply_capacity.plan.commitment import own_usd
from amply_capacity.plan.decision import Plan
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.demand_needs import needs
from amply_capacity.plan.influence import influences, reversal
from amply_capacity.plan.measured import measured
from amply_capacity.plan.needs import Needs
from amply_capacity.plan.options import Option
from amply_capacity.plan.regret import Choice, Scored
from amply_capacity.plan.workload import workload
from amply_capacity.plan.worlds import Floats, Worlds

Demands = Callable[..., Demand]
Runs = Callable[..., Evidence]
WORLDS = Worlds(20_000, 1)


def option(name: str) -> Option:
    return Option("redis", node_type(name), 1, 0, "on_demand", 10.0)


def choice(*costs: Floats) -> Choice:
    names = ("cache.t4g.micro", "cache.t4g.small", "cache.t4g.medium")
    found = tuple(Scored(option(name), usd, float(usd.mean()), {})
                  for name, usd in zip(names, costs, strict=False))
    return Choice(found, np.min(costs, axis=0))


def needed(demand: Demand, run: Evidence) -> Needs:
    return needs(demand, measured([run]), workload(demand, WORLDS, date(2026, 11, 23)), WORLDS)


def test_the_number_that_decides_is_found_with_what_it_is_worth(demand: Demands, evidence: Runs) -> None:
    """One costs 10, the other 10 and the score of the users: who knew the score would save E max(-z, 0)."""
    users = WORLDS.scores("users.registered")
    varied = demand({"users.registered": {"low": 10_000, "mid": 25_000, "high": 60_000}})
    found = influences(choice(np.full(20_000, 10.0), 10.0 + users), varied, measured([evidence()]), WORLDS)
    assert [one.name for one in found] == ["users.registered"]
    assert found[0].usd_per_month == pytest.approx(1.0 / np.sqrt(2.0 * np.pi), rel=0.06)
    assert found[0].how == "count it in production"


def test_where_one_is_always_better_nothing_is_worth_knowing(demand: Demands, evidence: Runs) -> None:
    users = WORLDS.scores("users.registered")
    sure = choice(10.0 + users, 30.0 + users)
    assert influences(sure, demand(), measured([evidence()]), WORLDS) == ()


def test_the_reversal_names_the_value_that_turns_the_choice(demand: Demands, evidence: Runs) -> None:
    users = WORLDS.scores("users.registered")
    varied = demand({"users.registered": {"low": 10_000, "mid": 25_000, "high": 60_000}})
    found = reversal(choice(np.full(20_000, 10.0), 10.5 - users), varied, measured([evidence()]),
                     needed(varied, evidence()), WORLDS)
    assert found is not None
    assert (found.number, found.is_above) == ("users.registered", True)
    exact = varied.users.registered.at(np.array([0.5]))[0]
    assert found.threshold == pytest.approx(exact, rel=0.12)
    # 50 cents a month are 18 dollars in 36 months; it is paid 10 dollars in three of them.
    assert found.price_percent == pytest.approx(60.0, abs=1.0)


def test_what_is_paid_for_an_option_itself_leaves_out_the_way_afterwards() -> None:
    """10 dollars for four of the six months of two worlds that are held, of 36 each."""
    holds = np.array([[True, True, True], [True, False, False]])
    assert own_usd(option("cache.t4g.micro"), 36, holds) == pytest.approx(10.0 * 4 / 2 / 36)


def test_a_reservation_is_paid_though_it_is_outgrown() -> None:
    reserved = replace(option("cache.t4g.micro"), term="1yr_no")
    holds = np.zeros((2, 12), dtype=np.bool_)
    assert own_usd(reserved, 36, holds) == pytest.approx(10.0 * 12 / 36)


def test_a_dearer_twin_wins_once_its_price_has_fallen_to_that_of_the_chosen(
        whole_plan: Callable[..., Plan]) -> None:
    """A t3.micro at 12.41 and a t4g.micro at 11.68 both last until the review: 0.73 of 12.41 is 5.88 %."""
    made = whole_plan().as_json()
    chosen, second = made["chosen"], made["runner_up"]
    assert (chosen["node_type"], chosen["usd_per_month"]) == ("cache.t4g.micro", 11.68)
    assert (second["node_type"], second["usd_per_month"]) == ("cache.t3.micro", 12.41)
    assert second["would_win_if"]["price_fall_percent"] == pytest.approx(100 * 0.73 / 12.41, abs=0.01)


def test_the_price_of_a_serverless_cache_falls_while_it_is_held(whole_plan: Callable[..., Plan]) -> None:
    """Then the two cost the same: so much less of what is paid for it until the review, and nothing else."""
    plan = whole_plan({"application.cluster_mode": True, "allowed.kinds": ["nodes", "serverless"],
                       "allowed.node_types": ["cache.t4g.micro"], "allowed.shards": 1,
                       "users.registered": 100, "users.growth_percent_per_month": 0})
    made = plan.as_json()
    second = made["runner_up"]
    assert second["kind"] == "serverless"
    ahead = second["expected_usd_per_month"] - made["chosen"]["expected_usd_per_month"]
    held = made["review_months"] * second["usd_per_month"] / len(made["months"])
    assert second["would_win_if"]["price_fall_percent"] == pytest.approx(100.0 * ahead / held, rel=0.05)


def test_a_choice_of_one_has_no_runner_up(demand: Demands, evidence: Runs) -> None:
    need = needed(demand(), evidence())
    assert reversal(choice(np.ones(20_000)), demand(), measured([evidence()]), need, WORLDS) is None


def test_a_plan_says_what_would_have_to_change(whole_plan: Callable[..., Plan]) -> None:
    made = whole_plan().as_json()
    assert made["runner_up"]["node_type"] != made["chosen"]["node_type"]
    assert made["runner_up"]["would_win_if"]["price_fall_percent"] > 0
    assert all(one["worth_usd_per_month"] > 0 and one["how"] for one in made["influences"])
