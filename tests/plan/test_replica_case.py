"""What stands beside the verdict: drills that turn it, the set-ups, what decides, reads, and shards."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pytest
from plan_inputs import cpu_samples, drill

from amply_capacity.model.evidence import Evidence
from amply_capacity.plan.decision import Plan, make_plan
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.worlds import Worlds

Demands = Callable[..., Demand]
Evidences = Callable[..., Evidence]
Plans = Callable[..., Plan]

START = date(2026, 11, 23)


@pytest.fixture
def planned(evidence: Evidences, demand: Demands) -> Callable[..., dict[str, Any]]:
    """The replica of a whole plan, as JSON, of a demand with changes and of these drills."""

    def make(changes: dict[str, object] | None = None, *drills: Any, worlds: int = 500,
             **of_the_run: Any) -> dict[str, Any]:
        runs = [evidence(**of_the_run), *(evidence(run_id=f"drill-{place}", drill=one)
                                          for place, one in enumerate(drills))]
        plan = make_plan(runs, demand(changes), start=START, worlds=worlds)
        replica: dict[str, Any] = json.loads(json.dumps(plan.as_json()))["replica"]
        return replica

    return make


def test_the_verdict_turns_with_the_reconnect_that_drills_measured(evidence: Evidences,
                                                                   demand: Demands) -> None:
    """Where minutes away are what costs: clients that are long in coming back gain little by a replica."""
    changes = {"money.usd_per_downtime_minute": 80, "money.usd_per_lost_session": 0,
               "failures.per_node_year": {"low": 0.2, "mid": 0.4, "high": 0.8},
               "failures.reconnect_seconds": {"low": 1, "mid": 30, "high": 900}}

    def verdict(seconds: float) -> str:
        runs = [evidence(), evidence(run_id="drill", drill=drill(reconnect=seconds))]
        return make_plan(runs, demand(changes), start=START, worlds=500, is_draft=True).replica.verdict

    assert [verdict(seconds) for seconds in (0.1, 100.0, 1_000.0)] == ["add", "undecided", "do not add"]


def test_the_verdict_turns_with_the_refill_that_drills_measured(evidence: Evidences,
                                                                demand: Demands) -> None:
    """Where slow minutes are what costs: a cache that is warm at once gives no reason for a replica."""
    changes = {"money.usd_per_downtime_minute": 0, "money.usd_per_lost_session": 0,
               "money.usd_per_breached_slo_minute": 300,
               "failures.per_node_year": {"low": 0.2, "mid": 0.4, "high": 0.8},
               "failures.refill_seconds": {"low": 3, "mid": 90, "high": 3_000}}

    def verdict(seconds: float) -> str:
        runs = [evidence(), evidence(run_id="drill", drill=drill(refill=seconds, reads=0.01))]
        return make_plan(runs, demand(changes), start=START, worlds=500, is_draft=True).replica.verdict

    assert [verdict(seconds) for seconds in (1.0, 3_000.0)] == ["do not add", "add"]


def test_what_drills_and_history_narrowed_is_said_with_its_runs(
        planned: Callable[..., dict[str, Any]]) -> None:
    replica = planned({"failures.history": {"count": 3, "node_years": 5}}, drill(0.2, 8.0), drill(0.4))
    learned = {one["number"]: one for one in replica["learned"]}
    assert learned["failures.per_node_year"]["how"] == "3 failures in 5 node-years of your own"
    assert learned["failures.reconnect_seconds"]["runs"] == ["drill-0", "drill-1"]
    assert learned["failures.refill_seconds"]["runs"] == ["drill-0"]
    assert [one["narrowed"] for one in replica["drills"]] == [
        ["failures.reconnect_seconds", "failures.refill_seconds"], ["failures.reconnect_seconds"]]
    assert replica["medians"]["failures_per_year"] == pytest.approx(
        learned["failures.per_node_year"]["now"]["mid"], rel=1e-3)


def test_the_demand_stays_as_it_was_stated_and_the_assumptions_say_what_was_learned(
        evidence: Evidences, demand: Demands) -> None:
    plan = make_plan([evidence(), evidence(run_id="d", drill=drill(0.2))],
                     demand({"failures.history": {"count": 0, "node_years": 8}}), start=START, worlds=200,
                     is_draft=True).as_json()
    assert plan["demand"]["failures"]["per_node_year"]["mid"] == 0.3
    assert "reconnect_seconds" not in plan["demand"]["failures"]
    assumed = {one["what"]: one for one in plan["assumptions"]}
    rate = assumed["failures of a node per year"]
    assert rate["value"]["mid"] < 0.3
    assert rate["source"].startswith("0 failures in 8 node-years of your own; before: guess")
    reconnect = assumed["seconds of those until clients are back once the replica serves"]
    assert "a server was" in reconnect["source"]


def test_a_drills_disturbed_load_tells_only_of_what_no_other_run_does(evidence: Evidences,
                                                                     demand: Demands) -> None:
    later = evidence(run_id="later", recorded_at="2027-01-01T00:00:00Z", drill=drill(0.2), hit_rate=0.1,
                     cpu_samples=cpu_samples("later", {300: 90.0, 3_000: 40.0, 20_000: 20.0}))
    plan = make_plan([evidence(), later], demand(), start=START, worlds=200, is_draft=True)
    assert plan.figures.hit_rate == 0.93
    assert plan.as_json()["evidence"][1]["figures"] == ["reconnect_seconds", "lost_writes"]
    alone = make_plan([later], demand(), start=START, worlds=200, is_draft=True)
    assert alone.figures.hit_rate == 0.1


def test_five_set_ups_stand_beside_each_other_in_the_same_worlds(
        planned: Callable[..., dict[str, Any]]) -> None:
    replica = planned()
    ways = {one["name"]: one for one in replica["setups"]}
    assert list(ways) == ["single node", "single node, snapshots", "one replica, same zone",
                          "one replica, Multi-AZ", "two replicas, Multi-AZ"]
    price = replica["usd_per_month"]
    assert [one["usd_per_month"] for one in replica["setups"]] == pytest.approx(
        [price, price, 2 * price, 2 * price, 3 * price])
    for one in replica["setups"]:
        for name in ("downtime_minutes", "lost_sessions", "lost_writes", "outage_usd", "total_usd"):
            assert one[name]["low"] <= one[name]["mid"] <= one[name]["high"]
        assert one["total_usd"]["expected"] == pytest.approx(
            one["usd_per_month"] + one["outage_usd"]["expected"], rel=1e-3)
    assert sum(one["probability_cheapest"] for one in replica["setups"]) == pytest.approx(1.0, abs=1e-3)
    single, multi = ways["single node"], ways["one replica, Multi-AZ"]
    assert ways["single node, snapshots"]["lost_sessions"]["mid"] < single["lost_sessions"]["mid"]
    assert multi["downtime_minutes"]["mid"] < single["downtime_minutes"]["mid"] / 3
    # The verdict is about these two: what the first replica avoids.
    avoided = single["outage_usd"]["expected"] - multi["outage_usd"]["expected"]
    low, high = replica["avoided_usd_per_month"]["low"], replica["avoided_usd_per_month"]["high"]
    assert low < avoided < high


def test_the_widest_swing_turns_the_verdict_and_the_verdict_lies_between(
        planned: Callable[..., dict[str, Any]]) -> None:
    replica = planned()
    swings = replica["sensitivity"]
    widths = [abs(one["probability_at_high"] - one["probability_at_low"]) for one in swings]
    assert widths == sorted(widths, reverse=True)
    assert swings[0]["number"] == "failures.per_node_year"
    assert swings[0]["flips"]
    for one in swings[:2]:
        low, high = sorted((one["probability_at_low"], one["probability_at_high"]))
        assert low <= replica["probability"] <= high
        assert one["flips"] == (one["verdict_at_low"] != one["verdict_at_high"])
    by_name = {one["number"]: one for one in swings}
    assert by_name["failures.minutes_replica"]["probability_at_high"] <= (
        by_name["failures.minutes_replica"]["probability_at_low"])
    assert "users.registered" not in by_name, "it is known"
    assert "failures.refill_seconds" in by_name, "what is not stated is drawn all the same"
    assert by_name["failures.refill_seconds"]["probability_at_low"] <= (
        by_name["failures.refill_seconds"]["probability_at_high"])


def test_the_map_grows_with_both_numbers_and_agrees_with_the_verdict_at_its_point(
        planned: Callable[..., dict[str, Any]]) -> None:
    exact = {"money.usd_per_downtime_minute": 2, "failures.per_node_year": 0.3}
    replica = planned(exact)
    drawn = replica["map"]
    shares = np.array(drawn["probability"])
    assert (np.diff(shares, axis=0) >= 0.0).all()
    assert (np.diff(shares, axis=1) >= 0.0).all()
    assert drawn["point"] == [2.0, 0.3]
    costs, rates = drawn["usd_per_downtime_minute"], drawn["failures_per_year"]
    column = int(np.argmin(np.abs(np.log(np.array(costs) / 2.0))))
    at = np.interp(np.log(0.3), np.log(rates), shares[:, column])
    assert at == pytest.approx(replica["probability"], abs=0.06)
    assert drawn["region"] == [[2.0, 0.3]] * len(drawn["region"]), "both are known"


@pytest.mark.parametrize("correlated", [
    [], [{"inputs": ["money.usd_per_downtime_minute", "-failures.per_node_year"], "correlation": 0.7}],
], ids=["apart", "together"])
def test_the_region_of_the_map_holds_nine_of_ten_worlds(
        planned: Callable[..., dict[str, Any]], demand: Demands, correlated: list[dict[str, Any]]) -> None:
    changes: dict[str, object] = {"correlated": correlated} if correlated else {}
    region = np.array(planned(changes)["map"]["region"])
    wanted = demand(changes)
    worlds = Worlds(20_000, 3, wanted.correlated)
    drawn = np.column_stack([
        worlds.draw("money.usd_per_downtime_minute", wanted.money.usd_per_downtime_minute),
        worlds.draw("failures.per_node_year", wanted.failures.per_node_year)])
    logs, centre = np.log(region), np.log([2.0, 0.3])
    angle = np.arctan2(*(np.log(drawn) - centre).T[::-1])
    edge = np.arctan2(*(logs - centre).T[::-1])
    order = np.argsort(edge)
    reach = np.interp(angle, edge[order], np.hypot(*(logs - centre).T)[order], period=2 * np.pi)
    inside = np.hypot(*(np.log(drawn) - centre).T) <= reach
    assert inside.mean() == pytest.approx(0.9, abs=0.015)


BUSY = {"users.registered": 2_000, "activity.requests_per_user_hour": {"low": 9e3, "mid": 1e4, "high": 1.1e4},
        "allowed.node_types": ["cache.m7g.large"], "cluster.node_type": "cache.m7g.large",
        "users.growth_percent_per_month": {"low": 3, "mid": 4, "high": 5}, "slo.p99_ms.rate_limit": 50,
        "slo.p99_ms.sessions": 50, "slo.p99_ms.cache": 50, "slo.p99_ms.celery_results": 50}


def test_reads_from_replicas_are_a_reason_where_cpu_runs_out_though_memory_would_do(
        planned: Callable[..., dict[str, Any]]) -> None:
    reads = planned(BUSY)["read_scaling"]
    assert reads["cpu_short_from"] is not None
    assert reads["memory_short_from"] is None
    assert 0.3 < reads["read_share"] < 0.8
    one, two = reads["relieved"]
    assert (one["replicas"], two["replicas"]) == (1, 2)
    assert one["probability_without_one"] <= one["probability"] <= two["probability"]
    assert two["probability_without_one"] == one["probability"], "with one of two lost, one is left"
    assert reads["is_a_reason"] == (two["probability_without_one"] >= 0.9)
    assert 0.0 < reads["stale_share"] < 0.01


def test_amplys_memory_runs_out_first_so_that_reads_are_no_reason(
        planned: Callable[..., dict[str, Any]]) -> None:
    reads = planned()["read_scaling"]
    assert reads["is_a_reason"] is False
    assert reads["cpu_short_from"] is None
    assert reads["memory_short_from"] is not None
    assert reads["relieved"] == []


def test_the_node_that_is_left_carries_what_was_planned_for_one(
        planned: Callable[..., dict[str, Any]]) -> None:
    after = planned()["after_failover"]
    assert after["carries"] is True
    assert after["probability"] >= 0.9
    assert set(after["by_constraint"]) >= {"memory", "cpu", "network", "connections"}
    assert 1.0 < after["resync_seconds"] < 600.0
    assert "credits" in after["note"]


def test_of_stale_reads_there_is_the_same_share_whatever_the_number_of_users(
        planned: Callable[..., dict[str, Any]]) -> None:
    shares = [planned({"users.registered": count})["read_scaling"]["stale_share"]
              for count in (0, 10, 25_000)]
    assert shares[0] == shares[1] == shares[2]
    assert 0.0 < shares[0] < 0.01
    nobody = {"users.sessions_per_user": 0, "users.stale_index_members_per_user": 0}
    assert planned(nobody)["read_scaling"]["stale_share"] == 0.0


def test_what_shards_break_names_the_command_and_the_way_out(
        planned: Callable[..., dict[str, Any]]) -> None:
    broken = planned()["cluster_mode"]
    assert [one["breaks"].partition(":")[0] for one in broken] == [
        "CROSSSLOT", "it has no client for a cluster"]
    assert all(one["way_out"] and one["source"] for one in broken)


def test_a_draft_has_a_verdict_and_nothing_beside_it(plan: Plans) -> None:
    replica = plan().as_json()["replica"]
    assert replica["verdict"] == "undecided"
    assert replica["medians"]["minutes_single"] == 10.0
    assert (replica["setups"], replica["sensitivity"], replica["map"]) == ([], [], None)


def test_the_month_of_the_turn_is_the_first_with_another_verdict(plan: Plans) -> None:
    growing = plan({"users.growth_percent_per_month": 25, "money.usd_per_lost_session": 0.004,
                    "allowed.node_types": ["cache.r7g.*"]}, worlds=300).replica
    verdicts = [row["verdict"] for row in growing.as_json()["months"]]
    turn = next(place for place, verdict in enumerate(verdicts) if verdict != verdicts[0])
    assert growing.flips_in == growing.months[turn][0]
    steady = plan({"users.growth_percent_per_month": 0, "money.usd_per_downtime_minute": 10_000}).replica
    assert steady.flips_in is None


def test_the_cheapest_way_may_be_a_single_node_without_anything(
        planned: Callable[..., dict[str, Any]]) -> None:
    free = planned({"money.usd_per_downtime_minute": 5, "money.usd_per_lost_session": 0,
                    "failures.per_node_year": 0.01})
    best = min(free["setups"], key=lambda one: one["total_usd"]["expected"])
    assert best["name"] == "single node"
