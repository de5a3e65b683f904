"""Worlds, workload and needs: quantiles, monotone laws, and the node types held against them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plan_inputs import cpu_samples

from amply_capacity.catalog.nodes import node_type
from amply_capacity.errors import BadInput, BadRun
from amply_capacity.interval import Interval
from amply_capacity.model.evidence import Evidence
from amply_capacity.model.node_speed import Observation
from amply_capacity.plan.calibrations import Calibration, node_cpu_factor
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.demand_needs import needs
from amply_capacity.plan.fit import fit_of
from amply_capacity.plan.measured import measured
from amply_capacity.plan.memory_items import table_bytes
from amply_capacity.plan.needs import Needs
from amply_capacity.plan.sizing import UNITS, capacities, fits
from amply_capacity.plan.workload import workload
from amply_capacity.plan.worlds import Worlds

Demands = Callable[..., Demand]
Runs = Callable[..., Evidence]

WORLDS = Worlds(400, seed=3)


def needs_of(demand: Demand, *runs: Evidence, worlds: Worlds = WORLDS) -> Needs:
    return needs(demand, measured(runs), workload(demand, worlds), worlds)


@pytest.mark.parametrize("interval", [
    Interval(1_000, 10_000, 100_000), Interval(0, 2, 10), Interval(0.05, 0.3, 2, 0.8)])
def test_worlds_meet_all_three_stated_quantiles(interval: Interval) -> None:
    drawn = Worlds(20_000, seed=5).draw("x", interval)
    tail = (1 - interval.confidence) / 2
    assert np.mean(drawn <= interval.mid) == pytest.approx(0.5, abs=0.015)
    assert np.mean(drawn > interval.high) == pytest.approx(tail, abs=0.01)
    below = np.mean(drawn < interval.low) if interval.low > 0 else np.mean(drawn == 0)
    assert below == pytest.approx(tail, abs=0.01)


def test_each_number_has_its_own_stream_and_keeps_it() -> None:
    some = Interval(1, 2, 3)
    assert np.array_equal(WORLDS.draw("a", some), WORLDS.draw("a", some))
    assert abs(np.corrcoef(WORLDS.draw("a", some), WORLDS.draw("b", some))[0, 1]) < 0.2
    assert not np.array_equal(WORLDS.draw("a", some), Worlds(400, seed=4).draw("a", some))


@pytest.mark.parametrize(("count", "seed"), [(0, 1), (-5, 1), (10**9, 1), (10, -1)])
def test_worlds_that_cannot_be_drawn_are_refused(count: int, seed: int) -> None:
    with pytest.raises(BadInput, match="worlds"):
        Worlds(count, seed)


def test_growth_compounds_from_todays_users(demand: Demands) -> None:
    load = workload(demand({"users.registered": 1_000, "users.growth_percent_per_month": 10}), WORLDS)
    assert load.users[:, 0] == pytest.approx(1_000)
    assert load.users[:, 2] == pytest.approx(1_210)
    assert load.users.shape == (400, 37)


def test_counters_never_exceed_the_api_keys_nor_the_checks_of_a_minute(demand: Demands) -> None:
    known = {"users.registered": 1_000, "organisations.users_per_organisation": 10,
             "organisations.api_keys_per_organisation": 2, "activity.peak_to_mean": 2,
             "activity.rate_checks_per_request": 1, "activity.cached_reads_per_request": 1}
    busy = workload(demand(known | {"activity.requests_per_user_hour": 60}), WORLDS)
    idle = workload(demand(known | {"activity.requests_per_user_hour": 0.06}), WORLDS)
    assert busy.counters[:, 0] == pytest.approx(200)
    assert busy.cached[:, 0] == pytest.approx(100)
    assert idle.counters[:, 0] == pytest.approx(1_000 * 0.06 / 3600 * 2 * 60)
    assert idle.cached[:, 0] == pytest.approx(1_000 * 0.06 / 3600 * 2 * 300)


def test_connections_are_whole_tasks_times_workers_times_pool(demand: Demands) -> None:
    changes = {"connections.tasks": 3, "connections.workers_per_task": 2, "connections.pool_size": 20,
               "users.growth_percent_per_month": 10}
    growing = workload(demand(changes), WORLDS).connections
    fixed = workload(demand(changes | {"connections.grow_with_users": False}), WORLDS).connections
    assert growing[:, :3] == pytest.approx(np.tile([120, 160, 160], (400, 1)))
    assert fixed == pytest.approx(120)


def test_a_month_of_impossible_growth_stays_a_number(demand: Demands, evidence: Runs) -> None:
    need = needs_of(demand({"users.growth_percent_per_month": 1_000, "plan.horizon_months": 120}), evidence())
    node = node_type("cache.t3.micro")
    assert all(np.isfinite(need.of(node, name)).all() for name in UNITS)


@pytest.mark.parametrize(("keys", "buckets"), [
    (0, 4), (4, 4), (5, 8), (262_144, 262_144), (262_145, 524_288)])
def test_a_table_holds_the_next_power_of_two_and_the_one_it_grows_out_of(keys: int, buckets: int) -> None:
    assert table_bytes(np.array([float(keys)]))[0] == 8 * buckets * 1.5


def test_memory_is_the_counts_times_the_measured_bytes(demand: Demands, evidence: Runs) -> None:
    run = evidence()
    certain = replace(run.footprint, session_bytes=Interval.exact(560), index_bytes=Interval.exact(1_000),
                      index_members=13.0)
    need = needs_of(demand({
        "users.registered": 10_000, "users.sessions_per_user": 5, "users.stale_index_members_per_user": 8,
    }), replace(run, footprint=certain))
    assert need.memory_items["session"][:, 0] == pytest.approx(10_000 * 5 * 560)
    assert need.memory_items["index"][:, 0] == pytest.approx(10_000 * 1_000)
    free_share = 0.75
    whole = sum(values[:, 0] for values in need.memory_items.values())
    assert need.used_memory()[:, 0] == pytest.approx(whole)
    capacity = capacities(node_type("cache.t3.micro"), demand())["memory"]
    assert capacity.available == pytest.approx(402_653_184 * free_share)


def test_cpu_is_commands_times_measured_cpu_times_the_slower_core(demand: Demands, evidence: Runs) -> None:
    zero = {f"activity.{name}": 0 for name in (
        "touches_per_request", "rate_checks_per_request", "cached_reads_per_request", "logins_per_user_day",
        "log_outs_per_user_day", "log_outs_everywhere_per_user_day", "active_lists_per_user_day",
        "tasks_per_user_hour")} | {"users.sessions_per_user": 0}
    only_validate = demand(zero | {"users.registered": 36_000, "activity.requests_per_user_hour": 100,
                                   "activity.peak_to_mean": 3})
    run = evidence()
    need = needs_of(only_validate, run, worlds=Worlds(20_000, 1))
    curve = measured([run]).cpu
    assert curve is not None
    at_peak, mean = curve.cores(np.array([3_000.0, 1_000.0]))[0]
    node = node_type("cache.t3.micro")
    factor = node_cpu_factor("cache.t3.micro")
    peak = need.of(node, "cpu")[:, 0]
    assert np.median(peak) == pytest.approx(at_peak * factor.mid, rel=0.03)
    assert np.quantile(peak, 0.95) > at_peak * factor.high * 0.97
    credits = np.median(need.of(node, "cpu_credits")[:, 0])
    assert credits < mean * factor.mid + 0.02, "a round trip costs less in the busy hours of a day"
    assert credits == pytest.approx(mean * factor.mid + 0.02, rel=0.12)


def test_runs_of_one_server_share_a_curve_and_another_servers_stay_out(evidence: Runs) -> None:
    one = evidence(cpu_samples=cpu_samples("a", {300: 54.0}), run_id="a")
    two = evidence(cpu_samples=cpu_samples("b", {20_000: 12.0}), run_id="b",
                   recorded_at="2026-11-25T00:00:00Z")
    other = evidence(cpu_samples=cpu_samples("c", {3_000: 90.0}), run_id="c", server="valkey 8.1.0",
                     recorded_at="2026-11-01T00:00:00Z")
    curve = measured([one, two, other]).cpu
    assert curve is not None
    assert (curve.samples, curve.slowest_per_second, curve.fastest_per_second) == (2, 300, 20_000)
    assert curve.us_per_command(3_000).mid < 40


def test_a_faster_family_needs_less_cpu_and_a_calibration_narrows_all(
        demand: Demands, evidence: Runs) -> None:
    seen = Observation("t3", 1.0, 0.05, False, "it was seen", {})
    observed = Calibration("cache.t3.micro", seen, {}, None, None)
    figures, drawn = measured([evidence()]), Worlds(4_000, 1)
    load = workload(demand(), drawn)
    prior, known = needs(demand(), figures, load, drawn), needs(demand(), figures, load, drawn, [observed])
    micro, graviton = node_type("cache.t3.micro"), node_type("cache.r8g.large")
    assert np.median(prior.of(graviton, "cpu")) < np.median(prior.of(micro, "cpu"))
    for node in (micro, graviton):
        before, after = (one.cpu_factor[node.family] for one in (prior, known))
        assert np.ptp(np.quantile(after, [0.05, 0.95])) < np.ptp(np.quantile(before, [0.05, 0.95]))


def test_quiet_weekends_do_not_pay_for_busy_weekdays(demand: Demands, evidence: Runs) -> None:
    busy = {"users.registered": 5_000, "activity.requests_per_user_hour": 5_000, "activity.peak_to_mean": 2}
    node = node_type("cache.t3.micro")
    equal, quiet = (np.median(needs_of(demand(busy | {"activity.weekend_to_weekday": ratio}), evidence())
                              .of(node, "cpu_credits")[:, 0]) for ratio in (1.0, 0.2))
    assert quiet > 1.02 * equal


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(users=st.floats(1, 1e7), factor=st.floats(1, 50))
def test_more_users_never_need_less_of_anything(
        demand: Demands, evidence: Runs, users: float, factor: float) -> None:
    few = needs_of(demand({"users.registered": users}), evidence())
    many = needs_of(demand({"users.registered": users * factor}), evidence())
    node = node_type("cache.t3.micro")
    for constraint in UNITS:
        # Cores come from tables of other knots, each within 0.3 % of the curve.
        error = 0.003 if constraint in ("cpu", "cpu_credits", "latency") else 1e-9
        assert (many.of(node, constraint) >= few.of(node, constraint) * (1 - error)).all(), constraint


def test_more_live_or_stale_sessions_than_the_median_make_an_index_bigger(
        demand: Demands, evidence: Runs) -> None:
    spread = demand({"users.registered": 1_000})
    load = workload(spread, WORLDS)
    index = needs_of(spread, evidence()).memory_items["index"][:, 0]
    many = load.index_members_per_user > np.quantile(load.index_members_per_user, 0.9)
    few = load.index_members_per_user < np.quantile(load.index_members_per_user, 0.1)
    assert index[many].min() > index[few].max()
    assert index.min() >= 216 * 1_000


def test_memory_binds_a_micro_first_and_the_reason_says_by_how_much(demand: Demands, evidence: Runs) -> None:
    wanted = demand({"users.registered": 200_000})
    fit = fit_of(node_type("cache.t3.micro"), wanted, needs_of(wanted, evidence()), 0)
    assert fit.binding.constraint == "memory"
    assert not fit.is_enough
    assert "MB of 302 MB (403 MB usable less 25 % kept free) at the 90th percentile" in fit.reason
    assert fit.binding.share_left is not None
    assert fit.binding.share_left < 0


def test_a_busy_but_small_keyspace_runs_out_of_credits_first(demand: Demands, evidence: Runs) -> None:
    wanted = demand({"users.registered": 500, "activity.requests_per_user_hour": 50_000,
                     "activity.peak_to_mean": 1})
    need = needs_of(wanted, evidence())
    assert fit_of(node_type("cache.t3.micro"), wanted, need, 0).binding.constraint == "cpu_credits"
    assert "cpu_credits" not in capacities(node_type("cache.m6g.large"), wanted)


def test_a_fact_that_the_catalog_lacks_is_unknown_and_never_fits(demand: Demands, evidence: Runs) -> None:
    blind = replace(node_type("cache.t3.micro"), vcpu=None)
    fit = fit_of(blind, demand(), needs_of(demand(), evidence()), 0)
    assert fit.binding.constraint == "cpu_credits"
    assert fit.binding.probability is None
    assert "unknown" in fit.reason
    assert not fit.is_enough
    assert not fits(blind, demand(), needs_of(demand(), evidence())).any()


def test_a_network_without_a_burst_is_held_to_its_baseline(demand: Demands) -> None:
    big = capacities(node_type("cache.r7g.16xlarge"), demand())
    assert big["network_burst"].available == big["network"].available == 30e9


def test_an_uncertain_wish_for_free_memory_counts_in_each_world(demand: Demands, evidence: Runs) -> None:
    node = node_type("cache.t3.micro")
    sure = needs_of(demand({"slo.free_memory_percent": 20}), evidence()).of(node, "memory")
    unsure = needs_of(demand({"slo.free_memory_percent": {"low": 10, "mid": 20, "high": 40}}), evidence())
    ratio = unsure.of(node, "memory")[:, 0] / sure[:, 0]
    assert np.median(ratio) == pytest.approx(1, rel=0.02)
    assert np.quantile(ratio, 0.95) == pytest.approx(0.8 / 0.6, rel=0.05)


def test_a_run_that_lacks_needed_figures_is_refused_with_all_of_them(demand: Demands, evidence: Runs) -> None:
    full = evidence()
    run = replace(full, footprint=replace(full.footprint, session_bytes=None, result_bytes=None),
                  cpu_samples=(), operations={"validate": full.operations["validate"]})
    with pytest.raises(BadRun) as caught:
        needs_of(demand(), run)
    for text in ("bytes of a session", "bytes of a result", "no CPU per command", "mixed.py", run.run_id,
                 "no cost of the operation touch"):
        assert text in str(caught.value)
    assert "operation validate" not in str(caught.value)


def test_a_figure_of_a_use_case_that_nobody_uses_is_not_asked_for(demand: Demands, evidence: Runs) -> None:
    full = evidence()
    run = replace(full, footprint=replace(full.footprint, result_bytes=None))
    need = needs_of(demand({"activity.tasks_per_user_hour": 0}), run)
    assert "result" not in need.memory_items


def test_each_figure_comes_whole_from_the_best_run_that_holds_it(evidence: Runs) -> None:
    full = evidence()
    newest = replace(full, run_id="newest", recorded_at="2026-11-25T00:00:00Z", cpu_samples=(),
                     hit_rate=0.5)
    partial = replace(full, run_id="partial", recorded_at="2026-11-30T00:00:00Z", verdict="partial")
    figures = measured([full, partial, newest])
    assert [run.run_id for run in figures.runs] == ["newest", full.run_id, "partial"]
    assert figures.run_of["session_bytes"] == "newest"
    assert figures.run_of["CPU per command"] == full.run_id
    assert figures.hit_rate == 0.5
    with pytest.raises(BadInput, match="no run"):
        measured([])
