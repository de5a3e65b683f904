"""The ways through the horizon, held against each other and against arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from amply_capacity.model.evidence import Evidence
from amply_capacity.plan.decision import Plan, make_plan
from amply_capacity.plan.demand import Demand

Demands = Callable[..., Demand]
Runs = Callable[..., Evidence]
Plans = Callable[..., Plan]
FREE: dict[str, object] = {"money.usd_per_downtime_minute": 0, "money.usd_per_lost_session": 0,
                           "money.usd_per_breached_slo_minute": 0}
STEADY: dict[str, object] = {"users.registered": 5_000, "users.growth_percent_per_month": 0,
                             "plan.horizon_months": 36, **FREE}
A_FAILURE_A_YEAR: dict[str, object] = {
    **STEADY, "failures.per_node_year": 1.0, "failures.minutes_single": 30.0, "failures.minutes_replica": 1.5,
    "failures.maintenance_per_year": 0, "failures.zone_share": 0, "allowed.node_types": ["cache.t3.*"]}
"""Half an hour of a single node; a minute and a half until a replica has taken over."""


def by_name(made: Plan) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in made.strategies}


def test_every_way_that_people_ask_for_is_there(whole_plan: Plans) -> None:
    names = set(by_name(whole_plan({"plan.horizon_months": 36})))
    assert {"plan", "stay", "buy big now", "go to valkey", "go serverless, redis", "go serverless, valkey",
            "split off Celery", "reserve 1yr_no", "reserve 3yr_all"} <= names


def test_what_the_ways_come_to_differs_by_what_they_cost_more_or_less(whole_plan: Plans) -> None:
    ways = by_name(whole_plan({"plan.horizon_months": 36}))
    own = ways["plan"]["usd_total_expected"]
    for one in ways.values():
        if one["difference_expected"] is not None:
            assert one["usd_total_expected"] - own == pytest.approx(one["difference_expected"], abs=0.05)


def test_without_growth_the_plan_is_its_first_month_again_and_again(whole_plan: Plans) -> None:
    made = whole_plan(STEADY)
    own = by_name(made)["plan"]
    assert own["usd_total"]["low"] == pytest.approx(36 * made.chosen.bill.usd_per_month, abs=0.01)
    assert own["difference_expected"] == 0
    assert own["break_even_month"] == made.months[0].month


def test_a_reservation_saves_what_its_price_says(whole_plan: Plans) -> None:
    made = whole_plan({**STEADY, "allowed.node_types": ["cache.t3.*"]})
    ways = by_name(made)
    assert made.chosen.bill.usd_per_month == 12.41
    all_upfront = ways["reserve 1yr_all"]
    assert all_upfront["usd_total_expected"] == pytest.approx(95 + 24 * 12.41, abs=0.02)
    assert "cannot be cancelled" in all_upfront["changes"]


def test_a_reservation_bears_the_day_of_its_price_and_whether_it_is_inferred(whole_plan: Plans) -> None:
    ways = by_name(whole_plan({**STEADY, "allowed.node_types": ["cache.t4g.micro"]}))
    assert ways["reserve 1yr_no"]["note"] == "its price is as of 2025-04-24"
    assert ways["reserve 1yr_all"]["note"] == "its price is as of 2024-10-07, inferred at least in part"


def test_one_that_binds_beyond_the_horizon_is_not_priced(whole_plan: Plans) -> None:
    way = by_name(whole_plan({"plan.horizon_months": 12}))["reserve 3yr_no"]
    assert way["usd_total"] is None
    assert "binds for 36 months, the horizon has 12" in way["note"]


def test_valkey_costs_a_fifth_less_on_the_same_nodes(whole_plan: Plans) -> None:
    made = whole_plan({**STEADY, "allowed.node_types": ["cache.t3.*"]})
    ways = by_name(made)
    assert ways["go to valkey"]["usd_first_month"] == pytest.approx(0.8 * 12.41, rel=1e-3)
    assert ways["go to valkey"]["probability_cheaper"] == 1.0
    assert "not measured" in ways["go to valkey"]["note"]


@pytest.mark.parametrize(("server", "engine", "is_measured"), [
    ("valkey 8.0.1", "redis", True), ("redis 7.0.15", "valkey", True), ("redis 7.0.15", "redis", False),
    ("valkey 8.0.1", "valkey", False)])
def test_the_other_engine_is_called_measured_where_the_run_is_of_it(
        evidence: Runs, demand: Demands, server: str, engine: str, is_measured: bool) -> None:
    other = "valkey" if engine == "redis" else "redis"
    made = make_plan([evidence(server=server)], demand({**STEADY, "cluster.engine": engine}),
                     start=date(2026, 11, 23), worlds=100)
    (alternative,) = made.alternatives
    assert alternative["engine"] == other
    known = "measured" if is_measured else "not measured"
    assert alternative["note"] == (f"its bytes per key and CPU per command are {known}: the figures are of a "
                                   f"run on {server.partition(' ')[0]}")
    assert by_name(made)[f"go to {other}"]["note"].startswith(f"its bytes and CPU are {known}")


def test_big_from_the_start_costs_more_until_the_end(whole_plan: Plans) -> None:
    made = whole_plan({"plan.horizon_months": 36})
    ways = by_name(made)
    assert ways["buy big now"]["usd_first_month"] > ways["plan"]["usd_first_month"]
    assert ways["buy big now"]["difference_expected"] > 0
    assert ways["buy big now"]["break_even_month"] is None


def test_staying_where_one_does_not_fit_costs_what_users_suffer(whole_plan: Plans) -> None:
    made = whole_plan({"users.registered": 150_000, "users.growth_percent_per_month": 0,
                       "plan.horizon_months": 36})
    ways = by_name(made)
    assert ways["stay"]["usd_total_expected"] > ways["plan"]["usd_total_expected"]


def test_serverless_says_what_the_application_has_to_change(whole_plan: Plans) -> None:
    ways = by_name(whole_plan(STEADY))
    assert "log out everywhere key by key" in ways["go serverless, redis"]["changes"]
    changed = by_name(whole_plan({**STEADY, "application.cluster_mode": True}))
    assert changed["go serverless, redis"]["changes"] == ""
    assert ways["go serverless, redis"]["usd_first_month"] > 0.125 * 730, "a gigabyte is the least"
    assert ways["go serverless, valkey"]["usd_first_month"] < ways["go serverless, redis"]["usd_first_month"]


def test_celery_on_its_own_costs_a_second_node(whole_plan: Plans) -> None:
    made = whole_plan(STEADY)
    ways = by_name(made)
    assert ways["split off Celery"]["usd_first_month"] == pytest.approx(2 * made.chosen.bill.usd_per_month)
    none = by_name(whole_plan({**STEADY, "activity.tasks_per_user_hour": 0}))
    assert "split off Celery" not in none


def test_a_draft_has_none_and_no_excuses(whole_plan: Plans) -> None:
    draft = whole_plan(is_draft=True)
    assert draft.strategies == draft.excuses == ()


def test_every_way_has_the_same_outages_in_it_where_its_nodes_are_as_many(whole_plan: Plans) -> None:
    made = whole_plan({**A_FAILURE_A_YEAR, "money.usd_per_downtime_minute": 0.1})
    ways = by_name(made)
    assert made.chosen.bill.replicas == 0
    outages = 36 * 1.0 / 12 * 30 * 0.1
    assert outages == 9.0
    assert ways["plan"]["usd_total_expected"] == pytest.approx(36 * 12.41 + outages, abs=0.02)
    priced = [one for one in made.strategies if one["usd_total"] is not None]
    assert {round(one["usd_outages_expected"], 2) for one in priced} == {outages}
    assert ways["plan"]["usd_first_month"] == pytest.approx(12.41 + outages / 36, abs=1e-3)


def test_to_stay_without_a_replica_costs_the_outages_that_it_would_avoid(whole_plan: Plans) -> None:
    made = whole_plan({**A_FAILURE_A_YEAR, "money.usd_per_downtime_minute": 500})
    ways = by_name(made)
    assert made.chosen.bill.replicas == 1
    # A failure a year for three years, of 30 minutes or of 1.5, at 500 USD a minute.
    assert ways["stay"]["usd_total_expected"] == pytest.approx(36 * 12.41 + 3 * 30 * 500, abs=0.05)
    # Now and then both nodes fail, which is a little more.
    assert ways["plan"]["usd_outages_expected"] == pytest.approx(3 * 1.5 * 500, rel=0.005)
    assert ways["plan"]["usd_total_expected"] == pytest.approx(36 * 2 * 12.41 + 3 * 1.5 * 500, rel=0.005)
    assert ways["stay"]["probability_cheaper"] == 0.0


def test_what_worlds_that_nothing_serves_come_to_is_not_known(whole_plan: Plans) -> None:
    made = whole_plan({"users.registered": 3_000, "activity.requests_per_user_hour": 4_000,
                       "plan.horizon_months": 36})
    ways = by_name(made)
    assert made.months[-1].usd_mid is None
    for name in ("plan", "reserve 3yr_all", "split off Celery"):
        assert ways[name]["usd_total"] is ways[name]["usd_total_expected"] is None
        assert ways[name]["unserved"] > 0.1
        assert ways[name]["note"].startswith("nothing offered is enough in 9")
    serverless = ways["go serverless, valkey"]
    assert serverless["unserved"] == 0.0
    assert serverless["usd_total_expected"] > 0.0
    assert serverless["difference_expected"] is serverless["probability_cheaper"] is None
    assert ways["plan"]["usd_first_month"] > made.chosen.bill.usd_per_month, "which every world knows"


def test_of_a_few_worlds_that_nothing_serves_the_share_is_said(whole_plan: Plans) -> None:
    own = by_name(whole_plan({"plan.horizon_months": 36}))["plan"]
    assert 0.0 < own["unserved"] <= 0.1
    assert own["usd_total_expected"] is not None
    assert own["note"] == ""
