"""CPU per command, from the server's own CPU clock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic_run import COMMANDS_PER_SECOND, CPU_SECONDS_PER_SECOND, SECONDS, server_second

from amply_capacity.errors import BadRun
from amply_capacity.model.cpu import commands_per_second, cpu_us_per_command
from amply_capacity.run.reader import read_run


def test_commands_per_second_and_their_cpu_are_changes_of_the_servers_counters(make_run: Callable) -> None:
    run = make_run()
    assert commands_per_second(run) == pytest.approx(COMMANDS_PER_SECOND)
    cpu = cpu_us_per_command(run)
    assert cpu is not None
    truth = 1e6 * CPU_SECONDS_PER_SECOND / COMMANDS_PER_SECOND
    assert (cpu.low, cpu.mid, cpu.high) == pytest.approx((truth,) * 3)


def test_the_order_of_the_rows_does_not_matter(make_run: Callable) -> None:
    backwards = [server_second(number) for number in range(SECONDS + 2)][::-1]
    run = make_run(server=backwards)
    assert commands_per_second(run) == pytest.approx(COMMANDS_PER_SECOND)
    assert cpu_us_per_command(run) == cpu_us_per_command(make_run())


def test_seconds_that_differ_make_the_interval_wider_around_their_mean(make_run: Callable) -> None:
    uneven = [{**server_second(number), "info_used_cpu_user": 0.01 * number + 0.02 * (number // 2)}
              for number in range(SECONDS + 2)]
    cpu = cpu_us_per_command(make_run(server=uneven))
    assert cpu is not None
    assert cpu.low < 0.98 * cpu.mid < 1.02 * cpu.mid < cpu.high
    assert cpu == cpu_us_per_command(make_run(server=uneven)), "the bootstrap has a fixed seed"


def test_a_replicas_cpu_and_commands_are_not_the_primarys(make_run: Callable) -> None:
    """A replica repeats the writes alone: here a tenth of the commands, at five times the cost of each."""
    primary = [{**server_second(number), "role": "master"} for number in range(SECONDS + 2)]
    replica = [{**server_second(number), "node": "127.0.0.1:7001", "role": "slave",
                "info_total_commands_processed": 0.1 * COMMANDS_PER_SECOND * number,
                "info_used_cpu_user": 0.5 * CPU_SECONDS_PER_SECOND * number, "info_used_cpu_sys": 0.0}
               for number in range(SECONDS + 2)]
    cpu = cpu_us_per_command(make_run(server=primary + replica))
    assert cpu is not None
    assert cpu.mid == pytest.approx(1e6 * CPU_SECONDS_PER_SECOND / COMMANDS_PER_SECOND)
    assert cpu == cpu_us_per_command(make_run(server=primary))


def test_an_idle_server_says_nothing_of_the_cost_of_a_command(make_run: Callable) -> None:
    idle = [{**server_second(number), "info_total_commands_processed": 10.0 * number}
            for number in range(SECONDS + 2)]
    assert cpu_us_per_command(make_run(server=idle)) is None


def test_a_server_that_does_not_tell_its_cpu_leaves_it_unknown(make_run: Callable) -> None:
    silent = [{name: value for name, value in server_second(number).items() if "used_cpu" not in name}
              for number in range(SECONDS + 2)]
    assert cpu_us_per_command(make_run(server=silent)) is None


def test_a_run_without_samples_of_its_server_is_refused(make_run: Callable) -> None:
    with pytest.raises(BadRun, match="does not say what its server did"):
        commands_per_second(make_run(server=[server_second(1)]))


def test_on_a_real_server_a_command_costs_between_1_and_200_us(recorded_run: Path) -> None:
    cpu = cpu_us_per_command(read_run(recorded_run))
    assert cpu is not None
    assert 1.0 < cpu.low <= cpu.mid <= cpu.high < 200.0
