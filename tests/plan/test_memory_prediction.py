"""Memory of a demand: held against a real server at ten times a run's users, and lawful beyond."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st
from locust_process import wait_until

from amply_capacity.errors import BadRun, UnknownName
from amply_capacity.interval import Interval
from amply_capacity.model.allocator import BUNDLED, DEBIAN
from amply_capacity.model.layout import Layout
from amply_capacity.model.layouts import LAYOUTS, allocator_named, layout_of
from amply_capacity.model.memory import Server
from amply_capacity.model.shapes import RunShapes, shapes_of
from amply_capacity.plan.demand import Demand, load_demand
from amply_capacity.plan.memory import Holder, Median, course, for_users
from amply_capacity.plan.memory_prediction import MemoryPrediction, predict_memory
from amply_capacity.plan.worlds import Worlds
from amply_capacity.run.reader import read_run
from amply_capacity.traffic.population import Population, PopulationShape
from amply_capacity.traffic.prefill import PrefillClass, prefill_plan

ROOT = Path(__file__).parents[2]
START = date(2026, 11, 23)
MICRO = 402_653_184
WORLDS = Worlds(400)
SHAPES = shapes_of(read_run(ROOT / "data" / "examples" / "mixed"))
EXAMPLE = load_demand(ROOT / "data" / "demand.example.toml")


def holder(layout: Layout | None = None, **changes: Any) -> Holder:
    return Holder(layout or Layout(), Server(maxclients=20_000), limit_bytes=MICRO, **changes)


def predicted(demand: Demand, shapes: RunShapes = SHAPES, server: Holder | None = None,
              **options: Any) -> MemoryPrediction:
    return predict_memory(demand, shapes, server or holder(), start=START, worlds=WORLDS, **options)


def test_ten_times_the_users_of_a_run_need_what_is_predicted_from_it(
        recorded_run: Path, demand: Callable[..., Demand], plain_redis: Callable[..., int]) -> None:
    users = 10 * read_run(recorded_run).manifest["population"]["users"]
    population = Population(PopulationShape(users, users // 12, users // 8, 5.5, stale_share=0.5926, seed=77))
    live, stale = population.session_counts(users), population.stale_counts(users)
    plan = prefill_plan(population, 1.0, time.time(), counters=users // 8,
                        cached=users // 12, results=users, seed=77)
    wanted = demand({
        "users.registered": users, "users.sessions_per_user": float(live.mean()),
        "users.stale_index_members_per_user": float(stale.mean()),
        "organisations.users_per_organisation": 12, "organisations.api_keys_per_organisation": 1.5,
        "activity.tasks_per_user_hour": 1.0, "activity.peak_to_mean": 1.0,
        "activity.requests_per_user_hour": 90})
    with redis.Redis(port=plain_redis("--maxmemory", "1gb", "--maxmemory-policy", "volatile-lru")) as client:
        layout = layout_of_server(client)
        server = Server(tracked_commands=Interval.exact(7.0))  # PING, INFO, and five that write
        found = predicted(wanted, shapes_of(read_run(recorded_run)), Holder(layout, server, connections=1))
        measured = filled(client, plan)
    assert found.bill.used.mid == pytest.approx(measured, rel=0.01)
    assert found.bill.used.low <= measured <= found.bill.used.high


def layout_of_server(client: Any) -> Layout:
    told = client.info("server")
    kind = layout_of("valkey" if "valkey_version" in told else "redis",
                     told.get("valkey_version") or told["redis_version"])
    return kind(allocator_named(client.info("memory")["mem_allocator"], kind) or BUNDLED)


def filled(client: Any, plan: tuple[PrefillClass, ...]) -> int:
    """used_memory with all their keys, those that live shortest written last, as a new connection sees it."""
    order = ("sessions", "user_sessions", "results", "cached", "counters")
    for one in sorted(plan, key=lambda each: order.index(each.name)):
        commands = one.commands()
        while batch := list(itertools.islice(commands, 1_000)):
            pipe = client.pipeline(transaction=False)
            for command in batch:
                pipe.execute_command(*command)
            pipe.execute()
    client.connection_pool.disconnect()
    last = [0]

    def rests() -> bool:
        last.append(int(client.info("memory")["used_memory"]))
        return len(last) > 12 and max(last[-12:]) - min(last[-12:]) < 20_000

    wait_until(rests, "the tables were moved")
    return last[-1]


def test_the_lines_of_the_bill_add_up_and_their_shares_tell_what_can_go() -> None:
    found = predicted(EXAMPLE)
    assert found.bill.used.mid == pytest.approx(sum(item.bytes.mid for item in found.bill.items))
    assert found.bill.unevictable.mid == pytest.approx(
        sum(item.bytes.mid for item in found.bill.items if not item.is_evictable))
    names = [item.what for item in found.bill.items]
    assert names[:5] == ["session:* (string)", "rate:* (int)", "cache:* (string)",
                         "celery-task-meta-* (string)", "user_sessions:* (set, no TTL)"]
    assert names[-1].startswith("room for 20,000 clients")


def test_a_demand_without_doubt_has_a_narrow_bill(demand: Callable[..., Demand]) -> None:
    changes: dict[str, object] = {
        "users.sessions_per_user": 5.5, "users.stale_index_members_per_user": 8,
        "organisations.users_per_organisation": 12, "organisations.api_keys_per_organisation": 1.5,
        "activity.requests_per_user_hour": 10, "activity.peak_to_mean": 3,
        "activity.tasks_per_user_hour": 0.4}
    exact, vague = predicted(demand(changes)).bill, predicted(EXAMPLE).bill
    assert exact.used.mid == pytest.approx(vague.used.mid)
    assert exact.used.high - exact.used.low < 0.25 * (vague.used.high - vague.used.low)


def test_memory_fills_first_and_writes_fail_when_only_indexes_are_left(demand: Callable[..., Demand]) -> None:
    growing = demand({"users.growth_percent_per_month": 15, "plan.horizon_months": 60,
                      "activity.active_lists_per_user_day": 0.0,
                      "activity.log_outs_everywhere_per_user_day": 0.0})
    found = predicted(growing)
    assert found.outlook is not None
    assert found.fixed_outlook is not None
    full, fail = found.outlook.memory_full, found.outlook.writes_fail
    assert fail is not None
    assert full.mid is not None
    assert fail.mid is not None
    assert START < full.mid < fail.mid
    assert found.outlook.evictions_start == full
    assert found.leak["stale_members_per_user_at_horizon"] > found.leak["stale_members_per_user"] + 100
    fixed = found.fixed_outlook.writes_fail
    assert fixed is not None
    assert fixed.mid is None or fixed.mid > fail.mid
    assert (found.leak["unevictable_bytes_at_horizon_with_fix"]["mid"]
            < 0.2 * found.months[-1]["unevictable_mid"])


def test_what_happens_when_memory_is_full_is_the_policys_matter() -> None:
    by_policy = {policy: predicted(EXAMPLE, policy=policy).outlook for policy in (
        "volatile-ttl", "allkeys-lru", "noeviction")}
    allkeys, none = by_policy["allkeys-lru"], by_policy["noeviction"]
    assert allkeys is not None
    assert none is not None
    assert allkeys.writes_fail is None, "indexes are evicted as well"
    assert none.evictions_start is None
    assert none.writes_fail == none.memory_full
    assert predicted(EXAMPLE, server=replace(holder(), limit_bytes=None)).outlook is None
    with pytest.raises(UnknownName, match="volatile-lru"):
        predicted(EXAMPLE, policy="volatile-lur")


def test_bounds_hold_the_other_allocator_where_it_may_be_that_one() -> None:
    own, either = predicted(EXAMPLE).bill, predicted(EXAMPLE, others=(holder(Layout(DEBIAN)),)).bill
    assert either.used.mid == own.used.mid
    assert either.used.high > own.used.high
    assert own.allocator == "bundled"


def test_rate_keys_that_lost_their_expire_gather_until_every_api_key_has_one() -> None:
    lines = [course(EXAMPLE, SHAPES, holder(lost_expires_per_day=rate), Median()).items.get(
        "rate:* whose EXPIRE was lost (int, no TTL)")
        for rate in (None, Interval.exact(1.0), Interval.exact(1e6))]
    assert lines[0] is None, "unknown is not none"
    assert lines[1] is not None
    assert lines[2] is not None
    each = SHAPES.classes["counters"].bytes_each(Layout(), has_ttl=False).mid
    assert lines[1][0, 1] == pytest.approx(30.4375 * each)
    api_keys = 25_000 / 12 * 1.5 * 1.08**6
    assert lines[2][0, 6] == pytest.approx(api_keys * each, rel=1e-6)


def test_users_who_leave_leave_their_indexes(demand: Callable[..., Demand]) -> None:
    shrinking = course(demand({"users.growth_percent_per_month": -10}), SHAPES, holder(), Median())
    indexes = shrinking.counts["user_sessions:* (set, no TTL)"][0]
    assert (indexes == 25_000).all()
    assert shrinking.counts["session:* (string)"][0, 6] < 0.6 * shrinking.counts["session:* (string)"][0, 0]


def test_a_run_that_does_not_show_what_the_demand_has_is_refused() -> None:
    without = replace(SHAPES, classes={"sessions": SHAPES.classes["sessions"]}, index=None)
    with pytest.raises(BadRun, match=r"counters, cached, results, indexes of sessions"):
        predicted(EXAMPLE, without)


def test_users_bring_connections_as_the_demand_says(demand: Callable[..., Demand]) -> None:
    assert for_users(EXAMPLE, 250_000).connections.tasks.mid == 30.0
    assert for_users(demand({"connections.grow_with_users": False}), 250_000).connections.tasks.mid == 3.0


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 3_000_000), st.floats(1.0, 5.0), st.sampled_from([*LAYOUTS.values()]), st.booleans())
def test_more_users_never_need_less_memory(
        users: int, factor: float, kind: type[Layout], has_ttl: bool) -> None:
    worlds = Worlds(50)
    few, many = (course(for_users(EXAMPLE, count), SHAPES, holder(kind(), index_ttl=has_ttl), worlds)
                 for count in (users, round(users * factor)))
    assert (many.used >= few.used - 1.0).all()


@settings(max_examples=20, deadline=None)
@given(st.floats(0.0, 40.0), st.floats(0.0, 40.0), st.floats(0.0, 1.0))
def test_more_members_or_fewer_lists_never_need_less_memory(stale: float, more: float, lists: float) -> None:
    def needed(members: float, lists_a_day: float) -> Any:
        users = replace(EXAMPLE.users, stale_index_members_per_user=Interval.exact(members))
        activity = replace(EXAMPLE.activity, active_lists_per_user_day=Interval.exact(lists_a_day))
        return course(replace(EXAMPLE, users=users, activity=activity), SHAPES, holder(), Median()).used

    assert (needed(stale + more, lists) >= needed(stale, lists) - 1.0).all()
    assert (needed(stale, lists) >= needed(stale, lists + 0.5) - 1.0).all()
