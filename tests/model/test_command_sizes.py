"""Sizes of commands from key accesses: what they tell, and what they leave open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from amply_capacity.model.command_sizes import Size, size_of
from amply_capacity.model.command_uses import DEL_ALL, TRANSACTION
from amply_capacity.model.resp import array_bytes, bulk_bytes, command_bytes
from amply_capacity.run.reader import Run

BEGAN = 1_700_000_000.0
ID = "i" * 28


def access(op: str, key_class: str, key_bytes: int, *, key: int = 1, value: float | None = None,
           ttl: float | None = None, after: float = 0.0, rate: float = 1.0) -> dict[str, Any]:
    return {"time_s": BEGAN + after, "op": op, "key_hash": key, "key_class": key_class,
            "key_bytes": key_bytes, "value_bytes": value, "ttl_s": ttl, "sampling_rate": rate}


@pytest.fixture
def sizes(make_run: Callable[..., Run]) -> Callable[..., Size | None]:
    def sized(name: str, rows: list[dict[str, Any]]) -> Size | None:
        run = make_run()
        columns = list(run.accesses.columns)
        table = pd.DataFrame(rows, columns=columns).astype({"value_bytes": "float64", "ttl_s": "float64"})
        table.to_parquet(run.directory / "accesses.parquet")
        return size_of(name, Run(run.directory, run.manifest))

    return sized


def test_an_unknown_command_or_an_empty_class_is_not_told(sizes: Callable[..., Size | None]) -> None:
    assert sizes("LPUSH session", [access("get", "session", 36, value=490.0)]) is None
    assert sizes("GET hit cache", [access("get", "session", 36, value=490.0)]) is None


@pytest.mark.parametrize("name", ["GET session", "GET hit session", "SETEX session", "TTL session",
                                  f"{TRANSACTION} session", "INCR session", "EXPIRE session"])
def test_accesses_of_another_kind_do_not_tell_it(sizes: Callable[..., Size | None], name: str) -> None:
    assert sizes(name, [access("del", "session", 36)]) is None


@pytest.mark.parametrize("name", [DEL_ALL, "SMEMBERS user_sessions", "SADD user_sessions"])
def test_indexes_without_members_are_not_told(sizes: Callable[..., Size | None], name: str) -> None:
    assert sizes(name, [access("smembers", "user_sessions", 26, value=0.0),
                        access("get", "cache", 28, value=9.0)]) is None


def test_hits_and_misses_alike_have_the_mean_of_both(sizes: Callable[..., Size | None]) -> None:
    size = sizes("GET session", [access("get", "session", 36, key=1, value=490.0),
                                 access("get", "session", 36, key=2)])
    assert size is not None
    assert size.reply.mid == (bulk_bytes(490) + 5) / 2


def test_what_was_written_would_be_read(sizes: Callable[..., Size | None]) -> None:
    size = sizes("GET hit session", [access("setex", "session", 36, key=key, value=490.0, ttl=604_800.0)
                                     for key in range(3)])
    assert size is not None
    assert (size.request.mid, size.reply.mid) == (command_bytes(("GET", "k" * 36)), bulk_bytes(490))


def test_a_filled_value_counts_once_however_often_it_is_read(sizes: Callable[..., Size | None]) -> None:
    popular = [access("get", "cache", 28, key=1, value=1_000.0) for _ in range(50)]
    size = sizes("SETEX cache", [*popular, access("get", "cache", 28, key=2, value=500.0)])
    assert size is not None
    each = [command_bytes(("SETEX", "k" * 28, 300, "v" * length)) for length in (1_000, 500)]
    assert size.request.mid == sum(each) / 2


def test_a_counters_reply_grows_with_its_window(sizes: Callable[..., Size | None]) -> None:
    """Nine of one digit and three of two; then the window opens anew, at 1."""
    rows = [access("incr", "rate", 37, after=place) for place in range(1, 13)]
    rows = [rows[0], access("expire", "rate", 37, ttl=60.0, after=1.5), *rows[1:]]
    size = sizes("INCR rate", rows)
    assert size is not None
    assert size.reply.mid == pytest.approx((9 * 4 + 3 * 5) / 12)
    again = [*rows, access("incr", "rate", 37, after=80.0),
             access("expire", "rate", 37, ttl=60.0, after=80.1)]
    anew = sizes("INCR rate", again)
    assert anew is not None
    assert anew.reply.mid == pytest.approx((10 * 4 + 3 * 5) / 13)


def test_a_users_sessions_are_deleted_and_listed_together(sizes: Callable[..., Size | None]) -> None:
    rows = [access("smembers", "user_sessions", 26, key=1, value=12 * 28.0),
            access("smembers", "user_sessions", 26, key=2, value=0.0),
            access("del", "session", 36, key=3)]
    deleted, listed = sizes(DEL_ALL, rows), sizes("SMEMBERS user_sessions", rows)
    assert deleted is not None
    assert listed is not None
    assert deleted.request.mid == command_bytes(("DEL", *(f"session:{ID}" for _ in range(12))))
    assert listed.reply.mid == (array_bytes([28] * 12) + array_bytes([])) / 2


def test_a_sample_of_the_keys_leaves_an_error_that_all_keys_do_not(sizes: Callable[..., Size | None]) -> None:
    def rows(rate: float) -> list[dict[str, Any]]:
        return [access("get", "cache", 28, key=key, value=400.0 + 100.0 * (key % 7), rate=rate)
                for key in range(70) for _ in range(1 + key % 3)]

    whole, part = sizes("GET hit cache", rows(1.0)), sizes("GET hit cache", rows(0.25))
    assert whole is not None
    assert part is not None
    assert whole.reply.sampled == 0.0 < part.reply.sampled
    assert whole.reply.alone == part.reply.alone > 0.0
    assert whole.reply.elsewhere > 0.0
