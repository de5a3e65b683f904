"""Samples of a server's CPU, from its own counters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic_run import BEGAN, NODE, SECONDS, command_stats, server_samples, times

from amply_capacity.model.cpu_samples import CpuSample, cpu_samples, execution_us
from amply_capacity.run.reader import read_run

ALL = SECONDS + 1
COMMANDS_PER_ROUND = 210.0 / 160.0  # of the standing load


def steady(rate: float = 2_100.0, cores: float = 0.05, **columns: object) -> list[dict[str, object]]:
    return server_samples([rate] * ALL, [cores] * ALL, **columns)


def test_a_steady_run_is_one_sample(make_run: Callable) -> None:
    run = make_run(server=steady())
    (sample,) = cpu_samples(run)
    assert sample.run_id == run.name
    assert sample.seconds == SECONDS - 1, "the first sample of the phase tells also of what was before"
    assert sample.commands_per_second == pytest.approx(2_100.0)
    assert sample.cores == pytest.approx(0.05)
    assert sample.relative_error == pytest.approx(0.0, abs=1e-9)


def test_a_pipeline_is_one_round_trip_of_the_server_too(make_run: Callable) -> None:
    (sample,) = cpu_samples(make_run(server=steady()))
    assert sample.rounds_per_second == pytest.approx(2_100.0 / COMMANDS_PER_ROUND)
    assert sample.us_per_round == pytest.approx(1e6 * 0.05 / sample.rounds_per_second)
    assert sample.commands_per_round["incr"] == pytest.approx(50 / 160)


def test_seconds_that_differ_are_the_samples_error(make_run: Callable) -> None:
    uneven = [0.05 * (1.2 if number % 2 else 0.8) for number in range(ALL)]
    (sample,) = cpu_samples(make_run(server=server_samples([2_100.0] * ALL, uneven)))
    assert sample.cores == pytest.approx(0.05, rel=0.03)
    assert sample.relative_error == pytest.approx(0.2 / (SECONDS - 1) ** 0.5, rel=0.1)


def test_steps_are_a_sample_each_in_whatever_order_they_came(make_run: Callable) -> None:
    rates = [1_000.0] * 2 + [4_000.0, 16_000.0] * 4 + [1_000.0] * 3
    cores = [0.03 if rate < 2_000 else 0.08 if rate < 8_000 else 0.2 for rate in rates]
    samples = cpu_samples(make_run(seconds=len(rates) - 1, server=server_samples(rates, cores)))
    assert [round(sample.commands_per_second) for sample in samples] == [1_000, 4_000, 16_000]
    assert [sample.cores for sample in samples] == pytest.approx([0.03, 0.08, 0.2])
    assert [sample.seconds for sample in samples] == [3.0, 4.0, 4.0]


def test_commands_a_script_calls_are_no_round_trips(make_run: Callable) -> None:
    requests = [times(BEGAN + number, "limit", "api", command=command, clock="service", count=100)
                for number in range(SECONDS + 2) for command in ("", "EVALSHA")]
    (sample,) = cpu_samples(make_run(server=steady(100.0 * 10), requests=requests, is_standing=False))
    assert sample.rounds_per_second == pytest.approx(100.0)
    assert sample.commands_per_second == pytest.approx(100.0)
    assert sample.us_per_round == pytest.approx(1e6 * 0.05 / 100.0)


def test_a_step_of_fewer_than_three_seconds_is_left_out(make_run: Callable) -> None:
    rates = [1_000.0] * 6 + [4_000.0] * 2 + [16_000.0] * 3 + [1_000.0]
    samples = cpu_samples(make_run(seconds=11, server=server_samples(rates, [0.1] * len(rates))))
    assert [round(sample.commands_per_second) for sample in samples] == [1_000, 16_000]


def test_a_rate_that_wanders_within_a_factor_of_two_stays_one_sample(make_run: Callable) -> None:
    rates = [1_000.0 + 90.0 * number for number in range(ALL)]
    assert len(cpu_samples(make_run(server=server_samples(rates, [0.1] * ALL)))) == 1


def test_a_replica_is_left_out(make_run: Callable) -> None:
    replica = steady(cores=0.9, node="127.0.0.1:7001", role="slave")
    both = cpu_samples(make_run(server=steady(role="master") + replica))
    assert both == cpu_samples(make_run(server=steady(role="master")))
    assert len(both) == 1


def test_each_primary_is_a_sample(make_run: Callable) -> None:
    second = steady(rate=4_200.0, cores=0.09, node="127.0.0.1:7001", role="master")
    samples = cpu_samples(make_run(server=steady(role="master", node=NODE) + second))
    assert sorted(round(sample.commands_per_second) for sample in samples) == [2_100, 4_200]


def test_generator_bound_seconds_and_the_samples_after_them_are_left_out(make_run: Callable) -> None:
    cores = [0.05] * ALL
    cores[4] = cores[5] = 3.0  # what the samples at BEGAN + 5 and + 6 count
    run = make_run(server=server_samples([2_100.0] * ALL, cores))
    assert cpu_samples(run)[0].cores > 0.5
    run = make_run(server=server_samples([2_100.0] * ALL, cores))
    run.manifest["generator_bound_seconds"] = [BEGAN + 5]
    (sample,) = cpu_samples(run)
    assert sample.cores == pytest.approx(0.05)
    assert sample.seconds == SECONDS - 3


def test_a_missed_sample_is_divided_by_the_seconds_it_tells_of(make_run: Callable) -> None:
    rows = [row for row in steady() if row["second"] not in {BEGAN + 4, BEGAN + 5}]
    (sample,) = cpu_samples(make_run(server=rows))
    assert sample.cores == pytest.approx(0.05)
    assert sample.seconds == SECONDS - 1


def test_an_idle_server_gives_none(make_run: Callable) -> None:
    assert cpu_samples(make_run(server=server_samples([0.0] * ALL, [0.004] * ALL))) == ()


def test_a_server_that_does_not_tell_its_cpu_gives_none(make_run: Callable) -> None:
    silent = [{name: value for name, value in row.items() if "used_cpu" not in name} for row in steady()]
    assert cpu_samples(make_run(server=silent)) == ()


def test_fewer_than_three_samples_give_none(make_run: Callable) -> None:
    assert cpu_samples(make_run(seconds=3, server=server_samples([2_100.0] * 4, [0.05] * 4))) == ()


def test_clients_that_sent_no_command_give_none(make_run: Callable) -> None:
    own = [times(BEGAN + number, "compute", "cache", count=100) for number in range(SECONDS + 2)]
    assert cpu_samples(make_run(server=steady(), requests=own, is_standing=False)) == ()


def test_execution_is_the_mean_over_nodes_of_commands_that_ran(make_run: Callable) -> None:
    stats = command_stats({"get": 1.5}, 100_000) + command_stats({"get": 3.0}, 50_000)
    stats += command_stats({"del": 0.0}, 0)
    assert execution_us(make_run(commands=stats)) == pytest.approx({"get": 2.0})


def test_a_sample_of_a_real_run_is_near_what_its_clients_sent(recorded_run: Path) -> None:
    run = read_run(recorded_run)
    samples = cpu_samples(run)
    assert samples
    assert all(isinstance(sample, CpuSample) for sample in samples)
    asked = run.sound_requests[run.sound_requests["command"] != ""]
    rounds = asked["count"].sum() / len(run.sound_seconds)
    assert samples[-1].rounds_per_second == pytest.approx(rounds, rel=0.3)
    assert all(2.0 < sample.us_per_round < 300.0 for sample in samples)
    assert set(samples[0].commands_per_round) >= {"get", "incr"}
