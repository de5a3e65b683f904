"""The answer of `predict throughput`: what it holds, and which runs it refuses."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from locust_process import run_locust
from synthetic_run import Asked, KnownApplication, KnownServer, command_stats, synthetic_run

from amply_capacity.errors import BadInput, BadRun
from amply_capacity.model import latency_curve
from amply_capacity.model.cpu import commands_per_second, cpu_us_per_command
from amply_capacity.model.cpu_curve import curve_of
from amply_capacity.model.cpu_samples import cpu_samples
from amply_capacity.model.throughput import STEPS, Throughput, throughput
from amply_capacity.model.trips import round_trips
from amply_capacity.run.reader import Run, read_run
from amply_capacity.target.cluster import Cluster

APPLICATION = KnownApplication(
    KnownServer(own_us=20.0, wake_us=35.0),
    (Asked("sessions", "validate", 0.6, (("GET", 1.0),)),
     Asked("rate_limit", "check", 0.4, (("INCR+EXPIRE", 1.0),))),
    {("validate", "GET"): 3.0, ("check", "INCR+EXPIRE"): 6.0})
RATES = (500.0, 2_000.0, 10_000.0)
COMMANDS_PER_OPERATION = 1.4


pytestmark = pytest.mark.xdist_group("throughput")  # its fixtures take half a minute each


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    directory = tmp_path_factory.mktemp("known")
    return [synthetic_run(directory / f"{rate:g}", **APPLICATION.options(rate, 20 if rate < 1_000.0 else 5))
            for rate in RATES]


@pytest.fixture(scope="module")
def calls() -> list[int]:
    return []


@pytest.fixture(scope="module")
def answer(runs: list[Run], calls: list[int]) -> Throughput:
    return throughput(runs, 1.0, lambda: calls.append(1))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few draws, where the answer's width is not asked for."""
    monkeypatch.setattr(latency_curve, "KNEE_DRAWS", 2)
    monkeypatch.setattr(latency_curve, "_DRAWS", 2)


def locust_words(error: Exception) -> list[str]:
    """The command that it tells to run, as a shell reads it."""
    words = shlex.split(str(error).split("`")[1])
    assert words[:2] == ["locust", "-f"]
    assert (Path(__file__).parents[2] / words[2]).exists()
    return words


def rate_of(words: list[str]) -> float:
    return float(words[words.index("--rate") + 1])


def test_the_answer_has_what_other_peoples_scripts_rely_on(answer: Throughput) -> None:
    told = json.loads(json.dumps(answer.as_json(), allow_nan=False))
    assert set(told) >= {"operations_per_second", "commands_per_second", "low", "high", "cpu_us_per_command"}
    assert told["low"] < told["operations_per_second"] < told["high"]
    assert told["confidence"] == 0.9
    assert told["commands_per_second"] == pytest.approx(
        COMMANDS_PER_OPERATION * told["operations_per_second"], rel=0.03)
    assert told["p99_ms"] == {"rate_limit": 1.0, "sessions": 1.0}
    assert told["gives_out_first"] in told["p99_ms"]
    assert told["measured_knee"] is None
    assert told["runs"] == ["known-500", "known-2000", "known-10000"]
    assert [one["command"] for one in told["cpu_us_per_command"]] == ["get", "expire", "incr"]
    for one in told["cpu_us_per_command"]:
        assert set(one) == {"command", "per_second", "low", "mid", "high", "at_the_run_us"}
        assert 0.0 < one["low"] <= one["mid"] <= one["high"] < one["at_the_run_us"]
    for point in told["curve"]:
        assert set(point) == {"operations_per_second", "busy_percent", "p50", "p99", "p99.9"}
        assert set(point["p99"]) == {"low_ms", "mid_ms", "high_ms", "saturated", "withheld"}


def test_the_core_is_full_where_the_law_says_and_the_p99_goes_before(answer: Throughput) -> None:
    full = answer.saturation_per_second
    assert full.mid == pytest.approx(APPLICATION.saturation, rel=0.15), "from four times slower runs"
    assert full.low < APPLICATION.saturation < full.high
    assert 0.6 * full.mid < answer.operations_per_second.mid < full.mid
    busy = [point.busy_percent for point in answer.points]
    assert busy == sorted(busy)
    assert busy[-1] < 100.0
    assert [point.operations_per_second / full.mid for point in answer.points] == pytest.approx(
        [0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95])


def test_a_simulation_crosses_the_objective_within_the_interval(answer: Throughput) -> None:
    def worst_ms(rate: float) -> float:
        answered = APPLICATION.answered(rate, 30_000 / rate, seed=9)
        return max(float(np.quantile(one.response_us, 0.99)) for one in answered.values()) / 1000.0

    rate = answer.operations_per_second
    assert worst_ms(rate.low) < 1.0 < worst_ms(rate.high)
    assert rate.high < 2.0 * rate.low


def test_commands_cost_together_what_the_server_spends(answer: Throughput) -> None:
    rate = answer.operations_per_second.mid
    spent = sum(one.per_second * one.cpu_us.mid for one in answer.commands) / 1e6
    idle = APPLICATION.server.idle_us / 1e6
    assert spent == pytest.approx(APPLICATION.cores(rate) - idle, rel=0.06)
    at_the_run = sum(one.per_second / rate * one.measured_us.mid for one in answer.commands)
    base = answer.latency.base_per_second
    assert at_the_run * base / 1e6 == pytest.approx(APPLICATION.cores(base) - idle, rel=0.06)


def test_progress_is_told_in_as_many_steps_as_are_announced(answer: Throughput, calls: list[int]) -> None:
    assert len(calls) == STEPS


def test_several_rates_near_the_answer_need_no_note(answer: Throughput) -> None:
    assert not [note for note in answer.notes if "about one rate" in note]


@pytest.mark.usefixtures("quick")
def test_one_rate_is_noted_and_how_far_the_answer_is_from_it(runs: list[Run]) -> None:
    notes = throughput(runs[:1], 1.0).notes
    assert any("about one rate" in note and "prior" in note for note in notes)
    assert any("times the fastest rate that was run" in note for note in notes)


@pytest.mark.usefixtures("quick")
def test_objectives_may_differ_by_use_case_and_those_of_others_are_left_out(runs: list[Run]) -> None:
    answer = throughput(runs, {"rate_limit": 0.6, "sessions": 50.0, "celery_results": 0.001})
    assert answer.use_case == "rate_limit"
    assert answer.p99_ms == {"rate_limit": 0.6, "sessions": 50.0}


@pytest.mark.usefixtures("quick")
def test_objectives_of_no_use_case_of_the_runs_are_refused(runs: list[Run]) -> None:
    with pytest.raises(BadInput, match=r"objectives for cache; runs of rate_limit, sessions"):
        throughput(runs, {"cache": 5.0})


@pytest.mark.usefixtures("quick")
def test_an_objective_that_the_host_itself_misses_is_refused(runs: list[Run]) -> None:
    with pytest.raises(BadRun, match="that is the host, not the server") as refused:
        throughput(runs, 0.03)
    assert "--p99-ms" in str(refused.value)


@pytest.mark.usefixtures("quick")
def test_a_command_that_commandstats_does_not_know_has_no_cost_of_its_own(make_run: Callable) -> None:
    options = APPLICATION.options(RATES[0], 10) | {"commands": command_stats({"get": 3.0, "incr": 3.0})}
    answer = throughput([make_run(**options)], 1.0)
    assert [one.command for one in answer.commands] == ["get", "incr"]


def test_a_generator_bound_run_is_refused_with_a_rate_that_it_holds(make_run: Callable) -> None:
    bound = {"verdict": "generator-bound", "scenario": "sessions"}
    run = make_run(**bound, rate_per_second=9_000.0, verdict_reason="its CPU was full")
    with pytest.raises(BadRun, match=r"bound by its generator.*Got: its CPU was full") as refused:
        throughput([run], 5.0)
    words = locust_words(refused.value)
    assert words[2] == "loadtests/sessions.py"
    assert rate_of(words) == 2_700.0
    closed = make_run(**bound, rate_per_second=None, arrivals="closed")
    with pytest.raises(BadRun, match="generator-bound") as refused:
        throughput([closed], 5.0)
    assert rate_of(locust_words(refused.value)) == 2_000.0


@pytest.mark.parametrize(("seconds", "rate", "got"), [(4, 500.0, "in 4 s"), (20, 5.0, "operations in 20 s")])
def test_a_run_too_short_or_too_slow_is_refused_with_a_longer_one(
    make_run: Callable, seconds: int, rate: float, got: str
) -> None:
    with pytest.raises(BadRun, match=f"too short or too slow.*{got}") as refused:
        throughput([make_run(**APPLICATION.options(rate, seconds))], 5.0)
    words = locust_words(refused.value)
    assert words[words.index("-t") + 1] == "30s"
    assert rate_of(words) >= 1_000.0


def test_one_unfit_run_among_fit_ones_is_named(runs: list[Run], make_run: Callable) -> None:
    with pytest.raises(BadRun, match="run too-short-one is too short"):
        throughput([*runs, make_run(**APPLICATION.options(500.0, 4) | {"run": "too-short-one"})], 5.0)


def test_closed_loops_alone_are_refused(make_run: Callable) -> None:
    with pytest.raises(BadRun, match="only closed loops") as refused:
        throughput([make_run(**APPLICATION.options(500.0, 8), arrivals="closed")], 5.0)
    assert rate_of(locust_words(refused.value)) == 1_000.0


def test_runs_that_were_cut_off_are_not_called_closed_loops(make_run: Callable) -> None:
    with pytest.raises(BadRun, match=r"recorded to its end.*known-500: partial") as refused:
        throughput([make_run(**APPLICATION.options(500.0, 8), verdict="partial")], 5.0)
    assert rate_of(locust_words(refused.value)) == 2_000.0
    with pytest.raises(BadRun, match="no run"):
        throughput([], 5.0)


def test_a_server_that_does_not_tell_its_cpu_is_refused(make_run: Callable) -> None:
    options = APPLICATION.options(500.0, 8)
    silent = [{name: value for name, value in row.items() if "used_cpu" not in name}
              for row in options["server"]]
    with pytest.raises(BadRun, match="what its server's CPU did"):
        throughput([make_run(**options | {"server": silent})], 5.0)


ATTEMPTS = 4
REAL_LOAD = ("-u", "20", "-r", "20", "-t", "7s", "--population", "300", "--prefill", "0",
             "--arrivals", "poisson")


def test_two_short_runs_on_a_real_server_foretell_a_thirds(redis_cluster: Cluster, tmp_path: Path) -> None:
    def recorded(rate: int) -> Run:
        for attempt in range(ATTEMPTS):  # where other tests had the CPU, a run says nothing of its server's
            directory = tmp_path / f"run-{rate}-{attempt}"
            code, words = run_locust("mixed", *REAL_LOAD, "--rate", str(rate), "--target", redis_cluster.name,
                                     "--run-dir", str(directory), log=tmp_path / "log")
            assert code in {0, 1}, words
            if cpu_samples(run := read_run(directory)):
                return run
        raise AssertionError(f"the host was too busy in {ATTEMPTS} runs at {rate}/s")

    # The third between the two, so that a host that drifts does not part it from both.
    slow, between, fast = recorded(500), recorded(1_500), recorded(4_000)
    curve = curve_of([slow, fast])
    measured = cpu_us_per_command(between)
    assert measured is not None
    trips = round_trips(between)
    rounds = commands_per_second(between) / sum(trips.commands_per_round.values())
    predicted = curve.us_per_command(rounds, trips.commands_per_round)
    # Tests run beside each other on shared cores, which alone changes it by half; bench/throughput is exact.
    assert 0.5 < predicted.mid / measured.mid < 2.0
