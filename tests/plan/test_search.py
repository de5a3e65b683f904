"""The search against brute force: everything that is sold, in every world."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from amply_capacity.model.evidence import Evidence
from amply_capacity.plan.commitment import Commitment, committed_usd, mean_usd
from amply_capacity.plan.decision import Plan
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.demand_needs import needs
from amply_capacity.plan.frontier import frontier
from amply_capacity.plan.harm import prices_of
from amply_capacity.plan.measured import measured
from amply_capacity.plan.needs import Needs
from amply_capacity.plan.options import Option, offers, shard_counts
from amply_capacity.plan.outages import outage_usd_per_month
from amply_capacity.plan.regret import Choice, scored, unnoticed_usd
from amply_capacity.plan.search import search, way_of
from amply_capacity.plan.sizing import fits
from amply_capacity.plan.workload import Workload, workload
from amply_capacity.plan.worlds import Floats, Worlds

Demands = Callable[..., Demand]
Runs = Callable[..., Evidence]
Plans = Callable[..., Plan]

EVERYTHING: Mapping[str, object] = {
    "allowed.engines": ["redis", "valkey"], "allowed.terms": ["on_demand", "1yr_no", "3yr_all"],
    "allowed.shards": 3, "application.cluster_mode": True}
START = date(2026, 11, 23)


class Searched:
    """One demand, searched and scored by hand."""

    def __init__(self, demand: Demand, run: Evidence, replicas: tuple[int, ...] = (0,)) -> None:
        self.demand, self.replicas, self.worlds = demand, replicas, Worlds(100, 3)
        self.load: Workload = workload(demand, self.worlds, START)
        self.need: Needs = needs(demand, measured([run]), self.load, self.worlds)
        self.sold, _ = offers(demand)

    def outage_usd(self, replicas: int) -> Floats:
        return outage_usd_per_month(self.demand, self.load, self.worlds, replicas)[:, 1:]

    def choice(self) -> Choice:
        found = search(self.sold, self.demand, self.need, self.worlds, self.outage_usd, self.replicas,
                       ranked=10)
        assert found is not None
        return found.choice

    def enough(self, option: Option) -> NDArray[np.bool_]:
        return fits(option.node, self.demand, self.need, slice(1, None), shards=option.shards,
                    replicas=option.replicas, engine=option.engine)

    def by_brute_force(self) -> Choice:
        """Every offer on every number of shards at every term that fits, nothing left out."""
        review = min(self.demand.plan.review_months, self.demand.plan.horizon_months)
        way = way_of(self.sold, self.demand, self.need, self.replicas[0])

        commitment = Commitment(way.path(), way.options)
        options = [offer.option(shards, count, term) for offer in self.sold for count in self.replicas
                   for shards in shard_counts(self.demand, count) for term in self.demand.terms
                   if term in offer.usd_by_term]
        return Choice.of([
            scored(one, committed_usd(one, commitment, review, holds).mean(axis=1),
                   self.outage_usd(one.replicas).mean(axis=1),
                   unnoticed_usd(one, self.demand, self.need, prices_of(self.demand, self.worlds), holds))
            for one in options
            if (holds := self.enough(one))[:, review - 1].mean() >= self.demand.plan.confidence],
            len(options))


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(users=st.integers(1_000, 1_000_000), busy=st.floats(1.0, 30.0))
def test_what_is_left_out_is_never_the_best_in_any_world(
        demand: Demands, evidence: Runs, users: int, busy: float) -> None:
    asked = demand({**EVERYTHING, "users.registered": users, "activity.requests_per_user_hour": busy})
    case = Searched(asked, evidence())
    found, everything = case.choice(), case.by_brute_force()
    assert len(found.scored) <= len(everything.scored)
    assert [one.option for one in found.scored[:8]] == [one.option for one in everything.scored[:8]]
    assert found.chosen.expected_usd == pytest.approx(everything.chosen.expected_usd)
    assert found.best_usd == pytest.approx(everything.best_usd)


def test_the_mean_of_a_commitment_is_that_of_its_months(demand: Demands, evidence: Runs) -> None:
    case = Searched(demand({**EVERYTHING, "users.registered": 400_000}), evidence())
    way = way_of(case.sold, case.demand, case.need, 0)
    commitment = Commitment(way.path(), way.options)
    outgrown, some = 0, np.array([3, 50, 99])
    for offer in case.sold[::5]:
        for term in offer.usd_by_term:
            option = offer.option(1, 0, term)
            holds = case.enough(option)
            means = committed_usd(option, commitment, 3, holds).mean(axis=1)
            assert mean_usd(option, commitment, 3, holds) == pytest.approx(means)
            assert mean_usd(option, commitment, 3, holds[some], some) == pytest.approx(means[some])
            outgrown += bool((~holds[:, :12]).any() and term != "on_demand")
    assert outgrown > 3


def test_the_frontier_keeps_what_is_cheapest_for_any_need(demand: Demands, evidence: Runs) -> None:
    case = Searched(demand(), evidence())
    kept = frontier(case.sold, case.demand, case.need)
    assert 3 < len(kept) < len(case.sold)
    names = {one.node.name for one in kept}
    assert "cache.t4g.micro" in names
    for least in (1e8, 1e9, 1e10, 1e11):
        def big(one: object, least: float = least) -> bool:
            return one.node.maxmemory_bytes >= least  # type: ignore[attr-defined,no-any-return]

        cheapest = min(one.usd_by_term["on_demand"] for one in case.sold if big(one))
        assert min(one.usd_by_term["on_demand"] for one in kept if big(one)) == cheapest


def test_least_expected_regret_is_least_expected_cost_and_nobody_regrets_the_best(plan: Plans) -> None:
    made = plan(dict(EVERYTHING))
    costs = [one.score["expected_usd_per_month"] for one in made.ranked]
    regrets = [one.score["regret_usd_per_month"]["expected"] for one in made.ranked]
    assert costs == sorted(costs)
    assert regrets == sorted(regrets)
    assert regrets[0] >= 0.0
    assert sum(one.score["probability_best"] for one in made.ranked) == pytest.approx(1.0, abs=1e-3)


def test_a_reservation_is_chosen_where_it_may_be_and_pays(whole_plan: Plans) -> None:
    made = whole_plan({"allowed.terms": ["on_demand", "3yr_all"], "users.growth_percent_per_month": 0,
                       "plan.horizon_months": 36})
    assert made.chosen.option.term == "3yr_all"
    terms = {(one.option.name, one.option.term): one.score["expected_usd_per_month"] for one in made.ranked}
    name = made.chosen.option.name
    assert terms[name, "3yr_all"] < terms[name, "on_demand"]


def test_a_reservation_that_is_outgrown_in_a_month_is_not_chosen(whole_plan: Plans) -> None:
    made = whole_plan({"allowed.terms": ["on_demand", "3yr_all"], "users.growth_percent_per_month": 30,
                       "plan.horizon_months": 36, "plan.review_months": 1,
                       "allowed.node_types": ["cache.t4g.micro", "cache.r7g.*"], "users.registered": 10_000})
    micro = {one.option.term: one.score["expected_usd_per_month"] for one in made.ranked
             if one.option.node.name == "cache.t4g.micro"}
    assert micro["on_demand"] < micro["3yr_all"], "another family covers nothing of it"


def test_shards_are_searched_only_where_the_application_can_live_with_them(plan: Plans) -> None:
    big = {"users.registered": 5_000_000, "allowed.shards": 6, "activity.requests_per_user_hour": 1,
           "users.growth_percent_per_month": 0}
    with pytest.raises(Exception, match="let the application run in cluster mode"):
        plan({**big, "allowed.node_types": ["cache.r7g.large"]}, worlds=200)
    made = plan({**big, "application.cluster_mode": True, "allowed.node_types": ["cache.r7g.large"]},
                worlds=200)
    assert made.chosen.option.shards > 1
    assert made.chosen.bill.shards == made.chosen.option.shards


def test_two_shards_need_more_than_half_of_one(demand: Demands, evidence: Runs) -> None:
    case = Searched(demand({"users.registered": 2_000_000}), evidence())
    node = case.sold[-1].node
    for constraint in ("memory", "cpu", "network", "network_burst"):
        one, two = (case.need.of(node, constraint, shards=shards) for shards in (1, 2))
        assert (two >= 0.5 * one).all(), constraint
        assert (two < one).all(), constraint
    assert np.array_equal(case.need.of(node, "connections", shards=2), case.need.of(node, "connections"))


def test_another_engine_than_the_measured_one_is_less_sure(demand: Demands, evidence: Runs) -> None:
    case = Searched(demand(), evidence())
    node = case.sold[0].node
    known, other = (case.need.of(node, "memory", engine=engine)[:, 0] for engine in ("redis", "valkey"))
    assert np.array_equal(known, case.need.of(node, "memory")[:, 0])
    assert np.std(np.log(other)) > np.std(np.log(known))
    assert np.median(other) < np.median(known)


def test_a_second_replica_is_never_worth_more_than_the_first(demand: Demands, evidence: Runs) -> None:
    case = Searched(demand(), evidence())
    none, one, two = (case.outage_usd(count) for count in (0, 1, 2))
    assert (none > one).all()
    assert (one > two).all()
    assert (none - one > 100 * (one - two)).all()


def test_where_a_replica_pays_the_choice_has_one(plan: Plans) -> None:
    made = plan({"money.usd_per_downtime_minute": 10_000, "failures.per_node_year": 2})
    assert made.replica.verdict == "add"
    assert made.chosen.option.replicas == made.replica.replicas >= 1
    assert all(one.option.replicas >= 1 for one in made.ranked)
