"""The emulated server against its rules, and against real ones that are played the same trace."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amply_capacity.interval import Interval
from amply_capacity.model.allocator import DEBIAN
from amply_capacity.model.emulator import (
    DEL,
    EXPIRE,
    GET,
    INCR,
    LEAVE,
    NEVER,
    POLICIES,
    SADD,
    SET,
    SMEMBERS,
    SREM,
    TTL,
    Commands,
    Emulator,
    scattered,
)
from amply_capacity.model.layout import Layout
from amply_capacity.model.memory import Server, fixed_items
from amply_capacity.model.workload import workload_of
from amply_capacity.run.imported import ImportedRun
from amply_capacity.run.reader import Run, read_run
from amply_capacity.run.trace_file import read_trace
from bench.replay import replay
from bench.trace import Shape, Trace, trace_of, write_csv

A_SECOND = 100
Row = tuple[float, int, int, int, int, float | None]
"""Seconds, key, op, bytes, growth, TTL in seconds (None: LEAVE)."""


def commands_of(*rows: Row) -> Commands:
    times, keys, ops, sizes, growths, ttls = zip(*rows, strict=True)
    return Commands(
        np.array([round(time * A_SECOND) for time in times], dtype=np.int32), np.array(keys, dtype=np.int32),
        np.array(ops, dtype=np.int8), np.array(sizes, dtype=np.int32), np.array(growths, dtype=np.int32),
        np.array([LEAVE if ttl is None else NEVER if ttl == np.inf else round(ttl * A_SECOND)
                  for ttl in ttls],
                 dtype=np.int32))


def emulator_of(keys: int, *, limit: int | None = None, policy: str = "volatile-lru",
                **more: int) -> Emulator:
    return Emulator(keys, policy=policy, limit_bytes=limit, fixed_bytes=0, ttl_entry_bytes=0, bucket_bytes=0,
                    **more)


def test_a_read_is_filled_when_it_misses_and_hits_from_then_on() -> None:
    emulator = emulator_of(1)
    emulator.play(commands_of((0, 0, GET, 100, 0, 60), (1, 0, GET, 100, 0, 60)))
    counts = emulator.counts
    assert (counts["reads"], counts["hits"], counts["info_misses"]) == (2, 1, 1)
    assert emulator.used_bytes == 100


def test_a_read_that_nothing_fills_is_no_read_of_the_application() -> None:
    emulator = emulator_of(1)
    emulator.play(commands_of((0, 0, GET, 0, 0, None), (1, 0, SET, 50, 0, 60), (2, 0, GET, 0, 0, None)))
    counts = emulator.counts
    assert (counts["reads"], counts["info_hits"], counts["info_misses"]) == (0, 1, 1)


def test_a_key_is_gone_when_its_ttl_has_passed() -> None:
    emulator = emulator_of(1)
    emulator.play(commands_of((0, 0, GET, 100, 0, 10), (9.9, 0, GET, 100, 0, 10), (20.1, 0, GET, 100, 0, 10)))
    assert emulator.counts["hits"] == 1
    assert emulator.counts["expired"] == 1


def test_the_cycle_reclaims_what_nobody_asks_for_again() -> None:
    emulator = emulator_of(1000)
    emulator.play(commands_of(*((0, key, SET, 10, 0, 5) for key in range(1000))))
    assert emulator.key_count == emulator.volatile_count == 1000
    emulator.wait_until(60 * A_SECOND)
    assert emulator.key_count < 100  # what is under one in ten may stay for a while
    assert emulator.counts["expired"] == 1000 - emulator.key_count
    assert not emulator.live().any()
    assert emulator.present().sum() == emulator.key_count


def test_a_counter_keeps_the_ttl_with_which_it_began() -> None:
    emulator = emulator_of(1)
    emulator.play(commands_of((0, 0, INCR, 50, 0, 60), (50, 0, INCR, 50, 0, 60)))
    emulator.play(commands_of((61, 0, GET, 0, 0, None)))
    assert emulator.counts["info_misses"] == 1


def test_a_set_grows_shrinks_and_goes_with_its_last_member() -> None:
    emulator = emulator_of(1)
    emulator.play(commands_of((0, 0, SADD, 200, 50, None), (0, 0, SADD, 200, 50, None)))
    assert emulator.used_bytes == 250
    emulator.play(commands_of((1, 0, SREM, 200, -50, None), (1, 0, SMEMBERS, 0, 0, None)))
    assert (emulator.used_bytes, emulator.counts["info_hits"]) == (200, 1)
    emulator.play(commands_of((2, 0, SREM, 200, -50, None)))
    assert (emulator.used_bytes, emulator.key_count) == (0, 0)


def test_expire_and_del_change_keys_that_are_there_only() -> None:
    emulator = emulator_of(2)
    emulator.play(commands_of((0, 0, SET, 10, 0, np.inf), (1, 0, EXPIRE, 0, 0, 5), (1, 1, EXPIRE, 0, 0, 5),
                              (2, 1, DEL, 0, 0, None)))
    assert (emulator.key_count, emulator.volatile_count) == (1, 1)
    emulator.play(commands_of((3, 0, DEL, 0, 0, None)))
    assert (emulator.key_count, emulator.used_bytes) == (0, 0)


def test_looking_at_a_ttl_is_a_hit_that_leaves_the_clock() -> None:
    emulator = emulator_of(2, limit=200)
    emulator.play(commands_of((0, 0, SET, 100, 0, 900), (5, 1, SET, 100, 0, 900), (50, 0, TTL, 0, 0, None),
                              (60, 0, TTL, 0, 0, None)))
    assert emulator.counts["info_hits"] == 2
    emulator = emulator_of(3, limit=200)
    emulator.play(commands_of((0, 0, SET, 100, 0, 900), (5, 1, SET, 100, 0, 900), (50, 0, TTL, 0, 0, None),
                              (60, 2, SET, 100, 0, 900), (61, 1, GET, 0, 0, None)))
    assert emulator.counts["info_hits"] == 2  # key 1 is there: key 0 went, though it was looked at


def test_volatile_lru_never_takes_a_key_without_a_ttl_and_refuses_writes_instead() -> None:
    emulator = emulator_of(5, limit=300)
    emulator.play(commands_of((0, 0, SET, 200, 0, np.inf), (1, 1, SET, 100, 0, 60), (2, 2, SET, 100, 0, 60),
                              (3, 3, SET, 150, 0, np.inf)))
    assert (emulator.counts["evictions"], emulator.counts["refused"]) == (2, 1)
    assert emulator.present().tolist() == [True, False, False, False, False]


def test_noeviction_refuses_and_keeps_all() -> None:
    emulator = emulator_of(3, limit=100, policy="noeviction")
    emulator.play(commands_of((0, 0, SET, 100, 0, 60), (1, 1, SET, 100, 0, 60)))
    assert (emulator.counts["evictions"], emulator.counts["refused"], emulator.key_count) == (0, 1, 1)


def test_the_idlest_key_goes_under_lru_the_soonest_to_expire_under_ttl() -> None:
    rows: list[Row] = [(0, 0, SET, 100, 0, 500), (10, 1, SET, 100, 0, 100), (20, 2, SET, 100, 0, 900)]
    for policy, gone in (("volatile-lru", 0), ("allkeys-lru", 0), ("volatile-ttl", 1)):
        emulator = emulator_of(4, limit=300, policy=policy)
        emulator.play(commands_of(*rows, (30, 3, SET, 100, 0, 900)))
        assert not emulator.present()[gone], policy


def test_the_least_frequent_key_goes_under_lfu() -> None:
    often: list[Row] = [(1, 0, GET, 0, 0, None)] * 300
    rows: list[Row] = [(0, 0, SET, 100, 0, 900), (0, 1, SET, 100, 0, 900), *often, (2, 1, GET, 0, 0, None)]
    for policy in ("volatile-lfu", "allkeys-lfu"):
        emulator = emulator_of(3, limit=200, policy=policy)
        emulator.play(commands_of(*rows, (3, 2, SET, 100, 0, 900)))
        assert emulator.present().tolist() == [True, False, True], policy


def test_tables_double_as_keys_come_but_not_for_want_of_memory() -> None:
    def used(limit: int | None) -> int:
        emulator = Emulator(100, policy="noeviction", limit_bytes=limit, fixed_bytes=0, ttl_entry_bytes=24)
        emulator.play(commands_of(*((0, key, SET, 10, 0, 900) for key in range(65))))
        return emulator.used_bytes

    assert used(None) == 65 * (10 + 24) + 2 * 8 * 128
    assert used(3300) < used(None)


def test_playing_in_parts_is_playing_at_once() -> None:
    commands, _ = scattered(commands_of(*((number * 0.01, number % 97, GET, 100, 0, 30)
                                          for number in range(5000))), 97)
    at_once, in_parts = emulator_of(97, limit=5000, seed=3), emulator_of(97, limit=5000, seed=3)
    at_once.play(commands)
    in_parts.play(commands, 0, 1234)
    assert in_parts.counts != at_once.counts
    in_parts.play(commands, 1234)
    assert in_parts.counts == at_once.counts


@given(seed=st.integers(0, 2**16), policy=st.sampled_from(POLICIES), key_count=st.integers(1, 300),
       limit=st.integers(500, 20_000))
@settings(max_examples=60, deadline=None)
def test_its_books_balance(seed: int, policy: str, key_count: int, limit: int) -> None:
    """Whatever is played: used bytes are those of the keys that are there, and no more than allowed."""
    random = np.random.default_rng(seed)
    count = 2000
    ttls = random.choice([100, 1000, 100_000, NEVER, LEAVE], count).astype(np.int32)
    ops = random.integers(0, 9, count).astype(np.int8)
    growths = np.where(ops == SREM, -1, 1) * random.integers(0, 60, count)
    commands = Commands(
        np.sort(random.integers(0, 60 * A_SECOND, count)).astype(np.int32),
        random.integers(0, key_count, count).astype(np.int32), ops,
        random.integers(1, 400, count).astype(np.int32), growths.astype(np.int32), ttls)
    emulator = emulator_of(key_count, limit=limit, policy=policy, samples=1 + seed % 10, seed=seed)
    emulator.play(commands)
    cells = emulator._space.cells
    assert emulator.used_bytes == cells[:, 2].sum()
    assert emulator.key_count == np.count_nonzero(cells[:, 2]) == emulator.present().sum()
    assert emulator.volatile_count == np.count_nonzero(cells[:, 1] != NEVER)
    assert (cells[:, 2] >= 0).all()
    assert emulator.counts["info_hits"] >= emulator.counts["hits"]
    assert emulator.counts["reads"] >= emulator.counts["hits"]


@pytest.fixture(scope="module")
def traffic() -> Trace:
    return trace_of(Shape(seed=77, seconds=9.0, per_second=1800.0, objects=9000, users=800, counters=500))


@pytest.fixture(scope="module")
def imported(traffic: Trace, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The traffic as a run, read from the trace's file."""
    folder = tmp_path_factory.mktemp("trace")
    write_csv(traffic, folder / "trace.csv")
    with ImportedRun("trace", folder / "trace.csv", folder / "run") as run:
        for columns, _ in read_trace(folder / "trace.csv"):
            run.append({**columns, **run.hashed(columns["key"])})
    return read_run(folder / "run")


def emulated_counts(imported: Run, memory: int, policy: str) -> dict[str, int]:
    layout = Layout(DEBIAN)
    fixed = fixed_items(layout, Server(busy_connections=1, tracked_commands=Interval.exact(9.0)))
    workload = workload_of(imported, layout)
    emulator = Emulator(workload.key_count, policy=policy, limit_bytes=memory, samples=5,
                        fixed_bytes=round(sum(item.bytes.mid for item in fixed)),
                        ttl_entry_bytes=layout.key(8, True) - layout.key(8, False))
    return emulator.played(workload.commands)


@pytest.mark.xdist_group("emulated")
def test_a_real_server_does_the_same_under_every_policy(traffic: Trace, imported: Run,
                                                        plain_redis: Callable[..., int]) -> None:
    """Hit rates within 3 points, evictions within a tenth, on a few MB for a few seconds of a busy machine.

    `bench accuracy` holds it to a quarter of a point, and to traces that are longer than its clock is coarse.
    """
    memory = 2_600_000
    ports = {policy: plain_redis("--maxmemory", str(memory), "--maxmemory-policy", policy)
             for policy in POLICIES}
    with ThreadPoolExecutor(len(POLICIES)) as pool:
        outcomes = pool.map(lambda policy: replay(traffic, ports[policy]), POLICIES)
        real = dict(zip(POLICIES, outcomes, strict=True))
    for policy, outcome in real.items():
        emulated = emulated_counts(imported, memory, policy)
        hit_rate = emulated["hits"] / emulated["reads"]
        assert abs(hit_rate - outcome.hit_rate) < 0.03, (policy, emulated, outcome)
        assert emulated["evictions"] == pytest.approx(outcome.evictions, rel=0.1, abs=30), policy
        assert emulated["refused"] == pytest.approx(outcome.refused, rel=0.1, abs=100), policy
