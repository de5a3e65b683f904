"""The pool that raises: Erlang's formula against a simulation, and a real pool on a stalled server."""

from __future__ import annotations

import asyncio
import heapq
import time
from random import Random

import pytest
import redis
import redis.asyncio
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.errors import BadInput
from amply_capacity.interval import Interval
from amply_capacity.model.pool import PoolLoad, erlang_b, pool_losses, stall_failures
from amply_capacity.target.cluster import Cluster

loads = st.floats(0.01, 200.0)


def test_erlangs_table() -> None:
    """Values of the printed tables: 20 trunks, 13.19 erlangs lose 1 in 50; 12.03 1 in 100."""
    assert erlang_b(13.182, 20) == pytest.approx(0.02, rel=0.002)
    assert erlang_b(12.031, 20) == pytest.approx(0.01, rel=0.002)
    assert erlang_b(1.0, 1) == pytest.approx(0.5)
    assert erlang_b(0.0, 20) == 0.0
    assert erlang_b(0.0, 0) == 1.0
    assert erlang_b(0.001, 400) == 0.0
    assert erlang_b(2_000.0, 20) == pytest.approx(1.0 - 20.0 / 2_000.0, abs=0.001), "20 are served at a time"


@given(loads, st.integers(1, 60))
def test_more_connections_never_lose_more_and_more_load_never_less(offered: float, servers: int) -> None:
    assert 0.0 <= erlang_b(offered, servers + 1) <= erlang_b(offered, servers) <= 1.0
    assert erlang_b(offered * 1.1, servers) >= erlang_b(offered, servers)


def simulated(rate: float, servers: int, holding: list[float], random: Random, arrivals: int) -> float:
    """Share lost, event by event."""
    busy: list[float] = []
    now, lost = 0.0, 0
    for _ in range(arrivals):
        now += random.expovariate(rate)
        while busy and busy[0] <= now:
            heapq.heappop(busy)
        if len(busy) == servers:
            lost += 1
        else:
            heapq.heappush(busy, now + random.choice(holding))
    return lost / arrivals


@pytest.mark.parametrize("holding", [[1.0], [0.1, 0.1, 0.1, 3.7], [0.5, 1.5]], ids=["fixed", "tail", "two"])
def test_only_the_mean_of_the_holding_time_counts(holding: list[float]) -> None:
    """Erlang B is insensitive: a long tail with the same mean loses as much."""
    lost = simulated(15.0, 20, holding, Random(5), 60_000)
    assert lost == pytest.approx(erlang_b(15.0, 20), rel=0.10)


def test_the_share_of_operations_counts_every_command_of_them() -> None:
    load = PoolLoad(Interval.exact(1_000.0), Interval(0.010, 0.0135, 0.020), commands_per_operation=3.0)
    losses = pool_losses(load)
    assert losses.commands.mid == pytest.approx(erlang_b(13.5, 20))
    assert losses.commands.low < losses.commands.mid < losses.commands.high
    assert losses.operations.mid == pytest.approx(1.0 - (1.0 - losses.commands.mid) ** 3)
    assert losses.busy_connections.mid == pytest.approx(13.5 * (1.0 - losses.commands.mid))
    assert losses.as_json()["failed_commands_share"]["mid"] == losses.commands.mid


def test_a_quick_server_loses_nothing_that_could_be_counted() -> None:
    losses = pool_losses(PoolLoad(Interval.exact(500.0), Interval(0.0003, 0.0005, 0.001)))
    assert losses.commands.high < 1e-20


@given(st.floats(0.0, 5_000.0), st.floats(0.0, 5.0), st.floats(0.0, 20.0))
def test_a_stall_fails_what_comes_beyond_the_free_connections(rate: float, stall_s: float,
                                                              busy: float) -> None:
    failures = stall_failures(rate, stall_s, busy=busy)
    assert failures.low <= failures.mid <= failures.high
    assert failures.mid >= max(0.0, rate * stall_s - (20 - busy)) - 1e-6
    assert stall_failures(rate, stall_s + 0.1, busy=busy).mid >= failures.mid - 1e-9


def test_a_stall_that_ends_before_the_pool_is_full_fails_nothing() -> None:
    assert stall_failures(100.0, 0.02).mid < 1e-9
    assert stall_failures(100.0, 0.5).mid == pytest.approx(30.0, abs=0.1)
    assert stall_failures(0.0, 1.0).high == 0.0


def test_nonsense_is_refused_with_all_its_faults() -> None:
    with pytest.raises(BadInput, match="holding_s is below 0"):
        PoolLoad(Interval.exact(1.0), Interval(-1.0, 0.0, 1.0))
    with pytest.raises(BadInput, match="from 0"):
        erlang_b(-1.0, 2)
    with pytest.raises(BadInput, match="30 of 20 taken"):
        stall_failures(1.0, 1.0, busy=30.0)


async def failures_of_a_real_pool(url: str, rate: float, stall_s: float, stall: redis.Redis) -> int:
    """redis-py's pool of 20 under Poisson arrivals while the server is paused; how many commands raised."""
    pool = redis.asyncio.ConnectionPool.from_url(url, max_connections=20)
    client = redis.asyncio.Redis(connection_pool=pool)
    random, raised, tasks = Random(11), [], []

    async def command() -> None:
        try:
            await client.get("session:one")
        except redis.exceptions.ConnectionError as error:
            raised.append(str(error))

    await asyncio.gather(*(command() for _ in range(20)))  # all 20 are open before the stall
    stall.execute_command("CLIENT", "PAUSE", round(stall_s * 1e3), "ALL")
    began, due = time.perf_counter(), 0.0
    while (due := due + random.expovariate(rate)) < stall_s:
        await asyncio.sleep(max(began + due - time.perf_counter(), 0.0))
        tasks.append(asyncio.create_task(command()))
    await asyncio.gather(*tasks)
    await client.aclose()
    await pool.disconnect()
    assert set(raised) == {"Too many connections"}
    return len(raised)


@pytest.mark.parametrize(("rate", "stall_s"), [(150.0, 0.6), (60.0, 1.0)])
def test_a_real_pool_on_a_stalled_server_raises_as_often_as_predicted(
        redis_cluster: Cluster, redis_client: redis.Redis, rate: float, stall_s: float) -> None:
    raised = asyncio.run(failures_of_a_real_pool(redis_cluster.endpoint.url, rate, stall_s, redis_client))
    random, arrivals, due = Random(11), 0, 0.0
    while (due := due + random.expovariate(rate)) < stall_s:
        arrivals += 1
    predicted = stall_failures(rate, stall_s)
    assert raised == pytest.approx(max(arrivals - 20, 0), abs=3), "of these arrivals"
    assert predicted.low - 3 <= raised <= predicted.high + 3
