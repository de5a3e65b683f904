"""The plan as a whole: the contract's keys, determinism, and that every node type is accounted for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amply_capacity.catalog import prices
from amply_capacity.errors import BadInput
from amply_capacity.model.evidence import Evidence, Latency
from amply_capacity.plan.calibrations import node_cpu_factor
from amply_capacity.plan.decision import Plan, make_plan
from amply_capacity.plan.demand import Demand

Demands = Callable[..., Demand]
Runs = Callable[..., Evidence]
Plans = Callable[..., Plan]


def known(usd: float | None) -> float:
    """A bill that is not known is one beyond all that are."""
    return float("inf") if usd is None else usd


def test_the_plan_has_the_keys_of_the_contract(plan: Plans) -> None:
    made = json.loads(json.dumps(plan().as_json(), allow_nan=False))
    assert {"chosen", "ranked", "excuses", "replica", "months", "evidence"} <= made.keys()
    chosen = {"kind", "node_type", "engine", "shards", "replicas", "term", "usd_per_month"}
    assert chosen <= made["chosen"].keys()
    assert {"verdict", "probability", "break_even"} <= made["replica"].keys()
    assert set(made["replica"]["break_even"]) == {"failures_per_year", "usd_per_downtime_minute", "users"}
    for excuse in made["excuses"]:
        assert excuse.keys() == {"node_type", "constraint", "reason", "engine"}
        assert all(excuse.values())
    for month in made["months"]:
        assert {"month", "node_type", "usd_low", "usd_mid", "usd_high"} <= month.keys()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(plan: Plans) -> None:
    first, again, other = (json.dumps(plan(seed=seed).as_json()) for seed in (7, 7, 8))
    assert first == again
    assert first != other


def test_months_cover_the_horizon_without_ever_costing_less(plan: Plans) -> None:
    months = plan({"plan.horizon_months": 30}).months
    assert [months[0].month, months[-1].month, len(months)] == ["2026-12", "2029-05", 30]
    for band in ("usd_low", "usd_mid", "usd_high"):
        costs = [known(getattr(month, band)) for month in months]
        assert costs == sorted(costs)
    assert all(known(month.usd_low) <= known(month.usd_mid) <= known(month.usd_high) for month in months)


def test_the_chosen_type_is_the_cheapest_that_fits_in_enough_worlds(plan: Plans) -> None:
    made = plan()
    assert made.chosen.fit.probability >= 0.9
    assert made.chosen.bill.usd_per_month == min(ranked.bill.usd_per_month for ranked in made.ranked)
    assert made.months[0].node_type == made.chosen.bill.node_type
    assert made.months[0].usd_low == made.chosen.bill.usd_per_month


def test_every_offered_type_is_chosen_or_excused(whole_plan: Plans) -> None:
    made = whole_plan({"allowed.node_types": ["cache.t3.*", "cache.m7g.*"]})
    offered = {offer.node_type for offer in prices.offered("us-east-1", "redis")}
    excused = [excuse.node_type for excuse in made.excuses if excuse.node_type != "serverless"]
    assert {*excused, made.chosen.bill.node_type} == offered
    assert len(excused) == len(set(excused)) == len(offered) - 1
    reasons = {excuse.node_type: excuse.constraint for excuse in made.excuses}
    assert reasons["cache.r7g.large"] == "allowed"
    assert made.chosen.bill.node_type.startswith("cache.t3.")


def test_todays_micro_carries_the_example_and_is_outgrown_within_it(plan: Plans) -> None:
    made = plan({"allowed.node_types": ["cache.t3.*", "cache.m6g.*"]})
    assert made.today.fits is True
    assert made.today.short_from is not None
    assert made.chosen.bill.node_type == "cache.t3.micro"
    assert made.chosen.bill.usd_per_month == 12.41
    first = made.upgrades[0]
    assert (first.before.node.name, first.after.node.name) == ("cache.t3.micro", "cache.t3.small")
    assert first.constraint == "memory"
    assert first.act_by == made.today.short_from < first.month


def test_today_is_sized_on_its_own_engine(plan: Plans) -> None:
    """The run is one of Redis. What is chosen has today's memory limit and engine, so it lasts as long."""
    made = plan({"cluster.engine": "valkey"})
    assert made.chosen.bill.node_type == "cache.t4g.micro"
    assert made.upgrades[0].constraint == "memory"
    assert made.today.short_from == made.upgrades[0].act_by == "2027-08"
    assert plan({"cluster.engine": "redis"}).today.short_from == "2027-07"


def test_today_sends_to_each_of_its_replicas(plan: Plans) -> None:
    network = []
    for replicas in (1, 2, 3):
        made = plan({"cluster.replicas": replicas}, worlds=100).today.fit
        network.append(next(one.needed for one in made.constraints if one.constraint == "network"))
    more = network[1] - network[0]
    assert more > 0.2 * network[0]
    assert network[2] == pytest.approx(network[0] + 2 * more, rel=0.02)


def test_a_micro_that_is_too_small_is_excused_by_its_memory_and_by_how_much(whole_plan: Plans) -> None:
    made = whole_plan({"users.registered": 150_000})
    reasons = {excuse.node_type: excuse for excuse in made.excuses}
    assert reasons["cache.t3.micro"].constraint == "memory"
    assert "MB of 302 MB" in reasons["cache.t3.micro"].reason
    assert made.today.fits is False
    assert reasons["cache.r7g.16xlarge"].constraint == "price"


def test_where_nothing_fits_the_nearest_miss_is_named(plan: Plans) -> None:
    with pytest.raises(BadInput, match=r"nearest is cache\.t3\.medium, which needs .* GB of ") as caught:
        plan({"users.registered": 50_000_000, "allowed.node_types": ["cache.t3.*"]})
    assert "split the users" in str(caught.value)


def test_constraints_that_leave_nothing_are_refused(plan: Plans) -> None:
    with pytest.raises(BadInput, match="no node type is left"):
        plan({"allowed.node_types": ["cache.q9.*"]})


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(users=st.integers(100, 50_000), factor=st.floats(1, 8))
def test_more_users_never_cheapen_the_plan(plan: Plans, users: int, factor: float) -> None:
    # Nothing that a replica avoids has a price here: its own would otherwise come and go with the node's.
    free = {"money.usd_per_downtime_minute": 0, "money.usd_per_lost_session": 0}
    few = plan(free | {"users.registered": users}, worlds=200)
    many = plan(free | {"users.registered": users * factor}, worlds=200)
    for here, there in zip(few.months, many.months, strict=True):
        assert known(there.usd_low) >= known(here.usd_low)
        assert known(there.usd_mid) >= known(here.usd_mid)
        assert known(there.usd_high) >= known(here.usd_high)


def test_valkey_is_named_as_the_alternative_a_fifth_cheaper(plan: Plans) -> None:
    made = plan({"allowed.node_types": ["cache.t3.*"]})
    (other,) = made.alternatives
    assert (other["engine"], other["usd_per_month"]) == ("valkey", pytest.approx(0.8 * 12.41))
    assert "not measured" in other["note"]


def test_a_reserved_term_is_billed_at_its_own_price(plan: Plans) -> None:
    reserved = plan({"cluster.term": "1yr_no"})
    assert reserved.chosen.bill.term == "1yr_no"
    assert reserved.chosen.bill.usd_per_month < plan().chosen.bill.usd_per_month


def test_todays_node_may_be_one_that_is_no_longer_sold(plan: Plans) -> None:
    made = plan({"cluster.node_type": "cache.t2.micro"})
    assert made.today.bill.node_type == "cache.t2.micro"
    assert "cache.t2.micro" not in {ranked.bill.node_type for ranked in made.ranked}


def test_warnings_of_the_runs_and_the_figures_taken_from_them_are_passed_on(
        evidence: Runs, demand: Demands) -> None:
    run = evidence(warnings=("the allocator is libc",), verdict="partial")
    (said,) = make_plan([run], demand(), start=date(2026, 11, 23), worlds=100).as_json()["evidence"]
    assert said["warnings"] == ["the allocator is libc"]
    assert {"session_bytes", "CPU per command", "validate"} <= set(said["figures"])


def test_a_promise_is_met_broken_or_not_measured(evidence: Runs, demand: Demands) -> None:
    run = replace(evidence(hit_rate=0.8, evictions=None), latency={"sessions": Latency(1, 1.0, 4.0, 6.0)})
    made = make_plan([run], demand({"slo.evictions_per_minute": 0}), start=date(2026, 11, 23), worlds=100)
    met = {row["what"]: (row["met"], row["measured"]) for row in made.as_json()["objectives"]}
    assert met["p99 response time of sessions on the recording host"] == (False, 6.0)
    assert met["p99 service time of cache on the recording host"] == (None, None)
    assert met["hit rate of cached reads"] == (False, 80.0)
    assert met["evictions"] == (None, None)


def test_what_was_assumed_is_said_with_its_source(plan: Plans) -> None:
    said = plan().as_json()["assumptions"]
    assert all(row["what"] and row["source"] for row in said)
    host = next(row for row in said if "recording host" in row["what"])
    factor = node_cpu_factor("cache.t3.micro")
    assert (host["value"]["low"], host["value"]["high"]) == (factor.low, factor.high)
    assert "no node was measured" in host["source"]
    assert "guess" in host["source"]


def test_headroom_and_memory_items_explain_the_choice(plan: Plans) -> None:
    made = plan().as_json()
    memory = next(row for row in made["headroom"] if row["constraint"] == "memory")
    left_percent = 100 * (1 - memory["needed"] / memory["available"])
    assert memory["headroom_percent"] == pytest.approx(left_percent, abs=0.01)
    items_bytes = sum(item["bytes"] for item in made["memory_items"])
    assert items_bytes == pytest.approx(memory["needed_mid"], rel=0.08)
    assert made["spec_table"][0]["true_usd"] == 12.41
    last = [row for row in made["needs"] if row["constraint"] == "memory"][-1]
    assert last["month"] == "2029-11"
    assert last["mid"] > memory["needed_mid"]


def test_what_is_taken_for_granted_of_other_engines_and_shards_is_listed_where_they_may_be_chosen(
        plan: Plans) -> None:
    def listed(changes: dict[str, object]) -> str:
        return "\n".join(one.what for one in plan(changes, worlds=100).assumptions)

    bare = listed({})
    assert "p99 between application and node" in bare
    assert "days until a cluster that turned out too small is replaced" in bare
    assert "on valkey over" not in bare
    assert "the busiest of several shards" not in bare
    wide = listed({"allowed.engines": ["redis", "valkey"], "application.cluster_mode": True})
    for words in ("bytes of a key on valkey over those on redis", "the busiest of several shards",
                  "CPU of a command on valkey over that on redis"):
        assert words in wide
