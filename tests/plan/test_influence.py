"""What decides: found where it is known to be, worth what arithmetic says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from amply_capacity.catalog.nodes import node_type
from amply_capacity.model.evidence import Evidence
from amply_capacity.plan.decision import Plan
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.influence import influences, reversal
from amply_capacity.plan.measured import measured
from amply_capacity.plan.options import Option
from amply_capacity.plan.regret import Choice, Scored
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
    found = reversal(choice(np.full(20_000, 10.0), 11.0 - users), varied, measured([evidence()]), WORLDS)
    assert found is not None
    assert (found.number, found.is_above) == ("users.registered", True)
    exact = varied.users.registered.at(np.array([1.0]))[0]
    assert found.threshold == pytest.approx(exact, rel=0.12)
    assert found.price_percent == pytest.approx(100 * 1.0 / 11.0, abs=0.5)


def test_a_choice_of_one_has_no_runner_up(demand: Demands, evidence: Runs) -> None:
    assert reversal(choice(np.ones(20_000)), demand(), measured([evidence()]), WORLDS) is None


def test_a_plan_says_what_would_have_to_change(whole_plan: Callable[..., Plan]) -> None:
    made = whole_plan().as_json()
    assert made["runner_up"]["node_type"] != made["chosen"]["node_type"]
    assert made["runner_up"]["would_win_if"]["price_fall_percent"] > 0
    assert all(one["worth_usd_per_month"] > 0 and one["how"] for one in made["influences"])
