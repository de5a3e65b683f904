"""Bytes per key: differences of readings, hash tables taken out by arithmetic, and never a guess."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synthetic_run import BYTES_PER_CLIENT, MANIFEST, SECONDS, prefill, server_second

from amply_capacity.errors import BadRun
from amply_capacity.model.footprint import footprint
from amply_capacity.run.reader import Run, read_run


def test_the_bytes_of_a_key_are_the_difference_less_the_growth_of_both_tables(make_run: Callable) -> None:
    # 3,000 keys make both dicts 4,096 buckets of 8 bytes; 700 bytes a key are left.
    sessions = prefill(3_000, bytes_of_keys=3_000 * 700, tables=2 * 32_768)
    # 2,000 more keys without TTL take the main dict to 8,192 buckets, and leave the expires alone.
    indexes = prefill(2_000, bytes_of_keys=2_000 * 1_100, volatile=0, before=3_000, volatile_before=3_000,
                      tables=65_536 - 32_768)
    measured = footprint(make_run(classes={"sessions": sessions, "user_sessions": indexes}))
    assert measured.session_bytes is not None
    assert measured.index_bytes is not None
    assert (measured.session_bytes.mid, measured.index_bytes.mid) == (700.0, 1_100.0)
    assert measured.base_bytes == 900_000


def test_more_keys_make_the_bytes_of_a_key_surer(make_run: Callable) -> None:
    few, many = (
        footprint(make_run(classes={"cached": prefill(keys, bytes_of_keys=keys * 900, before=10**6,
                                                      volatile_before=10**6)})).cached_bytes
        for keys in (200, 20_000))
    assert few is not None
    assert many is not None
    assert few.mid == many.mid == 900.0
    assert few.low < many.low < 900.0 < many.high < few.high
    assert many.high - many.mid == pytest.approx(25_000 / 20_000)


def test_a_class_that_was_not_written_or_not_to_be_told_is_absent(make_run: Callable) -> None:
    measured = footprint(make_run(classes={
        "sessions": prefill(0, bytes_of_keys=0),
        "results": prefill(10, bytes_of_keys=-5_000),
    }))
    assert measured.session_bytes is None, "no keys written"
    assert measured.result_bytes is None, "memory fell"
    assert measured.counter_bytes is None, "not pre-filled"


def test_a_connection_costs_what_info_says_of_all_clients_by_their_number(make_run: Callable) -> None:
    found = footprint(make_run()).connection_bytes
    assert found is not None
    assert (found.low, found.mid, found.high) == (BYTES_PER_CLIENT,) * 3
    alone = [{**server_second(number), "CurrConnections": 1.0} for number in range(SECONDS + 2)]
    assert footprint(make_run(server=alone)).connection_bytes is None, "only the sampling connection itself"


@pytest.mark.parametrize(("population", "members"), [
    ({"sessions_per_user": 5.5, "stale_share": 0.5}, 11.0),
    ({"sessions_per_user": 3.0, "stale_share": 0.0}, 3.0),
    (None, None),
    ({"sessions_per_user": 3.0, "stale_share": 1.0}, None),
])
def test_the_members_of_an_index_are_live_and_stale_sessions(
        make_run: Callable, population: dict[str, Any] | None, members: float | None) -> None:
    assert footprint(make_run(population=population)).index_members == members


def test_a_run_that_does_not_say_what_the_empty_server_takes_is_refused(make_run: Callable) -> None:
    run = make_run()
    silent = {**MANIFEST["server"], "used_memory_startup": None}
    with pytest.raises(BadRun, match="used_memory_startup"):
        footprint(Run(run.directory, {**run.manifest, "server": silent}))


def test_a_real_recording_says_what_every_class_costs(recorded_run: Path) -> None:
    measured = footprint(read_run(recorded_run))
    assert measured.session_bytes is not None
    # 1,641 sessions: value of 460 to 560 characters, key of 36, objects and two dict entries.
    assert 600.0 < measured.session_bytes.mid < 760.0
    assert measured.index_bytes is not None
    assert measured.index_bytes.mid > measured.session_bytes.mid
    assert measured.index_members == pytest.approx(13.5)
    assert 10_000.0 < (measured.connection_bytes.mid if measured.connection_bytes else 0.0) < 60_000.0
    assert 500_000 < measured.base_bytes < 3_000_000
