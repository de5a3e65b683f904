"""Latency from the recorded histograms, on the clock that fits the arrivals."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from synthetic_run import BEGAN, SECONDS, times

from amply_capacity.errors import BadRun
from amply_capacity.model.evidence import Latency
from amply_capacity.model.latency import latency_by_use_case, latency_over_time, operation_table


def test_percentiles_of_a_use_case_are_those_of_its_operations(make_run: Callable) -> None:
    found = latency_by_use_case(make_run())
    # 90 of 100 reads took 100 µs, 10 took 5,000 µs; the schedule's delay of 1,000 µs is in the response.
    assert found["cache"] == Latency(100 * SECONDS, 0.1, 5.0, 6.0)
    assert found["rate_limit"] == Latency(50 * SECONDS, 0.2, 0.2, 1.2)


def test_a_closed_loop_has_no_response_time(make_run: Callable) -> None:
    found = latency_by_use_case(make_run(arrivals="closed"))
    assert {latency.response_p99_ms for latency in found.values()} == {None}


def test_what_lies_outside_the_measured_phase_does_not_count(make_run: Callable) -> None:
    early = times(BEGAN - 3, "cached_read", "cache", us=9_000_000, count=100_000)
    late = times(BEGAN + SECONDS + 30, "cached_read", "cache", us=9_000_000, count=100_000)
    assert latency_by_use_case(make_run(requests=[early, late])) == latency_by_use_case(make_run())


def test_over_time_each_second_has_its_own_quantile(make_run: Callable) -> None:
    stall = times(BEGAN + 4, "check", "rate_limit", us=700_000, count=50)
    p99 = latency_over_time(make_run(requests=[stall]), "service", [0.99])[0.99]
    assert p99[BEGAN + 4] == 700.0
    assert p99[BEGAN + 5] == 5.0
    p50 = latency_over_time(make_run(requests=[stall]), "service", [0.5])[0.5]
    assert p50[BEGAN + 5] == 0.1


def test_the_table_has_rates_percentiles_and_outcomes_the_most_frequent_first(make_run: Callable) -> None:
    table = operation_table(make_run())
    assert list(table["operation"]) == ["cached_read", "check"]
    read = table.iloc[0]
    assert (read["operations"], read["per second"]) == (100 * SECONDS, 100.0)
    assert (read["p50 ms"], read["p99 ms"], read["p99.9 ms"]) == (0.1, 5.0, 5.0)
    assert read["outcomes"] == "hit 90.0 %, miss 10.0 %"


@pytest.mark.parametrize("seconds", [0, 1, 2])
def test_a_measured_phase_of_less_than_three_seconds_is_refused(make_run: Callable, seconds: int) -> None:
    with pytest.raises(BadRun, match=f"{seconds} whole seconds of load"):
        latency_by_use_case(make_run(seconds=seconds))


def test_a_run_that_ended_before_its_load_began_is_refused(make_run: Callable) -> None:
    run = make_run()
    events = run.events[run.events["name"] != "measured"]
    vars(run)["events"] = events
    with pytest.raises(BadRun, match="no measured phase"):
        operation_table(run)
