"""Expected downtime and loss a month: closed forms against simulated years, and what may never get worse."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amply_capacity.model.availability import (
    MINUTES_A_MONTH,
    SETUPS,
    Hazards,
    Month,
    Recovery,
    Setup,
    Stake,
    all_lost_share,
    expected_month,
)

YEAR = 8_760.0 * 60.0
YEARS = 3_000
PER_YEAR, ZONE_SHARE = 40.0, 0.1
SINGLE, RESTORE, OVER, MAINTENANCE = 100.0, 500.0, 2.0, 0.5
LOGINS, SESSIONS, LAG = 0.2, 100_000.0, 30.0
SINGLE_NODE, SNAPSHOTS, SAME_ZONE, MULTI_AZ, TWO = SETUPS


def at(value: float) -> np.ndarray:
    return np.array([value])


HAZARDS = Hazards(at(PER_YEAR), at(ZONE_SHARE), at(3.0))
RECOVERY = Recovery(at(SINGLE), at(RESTORE), at(OVER), at(MAINTENANCE), at(4.0), at(LAG), at(43_200.0))
STAKE = Stake(at(SESSIONS), at(LOGINS), at(5.0), at(0.5), at(260_000.0), at(60_000.0))


def simulated(setup: Setup, seed: int = 7) -> tuple[float, float]:
    """Minutes away and sessions lost a month: nodes that fail at random, are replaced, and take over."""
    random = np.random.default_rng(seed)
    away = lost = 0.0
    up_from = np.zeros(setup.nodes)  # when each node is there (again)
    primary, now, end = 0, 0.0, YEARS * YEAR
    while True:
        # Of nodes that are there, each fails at random; those being replaced begin anew.
        fails = np.maximum(up_from, now) + random.exponential(YEAR / PER_YEAR, setup.nodes)
        node = int(fails.argmin())
        now = float(fails[node])
        if now >= end:
            break
        others = [one for one in range(setup.nodes) if one != node and up_from[one] <= now]
        up_from[node] = now + SINGLE
        if node != primary:
            continue
        if random.random() < ZONE_SHARE and not setup.is_multi_az:
            up_from[:] = now + SINGLE
            others = []
        if setup.has_snapshots:
            away += RESTORE
            lost += random.poisson(LOGINS * 86_400.0 * random.random())
        elif not others:
            away += SINGLE
            lost += SESSIONS
            up_from[:] = now + SINGLE
        else:
            away += OVER
            lost += random.poisson(LOGINS * LAG)
            primary = others[0]
    maintenance = 3.0 / 12.0 * MAINTENANCE
    return away / YEARS / 12.0 + maintenance, lost / YEARS / 12.0


@pytest.mark.parametrize("setup", SETUPS[:4], ids=lambda setup: setup.name)
def test_the_closed_form_is_what_simulated_years_come_to(setup: Setup) -> None:
    away, lost = simulated(setup)
    month = expected_month(setup, HAZARDS, RECOVERY, STAKE)
    # A node is away for 0.8 % of the time; the closed form is linear in that.
    assert month.downtime_minutes[0] == pytest.approx(away, rel=0.04)
    assert month.lost_sessions[0] == pytest.approx(lost, rel=0.05)


def test_all_nodes_have_to_be_away_at_once_and_any_may_be_the_last() -> None:
    share = PER_YEAR * SINGLE / YEAR
    assert all_lost_share(MULTI_AZ, HAZARDS, RECOVERY)[0] == pytest.approx(2.0 * share)
    assert all_lost_share(TWO, HAZARDS, RECOVERY)[0] == pytest.approx(3.0 * share**2)
    assert all_lost_share(SAME_ZONE, HAZARDS, RECOVERY)[0] == pytest.approx(0.1 + 0.9 * 2.0 * share)


def test_what_is_lost_with_a_replica_is_rate_times_lag() -> None:
    never_all = replace(HAZARDS, failures_per_year=at(1e-6))
    month = expected_month(MULTI_AZ, never_all, RECOVERY, STAKE)
    assert month.lost_writes[0] == pytest.approx(1e-6 / 12.0 * 5.0 * LAG, rel=1e-3)
    assert month.lost_sessions[0] == pytest.approx(1e-6 / 12.0 * LOGINS * LAG, rel=1e-3)


def test_nothing_more_than_there_is_can_be_lost() -> None:
    late = replace(RECOVERY, lag_seconds=at(1e12), snapshot_age_seconds=at(1e12))
    for setup in (SNAPSHOTS, MULTI_AZ):
        month = expected_month(setup, replace(HAZARDS, failures_per_year=at(0.001)), late, STAKE)
        assert month.lost_sessions[0] == pytest.approx(0.001 / 12.0 * SESSIONS, rel=1e-3)
        assert month.lost_writes[0] == pytest.approx(0.001 / 12.0 * 260_000.0, rel=1e-3)


@pytest.mark.parametrize("setup", [SAME_ZONE, MULTI_AZ, TWO], ids=lambda setup: setup.name)
def test_a_failure_costs_no_more_than_the_worse_of_what_it_may_come_to(setup: Setup) -> None:
    """Also where replicas are far behind, nodes are hardly ever there, and a share is drawn beyond 1."""
    often = Hazards(at(5_000.0), at(1.4), at(0.0))
    late = replace(RECOVERY, lag_seconds=at(1e12), single_minutes=at(100.0), failover_minutes=at(80.0))
    assert 0.0 < all_lost_share(setup, often, late)[0] <= 1.0
    month = expected_month(setup, often, late, STAKE)
    failures = 5_000.0 / 12.0
    assert month.lost_sessions[0] == pytest.approx(failures * SESSIONS)
    assert month.lost_writes[0] == pytest.approx(failures * 260_000.0)
    assert failures * 80.0 <= month.downtime_minutes[0] <= failures * 100.0 * (1 + 1e-9)
    assert month.slow_minutes[0] <= failures * 4.0 * (1 + 1e-9)


def test_maintenance_takes_every_set_up_away_and_loses_nothing() -> None:
    safe = replace(HAZARDS, failures_per_year=at(0.0))
    for setup in SETUPS:
        month = expected_month(setup, safe, RECOVERY, STAKE)
        assert month.downtime_minutes[0] == 3.0 / 12.0 * MAINTENANCE
        assert month.lost_sessions[0] == month.lost_writes[0] == month.slow_minutes[0] == 0.0


def test_awss_promise_of_each_set_up_is_that_of_its_agreement() -> None:
    allowed = {setup.name: MINUTES_A_MONTH * (1.0 - setup.promise.percent / 100.0) for setup in SETUPS}
    assert allowed["single node"] == pytest.approx(219.0)
    assert allowed["one replica, same zone"] == pytest.approx(219.0)
    assert allowed["one replica, Multi-AZ"] == allowed["two replicas, Multi-AZ"] == pytest.approx(4.38)
    assert all("SLA" in setup.promise.source for setup in SETUPS)


RATES = st.floats(0.0, 50.0)
MINUTES = st.floats(0.0, 1e4)
SHARES = st.floats(0.0, 1.0)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Hazards, Recovery, Stake]:
    hazards = Hazards(at(draw(RATES)), at(draw(SHARES)), at(draw(RATES)))
    recovery = Recovery(*(at(draw(MINUTES)) for _ in fields(Recovery)))
    sessions, short = draw(st.floats(0.0, 1e6)), draw(st.floats(0.0, 1e6))
    stake = Stake(at(sessions), at(draw(RATES)), at(draw(RATES)), at(draw(RATES)), at(2.0 * sessions + short),
                  at(short))
    return hazards, recovery, stake


def is_no_less(more: Month, less: Month) -> bool:
    return all(getattr(more, one.name)[0] >= getattr(less, one.name)[0] * (1 - 1e-9) - 1e-12
               for one in fields(Month))


@settings(max_examples=150, deadline=None)
@given(worlds(), st.sampled_from(SETUPS))
def test_more_failures_never_cost_less(world: tuple[Hazards, Recovery, Stake], setup: Setup) -> None:
    hazards, recovery, stake = world
    more = replace(hazards, failures_per_year=hazards.failures_per_year * 1.5 + 0.1)
    assert is_no_less(expected_month(setup, more, recovery, stake),
                      expected_month(setup, hazards, recovery, stake))


@settings(max_examples=150, deadline=None)
@given(worlds(), st.sampled_from([one.name for one in fields(Recovery)]), st.sampled_from(SETUPS))
def test_whatever_takes_longer_never_costs_less(world: tuple[Hazards, Recovery, Stake], name: str,
                                                setup: Setup) -> None:
    hazards, recovery, stake = world
    longer = replace(recovery, **{name: getattr(recovery, name) * 2.0 + 1.0})
    assert is_no_less(expected_month(setup, hazards, longer, stake),
                      expected_month(setup, hazards, recovery, stake))


@settings(max_examples=150, deadline=None)
@given(worlds())
def test_another_zone_and_another_replica_never_make_it_worse(
        world: tuple[Hazards, Recovery, Stake]) -> None:
    same, other, two = (expected_month(setup, *world) for setup in (SAME_ZONE, MULTI_AZ, TWO))
    assert is_no_less(same, other)
    assert is_no_less(other, two)
