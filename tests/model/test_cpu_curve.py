"""The curve of CPU over rate, fitted to samples of servers whose law is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import exp, log1p

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from synthetic_run import KnownServer, command_stats, server_samples

from amply_capacity.errors import BadRun
from amply_capacity.model.cpu_curve import BEND_KNOTS, DRAWS, CpuCurve, cpu_curve, curve_of, interval_of
from amply_capacity.model.cpu_samples import CpuSample
from amply_capacity.run.reader import Run

GET = {"get": 1.0}
HELD_OUT = (100.0, 1_000.0, 5_000.0, 20_000.0, 50_000.0)
CASES = 100
NOISE = 0.06
"""Relative, between runs."""


@dataclass(frozen=True)
class Server(KnownServer):
    """It is asked GETs only, if nothing else is said."""

    get_us: float = 1.5

    @property
    def full(self) -> float:
        return self.saturation(self.get_us)

    def us_per_command(self, rate: float) -> float:
        return self.us_per_round(rate, self.get_us) + self.idle_us / rate

    def sample(self, number: int, rate: float, noise: float = 1.0) -> CpuSample:
        cores = rate * self.us_per_command(rate) * noise / 1e6
        return CpuSample(f"run-{number}", 10.0, rate, GET, cores, 0.01)

    def curve(self, rates: Iterable[float], noises: Iterable[float] | None = None) -> CpuCurve:
        places = list(rates)
        noise = [1.0] * len(places) if noises is None else list(noises)
        samples = [self.sample(number, rate, each)
                   for number, (rate, each) in enumerate(zip(places, noise, strict=True))]
        # A command's own time has a cold part of 1 µs per unit of the logarithm of its gap.
        execution = {
            one.run_id: {"get": self.get_us + log1p(max(1e6 / one.rounds_per_second - one.us_per_round, 0.0)
                                                    / self.gap_us)} for one in samples}
        return cpu_curve(samples, execution)


def drawn_server(rng: np.random.Generator) -> Server:
    """Hosts differ: a core half or twice as fast, and more."""
    own = 4.6 * exp(rng.normal(0.0, 0.8))
    return Server(4_500.0 * exp(rng.normal(0.0, 0.6)), own, own * 1.75 * exp(rng.normal(0.0, 0.25)),
                  50.0 * exp(rng.normal(0.0, 0.4)))


@cache
def fitted_cases() -> Sequence[tuple[Server, CpuCurve, NDArray[np.float64]]]:
    """Servers, curves fitted to three to six of their rates with the noise of runs, and one more run's."""
    cases = []
    for seed in range(CASES):
        rng = np.random.default_rng([5, seed])
        server = drawn_server(rng)
        rates = np.exp(rng.uniform(np.log(100.0), np.log(0.7 * server.full), rng.integers(3, 7)))
        cases.append((server, server.curve(rates, np.exp(rng.normal(0.0, NOISE, len(rates)))),
                      np.exp(rng.normal(0.0, NOISE, len(HELD_OUT)))))
    return cases


@pytest.mark.parametrize("of_a_run", [False, True])
def test_intervals_at_rates_that_were_not_run_hold_the_truth(of_a_run: bool) -> None:
    held = []
    for server, curve, noise in fitted_cases():
        for rate, one in zip(HELD_OUT, noise, strict=True):
            if rate < 0.95 * server.full:
                found = curve.us_per_command(rate, of_a_run=of_a_run)
                truth = server.us_per_command(rate) * (one if of_a_run else 1.0)
                held.append(found.low <= truth <= found.high)
    assert len(held) > 4 * CASES
    assert 0.80 <= np.mean(held) <= 0.99, f"{np.mean(held):.3f} of {len(held)}"


def test_predictions_at_rates_that_were_not_run_are_near_the_truth() -> None:
    errors = [abs(curve.us_per_command(rate).mid / server.us_per_command(rate) - 1.0)
              for server, curve, _ in fitted_cases() for rate in HELD_OUT if rate < 0.95 * server.full]
    assert np.median(errors) < NOISE
    assert np.quantile(errors, 0.9) < 3.0 * NOISE


def test_each_parameter_is_found_again_and_lies_in_its_draws() -> None:
    errors, held = [], []
    for seed in range(40):
        rng = np.random.default_rng([7, seed])
        server = drawn_server(rng)
        rates = np.geomspace(60.0, 0.8 * server.full, 6)
        curve = server.curve(rates, np.exp(rng.normal(0.0, 0.02, 6)))
        draws = np.stack([curve.idle_us_per_second, curve.own_us, curve.wake_us, curve.gap_us])
        truth = np.array([server.idle_us, server.own_us, server.wake_us, server.gap_us])
        errors.append(np.abs(np.log(draws[:, 0] / truth)))
        low, high = np.quantile(draws, [0.05, 0.95], axis=1)
        held.append((low <= truth) & (truth <= high))
    assert (np.median(errors, axis=0) < [0.08, 0.10, 0.10, 0.25]).all(), np.median(errors, axis=0)
    assert (np.mean(held, axis=0) >= 0.75).all(), np.mean(held, axis=0)


def test_without_noise_many_rates_leave_little_open() -> None:
    server = Server(3_000.0, 7.0, 10.0, 35.0)
    curve = server.curve(np.geomspace(50.0, 100_000.0, 24))
    for rate in (70.0, 900.0, 12_000.0, 80_000.0):
        found = curve.us_per_command(rate)
        assert found.mid == pytest.approx(server.us_per_command(rate), rel=0.01)
        assert (found.high - found.low) / found.mid < 0.10


def test_one_rate_carries_the_prior_and_is_surest_near_it() -> None:
    server = Server(own_us=9.2, wake_us=16.1)  # twice as slow as the prior's host
    curve = server.curve([2_000.0])
    found = {rate: curve.us_per_command(rate) for rate in (50.0, 2_000.0, 80_000.0)}
    width = {rate: one.high / one.low for rate, one in found.items()}
    assert found[2_000.0].mid == pytest.approx(server.us_per_command(2_000.0), rel=0.03)
    for rate in (50.0, 80_000.0):
        assert width[rate] - 1.0 > 2.0 * (width[2_000.0] - 1.0)
        assert found[rate].low < server.us_per_command(rate) < found[rate].high
    assert curve.samples == 1


def test_more_rates_narrow_what_one_leaves_open() -> None:
    one, four = Server().curve([1_000.0]), Server().curve([300.0, 1_000.0, 5_000.0, 40_000.0])
    for rate in (100.0, 60_000.0):
        wide, narrow = one.us_per_command(rate), four.us_per_command(rate)
        assert narrow.high / narrow.low < 0.9 * wide.high / wide.low
    assert (four.slowest_per_second, four.fastest_per_second) == (300.0, 40_000.0)


def test_one_wildly_disturbed_sample_hardly_moves_the_curve() -> None:
    rates = np.geomspace(100.0, 60_000.0, 7)
    noises = [1.0, 1.0, 1.0, 2.5, 1.0, 1.0, 1.0]
    sound, disturbed = Server().curve(rates), Server().curve(rates, noises)
    for rate in HELD_OUT:
        moved = disturbed.us_per_command(rate).mid / sound.us_per_command(rate).mid
        assert abs(moved - 1.0) < 0.05, (rate, moved)
    assert disturbed.spread > 1.15 * sound.spread, "it is taken for what runs differ by"


def test_runs_that_differ_make_the_interval_of_one_more_run_wider() -> None:
    curve = Server().curve(np.geomspace(100.0, 60_000.0, 8), [1.1, 0.9] * 4)
    mean, run = curve.us_per_command(2_000.0), curve.us_per_command(2_000.0, of_a_run=True)
    assert run.high - run.low > 1.3 * (mean.high - mean.low)
    assert run.mid == mean.mid
    assert curve.spread > 1.4 * Server().curve(np.geomspace(100.0, 60_000.0, 8)).spread


@dataclass(frozen=True)
class BentServer(Server):
    """Its core sleeps deeper below a thousand a second: waking costs a quarter less between it and more."""

    def us_per_command(self, rate: float) -> float:
        cheaper = 0.75 if 1_000.0 < rate < 4_000.0 else 1.0
        bent = replace(self, wake_us=self.wake_us * cheaper)
        return bent.us_per_round(rate, self.get_us) + self.idle_us / rate


def test_what_waking_costs_may_bend_from_the_law_where_runs_show_it() -> None:
    server = BentServer(own_us=10.0, wake_us=17.0)
    rates = [250.0, 700.0, 1_200.0, 3_500.0, 5_000.0, 9_000.0] * 5
    curve = server.curve(rates)
    straight = replace(curve, bend=np.zeros_like(curve.bend))
    assert curve.us_per_command(2_000.0).mid == pytest.approx(server.us_per_command(2_000.0), rel=0.04)
    assert straight.us_per_command(2_000.0).mid > 1.08 * server.us_per_command(2_000.0)
    assert curve.us_per_command(7_000.0).mid == pytest.approx(server.us_per_command(7_000.0), rel=0.06)


def test_a_bend_is_open_where_no_run_was_and_does_not_touch_a_full_server() -> None:
    curve = Server().curve(np.geomspace(300.0, 3_000.0, 24))
    at = np.log2([1_000.0, 100_000.0])
    near, far = (np.std(curve.bend[:, round(place - 4.0)]) for place in at)
    assert far > 1.2 * near
    bent = replace(curve, bend=curve.bend + 1.0)
    full = 2.0 * curve.saturation_per_second()[0]
    np.testing.assert_allclose(bent.us_per_round(full), curve.us_per_round(full))
    assert (bent.us_per_round(1_000.0) > 1.3 * curve.us_per_round(1_000.0)).all()


def two_commands() -> CpuCurve:
    """GET and a script twenty times as long, in one run at a high rate."""
    mix, execution = {"get": 0.9, "eval": 0.1}, {"get": 1.5, "eval": 30.0}
    busy = sum(count * execution[name] for name, count in mix.items())
    cores = {rate: Server().cores(rate, busy) for rate in (500.0, 4_000.0, 60_000.0)}
    samples = [CpuSample("run", 10.0, rate, mix, used, 0.01) for rate, used in cores.items()]
    return cpu_curve(samples, {"run": execution})


def test_another_mix_is_priced_by_the_difference_in_execution() -> None:
    curve = two_commands()
    rate = 60_000.0
    own = float(curve.us_per_round(rate)[0])
    for mix in ({"get": 1.0}, {"get": 0.5, "eval": 0.5}, {"get": 3.0}):
        execution = curve.execution_us(mix)
        assert execution == pytest.approx(sum(n * curve.command_us[name] for name, n in mix.items()))
    lighter = float(curve.us_per_round(rate, curve.execution_us({"get": 1.0}))[0])
    gap_grows = lighter + curve.fitted_us - curve.execution_us({"get": 1.0}) - own
    assert 0.0 <= gap_grows < 0.5, "what is left of the difference is the gap, which grows"
    assert lighter < own - 2.0
    found = curve.us_per_command(rate, {"get": 1.0})
    assert found.low < Server().us_per_command(rate) < found.high
    assert found.mid == pytest.approx(Server().us_per_command(rate), rel=0.10)


def test_the_further_a_mix_is_from_the_runs_the_less_is_known_of_it() -> None:
    curve = two_commands()
    widths = []
    for share in (0.1, 0.2, 0.5):
        found = curve.us_per_command(10_000.0, {"get": 1.0 - share, "eval": share})
        widths.append(found.high - found.low)
    assert widths[0] < widths[1] < widths[2]
    assert curve.us_per_command(10_000.0, {"get": 0.9, "eval": 0.1}).mid == pytest.approx(
        curve.us_per_command(10_000.0).mid)


def test_a_pipeline_of_two_is_one_round_trip_of_two_commands() -> None:
    curve = Server().curve([500.0, 5_000.0, 50_000.0])
    two = curve.us_per_command(5_000.0, {"get": 2.0}).mid
    expected = (Server().us_per_round(5_000.0, 3.0) + 0.9) / 2.0
    assert two == pytest.approx(expected, rel=0.03)


def test_a_command_that_no_run_shows_is_refused_with_all_their_names() -> None:
    with pytest.raises(BadRun, match="no EVALSHA, SINTER") as refused:
        Server().curve([1_000.0]).us_per_command(1_000.0, {"get": 1.0, "sinter": 0.1, "evalsha": 0.1})
    assert "record a run that has them" in str(refused.value)


def test_execution_is_taken_from_the_fastest_run_that_has_the_command() -> None:
    """A server that waits has cold caches, which are no cost of a busy one."""
    samples = [replace(Server().sample(0, 200.0), commands_per_round={"get": 0.9, "del": 0.1}),
               Server().sample(1, 50_000.0)]
    curve = cpu_curve(samples, {"run-0": {"get": 6.0, "del": 9.0}, "run-1": {"get": 1.5}})
    assert curve.command_us["get"] <= 1.5
    assert 0.35 * 9.0 <= curve.command_us["del"] < 9.0 - 2.0
    assert set(curve.commands_per_round) == {"get", "del"}


def test_a_server_without_commandstats_has_a_curve_but_no_other_mix() -> None:
    curve = cpu_curve([Server().sample(0, 1_000.0)], {})
    assert curve.us_per_command(1_000.0).mid == pytest.approx(Server().us_per_command(1_000.0), rel=0.05)
    with pytest.raises(BadRun, match="no GET"):
        curve.us_per_command(1_000.0, GET)


def test_at_saturation_one_core_is_full() -> None:
    """But for the gap that the idle server's own work leaves between round trips."""
    for _, curve, _ in fitted_cases()[:20]:
        full = curve.saturation_per_second()
        assert full.shape == (DRAWS,)
        cores = curve.cores_each(full[:, None])[:, 0]
        assert cores[0] == pytest.approx(1.0, abs=0.006)
        np.testing.assert_allclose(cores, 1.0, atol=0.03)
        np.testing.assert_allclose(curve.cores_each(full), cores)


def test_near_saturation_the_gap_vanishes() -> None:
    server = Server()
    curve = server.curve(np.geomspace(50.0, 100_000.0, 24))
    beyond = curve.us_per_round(2.0 * curve.saturation_per_second()[0])
    np.testing.assert_allclose(beyond[0], curve.own_us[0] + curve.fitted_us, rtol=0.01)
    assert curve.us_per_round(0.9 * server.full)[0] < 1.2 * (server.own_us + server.get_us)
    assert curve.us_per_round(100.0)[0] > 5.0 * (server.own_us + server.get_us)
    assert curve.saturation_per_second()[0] == pytest.approx(server.full, rel=0.02)


SLOW = st.floats(1.0, 1e6)


@settings(deadline=None, max_examples=60)
@given(rates=st.lists(SLOW, min_size=2, max_size=20), number=st.integers(0, CASES - 1))
def test_a_higher_rate_uses_more_cores_and_less_of_them_each(rates: list[float], number: int) -> None:
    curve = fitted_cases()[number][1]
    ordered = np.sort(rates)
    cores, each = curve.cores(ordered), curve.us_per_round(ordered)
    assert cores.shape == each.shape == (DRAWS, len(rates))
    assert (np.diff(cores, axis=1) >= -1e-3 * cores[:, 1:]).all()
    # Where nothing was measured a bend may be steeper than the law, in some of the draws.
    assert (np.diff(each, axis=1) <= 1e-3 * each[:, 1:]).mean() > 0.8
    assert (np.diff(each[0]) <= 1e-2 * each[0, 1:]).all()


@settings(deadline=None, max_examples=60)
@given(own=st.floats(1.0, 40.0), ratio=st.floats(0.8, 3.0), gap=st.floats(20.0, 150.0),
       rate=st.floats(10.0, 5e5))
def test_the_cost_solves_the_law(own: float, ratio: float, gap: float, rate: float) -> None:
    server = Server(0.0, own, ratio * own, gap)
    idle, *law, mix_error = (np.array([value]) for value in (0.0, own, ratio * own, gap, 0.0))
    curve = CpuCurve(idle, *law, np.zeros((1, BEND_KNOTS)), mix_error, {"get": 1.5}, 1.5, GET, 0.04, rate,
                     rate, 1)
    assert curve.us_per_round(rate)[0] == pytest.approx(server.us_per_round(rate, 1.5), rel=2e-3)


def test_draws_may_be_picked_and_have_rates_and_execution_of_their_own() -> None:
    curve = Server().curve([500.0, 5_000.0])
    picked = curve.picked(np.array([7, 7, 3]))
    np.testing.assert_array_equal(picked.own_us, curve.own_us[[7, 7, 3]])
    rates = np.array([[100.0], [1_000.0], [1_000.0]])
    each = picked.us_each(rates, np.array([1.0, 1.0, 9.0]))
    assert each.shape == (3, 1)
    assert each[0, 0] > each[1, 0]
    np.testing.assert_allclose(each[1], curve.us_per_round(1_000.0, 1.0)[7])
    np.testing.assert_allclose(each[2], curve.us_per_round(1_000.0, 9.0)[3])


def test_the_mid_of_an_interval_is_the_first_draw_and_bounds_may_be_infinite() -> None:
    draws = np.concatenate([[10.0], np.linspace(5.0, 15.0, 99)])
    found = interval_of(draws)
    assert (found.low, found.mid, found.high) == pytest.approx((5.5, 10.0, 14.5), abs=0.2)
    draws[-20:] = np.inf
    assert interval_of(draws).high == np.inf
    assert interval_of(np.array([1.0, 3.0, 4.0, 5.0])).low == 1.0, "the best one is within"


def test_runs_give_the_curve(make_run: Callable) -> None:
    server = Server(own_us=20.0, wake_us=35.0)
    runs = [run_at(make_run, server, rate, f"run-{rate:g}") for rate in (300.0, 2_000.0, 12_000.0)]
    curve = curve_of(runs)
    assert curve.samples == 3
    assert set(curve.command_us) == {"expire", "get", "incr", "setex"}
    for rate in (600.0, 8_000.0):
        commands = 210.0 / 160.0
        truth = (server.us_per_round(rate, EXECUTION_US) + 4_500.0 / rate) / commands
        assert curve.us_per_command(rate).mid == pytest.approx(truth, rel=0.05)


STATS = {"get": 1.5, "setex": 3.0, "incr": 2.0, "expire": 1.0}
EXECUTION_US = (100 * 1.5 + 10 * 3.0 + 50 * 3.0) / 160.0


def run_at(make_run: Callable, server: Server, rate: float, name: str) -> Run:
    cores = server.cores(rate, EXECUTION_US)
    return make_run(server=server_samples([rate * 210.0 / 160.0] * 11, [cores] * 11),
                    commands=command_stats(STATS), run=name)


def test_no_run_and_runs_that_do_not_tell_their_cpu_are_refused(make_run: Callable) -> None:
    idle = make_run(server=server_samples([0.0] * 11, [0.004] * 11), run="idle-run")
    for runs, named in (([], "no run"), ([idle], "idle-run")):
        with pytest.raises(BadRun, match=named) as refused:
            curve_of(runs)
        assert "`locust -f loadtests/mixed.py --headless -u 50 -r 50 -t 30s --arrivals poisson --rate" in str(
            refused.value)
