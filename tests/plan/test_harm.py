"""What goes wrong on a node that is too small, and what that costs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np
import pytest

from amply_capacity.catalog.nodes import node_type
from amply_capacity.model.day import WEEK_MINUTES, share_of_week_above, week_weights
from amply_capacity.model.evidence import Evidence
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.demand_needs import needs
from amply_capacity.plan.harm import Harm, harm, prices_of
from amply_capacity.plan.measured import measured
from amply_capacity.plan.needs import Needs
from amply_capacity.plan.workload import workload
from amply_capacity.plan.worlds import Floats, Worlds

Demands = Callable[..., Demand]
Runs = Callable[..., Evidence]

WORLDS = Worlds(300, 1)
MONTH_MINUTES = 43_800.0
MICRO, LARGE = node_type("cache.t3.micro"), node_type("cache.r7g.large")
PRICED = {"money.usd_per_breached_slo_minute": 0.1, "money.usd_per_downtime_minute": 2,
          "money.usd_per_lost_session": 0.01}


def needs_of(demand: Demand, run: Evidence) -> Needs:
    return needs(demand, measured([run]), workload(demand, WORLDS, date(2026, 11, 23)), WORLDS)


def harm_of(demand: Demand, run: Evidence, node: object = MICRO) -> tuple[Harm, Needs]:
    need = needs_of(demand, run)
    return harm(node, demand, need, prices_of(demand, WORLDS), slice(1, 2)), need  # type: ignore[arg-type]


def only(found: Harm, constraint: str) -> Floats:
    others = [name for name, usd in found.usd_by_constraint.items() if usd.any() and name != constraint]
    assert others == []
    return found.usd_by_constraint[constraint][:, 0]


@pytest.mark.parametrize(("peak", "weekend", "level"), [(3.0, 1.0, 1.5), (2.0, 0.4, 1.2), (5.0, 0.0, 4.0),
                                                        (1.0, 1.0, 0.5), (1.0, 1.0, 1.5)])
def test_the_share_of_a_week_above_a_level_is_that_of_its_minutes(
        peak: float, weekend: float, level: float) -> None:
    minutes = week_weights(peak, weekend)
    found = share_of_week_above(np.array([level]), np.array([peak]), np.array([weekend]))[0]
    assert found == pytest.approx(np.mean(minutes > level), abs=5 / WEEK_MINUTES + 0.002)


def test_a_node_that_is_enough_does_no_harm(demand: Demands, evidence: Runs) -> None:
    assert not harm_of(demand(PRICED), evidence(), LARGE)[0].usd.any()


def test_sessions_beyond_the_memory_are_lost_and_paid_for(demand: Demands, evidence: Runs) -> None:
    asked = demand({**PRICED, "users.registered": 90_000, "users.sessions_per_user": 6,
                    "slo.evictions_per_minute": 1e9, "users.stale_index_members_per_user": 0})
    found, need = harm_of(asked, evidence())
    usd = only(found, "memory")
    over = np.maximum(need.used_memory()[:, 1] - MICRO.usable_bytes(), 0.0)
    assert (over > 0).mean() > 0
    lives = 730 / 168
    lost = np.minimum(over / need.memory_items["session"][:, 1], 1) * need.sessions[:, 1] * lives
    assert usd == pytest.approx(0.01 * lost)


def test_more_evictions_than_promised_break_every_minute(demand: Demands, evidence: Runs) -> None:
    asked = demand({**PRICED, "users.registered": 90_000, "users.sessions_per_user": 6,
                    "slo.evictions_per_minute": 0, "money.usd_per_lost_session": 0,
                    "users.stale_index_members_per_user": 0})
    usd = only(harm_of(asked, evidence())[0], "memory")
    assert set(np.round(usd, 6)) - {0.0} == {round(0.1 * MONTH_MINUTES, 6)}


def test_where_nothing_is_left_to_evict_writes_are_refused(demand: Demands, evidence: Runs) -> None:
    asked = demand({**PRICED, "users.registered": 2_000_000, "users.sessions_per_user": 0,
                    "activity.logins_per_user_day": 0})
    usd = harm_of(asked, evidence())[0].usd_by_constraint["memory"][:, 0]
    assert (usd >= 2 * MONTH_MINUTES).all()


def test_a_throttled_burstable_node_is_slow_while_it_is_throttled(demand: Demands, evidence: Runs) -> None:
    busy = demand({**PRICED, "users.registered": 3_000, "activity.requests_per_user_hour": 4_000,
                   "activity.peak_to_mean": 1, "activity.weekend_to_weekday": 1})
    found, need = harm_of(busy, evidence())
    throttled = found.usd_by_constraint["cpu_credits"][:, 0]
    short = need.of(MICRO, "cpu_credits")[:, 1] > 0.2
    assert short.any()
    assert np.array_equal(throttled > 0, short)
    assert (throttled <= 0.1 * MONTH_MINUTES * 1.001).all()


def test_a_core_that_is_full_at_the_peak_is_slow_for_its_hours_only(demand: Demands, evidence: Runs) -> None:
    asked = demand({**PRICED, "users.registered": 60_000, "activity.requests_per_user_hour": 6_000,
                    "activity.peak_to_mean": 4, "activity.weekend_to_weekday": 1,
                    "slo.p99_ms.rate_limit": 1e6, "slo.p99_ms.sessions": 1e6, "slo.p99_ms.cache": 1e6,
                    "slo.p99_ms.celery_results": 1e6})
    found, need = harm_of(asked, evidence(), node_type("cache.c7gn.4xlarge"))
    usd = found.usd_by_constraint["cpu"][:, 0]
    full = need.of(node_type("cache.c7gn.4xlarge"), "cpu")[:, 1] > 0.9
    assert full.any()
    assert np.array_equal(usd > 0, full)
    assert (usd[full] < 0.5 * 0.1 * MONTH_MINUTES).mean() > 0.5


def test_a_promise_tighter_than_the_network_is_broken_always(demand: Demands, evidence: Runs) -> None:
    asked = demand({**PRICED, "slo.p99_ms.rate_limit": 0.05})
    usd = only(harm_of(asked, evidence(), LARGE)[0], "latency")
    assert usd == pytest.approx(0.1 * MONTH_MINUTES)
