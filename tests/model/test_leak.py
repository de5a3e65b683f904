"""The leak: stale ids by rates, the fix, and a real server that refuses when only indexes are left."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st
from measured_server import layout_of_server

from amply_capacity.interval import Interval
from amply_capacity.model.bill import added
from amply_capacity.model.layout import Layout
from amply_capacity.model.leak import IndexRates, LogIn, log_ins_until_refused, stale_members
from amply_capacity.model.members import IndexShape
from amply_capacity.model.memory import Server, fixed_items

SHAPE = IndexShape(26.0, 28.0)
SESSION_BYTES = 480
LIMIT_BYTES = 6 * 2**20


def rates(log_ins: float = 0.9, expiries: float = 0.8, clearings: float = 0.11) -> IndexRates:
    return IndexRates(*(np.array(one) for one in (log_ins, expiries, clearings)))


def stale_after(days: float, today: float = 0.0, growth: float = 0.0, *, has_ttl: bool = False,
                **changes: float) -> float:
    return float(stale_members(np.array(days), np.array(today), rates(**changes), np.array(growth),
                               has_ttl=has_ttl))


def test_stale_ids_gather_until_lists_clear_as_many_as_expire() -> None:
    assert stale_after(10_000.0) == pytest.approx(0.8 / 0.11)
    assert stale_after(10_000.0, today=50.0) == pytest.approx(0.8 / 0.11), "from above too"
    assert stale_after(1.0) == pytest.approx(0.8 * (1 - 0.11 / 2), rel=0.01)
    assert stale_after(0.0, today=3.0) == 3.0


def test_without_lists_stale_ids_grow_for_ever() -> None:
    assert stale_after(1_000.0, today=5.0, clearings=0.0) == pytest.approx(5.0 + 800.0)


def test_new_users_come_without_stale_ids_and_users_who_leave_take_none_along() -> None:
    assert stale_after(10_000.0, growth=0.01) == pytest.approx(0.8 / 0.12)
    assert stale_after(10_000.0, growth=-0.01) == pytest.approx(0.8 / 0.11)


def test_a_ttl_on_the_index_ends_those_of_users_who_stay_away() -> None:
    rare = rates(log_ins=0.1)
    assert float(rare.alive_with_ttl) == pytest.approx(1 - np.exp(-0.7))
    assert stale_after(10_000.0, log_ins=0.1, has_ttl=True) < 0.6 * stale_after(10_000.0, log_ins=0.1)
    daily = rates(log_ins=2.0)
    assert float(daily.alive_with_ttl) > 0.999999
    assert stale_after(10_000.0, log_ins=2.0, has_ttl=True) == pytest.approx(0.8 / 0.11, rel=1e-3)


def test_nobody_who_logs_in_leaves_no_index() -> None:
    assert float(rates(log_ins=0.0).alive_with_ttl) == 0.0
    assert np.isfinite(rates(log_ins=0.0).deaths_with_ttl)


@given(st.floats(0.0, 3_000.0), st.floats(0.0, 50.0), st.floats(0.0, 3.0), st.floats(0.0, 1.0),
       st.floats(-0.01, 0.05), st.floats(0.01, 1.0))
def test_more_expiries_or_days_without_a_list_never_leave_fewer_stale_ids(
        days: float, today: float, expiries: float, clearings: float, growth: float, more: float) -> None:
    found = stale_after(days, today, growth, expiries=expiries, clearings=clearings)
    assert stale_after(days, today, growth, expiries=expiries + more, clearings=clearings) >= found >= 0.0
    assert stale_after(days, today, growth, expiries=expiries, clearings=clearings + more) <= found + 1e-9
    fixed = stale_after(days, today, growth, expiries=expiries, clearings=clearings, has_ttl=True)
    assert fixed <= found + 1e-9


def fixed_bytes(layout: Layout) -> Interval:
    items = fixed_items(layout, Server(busy_connections=1, tracked_commands=Interval.exact(4.0)))
    return added(item.bytes for item in items)


@pytest.mark.parametrize(("users", "seed"), [(None, 11), (3_000, 12), (150, 13)],
                         ids=["another user each", "some sessions a user", "many sessions a user"])
def test_a_real_server_refuses_sessions_after_as_many_log_ins_as_predicted(
        plain_redis: Callable[..., int], users: int | None, seed: int) -> None:
    # The tables of evicted keys are made smaller by the cron, which a slow leak would leave time for.
    port = plain_redis("--maxmemory", str(LIMIT_BYTES), "--maxmemory-policy", "volatile-lru", "--hz", "200")
    with redis.Redis(port=port) as client:
        layout = layout_of_server(client)
        log_in = LogIn(layout.string_key(36, True, SESSION_BYTES), SHAPE, users)
        predicted = log_ins_until_refused(LIMIT_BYTES, fixed_bytes(layout), layout, log_in)
        measured = log_ins_that_were_taken(client, users, Random(seed))
        assert predicted.mid == pytest.approx(measured, rel=0.03)
        assert client.info("keyspace")["db0"]["expires"] == 0, "nothing was left to evict"
        assert client.info("stats")["evicted_keys"] == pytest.approx(measured, abs=50), "every session was"


def log_ins_that_were_taken(client: redis.Redis, users: int | None, random: Random) -> int:
    done, batch = 0, 50
    while True:
        pipe = client.pipeline(transaction=False)
        for number in range(done, done + batch):
            user = number if users is None else random.randrange(users)
            session = f"ses_{random.getrandbits(96):024x}"
            pipe.set(f"session:{session}", "x" * SESSION_BYTES, ex=604_800)
            pipe.sadd(f"user_sessions:usr_{user:08x}", session)
        for number, reply in enumerate(pipe.execute(raise_on_error=False)[::2]):
            if isinstance(reply, Exception):
                return done + number
        done += batch


@settings(max_examples=15, deadline=None)
@given(st.integers(4, 16), st.integers(1, 8), st.integers(50, 20_000))
def test_more_memory_or_smaller_sessions_never_bring_the_end_nearer(
        megabytes: int, more: int, users: int) -> None:
    layout = Layout()

    def end(limit_mb: int, session_bytes: float, among: int | None) -> float:
        log_in = LogIn(session_bytes, SHAPE, among)
        return log_ins_until_refused(limit_mb * 2**20, Interval.exact(1e6), layout, log_in).mid

    assert end(megabytes + more, 600.0, None) > end(megabytes, 600.0, None)
    # A session is gone by then: only its share of the tables may have been larger.
    assert end(megabytes, 600.0, None) == pytest.approx(end(megabytes, 1_200.0, None), rel=0.12)
    assert end(megabytes, 600.0, users) > 0.99 * end(megabytes, 600.0, None), "an index more costs more"
