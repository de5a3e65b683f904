from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pytest

from amply_capacity.load.verdict import judge
from amply_capacity.run.conclusion import conclusion, with_details

_FIRST, _LAST = 101, 110
_COUNT = 100
_SERVER = pd.DataFrame({"second": range(_FIRST, _LAST + 1), "EngineCPUUtilization": 40.0})


def _load(second: int, pid: int = 1, **noted: Any) -> dict[str, Any]:
    """What a process notes of itself; by default it has time to spare."""
    return {"second": second, "seconds": 1.0, "pid": pid, "role": "alone", "cpu_percent": 30.0,
            "wait_percent": 1.0, "lag_ms": 0.4, **noted}


def _judge(*loads: dict[str, Any], late_us: int = 100, arrivals: str = "closed", broken_off: str = "",
           events: list[tuple[str, dict[str, Any]]] | None = None, **manifest: Any) -> tuple[str, str]:
    """The verdict of a run of ten seconds whose processes noted that."""
    rows: list[tuple[float, str, str, Mapping[str, Any]]] = [
        (100.5, "phase", "measured", {}), (111.5, "phase", "ended", {})]
    rows += [(one["second"] + 1.0, "generator", "load", one) for one in loads]
    rows += [(105.0, "knee" if name == "step" else "generator", name, detail)
             for name, detail in events or []]
    table = pd.DataFrame(rows, columns=["time_s", "kind", "name", "detail"])
    table["detail"] = table["detail"].map(json.dumps)
    requests = pd.DataFrame([
        {"second": second, "command": "", "clock": clock, "bucket_us": late_us, "count": _COUNT}
        for second in range(100, 112) for clock in ("service", "lateness")])
    facts, marks = conclusion(table, requests, arrivals)
    table = pd.concat([table, pd.DataFrame(marks)]) if marks else table
    return judge({"requests": requests, "server": _SERVER, "events": with_details(table)},
                 {"arrivals": arrivals, **facts, **manifest}, broken_off)


def _every_second(**noted: Any) -> list[dict[str, Any]]:
    return [_load(second, **noted) for second in range(_FIRST, _LAST + 1)]


def test_a_generator_with_time_to_spare_gives_a_complete_run() -> None:
    assert _judge(*_every_second()) == ("complete", "")


def test_a_busy_generator_set_the_pace_of_a_closed_loop_and_the_remedy_is_a_number() -> None:
    verdict, reason = _judge(*_every_second(cpu_percent=98.0), generator={"host_cores": 16})
    assert verdict == "generator-bound"
    assert "the bottleneck in 10 of 10 s (98 % of a core in its one process)" in reason
    # Its server had 60 % of its core to spare: 100 / 40 as many processes fill it.
    assert "raise --processes to 3, or set a rate" in reason
    assert "--rate 70" in reason  # 100 operations a second with 70 % of the core


def test_of_two_busy_processes_both_are_counted() -> None:
    loads = [_load(second, pid, role="worker", cpu_percent=97.0)
             for second in range(_FIRST, _LAST + 1) for pid in (1, 2)]
    assert "97 % of a core in 2 of its 2 processes): raise --processes to 5" in _judge(*loads)[1]


def test_more_processes_than_this_host_has_cores_go_to_other_hosts() -> None:
    reason = _judge(*_every_second(cpu_percent=98.0), generator={"host_cores": 2})[1]
    assert "this host has 2 cores, and the server needs one: add hosts with --worker" in reason


@pytest.mark.parametrize(("bound", "verdict"), [(1, "complete"), (5, "complete"), (6, "generator-bound")])
def test_a_run_is_the_generators_when_most_of_its_seconds_are(bound: int, verdict: str) -> None:
    loads = [_load(second, cpu_percent=95.0 if second < _FIRST + bound else 50.0)
             for second in range(_FIRST, _LAST + 1)]
    found, reason = _judge(*loads)
    assert found == verdict
    assert f"in {bound} of 10 s" in reason
    assert ("which the models leave out" in reason) == (verdict == "complete")


def test_an_idle_master_does_not_hide_a_busy_worker_and_a_busy_master_is_none() -> None:
    busy = [one for second in range(_FIRST, _LAST + 1) for one in (
        _load(second, 1, role="master", cpu_percent=3.0), _load(second, 2, role="worker", cpu_percent=97.0))]
    assert _judge(*busy)[0] == "generator-bound"
    assert _judge(*_every_second(role="master", cpu_percent=97.0)) == ("complete", "")


def test_a_process_that_wants_a_core_and_is_not_given_one_is_starved() -> None:
    verdict, reason = _judge(*_every_second(cpu_percent=40.0, wait_percent=55.0))
    assert verdict == "generator-bound"
    assert "it got 40 % of a core, and waited for one in another 55 %" in reason
    assert "leave it a core of its own" in reason


def test_a_core_that_the_hypervisor_gave_to_others_is_told_from_one_that_a_neighbour_had() -> None:
    verdict, reason = _judge(*_every_second(cpu_percent=56.0, wait_percent=1.0, stolen_percent=42.0))
    assert verdict == "generator-bound"
    assert "it got 56 % of a core, which the hypervisor gave to others for 42 % of the time" in reason
    assert "a machine whose cores are its own" in reason
    assert _judge(*_every_second(cpu_percent=56.0, stolen_percent=9.0)) == ("complete", "")


@pytest.mark.parametrize(("wait_percent", "verdict"), [(20.0, "complete"), (30.0, "generator-bound")])
def test_a_process_that_waits_a_quarter_of_the_second_measured_its_wait(
    wait_percent: float, verdict: str
) -> None:
    assert _judge(*_every_second(cpu_percent=30.0, wait_percent=wait_percent))[0] == verdict


def test_a_loop_that_stands_still_is_the_generators_fault_whatever_its_cpu() -> None:
    verdict, reason = _judge(*_every_second(cpu_percent=5.0, wait_percent=0.0, lag_ms=310.0))
    assert verdict == "generator-bound"
    assert "stood still for up to 310 ms" in reason


def test_a_stall_longer_than_its_second_marks_each_second_that_it_covers() -> None:
    loads = [*(_load(second) for second in (101, 102, 103, 107, 108, 109, 110)),
             _load(104, seconds=3.0, cpu_percent=1.0, lag_ms=2400.0)]
    assert "in 3 of 10 s" in _judge(*loads)[1]


@pytest.mark.parametrize("arrivals", ["poisson", "constant"])
class TestOpenLoop:
    def test_a_busy_generator_that_is_on_time_is_none(self, arrivals: str) -> None:
        assert _judge(*_every_second(cpu_percent=97.0), late_us=500, arrivals=arrivals) == ("complete", "")

    def test_late_since_the_connection_was_busy_is_the_servers_fault(self, arrivals: str) -> None:
        assert _judge(*_every_second(), late_us=300_000, arrivals=arrivals) == ("complete", "")
        # A loop that lagged for a moment does not explain a third of a second.
        assert _judge(*_every_second(lag_ms=20.0), late_us=300_000, arrivals=arrivals) == ("complete", "")

    @pytest.mark.parametrize("noted", [
        {"cpu_percent": 96.0}, {"cpu_percent": 50.0, "wait_percent": 45.0}, {"lag_ms": 30.0},
        {"cpu_percent": 50.0, "stolen_percent": 45.0}, {"cpu_percent": 10.0, "stolen_percent": 26.0},
    ])
    def test_late_since_the_process_had_no_cpu_is_the_generators(self, noted: dict[str, float],
                                                                 arrivals: str) -> None:
        assert _judge(*_every_second(**noted), late_us=20_479, arrivals=arrivals)[0] == "generator-bound"

    def test_the_number_of_processes_follows_from_the_rate_asked_for(self, arrivals: str) -> None:
        # 98 % of a core for 100 operations a second, of which a process may use 70 %: 300 need 4.2 of them.
        reason = _judge(*_every_second(cpu_percent=98.0), late_us=50_000, arrivals=arrivals,
                        rate_per_second=300.0)[1]
        assert "raise --processes to 5, or lower --rate to 71" in reason


def test_without_figures_of_the_run_queue_the_rest_is_judged() -> None:
    silent = {key: value for key, value in _load(105, lag_ms=200.0).items() if key != "wait_percent"}
    assert "in 1 of 10 s" in _judge(silent)[1]


def test_a_lost_worker_makes_the_run_partial_and_one_that_came_back_does_not() -> None:
    lost = ("worker lost", {"worker_id": "vm_1", "worker": 0})
    back = ("worker back", {"worker_id": "vm_1", "worker": 0})
    verdict, reason = _judge(*_every_second(), events=[lost, back, lost])
    assert verdict == "partial"
    assert "worker vm_1 was lost; its data up to then is kept" in reason
    assert _judge(*_every_second(), events=[lost, back]) == ("complete", "")


def test_a_run_that_was_broken_off_is_partial_and_says_why() -> None:
    assert _judge(*_every_second(cpu_percent=98.0), broken_off="the disk is full") == (
        "partial", "the disk is full")


def test_a_run_without_a_load_is_partial() -> None:
    empty = {"events": with_details(pd.DataFrame(columns=["time_s", "kind", "name", "detail"])),
             "requests": pd.DataFrame(columns=["second", "command", "clock", "bucket_us", "count"])}
    verdict, reason = judge(empty | {"server": _SERVER}, {})
    assert verdict == "partial"
    assert "no measured phase" in reason


def test_a_load_in_which_no_operation_ended_is_not_said_never_to_have_begun() -> None:
    began = pd.DataFrame([(100.5, "phase", "measured", {})], columns=["time_s", "kind", "name", "detail"])
    requests = pd.DataFrame(columns=["second", "command", "clock", "bucket_us", "count"])
    assert judge({"events": began, "requests": requests, "server": _SERVER}, {}) == (
        "partial", "the load began, but no operation ended in it")


def test_no_rate_is_advised_to_a_search_or_a_day_whose_own_rates_nobody_asked_for() -> None:
    searched = _judge(*_every_second(cpu_percent=98.0), events=[("step", {})], late_us=50_000,
                      arrivals="poisson", rate_per_second=300.0)[1]
    day = _judge(*_every_second(cpu_percent=98.0), late_us=50_000, arrivals="day", rate_per_second=300.0)[1]
    for reason in (searched, day):
        assert reason.endswith("raise --processes to 2")


def test_a_rate_is_only_advised_where_it_is_a_lower_one() -> None:
    reason = _judge(*_every_second(cpu_percent=98.0), late_us=50_000, arrivals="poisson",
                    rate_per_second=60.0)[1]
    assert reason.endswith("raise --processes to 2")
