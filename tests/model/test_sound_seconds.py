"""Seconds in which the generator was the bottleneck are none of the server's, so no model reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import pytest
from synthetic_run import BEGAN, SECONDS, server_second, times

from amply_capacity.model.digest import digest
from amply_capacity.model.latency import operation_table
from amply_capacity.run.reader import Run

_BOUND = [BEGAN + 4, BEGAN + 5]


def _disturbed(make_run: Callable[..., Run], **manifest: Any) -> Run:
    """A run in whose bound seconds, and in nothing else, all was slow, costly and full of misses."""
    slow = [times(second, "cached_read", "cache", outcome="miss", clock=clock, us=900_000, count=5_000)
            for second in _BOUND for clock in ("service", "response")]
    slow += [times(second, "cached_read", "cache", command="SETEX", us=900_000, count=50_000)
             for second in _BOUND]
    rows = [server_second(number) for number in range(SECONDS + 2)]
    for row in rows:
        # The sample of a second tells of the one before; counts since the server's start stay raised.
        done = min(max(row["second"] - _BOUND[0], 0), 2)
        row["info_used_cpu_user"] += 0.9 * done
        row["info_total_commands_processed"] += 10_000.0 * done
        if row["second"] - 1 in _BOUND:
            row |= {"NetworkBytesIn": 9e9, "NetworkBytesOut": 9e9, "Evictions": 7e6,
                    "info_mem_clients_normal": 9e9}
    return make_run(requests=slow, server=rows, **manifest)


def test_what_happened_in_them_changes_no_figure(make_run: Callable[..., Run]) -> None:
    plain = digest(make_run())
    sound = digest(_disturbed(make_run, generator_bound_seconds=_BOUND))
    assert sound.seconds == plain.seconds - 2
    assert sound.commands_per_second == pytest.approx(plain.commands_per_second)
    assert sound.cpu_us_per_command is not None
    assert plain.cpu_us_per_command is not None
    assert sound.cpu_us_per_command.mid == pytest.approx(plain.cpu_us_per_command.mid)
    assert sound.hit_rate == plain.hit_rate
    assert sound.footprint.connection_bytes == plain.footprint.connection_bytes
    for operation, cost in plain.operations.items():
        assert sound.operations[operation].commands == pytest.approx(cost.commands)
        assert sound.operations[operation].bytes_in == pytest.approx(cost.bytes_in)
    for use_case, latency in plain.latency.items():
        assert sound.latency[use_case].service_p99_ms == latency.service_p99_ms
        assert sound.latency[use_case].response_p99_ms == latency.response_p99_ms
    assert plain.evictions is not None
    assert sound.evictions == pytest.approx(plain.evictions * sound.seconds / plain.seconds)


def test_unmarked_they_would_have(make_run: Callable[..., Run]) -> None:
    plain, disturbed = digest(make_run()), digest(_disturbed(make_run))
    assert disturbed.latency["cache"].service_p99_ms > plain.latency["cache"].service_p99_ms
    assert disturbed.hit_rate != plain.hit_rate
    assert disturbed.commands_per_second > 1.5 * plain.commands_per_second


def test_how_many_were_left_out_is_said(make_run: Callable[..., Run]) -> None:
    assert digest(make_run()).warnings == ()
    (warning,) = digest(make_run(generator_bound_seconds=_BOUND)).warnings
    assert warning == "the generator was the bottleneck in 2 of 10 s: they are left out"


def test_where_too_few_would_be_left_all_are_used_and_that_is_said(make_run: Callable[..., Run]) -> None:
    bound = list(range(BEGAN + 1, BEGAN + 9))
    evidence = digest(make_run(generator_bound_seconds=bound))
    assert evidence.seconds == SECONDS
    (warning,) = evidence.warnings
    assert "8 of 10 s: too few are left" in warning


def test_rates_of_the_operation_table_are_those_of_the_sound_seconds(make_run: Callable[..., Run]) -> None:
    table = operation_table(_disturbed(make_run, generator_bound_seconds=_BOUND)).set_index("operation")
    assert table.loc["cached_read", "per second"] == pytest.approx(100.0)


def test_a_noisy_host_is_said(make_run: Callable[..., Run]) -> None:
    def noisy(seconds: Sequence[int]) -> Run:
        run = make_run()
        rows = [{"time_s": second + 1.0, "kind": "host", "name": "server starved",
                 "detail": {"node": "a", "second": second, "wait_percent": 30.0}} for second in seconds]
        run.__dict__["events"] = pd.concat([run.events, pd.DataFrame(rows)], ignore_index=True)
        return run

    (warning,) = digest(noisy([BEGAN + 3, BEGAN + 4])).warnings
    assert warning == "other processes kept the server from its CPU in 2 of 10 s: they are left out"
    (warning,) = digest(noisy(range(BEGAN + 1, BEGAN + 10))).warnings
    assert "9 of 10 s: too few are left" in warning
