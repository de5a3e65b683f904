"""Commands and bytes of an operation, and what other mixes of operations will send."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hiredis
import pandas as pd
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from synthetic_run import (
    BEGAN,
    BYTES_IN_PER_SECOND,
    BYTES_OUT_PER_SECOND,
    NODE,
    SECONDS,
    server_second,
    times,
)

from amply_capacity.errors import BadInput
from amply_capacity.interval import Interval
from amply_capacity.model.command_uses import commands_by_second, uses_of
from amply_capacity.model.monitoring import monitoring_of
from amply_capacity.model.network import NetworkCosts, mix_bytes, network_costs, operation_costs
from amply_capacity.model.resp import bulk_bytes, command_bytes
from amply_capacity.model.server_bytes import server_bytes
from amply_capacity.run.reader import Run, read_run

# A second of the synthetic run: 100 GET, 10 SETEX, 50 pipelines of INCR and EXPIRE.
COMMANDS = 100 + 10 + 2 * 50
KEY_BYTES, VALUE_BYTES = 28, 800


def alone(number: int, **more: float | None) -> dict[str, Any]:
    """A sample of a server that saw no other commands than the run's."""
    return {**server_second(number), "info_total_commands_processed": 5_000.0 + COMMANDS * number, **more}


@pytest.fixture
def quiet_run(make_run: Callable[..., Run]) -> Run:
    return make_run(server=[alone(number) for number in range(SECONDS + 2)])


def with_accesses(run: Run, values: list[int]) -> Run:
    """Cached values of these lengths, read and written; a key each."""
    rows = [{"time_s": BEGAN + 1.0 + place / 100.0, "op": op, "key_hash": place, "key_class": "cache",
             "key_bytes": KEY_BYTES, "value_bytes": float(value), "ttl_s": 300.0 if op == "setex" else None,
             "sampling_rate": 1.0}
            for place, value in enumerate(values) for op in ("get", "setex")]
    pd.DataFrame(rows).to_parquet(run.directory / "accesses.parquet")
    return Run(run.directory, run.manifest)


def without_server(run: Run) -> Run:
    blind = Run(run.directory, run.manifest)
    blind.__dict__["server"] = run.server.iloc[:0]
    return blind


@pytest.fixture(scope="session")
def recorded(recorded_run: Path) -> Run:
    return read_run(recorded_run)


@pytest.fixture(scope="session")
def costs(recorded: Run) -> NetworkCosts:
    return network_costs(recorded)


def test_commands_are_counted_per_operation_a_pipeline_as_its_parts(make_run: Callable[..., Run]) -> None:
    costs = operation_costs(make_run())
    assert set(costs) == {"cached_read", "check"}
    assert costs["cached_read"].commands == pytest.approx(1.1)
    assert costs["check"].commands == pytest.approx(2.0)


def test_what_the_accesses_do_not_tell_is_the_servers_count_spread_over_the_commands(quiet_run: Run) -> None:
    costs = operation_costs(quiet_run)
    assert costs["check"].bytes_in == pytest.approx(2.0 * BYTES_IN_PER_SECOND / COMMANDS)
    assert costs["check"].bytes_out == pytest.approx(2.0 * BYTES_OUT_PER_SECOND / COMMANDS)
    total = 100 * costs["cached_read"].bytes_out + 50 * costs["check"].bytes_out
    assert total == pytest.approx(BYTES_OUT_PER_SECOND), "nothing is lost or counted twice"
    assert network_costs(quiet_run).operations["check"].spread == ("INCR+EXPIRE",), "and says so"


def test_what_is_told_is_exact_and_the_rest_gets_what_the_server_counted_beyond_it(quiet_run: Run) -> None:
    costs = network_costs(with_accesses(quiet_run, [VALUE_BYTES] * 3))
    get = command_bytes(("GET", "k" * KEY_BYTES))
    setex = command_bytes(("SETEX", "k" * KEY_BYTES, 300, "v" * VALUE_BYTES))
    read_in, read_out = costs.bytes_of("cached_read")
    assert read_in.mid == pytest.approx(get + 0.1 * setex)
    assert read_out.mid == pytest.approx(0.9 * bulk_bytes(VALUE_BYTES) + 0.1 * 5 + 0.1 * 5)
    check_in, check_out = costs.bytes_of("check")
    assert 100 * read_in.mid + 50 * check_in.mid == pytest.approx(BYTES_IN_PER_SECOND)
    assert 100 * read_out.mid + 50 * check_out.mid == pytest.approx(BYTES_OUT_PER_SECOND)
    assert costs.operations["cached_read"].spread == ()


def test_where_others_load_the_server_their_mean_command_stands_for_what_is_not_told(
        make_run: Callable[..., Run]) -> None:
    """The synthetic server sees 1,000 commands a second, of which 210 are the run's."""
    costs = network_costs(with_accesses(make_run(), [VALUE_BYTES] * 3))
    assert not costs.is_counted
    assert costs.bytes_of("cached_read")[0].mid == pytest.approx(
        command_bytes(("GET", "k" * KEY_BYTES))
        + 0.1 * command_bytes(("SETEX", "k" * KEY_BYTES, 300, "v" * VALUE_BYTES))), "told all the same"
    check_in, check_out = costs.bytes_of("check")
    assert (check_in.mid, check_out.mid) == pytest.approx((2 * 50.0, 2 * 200.0))
    assert check_in.low < 0.5 * check_in.mid, "and it may be far off"


def test_without_the_servers_count_only_what_is_told_has_costs(make_run: Callable[..., Run]) -> None:
    silent = [{**server_second(number), "NetworkBytesIn": None} for number in range(SECONDS + 2)]
    run = make_run(server=silent)
    assert operation_costs(run) == {}
    assert set(operation_costs(with_accesses(run, [VALUE_BYTES] * 3))) == {"cached_read"}


def test_a_single_key_tells_little(quiet_run: Run) -> None:
    blind = without_server(with_accesses(quiet_run, [VALUE_BYTES]))
    bytes_out = network_costs(blind).bytes_of("cached_read")[1]
    assert bytes_out.high > 1.3 * bytes_out.mid


def test_an_operation_of_a_scenarios_own_is_spread_though_its_commands_have_known_names(
        make_run: Callable[..., Run]) -> None:
    own = [row for number in range(SECONDS + 2) for row in (
        times(BEGAN + number, "peek", "sessions", outcome="hit", count=10),
        times(BEGAN + number, "peek", "sessions", command="GET", count=10))]
    samples = [alone(number, info_total_commands_processed=5_000.0 + (COMMANDS + 10) * number)
               for number in range(SECONDS + 2)]
    costs = network_costs(make_run(requests=own, server=samples))
    assert costs.operations["peek"].spread == ("GET",)


def test_a_sample_that_came_late_counts_with_its_true_length(make_run: Callable[..., Run]) -> None:
    """Rates are per second of the sample; its length follows from CPU, told both ways."""
    ends = [float(number) + (0.6 if number == 5 else 0.0) for number in range(SECONDS + 2)]
    samples = []
    for number, end in enumerate(ends):
        cpu = {"info_used_cpu_user": 0.02 * end, "info_used_cpu_sys": 0.01 * end,
               "info_used_cpu_user_main_thread": 0.02 * end, "info_used_cpu_sys_main_thread": 0.01 * end,
               "EngineCPUUtilization": 3.0, "info_total_commands_processed": COMMANDS * end}
        samples.append(alone(number, **cpu))
    run = make_run(server=samples)
    counted = server_bytes(run, commands_by_second(uses_of(run)), None)
    assert counted is not None
    assert counted.is_ours
    assert counted.bytes_in == pytest.approx(BYTES_IN_PER_SECOND * len(counted.seconds), rel=1e-9)
    assert counted.scale == pytest.approx(1.0)


def told_by(port: int) -> bytes:
    """INFO everything as it comes."""
    reader = hiredis.Reader()
    with socket.create_connection(("127.0.0.1", port)) as wire:
        wire.sendall(hiredis.pack_command(("INFO", "everything")))
        while (reply := reader.gets()) is False:
            reader.feed(wire.recv(1 << 20))
    assert isinstance(reply, bytes)
    return reply


def test_info_of_a_real_server_is_as_long_as_predicted(make_run: Callable[..., Run], redis_cluster: Any,
                                                       redis_client: redis.Redis) -> None:
    for number in range(200):
        redis_client.execute_command("SETEX", f"session:{number}", 60, "v")
        redis_client.incr("rate:api:one")
        redis_client.smembers("user_sessions:one")
    raw = told_by(redis_cluster.port)
    told = redis_client.info("everything")
    rows = [{"node": NODE, "command": name.removeprefix("cmdstat_"), "calls": value["calls"],
             "usec": value["usec"], "rejected_calls": 0, "failed_calls": 0, "p50_us": 1.0, "p99_us": 1.0,
             "p999_us": 1.0} for name, value in told.items() if name.startswith("cmdstat_")]
    run = make_run()
    pd.DataFrame(rows).to_parquet(run.directory / "commands.parquet")
    found = monitoring_of(Run(run.directory, run.manifest))
    assert found is not None
    assert found.request_bytes == command_bytes(("INFO", "everything"))
    assert found.reply_bytes.mid == pytest.approx(bulk_bytes(len(raw)), rel=0.03)
    assert found.reply_bytes.low <= bulk_bytes(len(raw)) <= found.reply_bytes.high


def test_in_a_real_recording_operations_send_the_commands_of_the_specification(recorded: Run) -> None:
    costs = operation_costs(recorded)
    assert costs["validate"].commands == pytest.approx(1.0, abs=0.02), "GET"
    assert 2.5 < costs["touch"].commands <= 3.02, "GET, TTL, SETEX; a miss ends after the GET"
    assert costs["create"].commands == pytest.approx(2.0, abs=0.05), "SETEX, SADD"
    assert costs["log_out"].commands == pytest.approx(2.0, abs=0.05), "DEL, SREM"
    assert 1.0 <= costs["check"].commands < 2.0, "INCR, and EXPIRE for the first of a window"


def test_what_has_fixed_lengths_is_exact(costs: NetworkCosts) -> None:
    validate_in, _ = costs.bytes_of("validate")
    assert validate_in.mid == pytest.approx(command_bytes(("GET", "s" * 36)))
    assert validate_in.high - validate_in.low < 0.01
    log_out_in, log_out_out = costs.bytes_of("log_out")
    assert log_out_in.mid == pytest.approx(command_bytes(("DEL", "s" * 36))
                                           + command_bytes(("SREM", "u" * 26, "s" * 28)))
    assert log_out_out.mid == pytest.approx(8.0)


def rates_of(run: Run) -> dict[str, float]:
    return {name: float(one.operations.sum()) / len(run.sound_seconds) for name, one in uses_of(run).items()}


def test_the_runs_own_mix_costs_what_its_server_counted_less_the_toolkits_info(
        recorded: Run, costs: NetworkCosts) -> None:
    uses = uses_of(recorded)
    counted = server_bytes(recorded, commands_by_second(uses), costs.monitoring)
    assert counted is not None
    assert costs.monitoring is not None
    assert costs.is_counted
    bytes_in, bytes_out = mix_bytes(costs, rates_of(recorded))
    # Its 300 users change from second to second, and what the server counted begins a second later.
    seconds, samples = len(recorded.sound_seconds), counted.samples
    share = counted.scale * float(commands_by_second(uses).reindex(list(counted.seconds)).sum()) / float(
        commands_by_second(uses).sum())
    assert bytes_in.mid * seconds * share == pytest.approx(
        counted.bytes_in - samples * costs.monitoring.request_bytes, rel=0.015)
    assert bytes_out.mid * seconds * share == pytest.approx(
        counted.bytes_out - samples * costs.monitoring.reply_bytes.mid, rel=0.015)


def test_arithmetic_alone_comes_near_without_the_servers_count(recorded: Run, costs: NetworkCosts) -> None:
    blind = network_costs(without_server(recorded))
    assert not blind.is_counted
    rates = rates_of(recorded)
    for told, counted in zip(mix_bytes(blind, rates), mix_bytes(costs, rates), strict=True):
        assert told.mid == pytest.approx(counted.mid, rel=0.08), "a few of its 300 users are in the sample"
        assert told.high - told.low > counted.high - counted.low


@given(st.dictionaries(st.sampled_from(["validate", "touch", "create", "check", "cached_read"]),
                       st.floats(0.0, 1e4), min_size=1), st.floats(0.1, 10.0))
def test_bytes_grow_in_proportion_to_the_rates(costs: NetworkCosts, rates: dict[str, float],
                                               factor: float) -> None:
    once = mix_bytes(costs, rates)
    again = mix_bytes(costs, {name: rate * factor for name, rate in rates.items()})
    for one, more in zip(once, again, strict=True):
        assert more.mid == pytest.approx(one.mid * factor, rel=1e-9, abs=1e-6)
        assert one.low <= one.mid <= one.high


def test_a_short_stretch_and_other_keys_are_less_certain(costs: NetworkCosts) -> None:
    rates = {"cached_read": 100.0, "list_active": 5.0}

    def width(**options: Any) -> float:
        bytes_out = mix_bytes(costs, rates, **options)[1]
        return bytes_out.high - bytes_out.low

    assert width(seconds=1.0) > width(seconds=100.0) > width()
    assert width(another_population=True) > width()


def test_another_rate_opens_fewer_windows_and_fills_fewer_misses(costs: NetworkCosts) -> None:
    fewer = costs.restated("check", EXPIRE=0.0)
    assert fewer.bytes_of("check")[0].mid == pytest.approx(command_bytes(("INCR", "r" * 37)))
    assert fewer.operations["check"].commands == pytest.approx(1.0, abs=0.02)
    cold = costs.restated("cached_read", miss=1.0)
    assert cold.bytes_of("cached_read")[1].mid == pytest.approx(5.0 + 5.0)
    warm = costs.restated("cached_read", miss=0.0)
    assert warm.bytes_of("cached_read")[0].mid == pytest.approx(command_bytes(("GET", "c" * 28)))
    with pytest.raises(BadInput, match="check sends no SADD"):
        costs.restated("check", SADD=1.0)
    with pytest.raises(BadInput, match="nothing_known"):
        costs.restated("nothing_known", GET=1.0)


def test_a_number_of_commands_that_is_known_roughly_makes_its_bytes_as_rough(costs: NetworkCosts) -> None:
    exact = costs.restated("check", EXPIRE=0.5).bytes_of("check")[0]
    rough = costs.restated("check", EXPIRE=Interval(0.2, 0.5, 0.8)).bytes_of("check")[0]
    assert rough.mid == exact.mid
    each = costs.restated("check", EXPIRE=1.0).bytes_of("check")[0].mid
    each -= costs.restated("check", EXPIRE=0.0).bytes_of("check")[0].mid
    half = ((rough.high - rough.low) ** 2 - (exact.high - exact.low) ** 2) ** 0.5 / 2.0
    assert half == pytest.approx(0.3 * each, rel=1e-6)


def test_an_operation_that_the_run_does_not_tell_is_refused(costs: NetworkCosts) -> None:
    with pytest.raises(BadInput, match="forget_result"):
        mix_bytes(costs, {"forget_result": 1.0, "validate": 1.0})
    assert mix_bytes(costs, {"forget_result": 0.0, "validate": 1.0})[0].mid > 0.0
    with pytest.raises(BadInput, match="negative"):
        mix_bytes(costs, {"validate": -1.0})


def test_a_command_can_print_them(costs: NetworkCosts) -> None:
    answer = costs.as_json()
    assert {row["operation"] for row in answer["operations"]} == set(costs.operations)
    assert answer["counted_by_server"] is True
    assert answer["monitoring"]["bytes_in"] == 31.0
