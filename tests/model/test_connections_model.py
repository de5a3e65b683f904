"""Connections: against maxclients and the alarm, in a storm on real servers, and in pools at rest."""

from __future__ import annotations

import asyncio
import heapq
import socket
import ssl
import time
from random import Random

import pytest
import redis
import redis.asyncio
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.catalog.nodes import node_type
from amply_capacity.errors import BadInput
from amply_capacity.interval import Interval
from amply_capacity.model.connection import connection_bytes
from amply_capacity.model.connections import (
    ACCEPT_CPU_US,
    HANDSHAKE_CPU_US,
    Connections,
    connections_fit,
    pool_at_rest,
    storm_of,
    tasks_at_alarm,
)
from amply_capacity.model.layout import Layout
from amply_capacity.target import cluster as clusters
from amply_capacity.target.cluster import Cluster
from amply_capacity.target.endpoint import connect

PING = b"*1\r\n$4\r\nPING\r\n"
SPEC = Connections(tasks=3)


def test_the_specifications_own_figures_fire_its_alarm_at_three_tasks() -> None:
    assert tasks_at_alarm() == 3
    assert SPEC.most == 120
    fit = connections_fit(SPEC, node_type("cache.t3.micro"), Layout())
    assert fit.alarm_fires
    assert not connections_fit(Connections(2), node_type("cache.t3.micro"), Layout()).alarm_fires
    assert tasks_at_alarm(workers_per_task=1, pool=10) == 11, "100 exactly do not fire it"


def test_connections_count_against_maxclients_less_elasticaches_own() -> None:
    micro = node_type("cache.t3.micro")
    full = connections_fit(Connections(500, 2, 20), micro, Layout())
    assert full.available == 20_000 - 6
    assert not full.fits
    assert full.headroom_share < 0.0
    few = connections_fit(SPEC, micro, Layout())
    assert few.fits
    assert few.as_json()["headroom_share"] == pytest.approx(1.0 - 120 / 19_994, abs=1e-4)
    each = connection_bytes(Layout())
    assert (few.idle_bytes, few.burst_bytes) == (120 * each.idle, 120 * each.burst)
    assert few.busy_bytes.mid == 120 * each.busy.mid


@given(st.integers(1, 50), st.integers(1, 8), st.integers(1, 40), st.integers(1, 2_000))
def test_the_alarm_fires_at_that_number_of_tasks_and_not_before(tasks: int, workers: int, pool: int,
                                                                alarm: int) -> None:
    first = tasks_at_alarm(workers, pool, alarm)
    assert Connections(first, workers, pool).most > alarm >= Connections(first - 1, workers, pool).most


def test_a_storm_costs_the_thread_its_accepts_and_with_tls_its_handshakes() -> None:
    plain = storm_of(Connections(50), Layout(), seconds=2.0)
    encrypted = storm_of(Connections(50), Layout(), seconds=2.0, has_tls=True)
    assert plain.per_second == 1_000.0
    assert plain.cpu_seconds.mid == pytest.approx(2_000 * ACCEPT_CPU_US.mid / 1e6)
    assert encrypted.cpu_seconds.mid == pytest.approx(
        plain.cpu_seconds.mid + 2_000 * HANDSHAKE_CPU_US.mid / 1e6)
    assert plain.bytes == 2_000 * connection_bytes(Layout()).burst
    assert plain.exceeds_advised_alarm
    assert not storm_of(SPEC, Layout()).exceeds_advised_alarm
    assert not storm_of(Connections(50), Layout(), seconds=180.0).exceeds_advised_alarm
    assert encrypted.busy_share.mid == pytest.approx(encrypted.cpu_seconds.mid / 2.0)


def test_more_than_the_backlog_at_once_have_to_try_again() -> None:
    slow = storm_of(Connections(125), Layout(), has_tls=True, cpu_factor=Interval(1.0, 1.25, 1.67))
    assert slow.cpu_seconds.mid > 1.0
    assert slow.retried.low <= slow.retried.mid <= slow.retried.high
    assert slow.retried.mid > 0.0
    assert storm_of(SPEC, Layout(), has_tls=True).retried.mid == 0.0
    assert slow.as_json()["connections"] == 5_000


def cpu_us_of_opening(cluster: Cluster, count: int) -> float:
    """Server CPU of each of so many new connections with one command."""
    context = ssl.create_default_context(cafile=cluster.ca_bundle) if cluster.tls else None

    def opened() -> socket.socket:
        plain = socket.create_connection((cluster.host, cluster.port))
        wire = context.wrap_socket(plain, server_hostname=cluster.host) if context else plain
        wire.sendall(PING)
        assert wire.recv(64) == b"+PONG\r\n"
        return wire

    with connect(cluster.endpoint) as client:

        def cpu_s() -> float:
            told = client.info("cpu")
            return float(told["used_cpu_sys"]) + float(told["used_cpu_user"])

        before = cpu_s()
        wires = [opened() for _ in range(count)]
        used = cpu_s() - before
    for wire in wires:
        wire.close()
    return 1e6 * used / count


def test_a_connection_costs_the_server_what_is_said_and_tls_many_times_that(redis_cluster: Cluster) -> None:
    # The best of some: beside other work on the same core the same calls take several times the CPU.
    plain_us = min(cpu_us_of_opening(redis_cluster, 300) for _ in range(5))
    with clusters.throw_away(tls=True) as encrypted:
        tls_us = min(cpu_us_of_opening(encrypted, 150) for _ in range(5))
    # Twice the bounds: a host that is slower, or that counts its CPU more coarsely, is none the less right.
    assert ACCEPT_CPU_US.low / 2.0 <= plain_us <= 2.0 * ACCEPT_CPU_US.high
    assert HANDSHAKE_CPU_US.low / 2.0 <= tls_us - plain_us <= 2.0 * HANDSHAKE_CPU_US.high
    assert tls_us > 5.0 * plain_us


def simulated_pool(rate: float, holding: float, timeout_s: float, until_s: float) -> tuple[float, float]:
    """A stack of connections event by event: mean number open, and closures an hour."""
    random = Random(7)
    busy: list[float] = []
    free: list[float] = []  # when each was released, the last on top
    now = counted = closed = 0.0
    while now < until_s:
        step = random.expovariate(rate)
        now += step
        while busy and busy[0] <= now:
            free.append(heapq.heappop(busy))
        stale = [one for one in free if one < now - timeout_s]
        closed += len(stale)
        free = free[len(stale):]
        counted += step * (len(free) + len(busy))
        if free:
            free.pop()
        if len(busy) < 20:
            heapq.heappush(busy, now + random.expovariate(1.0 / holding))
    return counted / now, 3_600.0 * closed / now


@pytest.mark.parametrize(("rate", "holding"), [(20.0, 0.05), (50.0, 0.02), (5.0, 0.01)])
def test_a_stack_keeps_as_many_open_as_are_needed_at_once_now_and_then(rate: float, holding: float) -> None:
    rest = pool_at_rest(rate, holding, timeout_s=30.0)
    kept, closed = simulated_pool(rate, holding, 30.0, 40_000.0 / rate * 1.5)
    assert rest.open == pytest.approx(kept, abs=0.35)
    assert rest.closed_per_hour == pytest.approx(closed, rel=0.25, abs=12.0)


def test_idle_pools_shrink_to_what_they_use() -> None:
    usual = pool_at_rest(100.0, 0.001)
    assert 2.0 < usual.open < 6.0, "of 20"
    current, new_per_hour = usual.of(SPEC)
    assert current == pytest.approx(6 * usual.open)
    assert new_per_hour == pytest.approx(6 * usual.closed_per_hour)
    assert pool_at_rest(0.0, 0.001).open == 0.0
    assert pool_at_rest(10_000.0, 0.01).open == pytest.approx(20.0)


@given(st.floats(0.0, 2_000.0), st.floats(0.0, 0.1))
def test_a_longer_timeout_never_keeps_fewer(rate: float, holding_s: float) -> None:
    assert pool_at_rest(rate, holding_s, timeout_s=600.0).open >= pool_at_rest(rate, holding_s).open


async def opened_then_trickled(url: str, seconds: float) -> None:
    pool = redis.asyncio.ConnectionPool.from_url(url, max_connections=20)
    client = redis.asyncio.Redis(connection_pool=pool)
    await asyncio.gather(*(client.ping() for _ in range(20)))
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        await client.ping()
        await asyncio.sleep(0.02)
    assert len(await client.client_list()) <= 3  # the one that is used, this test's own
    await client.aclose()
    await pool.disconnect()


def test_a_real_pool_that_is_used_one_at_a_time_loses_all_other_connections_to_the_timeout(
        redis_cluster: Cluster, redis_client: redis.Redis) -> None:
    redis_client.config_set("timeout", 1)
    try:
        asyncio.run(opened_then_trickled(redis_cluster.endpoint.url, 2.4))
    finally:
        redis_client.config_set("timeout", 300)
    assert pool_at_rest(50.0, 0.0003, timeout_s=1.0).open == pytest.approx(1.0, abs=0.6)


def test_nonsense_is_refused() -> None:
    with pytest.raises(BadInput, match="counted from 0"):
        Connections(-1)
    with pytest.raises(BadInput, match="never reaches"):
        tasks_at_alarm(pool=0)
    with pytest.raises(BadInput, match="some time"):
        storm_of(SPEC, Layout(), seconds=0.0)
    with pytest.raises(BadInput, match="from 0"):
        pool_at_rest(-1.0, 0.1)
