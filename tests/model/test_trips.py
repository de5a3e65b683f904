"""Round trips of operations, and the commands in them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_run import BEGAN, times

from amply_capacity.errors import BadRun
from amply_capacity.model.trips import RoundTrips, mixed_trips, operation_trips, round_trips

READ = RoundTrips(1.25, {"get": 0.8, "setex": 0.2})
CHECK = RoundTrips(1.0, {"expire": 1.0, "incr": 1.0})
RATES = st.floats(0.0, 1e5, allow_subnormal=False)


def test_a_pipeline_is_one_round_trip_and_each_of_its_commands(make_run: Callable) -> None:
    trips = round_trips(make_run())  # a second has 100 GET, 10 SETEX and 50 pipelines of INCR and EXPIRE
    assert trips.count == pytest.approx(160.0)
    assert trips.commands == pytest.approx(210.0)
    assert dict(trips.commands_per_round) == pytest.approx(
        {"expire": 50 / 160, "get": 100 / 160, "incr": 50 / 160, "setex": 10 / 160})


def test_a_command_twice_in_a_pipeline_counts_twice(make_run: Callable) -> None:
    twice = times(BEGAN + 3, "check", "rate_limit", command="GET+GET+DEL", count=160)
    trips = round_trips(make_run(requests=[twice]))
    assert trips.count == pytest.approx(160.0 + 16.0)
    assert trips.commands_per_round["get"] == pytest.approx((100.0 + 32.0) / 176.0)
    assert trips.commands_per_round["del"] == pytest.approx(16.0 / 176.0)


def test_what_the_generator_held_back_or_lies_outside_the_phase_does_not_count(make_run: Callable) -> None:
    bound = BEGAN + 4
    added = [times(second, "check", "rate_limit", command="GET", count=5_000)
             for second in (BEGAN - 3, bound, BEGAN + 30)]
    run = make_run(requests=added)
    run.manifest["generator_bound_seconds"] = [bound]
    assert round_trips(run).count == pytest.approx(160.0)
    assert operation_trips(run)["check"].count == pytest.approx(1.0)


def test_an_operations_trips_are_the_mean_of_its_own(make_run: Callable) -> None:
    trips = operation_trips(make_run())
    assert set(trips) == {"cached_read", "check"}
    assert trips["cached_read"].count == pytest.approx(1.1)  # one in ten is filled
    assert dict(trips["cached_read"].commands_per_round) == pytest.approx(
        {"get": 1 / 1.1, "setex": 0.1 / 1.1})
    assert trips["check"] == RoundTrips(1.0, {"expire": 1.0, "incr": 1.0})


def test_an_operation_that_asks_nothing_has_no_trips(make_run: Callable) -> None:
    silent = times(BEGAN + 3, "compute", "cache", count=100)
    assert "compute" not in operation_trips(make_run(requests=[silent]))


def test_a_run_of_no_commands_has_none(make_run: Callable) -> None:
    own = [times(BEGAN + number, "compute", "cache", count=100) for number in range(12)]
    run = make_run(requests=own, is_standing=False)
    assert round_trips(run) == RoundTrips(0.0, {})
    assert round_trips(run).commands == 0.0
    assert operation_trips(run) == {}


def test_a_mix_is_made_of_its_operations(make_run: Callable) -> None:
    run = make_run()
    mixed = mixed_trips(operation_trips(run), {"cached_read": 100.0, "check": 50.0})
    recorded = round_trips(run)
    assert mixed.count == pytest.approx(recorded.count)
    assert dict(mixed.commands_per_round) == pytest.approx(dict(recorded.commands_per_round))


@given(reads=RATES, checks=RATES)
def test_mixing_keeps_every_round_trip_and_command(reads: float, checks: float) -> None:
    mixed = mixed_trips({"read": READ, "check": CHECK}, {"read": reads, "check": checks})
    assert mixed.count == pytest.approx(1.25 * reads + checks)
    assert mixed.commands == pytest.approx(1.25 * reads + 2.0 * checks)


def test_no_operations_at_all_are_no_round_trips() -> None:
    assert mixed_trips({"read": READ}, {"read": 0.0}) == RoundTrips(0.0, {})


def test_every_operation_that_no_run_shows_is_named_unless_it_never_comes() -> None:
    with pytest.raises(BadRun, match=r"no log_out, touch.*--mix"):
        mixed_trips({"read": READ}, {"touch": 1.0, "read": 5.0, "log_out": 2.0})
    assert mixed_trips({"read": READ}, {"touch": 0.0, "read": 4.0}).count == pytest.approx(5.0)
