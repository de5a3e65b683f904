"""From host to node: what observations of real nodes make of the prior of each family."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_run import COMMANDS_PER_SECOND, SECONDS, server_second

from amply_capacity.catalog.cpu_speed import family_speeds
from amply_capacity.catalog.nodes import node_type
from amply_capacity.errors import BadInput, BadRun
from amply_capacity.interval import Interval
from amply_capacity.model.node_observation import (
    BENCHMARK_NOISE,
    RUN_NOISE,
    host_command,
    observe_benchmark,
    observe_run,
)
from amply_capacity.model.node_speed import Observation, cpu_factor, cpu_factors
from amply_capacity.run.benchmark_file import Benchmark, BenchmarkTest

FAMILIES = sorted(family_speeds())
Z = NormalDist().inv_cdf(0.95)
MICRO = node_type("cache.t3.micro")
PRIOR = cpu_factors()
TOLERANCE = 1e-9


def seen(factor: float, family: str = "t3", noise: float = 0.1, *, is_censored: bool = False) -> Observation:
    return Observation(family, factor, noise, is_censored, "", {})


observations = st.builds(
    seen, st.floats(0.3, 6.0), st.sampled_from(FAMILIES), st.floats(0.05, 0.5), is_censored=st.booleans())


def width(one: Interval) -> float:
    return math.log(one.high / one.low)


def test_without_observations_the_reference_has_exactly_its_guess() -> None:
    guess = family_speeds()["r6g"].cpu_ratio
    found = cpu_factor("r6g")
    assert (found.low, found.mid, found.high) == pytest.approx((guess.low, guess.mid, guess.high), rel=2e-4)
    assert (guess.low, guess.mid, guess.high) == (1.0, 1.25, 1.67)


def test_a_familys_prior_is_the_host_and_every_step_on_the_way() -> None:
    steps, family = 0.0, "r8g"
    while (speed := family_speeds()[family]).relative_to is not None:
        steps += math.log(speed.cpu_ratio.mid)
        family = speed.relative_to
    assert cpu_factor("r8g").mid == pytest.approx(1.25 * math.exp(steps), rel=0.02)
    assert width(PRIOR["r6g"]) < width(PRIOR["r7g"]) < width(PRIOR["r8g"]) < width(PRIOR["c8gn"])


def test_an_exact_observation_of_the_reference_is_the_conjugate_answer() -> None:
    """The half of the reference's prior above its median is normal in the logarithm, as is the noise."""
    sigma = math.log(1.67 / 1.25) / Z
    mean = (math.log(1.25) / sigma**2 + math.log(1.6) / 0.02**2) / (1 / sigma**2 + 1 / 0.02**2)
    spread = 1 / math.sqrt(1 / sigma**2 + 1 / 0.02**2)
    found = cpu_factor("r6g", [seen(1.6, "r6g", 0.02)])
    assert found.mid == pytest.approx(math.exp(mean), rel=1e-3)
    assert found.low == pytest.approx(math.exp(mean - Z * spread), rel=1e-3)
    assert found.high == pytest.approx(math.exp(mean + Z * spread), rel=1e-3)


def test_what_is_seen_of_one_family_narrows_every_other() -> None:
    after = cpu_factors([seen(1.2)])
    assert all(width(after[family]) < width(PRIOR[family]) for family in FAMILIES)
    gain = {family: width(after[family]) / width(PRIOR[family]) for family in FAMILIES}
    assert gain["t3"] < gain["m5"] < gain["r6g"] < gain["r8g"], "the nearer in the tree, the more"


@settings(max_examples=25, deadline=None)
@given(st.lists(observations, max_size=4))
def test_every_posterior_is_an_interval_whatever_was_seen(several: list[Observation]) -> None:
    after = cpu_factors(several)
    assert set(after) == set(FAMILIES)
    assert all(0.0 < one.low < one.mid < one.high < math.inf for one in after.values())
    backwards = cpu_factors(several[::-1])
    assert all(after[family].mid == pytest.approx(backwards[family].mid) for family in FAMILIES)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.3, 6.0), st.sampled_from(FAMILIES), st.floats(0.05, 0.5))
def test_a_censored_observation_only_lowers_and_never_below_what_an_exact_one_would(
        factor: float, family: str, noise: float) -> None:
    after = cpu_factors([seen(factor, family, noise, is_censored=True)])
    for other in FAMILIES:
        for bound in ("low", "mid", "high"):
            assert getattr(after[other], bound) <= getattr(PRIOR[other], bound) + TOLERANCE, (other, bound)
    if factor > 3.0:
        far = cpu_factor(family, [seen(factor, family, noise)])
        assert far.mid > PRIOR[family].mid, "seen exactly it would pull up"


def test_a_censored_observation_far_above_the_prior_says_nothing() -> None:
    after = cpu_factor("t3", [seen(8.0, is_censored=True)])
    assert (after.low, after.mid, after.high) == pytest.approx(
        (PRIOR["t3"].low, PRIOR["t3"].mid, PRIOR["t3"].high), rel=1e-4)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.7, 2.0), st.floats(1.01, 1.5))
def test_a_slower_observation_never_makes_a_faster_node(factor: float, slower: float) -> None:
    fast, slow = cpu_factors([seen(factor)]), cpu_factors([seen(factor * slower)])
    assert all(slow[family].mid >= fast[family].mid - TOLERANCE for family in FAMILIES)


def test_unknown_families_are_refused() -> None:
    with pytest.raises(BadInput, match="z9z"):
        cpu_factors([seen(1.0, "z9z")])
    with pytest.raises(BadInput, match="z9z"):
        cpu_factor("z9z")


# Runs: the CPU clock of the node against that of the host.

MIX: dict[str, Any] = {"mix": {"validate": 400}, "locust_users": 7,
                       "population": {"users": 100, "sessions_per_user": 5.5, "stale_share": 0.5}}
LOCAL: dict[str, Any] = {"kind": "local cluster", "url": "redis://127.0.0.1:7000/0", "topology": "single",
                         "tls": False}
NODE: dict[str, Any] = {**LOCAL, "kind": "endpoint", "url": "redis://node.internal:6379"}


def samples(cpu: float = 1.0, rate: float = 1.0, engine: float = 2.0) -> list[dict[str, Any]]:
    """The synthetic server's samples, with so many times the CPU per command and the commands."""
    rows = []
    for number in range(SECONDS + 2):
        row = server_second(number)
        row["info_total_commands_processed"] = COMMANDS_PER_SECOND * rate * number
        row["info_used_cpu_user"] *= cpu * rate
        row["info_used_cpu_sys"] *= cpu * rate
        rows.append({**row, "EngineCPUUtilization": engine})
    return rows


@pytest.fixture
def pair(make_run: Callable) -> Callable[..., Any]:
    """Observes a pair of runs; options of the node's side by name, of the host's in `host`."""

    def observe(*, node_server: Any = None, host: dict[str, Any] | None = None, was_limit: bool | None = None,
                kind: str = "cache.t3.micro", version: str = "7.0.15", **node: Any) -> Observation:
        # 150 operations a second are in every synthetic run, and their schedule says as many.
        base = {**MIX, "rate_per_second": 150.0}
        of_node = make_run(server=node_server or samples(1.3), **{**base, "target": NODE, **node})
        server = {**of_node.manifest["server"], "version": version}
        of_node = replace(of_node, manifest={**of_node.manifest, "server": server})
        of_host = make_run(**{"server": samples(), **base, "target": LOCAL, **(host or {})})
        return observe_run(of_node, of_host, node_type(kind), was_limit=was_limit)

    return observe


def test_the_factor_of_two_runs_is_that_of_their_clocks(pair: Callable) -> None:
    found = pair()
    assert found.factor == pytest.approx(1.3, rel=1e-6)
    assert found.noise == pytest.approx(RUN_NOISE, rel=1e-3)
    assert (found.family, found.is_censored) == ("t3", False)
    assert found.figures["node_cpu_us_per_command"] == pytest.approx(26.0)
    assert found.notes == ()


def test_another_rate_makes_it_noisier_and_too_much_of_another_is_refused(pair: Callable) -> None:
    assert pair(node_server=samples(1.3, rate=1.4)).noise > 1.3 * RUN_NOISE
    with pytest.raises(BadRun, match=r"1,600 and 1,000 commands a second.*locust -f loadtests/mixed\.py"):
        pair(node_server=samples(1.3, rate=1.6))


def test_all_that_two_runs_differ_in_stands_in_one_paragraph(pair: Callable) -> None:
    with pytest.raises(BadRun) as refused:
        pair(host={"scenario": "sessions", "mix": {"touch": 1}, "verdict": "partial",
                   "target": {**LOCAL, "tls": True, "kind": "endpoint"}}, version="7.2.4")
    for words in ("was not recorded on a local cluster", "is partial", "another scenario: mixed and sessions",
                  "another mix", "TLS on the host alone", "redis 7.2.4 on the node and redis 7.0.15 on the"):
        assert words in str(refused.value), words


def test_a_run_of_a_local_cluster_is_no_observation_of_a_node(pair: Callable) -> None:
    with pytest.raises(BadRun, match="tells of this host, not of a node"):
        pair(target=LOCAL)


def test_a_clock_that_a_server_does_not_tell_is_a_fault(pair: Callable) -> None:
    silent = [{name: value for name, value in row.items() if "used_cpu" not in name} for row in samples()]
    with pytest.raises(BadRun, match="the node's run does not tell its CPU per command"):
        pair(node_server=silent)


def test_what_may_matter_little_is_noted(pair: Callable) -> None:
    found = pair(population={"users": 7}, target={**NODE, "topology": "replicated"}, kind="cache.r7g.large")
    words = " ".join(found.notes)
    for word in ("population", "topology", "I/O"):
        assert word in words


def test_a_run_whose_generator_was_the_bottleneck_is_censored(pair: Callable) -> None:
    found = pair(verdict="generator-bound")
    assert found.is_censored
    assert "generator" in found.reason


def test_an_open_loop_that_missed_its_rate_though_the_engine_had_time_is_censored(pair: Callable) -> None:
    found = pair(rate_per_second=200.0)
    assert found.is_censored
    assert "150 of 200 operations" in found.reason
    assert not pair(rate_per_second=200.0, node_server=samples(1.3, engine=95.0)).is_censored
    assert not pair(rate_per_second=200.0, arrivals="closed").is_censored
    assert not pair(rate_per_second=200.0, was_limit=True).is_censored
    assert pair(was_limit=False).is_censored


def test_a_burstable_node_far_slower_than_its_family_was_probably_throttled(pair: Callable) -> None:
    throttled = pair(node_server=samples(4.0))
    assert throttled.is_censored
    assert "throttled" in throttled.reason
    assert not pair(node_server=samples(4.0), kind="cache.m5.large").is_censored


def test_a_factor_that_no_node_has_is_refused(pair: Callable) -> None:
    with pytest.raises(BadInput, match=r"20 times the host's CPU.*check --node-type"):
        pair(node_server=samples(20.0))


def test_the_command_for_the_hosts_run_repeats_the_nodes_load(make_run: Callable) -> None:
    run = make_run(**MIX, target={**NODE, "tls": True})
    assert host_command(run) == ("locust -f loadtests/mixed.py --headless -u 7 -r 7 -t 30s "
                                 "--arrivals poisson --rate 150 --population 100 --tls")


# Benchmarks.

HOST = Benchmark("host.txt", (BenchmarkTest("GET", 120_000.0, 0.2, 0.02, 0.2),), 50, 3, engine="redis",
                 version="7.0.15", cpu_us_per_command=4.0)
SLOW = replace(HOST, name="node.txt", cpu_us_per_command=None, version="7.0.7",
               tests=(BenchmarkTest("GET", 60_000.0, 0.8, 0.2, 0.8),))


def test_a_rate_alone_is_censored_at_the_time_for_a_request() -> None:
    node = replace(SLOW, tests=(BenchmarkTest("GET", 100_000.0, 0.3, 0.2, 0.3),))
    found = observe_benchmark(node, HOST, MICRO)
    assert found.is_censored
    assert found.factor == pytest.approx(10.0 / 4.0)
    assert found.noise == BENCHMARK_NOISE
    assert any("--node-was-limit" in note for note in found.notes)
    assert any("patches" in note for note in found.notes)


def test_a_queue_at_a_slow_node_shows_that_its_engine_was_the_limit() -> None:
    host = replace(HOST, cpu_us_per_command=10.0)
    found = observe_benchmark(SLOW, host, MICRO)
    assert found.factor == pytest.approx(0.95 * (1e6 / 60_000) / 10.0)
    assert not found.is_censored
    for test in (BenchmarkTest("GET", 60_000.0, 0.5, 0.1, 0.5),  # requests were with the client
                 BenchmarkTest("GET", 60_000.0, 0.8, 0.5, 0.8),  # they were on the network
                 BenchmarkTest("GET", 60_000.0, None, None, 0.8)):
        assert observe_benchmark(replace(SLOW, tests=(test,)), host, MICRO).is_censored, test
    assert observe_benchmark(replace(SLOW, clients=None), host, MICRO).is_censored


def test_the_user_may_say_what_the_limit_was() -> None:
    host = replace(HOST, cpu_us_per_command=10.0)
    quick = replace(SLOW, tests=(BenchmarkTest("GET", 100_000.0, 0.3, 0.2, 0.3),))
    said = observe_benchmark(quick, host, MICRO, was_limit=True)
    assert (said.is_censored, said.factor) == (False, pytest.approx(0.95))
    assert observe_benchmark(SLOW, host, MICRO, was_limit=False).is_censored


def test_two_clocks_are_compared_rather_than_two_rates() -> None:
    found = observe_benchmark(replace(SLOW, cpu_us_per_command=5.2), HOST, MICRO)
    assert found.factor == pytest.approx(1.3)
    assert not found.is_censored
    assert found.noise == pytest.approx(math.hypot(RUN_NOISE, 0.4 * math.log(2.0)))


def test_a_host_that_tells_its_rate_alone_leaves_more_noise() -> None:
    found = observe_benchmark(replace(SLOW, cpu_us_per_command=5.2), replace(HOST, cpu_us_per_command=None),
                              MICRO)
    assert found.noise > 0.25
    assert any("not stated" in note for note in found.notes)


def test_cores_that_do_the_io_widen_what_a_rate_says_by_the_published_gains() -> None:
    large = node_type("cache.r7g.large")
    slow, plain = (observe_benchmark(SLOW, replace(HOST, cpu_us_per_command=10.0), node, was_limit=True)
                   for node in (large, node_type("cache.r6g.large")))
    most = math.log(1.83) + math.log(1.72)
    assert slow.factor == pytest.approx(plain.factor * math.exp(most / 2))
    assert slow.noise == pytest.approx(math.hypot(BENCHMARK_NOISE, most / 2 / Z))
    clocks = observe_benchmark(replace(SLOW, cpu_us_per_command=5.2), HOST, large)
    assert any("I/O" in note for note in clocks.notes)


def test_another_version_or_another_benchmark_is_refused_with_the_reason() -> None:
    other = replace(SLOW, version="7.2.4", clients=40, payload_bytes=400, keyspace=5, tls=True)
    with pytest.raises(BadInput) as refused:
        observe_benchmark(other, replace(HOST, keyspace=9, tls=False), MICRO)
    for words in ("redis 7.2.4 on the node and redis 7.0.15 on the host", "clients: 40 on the node",
                  "bytes of payload", "random keys", "TLS: on on the node, off on the host"):
        assert words in str(refused.value), words
    with pytest.raises(BadInput, match="they share no test: SET and GET"):
        observe_benchmark(replace(SLOW, tests=(BenchmarkTest("SET", 9.0),)), HOST, MICRO)
    more = replace(SLOW, tests=(*SLOW.tests, BenchmarkTest("SET", 60_000.0)), cpu_us_per_command=5.0)
    with pytest.raises(BadInput, match="did not run the same ones"):
        observe_benchmark(more, HOST, MICRO)
    with pytest.raises(BadInput, match="valkey 8"):
        observe_benchmark(replace(SLOW, engine="valkey", version="8.0.1"), HOST, MICRO)


def test_what_is_not_stated_is_allowed_and_said() -> None:
    found = observe_benchmark(replace(SLOW, version=None, payload_bytes=None), HOST, MICRO)
    assert any("version of the node is not stated" in note for note in found.notes)
    assert any("does not state bytes of payload: taken as 3" in note for note in found.notes)
