"""Response times at rates that were not run, against an independent simulation of the same application."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_run import BEGAN, Asked, KnownApplication, KnownServer, synthetic_run, times

from amply_capacity.errors import BadRun
from amply_capacity.model import latency_curve as module
from amply_capacity.model.cpu_curve import BEND_KNOTS, DRAWS, CpuCurve
from amply_capacity.model.latency_curve import LatencyCurve, latency_curve
from amply_capacity.model.operation_times import open_loops, quantile_within_us
from amply_capacity.run.histogram import bucket_upper_us
from amply_capacity.run.reader import Run

APPLICATION = KnownApplication(
    KnownServer(own_us=40.0, wake_us=30.0),
    (Asked("sessions", "validate", 0.6, (("GET", 1.0),)),
     Asked("rate_limit", "check", 0.4, (("INCR+EXPIRE", 1.0),))),
    {("validate", "GET"): 10.0, ("check", "INCR+EXPIRE"): 16.0})
COMMAND_US = {"get": 10.0, "incr": 8.0, "expire": 8.0}
FLOOR = 200.0
"""Operations a second that keep the server 4 % busy."""
FLOOR_SECONDS = 40
MEASURED = 40_000
OPERATIONS = {"sessions": "validate", "rate_limit": "check"}


def known_curve(application: KnownApplication = APPLICATION, spread: float = 0.0,
                command_us: dict[str, float] = COMMAND_US, own_deviation: float = 0.0) -> CpuCurve:
    """The law itself, without anything to be fitted; `own_deviation` makes draws differ in what they cost."""
    server = application.server
    own = server.own_us * np.exp(own_deviation * np.random.default_rng(1).standard_normal(DRAWS))
    own[0] = server.own_us
    same = [np.full(DRAWS, value) for value in (server.idle_us, server.wake_us, server.gap_us, 0.0)]
    return CpuCurve(same[0], own, same[1], same[2], np.zeros((DRAWS, BEND_KNOTS)), same[3], command_us,
                    application.mean_execution_us, {}, spread, FLOOR, FLOOR, 1)


@pytest.fixture(scope="module")
def floor_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    directory = tmp_path_factory.mktemp("known") / "run"
    return synthetic_run(directory, **APPLICATION.options(FLOOR, FLOOR_SECONDS))


@pytest.fixture(scope="module")
def latency(floor_run: Run) -> LatencyCurve:
    return latency_curve([floor_run], known_curve())


@cache
def measured(rate: float) -> dict[str, np.ndarray]:
    """Response times in ms, by use case, of many operations."""
    answered = APPLICATION.answered(rate, MEASURED / rate, seed=77)
    return {name: np.array(answered[operation].response_us) / 1000.0
            for name, operation in OPERATIONS.items()}


def everything(rate: float) -> np.ndarray:
    return np.concatenate(list(measured(rate).values()))


def locust_words(error: BadRun) -> list[str]:
    """The command that it tells to run, as a shell reads it."""
    command = str(error).split("`")[1]
    words = shlex.split(command)
    assert words[:2] == ["locust", "-f"]
    assert (Path(__file__).parents[2] / words[2]).exists(), command
    assert words[words.index("--arrivals") + 1] == "poisson"
    assert float(words[words.index("--rate") + 1]) > 0.0
    return words


def test_the_slowest_run_is_read_as_it_was_recorded(latency: LatencyCurve) -> None:
    assert {one.operation: pytest.approx(one.share, abs=0.03) for one in latency.mix.operations} == {
        "validate": 0.6, "check": 0.4}
    assert latency.base_per_second == pytest.approx(FLOOR, rel=0.03)
    assert latency.mix.rounds_per_operation == pytest.approx(1.0)
    assert latency.mix.commands_per_operation == pytest.approx(1.4, abs=0.03)
    mix = latency.mix.commands_per_round
    assert mix == {"expire": mix["incr"], "incr": pytest.approx(0.4, abs=0.03),
                   "get": pytest.approx(0.6, abs=0.03)}
    assert latency.mix.execution_us == pytest.approx(APPLICATION.mean_execution_us, rel=0.02)
    assert all(one.counts.shape[0] == FLOOR_SECONDS for one in latency.mix.operations)


@pytest.mark.parametrize("load", [0.3, 0.5, 0.7])
def test_times_at_a_higher_rate_are_those_of_a_simulation(latency: LatencyCurve, load: float) -> None:
    rate = load * APPLICATION.saturation
    for use_case in OPERATIONS:
        p50, p99 = latency.quantiles(rate, (0.5, 0.99), use_case)
        assert p50.value_ms is not None
        assert p99.value_ms is not None
        seen = np.quantile(measured(rate)[use_case], (0.5, 0.99))
        assert (p50.value_ms.mid, p99.value_ms.mid) == pytest.approx(tuple(seen), rel=0.10)


@pytest.mark.parametrize("load", [0.3, 0.5, 0.7, 0.8])
def test_the_interval_holds_the_simulated_p99(latency: LatencyCurve, load: float) -> None:
    rate = load * APPLICATION.saturation
    (p99,) = latency.quantiles(rate, [0.99])
    assert p99.value_ms is not None
    assert p99.value_ms.low < np.quantile(everything(rate), 0.99) < p99.value_ms.high
    assert p99.value_ms.high < 3.0 * p99.value_ms.low


def test_more_load_is_more_waiting(latency: LatencyCurve) -> None:
    rates = [share * APPLICATION.saturation for share in (0.2, 0.5, 0.8, 0.95)]
    p99s = [latency.quantiles(rate, [0.99])[0].value_ms for rate in rates]
    mids = [value.mid for value in p99s if value is not None]
    assert len(mids) == 4
    assert mids[3] > 2.0 * mids[2] > 2.0 * mids[1]


def test_what_is_not_known_of_the_structure_widens_the_interval_around_the_same_middle(
    latency: LatencyCurve, monkeypatch: pytest.MonkeyPatch
) -> None:
    rate = 0.7 * APPLICATION.saturation
    before = latency.quantiles(rate, [0.5])[0].value_ms
    monkeypatch.setattr(module, "_STRUCTURE", 0.5)
    after = latency.quantiles(rate, [0.5])[0].value_ms
    assert before is not None
    assert after is not None
    assert after.mid == before.mid
    assert after.high - after.low > 2.0 * (before.high - before.low)


def test_a_quantile_beyond_which_too_few_operations_lie_is_withheld(latency: LatencyCurve) -> None:
    p99, p999 = latency.quantiles(2_000.0, (0.99, 0.9999))
    assert p99.withheld is None
    assert p999.value_ms is None
    assert "too few" in str(p999.withheld)
    assert p999.as_json() == {"low_ms": None, "mid_ms": None, "high_ms": None, "saturated": False,
                              "withheld": p999.withheld}
    (of_one,) = latency.quantiles(2_000.0, [0.999], "rate_limit")  # its own operations count: some 3,200
    assert of_one.value_ms is None


def test_a_quantile_made_by_the_hosts_stalls_is_withheld_the_median_is_not(make_run: Callable) -> None:
    stalls = {3: 20_000.0, 6: 90_000.0, 9: 50_000.0, 12: 30_000.0, 15: 70_000.0}
    noisy = make_run(**APPLICATION.options(FLOOR, 20, stalls_us=stalls))
    p50, p99 = latency_curve([noisy], known_curve()).quantiles(5_000.0, (0.5, 0.99))
    assert p50.value_ms is not None
    assert p99.value_ms is None
    assert "the host was too noisy" in str(p99.withheld)


def test_seconds_that_the_host_disturbed_are_in_the_interval_and_not_in_the_middle(
        make_run: Callable) -> None:
    calm = make_run(**APPLICATION.options(FLOOR, 20))
    burst = make_run(**APPLICATION.options(  # of which the first second is left out
        FLOOR, 20, stalls_us=dict.fromkeys(range(4, 11), 30_000.0)))
    (before,), (after,) = (open_loops([run], known_curve()) for run in (calm, burst))
    assert all(one.is_usual.all() for one in before.operations)
    assert all(list(np.flatnonzero(~one.is_usual)) == list(range(3, 10)) for one in after.operations)
    rng = np.random.default_rng(1)
    for one, undisturbed in zip(after.operations, before.operations, strict=True):
        middle, usual, all_ = (np.quantile(one.drawn_us(20_000, rng, **how), 0.99) for how in (
            {}, {"is_resampled": True}, {"is_resampled": True, "is_disturbed": True}))
        assert middle == pytest.approx(np.quantile(undisturbed.drawn_us(20_000, rng), 0.99), rel=0.15)
        assert usual == pytest.approx(middle, rel=0.15)
        assert all_ > 20_000.0
        assert one.median_us == pytest.approx(undisturbed.median_us, rel=0.1)


def test_too_few_seconds_to_compare_are_all_usual(make_run: Callable) -> None:
    run = make_run(**APPLICATION.options(FLOOR, 3, stalls_us={1: 50_000.0}))
    (loop,) = open_loops([run], known_curve())
    assert all(one.is_usual.all() for one in loop.operations)


SLOWER = replace(APPLICATION, server=replace(APPLICATION.server, own_us=10.0 * APPLICATION.server.own_us))


@pytest.mark.parametrize(("spread", "usual", "odd"), [
    ("median_spread", 0.15, SLOWER.options(FLOOR, 20, seed=3)),
    ("tail_spread", 0.25, APPLICATION.options(FLOOR, 20, seed=3,
                                              stalls_us=dict.fromkeys(range(22), 9_000.0))),
])
def test_runs_tell_how_much_they_differ(make_run: Callable, spread: str, usual: float,
                                        odd: dict[str, Any]) -> None:
    one, like = (make_run(**APPLICATION.options(FLOOR, 20, seed=seed)) for seed in (1, 2))
    alone, alike, apart = (getattr(open_loops(runs, known_curve())[-1], spread)
                           for runs in ([one], [one, like], [one, like, make_run(**odd)]))
    assert alone == pytest.approx(usual), "what runs of one load differed by where it was measured"
    assert alike == pytest.approx(usual * (4 / 5) ** 0.5, rel=0.05)
    assert apart > 2.0 * alone


def test_medians_that_differ_widen_the_p50_around_the_same_middle(latency: LatencyCurve) -> None:
    rate = 0.5 * APPLICATION.saturation
    narrower, wider = (replace(latency, median_spread=spread).quantiles(rate, [0.5])[0].value_ms
                       for spread in (0.0, 0.3))
    assert wider.mid == narrower.mid
    assert wider.high - wider.low > 2.0 * (narrower.high - narrower.low)


def test_tails_that_differ_widen_the_p99_and_the_knee_and_not_the_median(latency: LatencyCurve) -> None:
    rate = 0.5 * APPLICATION.saturation
    wider = replace(latency, tail_spread=0.5, _bases={})
    narrower = replace(latency, tail_spread=0.0, _bases={})
    p50s, p99s = zip(*(found.quantiles(rate, (0.5, 0.99)) for found in (narrower, wider)), strict=True)
    assert p50s[0].value_ms.high == pytest.approx(p50s[1].value_ms.high, rel=0.01)
    assert p99s[0].value_ms.mid == p99s[1].value_ms.mid
    widths = [each.value_ms.high - each.value_ms.low for each in p99s]
    assert widths[1] > 2.0 * widths[0]
    knees = [found.knee({"sessions": 3.0}).operations_per_second for found in (narrower, wider)]
    assert knees[0].mid == knees[1].mid
    assert knees[1].high - knees[1].low > 1.5 * (knees[0].high - knees[0].low)


def test_beyond_saturation_bounds_are_infinite_and_null_in_json(latency: LatencyCurve) -> None:
    (p50,) = latency.quantiles(1.1 * APPLICATION.saturation, [0.5])
    assert p50.value_ms is not None
    assert p50.value_ms.low == p50.value_ms.mid == p50.value_ms.high == np.inf
    assert json.loads(json.dumps(p50.as_json(), allow_nan=False)) == {
        "low_ms": None, "mid_ms": None, "high_ms": None, "saturated": True, "withheld": None}


def test_a_bound_is_infinite_where_some_curves_are_saturated(floor_run: Run) -> None:
    unsure = latency_curve([floor_run], known_curve(own_deviation=0.2))
    (p50,) = unsure.quantiles(0.9 * APPLICATION.saturation, [0.5])
    assert p50.value_ms is not None
    assert p50.value_ms.low < p50.value_ms.mid < p50.value_ms.high == np.inf
    figures = p50.as_json()
    assert figures["high_ms"] is None
    assert figures["mid_ms"] == pytest.approx(p50.value_ms.mid, abs=1e-4)


LIMIT_MS = 1.2


@cache
def simulated_knee() -> float:
    low, high = 0.3 * APPLICATION.saturation, APPLICATION.saturation
    while high - low > 0.01 * high:
        rate = (low + high) / 2.0
        is_within = max(np.quantile(seen, 0.99) for seen in measured(rate).values()) <= LIMIT_MS
        low, high = (rate, high) if is_within else (low, rate)
    return (low + high) / 2.0


def test_the_knee_is_where_a_simulation_crosses_the_limit(latency: LatencyCurve) -> None:
    calls: list[int] = []
    knee = latency.knee(dict.fromkeys(OPERATIONS, LIMIT_MS), advance=lambda: calls.append(1))
    assert knee.withheld is None
    assert knee.operations_per_second is not None
    assert knee.operations_per_second.mid == pytest.approx(simulated_knee(), rel=0.05)
    assert knee.operations_per_second.low <= simulated_knee() <= knee.operations_per_second.high
    assert len(calls) == module.KNEE_DRAWS


def test_what_runs_differ_by_and_what_is_not_known_of_the_cost_widen_the_knee(
    floor_run: Run, latency: LatencyCurve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KNEE_DRAWS", 12)
    limits = dict.fromkeys(OPERATIONS, LIMIT_MS)
    sure = latency.knee(limits).operations_per_second
    for curve in (known_curve(spread=0.15), known_curve(own_deviation=0.15)):
        unsure = latency_curve([floor_run], curve).knee(limits).operations_per_second
        assert sure is not None
        assert unsure is not None
        assert unsure.high - unsure.low > 1.5 * (sure.high - sure.low)
        assert unsure.mid == pytest.approx(sure.mid, rel=0.01)


def test_the_use_case_with_the_tighter_objective_gives_out_first(
    latency: LatencyCurve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KNEE_DRAWS", 1)
    for first, other in (("sessions", "rate_limit"), ("rate_limit", "sessions")):
        knee = latency.knee({first: 0.8, other: 20.0})
        assert knee.use_case == first
        alone = latency.knee({first: 0.8})
        assert alone.operations_per_second == knee.operations_per_second


def test_an_objective_that_nothing_misses_is_held_up_to_saturation(
    latency: LatencyCurve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KNEE_DRAWS", 1)
    knee = latency.knee({"sessions": 10_000.0}).operations_per_second
    assert knee is not None
    assert knee.mid == pytest.approx(APPLICATION.saturation, rel=0.02)
    assert knee.mid < APPLICATION.saturation * 1.001


def test_the_knee_is_withheld_where_the_floor_misses_the_objective(latency: LatencyCurve) -> None:
    knee = latency.knee({"sessions": 10.0, "rate_limit": 0.05})
    assert knee.operations_per_second is None
    assert knee.use_case == "rate_limit"
    assert "rate_limit is beyond its objective even at 2" in str(knee.withheld)
    assert "the host, not the server" in str(knee.withheld)


def test_another_mix_of_the_same_operations_has_its_own_saturation_and_times(latency: LatencyCurve) -> None:
    checks = latency.mixed({"check": 9.0, "validate": 1.0})
    assert {one.operation: one.share for one in checks.mix.operations} == {"check": 0.9, "validate": 0.1}
    assert checks.mix.commands_per_operation == pytest.approx(1.9)
    assert checks.mix.execution_us == pytest.approx(0.9 * 16.0 + 0.1 * 10.0, rel=0.05)
    alone = latency.mixed({"check": 1.0, "validate": 0.0})
    assert [one.operation for one in alone.mix.operations] == ["check"]
    with pytest.raises(BadRun, match="no log_out, touch"):
        latency.mixed({"touch": 1.0, "check": 1.0, "log_out": 1.0})


def scripts(cheap_us: float, costly_us: float) -> KnownApplication:
    """Two operations that run the same command, one for much longer."""
    return KnownApplication(
        KnownServer(own_us=40.0, wake_us=30.0),
        (Asked("scripts", "cheap", 0.8, (("EVALSHA", 1.0),)),
         Asked("scripts", "costly", 0.2, (("EVALSHA", 1.0),))),
        {("cheap", "EVALSHA"): cheap_us, ("costly", "EVALSHA"): costly_us})


def test_a_command_that_costs_more_in_one_operation_is_told_by_its_times(make_run: Callable) -> None:
    application = scripts(100.0, 600.0)
    run = make_run(**application.options(100.0, 40))
    found = latency_curve([run], known_curve(application, command_us={"evalsha": 200.0}))
    execution = {one.operation: one.trips[0].execution_us for one in found.mix.operations}
    assert execution == {"cheap": pytest.approx(100.0, abs=25.0), "costly": pytest.approx(600.0, abs=60.0)}
    assert found.mix.execution_us == pytest.approx(200.0)


def test_times_that_differ_by_the_network_leave_a_commands_mean_as_it_was(make_run: Callable) -> None:
    """A client may answer one operation faster than another: that costs the server nothing."""
    far = [times(second, "far", "sessions", clock=clock, command=command, us=927, count=100)
           for second in range(BEGAN, BEGAN + 22)
           for command, clock in (("", "response"), ("", "service"), ("GET", "service"))]
    options = APPLICATION.options(FLOOR, 20)
    run = make_run(**options | {"requests": options["requests"] + far})
    found = latency_curve([run], known_curve())
    gets = [(one.share, one.trips[0].execution_us)
            for one in found.mix.operations if one.operation != "check"]
    assert len(gets) == 2
    assert np.average([us for _, us in gets], weights=[share for share, _ in gets]) == pytest.approx(10.0)


def test_the_fastest_open_loop_that_leaves_the_server_idle_is_the_base(
        floor_run: Run, make_run: Callable) -> None:
    faster = make_run(**APPLICATION.options(1_500.0, 10))
    busy = make_run(**APPLICATION.options(0.6 * APPLICATION.saturation, 4))
    closed = make_run(**APPLICATION.options(1_600.0, 10), arrivals="closed")
    found = latency_curve([busy, faster, closed, floor_run], known_curve())
    assert found.base_per_second == pytest.approx(1_500.0, rel=0.03)


def test_loops_of_one_rate_are_taken_together_and_one_given_twice_is_taken_once(
        floor_run: Run, make_run: Callable) -> None:
    another = make_run(**APPLICATION.options(FLOOR, 10, seed=2))
    one, both, twice = (latency_curve(runs, known_curve())
                        for runs in ([floor_run], [floor_run, another], [another, floor_run, another]))
    seen = [sum(each.counts.sum() for each in found.mix.operations) for found in (one, both, twice)]
    assert seen[0] < seen[1] == seen[2]
    assert seen[1] == pytest.approx(FLOOR * (FLOOR_SECONDS + 10), rel=0.05)
    assert both.base_per_second == pytest.approx(FLOOR, rel=0.03)


def test_what_the_way_takes_less_at_a_higher_rate_is_told_by_a_slower_loop(make_run: Callable) -> None:
    fast, far = APPLICATION, replace(APPLICATION, network_us=APPLICATION.network_us + 120.0)
    base = make_run(**fast.options(1_500.0, 10))
    alone = latency_curve([base], known_curve())
    steady = latency_curve([make_run(**fast.options(FLOOR, 20)), base], known_curve())
    nearer = latency_curve([make_run(**far.options(FLOOR, 20)), base], known_curve())
    assert alone.way_us == 0.0
    assert steady.way_us < 0.2 * nearer.way_us
    costs = {rate: fast.server.us_per_round(rate * fast.rounds, fast.mean_execution_us)
             for rate in (FLOOR, 1_500.0)}
    idle = [np.log1p((1e6 / (rate * fast.rounds) - cost) / fast.server.gap_us)
            for rate, cost in costs.items()]
    assert nearer.way_us * (idle[0] - idle[1]) == pytest.approx(120.0, rel=0.15)
    medians = [found.quantiles(3_000.0, [0.5])[0].value_ms.mid for found in (alone, nearer)]
    assert medians[1] < medians[0] - 0.01


def test_of_a_run_whose_rate_rises_the_first_steps_are_the_floor(make_run: Callable) -> None:
    options = APPLICATION.options(FLOOR, 20)
    steps = [row for row in options["requests"] if row["second"] < BEGAN + 8]
    steps += APPLICATION.requests(2_000.0, 7, first=BEGAN + 8)
    steps += APPLICATION.requests(3_000.0, 7, first=BEGAN + 15)
    found = latency_curve([make_run(**options | {"requests": steps})], known_curve())
    assert found.base_per_second == pytest.approx(FLOOR, rel=0.08)
    assert found.mix.operations[0].counts.shape[0] == 7


def test_failed_operations_are_no_response_times(make_run: Callable) -> None:
    options = APPLICATION.options(FLOOR, 20)
    timeouts = [times(BEGAN + 3, "validate", "sessions", clock=clock, outcome="timeout", us=999_423, count=50)
                for clock in ("service", "response")]
    sound = latency_curve([make_run(**options)], known_curve())
    found = latency_curve([make_run(**options | {"requests": options["requests"] + timeouts})], known_curve())
    assert found.quantiles(3_000.0, [0.99]) == sound.quantiles(3_000.0, [0.99])


def test_closed_loops_are_refused_with_what_to_record(make_run: Callable) -> None:
    closed = make_run(**APPLICATION.options(FLOOR, 10), arrivals="closed", scenario="rate_limit")
    with pytest.raises(BadRun, match=f"only closed loops: {closed.name}") as refused:
        latency_curve([closed], known_curve())
    assert locust_words(refused.value)[2] == "loadtests/rate_limit.py"
    with pytest.raises(BadRun, match="no run"):
        latency_curve([], known_curve())


@pytest.mark.parametrize(("rate", "too"), [(7_000.0, "too fast"), (20.0, "too slow")])
def test_a_run_that_waits_or_hardly_works_is_refused_with_a_better_rate(
    make_run: Callable, rate: float, too: str
) -> None:
    application = APPLICATION
    if rate < 100.0:  # an ordinary server, which twenty operations a second do not wake
        application = replace(APPLICATION, server=KnownServer(idle_us=1_000.0))
    run = make_run(**application.options(rate, 4), scenario="sessions")
    with pytest.raises(BadRun, match=too) as refused:
        latency_curve([run], known_curve(application))
    words = locust_words(refused.value)
    assert words[2] == "loadtests/sessions.py"
    better = float(words[words.index("--rate") + 1])
    assert better < 0.5 * rate if too == "too fast" else better > 2.0 * rate
    assert "% busy" in str(refused.value)


def test_the_rate_it_is_told_to_record_is_accepted(make_run: Callable) -> None:
    with pytest.raises(BadRun) as refused:
        latency_curve([make_run(**APPLICATION.options(7_000.0, 3))], known_curve())
    words = locust_words(refused.value)
    better = float(words[words.index("--rate") + 1])
    assert latency_curve([make_run(**APPLICATION.options(better, 10))], known_curve()).base_per_second > 0.0


def test_a_quantile_divides_its_bucket_evenly() -> None:
    bucket, counts = np.array([1_087.0]), np.array([8.0])  # from 1,024 µs on, 64 µs wide
    assert quantile_within_us(bucket, counts, 0.5) == pytest.approx(1_087.0 - 32.0)
    assert quantile_within_us(bucket, counts, 1.0) == 1_087.0
    both, counts = np.array([1_023.0, 1_087.0]), np.array([10.0, 50.0])
    assert quantile_within_us(both, counts, 0.5) == pytest.approx(1_087.0 - 64.0 * 30.0 / 50.0)


def test_rows_of_one_bucket_add_up_in_whatever_order_they_come() -> None:
    whole = quantile_within_us(np.array([511.0, 1_087.0]), np.array([10.0, 90.0]), 0.4)
    parts = quantile_within_us(np.array([1_087.0, 511.0, 1_087.0, 1_087.0]),
                               np.array([50.0, 10.0, 30.0, 10.0]), 0.4)
    assert parts == pytest.approx(whole)


@given(st.lists(st.integers(0, 5_000_000), min_size=1, max_size=200), st.floats(0.01, 0.99))
def test_a_quantile_of_buckets_is_within_a_bucket_of_the_times_own(us: list[int], q: float) -> None:
    uppers = bucket_upper_us(np.array(us, dtype=np.int64)).astype(np.float64)
    found = quantile_within_us(uppers, np.ones(len(us)), q)
    exact = np.quantile(us, q, method="inverted_cdf")
    assert exact / 1.07 - 1.5 <= found <= exact * 1.07 + 1.5
    assert found <= quantile_within_us(uppers, np.ones(len(us)), min(q + 0.05, 1.0)) + 1e-6
