"""Commands and bytes of an operation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic_run import BYTES_IN_PER_SECOND, BYTES_OUT_PER_SECOND, SECONDS, server_second

from amply_capacity.model.network import operation_costs
from amply_capacity.run.reader import read_run

# A second of the synthetic run: 100 GET, 10 SETEX, 50 pipelines of INCR and EXPIRE.
COMMANDS = 100 + 10 + 2 * 50


def test_commands_are_counted_per_operation_a_pipeline_as_its_parts(make_run: Callable) -> None:
    costs = operation_costs(make_run())
    assert set(costs) == {"cached_read", "check"}
    assert costs["cached_read"].commands == pytest.approx(1.1)
    assert costs["check"].commands == pytest.approx(2.0)


def test_bytes_are_the_servers_count_spread_over_the_commands(make_run: Callable) -> None:
    costs = operation_costs(make_run())
    assert costs["check"].bytes_in == pytest.approx(2.0 * BYTES_IN_PER_SECOND / COMMANDS)
    assert costs["check"].bytes_out == pytest.approx(2.0 * BYTES_OUT_PER_SECOND / COMMANDS)
    total = 100 * costs["cached_read"].bytes_out + 50 * costs["check"].bytes_out
    assert total == pytest.approx(BYTES_OUT_PER_SECOND), "nothing is lost or counted twice"


def test_without_the_servers_count_the_costs_are_unknown_not_zero(make_run: Callable) -> None:
    silent = [{**server_second(number), "NetworkBytesIn": None} for number in range(SECONDS + 2)]
    assert operation_costs(make_run(server=silent)) == {}


def test_in_a_real_recording_operations_send_the_commands_of_the_specification(recorded_run: Path) -> None:
    costs = operation_costs(read_run(recorded_run))
    assert costs["validate"].commands == pytest.approx(1.0, abs=0.02), "GET"
    assert 2.5 < costs["touch"].commands <= 3.02, "GET, TTL, SETEX; a miss ends after the GET"
    assert costs["create"].commands == pytest.approx(2.0, abs=0.05), "SETEX, SADD"
    assert costs["log_out"].commands == pytest.approx(2.0, abs=0.05), "DEL, SREM"
    assert 1.0 <= costs["check"].commands < 2.0, "INCR, and EXPIRE for the first of a window"
