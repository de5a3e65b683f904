"""The replica: expected avoided cost against its price, and the break-evens."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from amply_capacity.plan.bill import Bill
from amply_capacity.plan.decision import Plan
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.outages import avoided_usd_per_month
from amply_capacity.plan.replicas import break_even, decide, verdict_of
from amply_capacity.plan.workload import workload
from amply_capacity.plan.worlds import Worlds

Demands = Callable[..., Demand]
Plans = Callable[..., Plan]

CERTAIN = {
    "users.registered": 10_000, "users.sessions_per_user": 5, "users.growth_percent_per_month": 0,
    "activity.logins_per_user_day": 1, "failures.per_node_year": 0.6, "failures.minutes_single": 10,
    "failures.minutes_replica": 1, "failures.replication_lag_seconds": 0, "failures.refill_seconds": 120,
    "money.usd_per_downtime_minute": 4, "money.usd_per_lost_session": 0.002,
    "money.usd_per_breached_slo_minute": 0.5,
}
PRICE = 12.41
REFILL_USD = 2 * 0.5
NEARLY = 1e-4
"""That both nodes fail at once is in no closed form."""


def avoided(demand: Demand) -> np.ndarray:
    worlds = Worlds(100, 1)
    return avoided_usd_per_month(demand, workload(demand, worlds), worlds)[:, 1]


def test_avoided_cost_is_failures_times_minutes_and_sessions(demand: Demands) -> None:
    failure_usd = 9 * 4 + 50_000 * 0.002 + REFILL_USD
    assert avoided(demand(CERTAIN)) == pytest.approx(0.6 / 12 * failure_usd, rel=NEARLY)


def test_log_ins_within_the_lag_are_lost_with_a_replica_too(demand: Demands) -> None:
    lost = 10_000 / 86_400 * 3_600
    lagging = demand(CERTAIN | {"failures.replication_lag_seconds": 3_600})
    failure_usd = 9 * 4 + (50_000 - lost) * 0.002 + REFILL_USD
    assert avoided(lagging) == pytest.approx(0.6 / 12 * failure_usd, rel=NEARLY)


@pytest.mark.parametrize(("name", "path"), [
    ("failures_per_year", "failures.per_node_year"),
    ("usd_per_downtime_minute", "money.usd_per_downtime_minute"),
    ("users", "users.registered"),
])
def test_at_the_break_even_the_avoided_cost_is_the_price(demand: Demands, name: str, path: str) -> None:
    values, notes = break_even(demand(CERTAIN | {"failures.replication_lag_seconds": 2}), PRICE)
    assert notes == {}
    value = values[name]
    assert value is not None
    at_it = demand(CERTAIN | {"failures.replication_lag_seconds": 2, path: value})
    assert avoided(at_it) == pytest.approx(PRICE, rel=NEARLY)


def test_what_can_never_break_even_is_absent_with_its_reason(demand: Demands) -> None:
    free = demand(CERTAIN | {"money.usd_per_downtime_minute": 0, "money.usd_per_lost_session": 0,
                             "failures.refill_seconds": 0})
    values, notes = break_even(free, PRICE)
    assert (values["failures_per_year"], values["users"]) == (None, None)
    assert "never" in notes["failures_per_year"]
    assert "a lost session costs nothing" in notes["users"]
    assert values["usd_per_downtime_minute"] == pytest.approx(PRICE / 0.05 / 9)
    safe, why = break_even(demand(CERTAIN | {"failures.per_node_year": 0}), PRICE)
    assert safe["users"] is None
    assert "no failures are expected" in why["users"]
    rich, why = break_even(demand(CERTAIN | {"money.usd_per_lost_session": 1}), PRICE)
    assert rich["usd_per_downtime_minute"] == 0
    assert "always" in why["usd_per_downtime_minute"]


@pytest.mark.parametrize(("probability", "verdict"), [
    (1.0, "add"), (0.8, "add"), (0.79, "undecided"),
    (0.21, "undecided"), (0.2, "do not add"), (0.0, "do not add"),
])
def test_the_verdict_turns_at_its_two_thresholds(probability: float, verdict: str) -> None:
    assert verdict_of(probability) == verdict


@pytest.mark.parametrize(("share", "today", "replicas"), [
    (1.0, 0, 1), (1.0, 2, 2), (0.0, 1, 0), (0.5, 0, 0), (0.5, 1, 1)])
def test_undecided_keeps_todays_replicas_and_says_so(
        demand: Demands, share: float, today: int, replicas: int) -> None:
    paid = np.where(np.arange(100) < 100 * share, 2 * PRICE, 0.0)
    decision = decide(demand({"cluster.replicas": today}), PRICE, paid, [])
    assert decision.replicas == replicas
    assert ("verdict" in decision.notes) == (decision.verdict == "undecided") == (share == 0.5)


@pytest.mark.parametrize(("share", "today", "allowed", "replicas", "note"), [
    (1.0, 0, 0, 0, "the demand allows no replica"),
    (0.5, 1, 0, 0, "the demand allows no replica, and 1 of each shard runs today"),
    (1.0, 2, 1, 1, "the demand allows 1 replica at most, and 2 of each shard run today"),
    (0.5, 4, 3, 3, "the demand allows 3 replicas at most, and 4 of each shard run today"),
    (1.0, 0, 1, 1, None), (0.5, 3, 3, 3, None), (0.0, 4, 3, 0, None)])
def test_no_verdict_lifts_the_demands_limit(demand: Demands, share: float, today: int, allowed: int,
                                            replicas: int, note: str | None) -> None:
    paid = np.where(np.arange(100) < 100 * share, 2 * PRICE, 0.0)
    decision = decide(demand({"cluster.replicas": today, "allowed.replicas": allowed}), PRICE, paid, [])
    assert (decision.replicas, decision.notes.get("allowed")) == (replicas, note)
    if share == 0.5:
        assert decision.notes["verdict"].endswith("would be kept" if note else "is kept")


@pytest.mark.parametrize(("today", "allowed", "usd_per_minute", "verdict"), [
    (0, 0, 500, "add"), (1, 0, 8, "undecided"), (4, 3, 8, "undecided"), (4, 3, 500, "add")])
def test_a_plan_buys_no_replica_that_the_demand_does_not_allow(
        plan: Plans, today: int, allowed: int, usd_per_minute: float, verdict: str) -> None:
    made = plan({"cluster.replicas": today, "allowed.replicas": allowed,
                 "money.usd_per_downtime_minute": usd_per_minute})
    assert made.replica.verdict == verdict
    assert made.replica.replicas == made.chosen.bill.replicas == allowed
    assert {one.bill.replicas for one in made.ranked if isinstance(one.bill, Bill)} == {allowed}


def test_what_is_avoided_is_told_by_its_median_and_by_its_mean(demand: Demands) -> None:
    """Where four worlds of ten avoid 25 dollars, the median avoids nothing, and 10 are expected."""
    paid = np.where(np.arange(100) < 40, 25.0, 0.0)
    told = decide(demand(), PRICE, paid, []).as_json()["avoided_usd_per_month"]
    assert told == {"low": 0.0, "mid": 0.0, "high": 25.0, "expected": 10.0}


def test_the_verdict_flips_with_the_cost_of_a_minute(plan: Plans) -> None:
    money = {"money.usd_per_lost_session": 0}
    cheap = plan(money | {"money.usd_per_downtime_minute": 0.01})
    dear = plan(money | {"money.usd_per_downtime_minute": 10_000})
    assert (cheap.replica.verdict, cheap.chosen.bill.replicas) == ("do not add", 0)
    assert (dear.replica.verdict, dear.chosen.bill.replicas) == ("add", 1)
    assert dear.chosen.bill.usd_per_month == pytest.approx(2 * cheap.chosen.bill.usd_per_month)


def test_the_probability_grows_with_the_cost_of_a_minute(plan: Plans) -> None:
    shares = [plan({"money.usd_per_downtime_minute": usd}).replica.probability for usd in (0, 1, 10, 100)]
    assert shares == sorted(shares)
    assert shares[0] < shares[-1]
