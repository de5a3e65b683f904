"""A pool with real connections, reactor and server; its rider is what a Locust user is to it."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

import gevent
import pandas as pd
import pytest
from batches import tables
from killable_redis import KillableRedis

from amply_capacity.load.client import Connection
from amply_capacity.load.failover import FailoverConnection
from amply_capacity.load.labels import Labels
from amply_capacity.load.lane import RUNNING, STOPPING, WAITING
from amply_capacity.load.link import Askable
from amply_capacity.load.pace import Pace
from amply_capacity.load.pool import TOO_MANY, Pool
from amply_capacity.load.reactor import Reactor
from amply_capacity.load.recorder import Recorder
from amply_capacity.model.pool import stall_failures
from amply_capacity.target.cluster import Cluster
from amply_capacity.target.endpoint import Endpoint
from amply_capacity.target.process import free_port
from amply_capacity.traffic.arrivals import SteadyRate, positions
from amply_capacity.traffic.operation import Compute, Operation, Pipeline

_ENOUGH_SECONDS = 20.0


class _Rider:
    """Plays the given operations in their order, the last one for ever, as many in all as `count`."""

    def __init__(self, labels: Labels, operations: Iterable[Callable[[], Operation]], schedule: SteadyRate,
                 reactor: Reactor, count: int, arrivals: str) -> None:
        script = list(operations)
        self._state = RUNNING
        self.tasks: list[Any] = ["next"]
        self.playable = {"next": (labels, lambda: (script.pop(0) if script[1:] else script[0])())}
        self.random = Random(1)
        self.pace: Pace | None = Pace(schedule, reactor)
        self.pace.enter(positions(arrivals, Random(2)), perf_counter())
        self.think_seconds = 0.0
        self.quota: int | None = count - 1  # the first is counted by who runs it
        self.intended: float | None = None


class _Worker:
    """All that a pool needs, on one server."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint, self.timeout_seconds = endpoint, 1.0
        self.reactor, self.recorder = Reactor.of(gevent.get_hub()), Recorder()
        self.faults: list[Exception] = []
        self.pools: list[Pool] = []

    def make(self) -> Askable:
        return Connection(self.endpoint, timeout_seconds=self.timeout_seconds)

    def start(self, *operations: Callable[[], Operation], size: int = 2, rate: float = 100.0,
              count: int | None = None, arrivals: str = "constant", schedule: SteadyRate | None = None,
              make: Callable[[], Askable] | None = None) -> tuple[Pool, _Rider, gevent.Greenlet]:
        """A pool that plays; its greenlet ends when all has ended."""
        rider = _Rider(self.recorder.labels("sessions", "played"), operations,
                       schedule or SteadyRate(rate, perf_counter()), self.reactor, count or len(operations),
                       arrivals)
        pool = Pool(rider, self.recorder, make or self.make, self.reactor, size, self.faults.append)
        self.pools.append(pool)

        def drive() -> None:
            assert rider.pace is not None
            rider.intended = rider.pace.wait()
            pool.run("next")

        return pool, rider, gevent.spawn(drive)

    def play(self, *operations: Callable[[], Operation], **options: Any) -> Pool:
        pool, _, playing = self.start(*operations, **options)
        playing.get(timeout=_ENOUGH_SECONDS)
        return pool

    def rows(self) -> pd.DataFrame:
        batch = self.recorder.drain()
        self.errors = {text: count for *_, text, count in batch.errors}
        return tables(batch).requests

    def counts(self) -> dict[str, int]:
        """Operations by outcome; each has all three clocks."""
        rows = self.rows()
        own = rows[rows["command"] == ""]
        by_clock = {clock: own[own["clock"] == clock].groupby("outcome")["count"].sum().to_dict()
                    for clock in ("service", "response", "lateness")}
        assert by_clock["service"] == by_clock["response"] == by_clock["lateness"]
        counted: dict[str, int] = by_clock["response"]
        return counted


def _greenlets() -> int:
    """How many there are that have not ended."""
    return sum(isinstance(one, gevent.Greenlet) and not one.dead for one in gc.get_objects())


@pytest.fixture
def worker(redis_cluster: Cluster, redis_client: Any) -> Iterator[_Worker]:
    made = _Worker(redis_cluster.endpoint)
    first = made.make()  # a process' first opening takes long: the resolver's threads
    first.connect()
    first.close()
    yield made
    for pool in made.pools:
        pool.close()


def _get() -> Operation:
    yield ("GET", "k")
    return "ok"


def _hold() -> Operation:
    """Holds its connection until something is pushed."""
    yield ("BLPOP", "held", 0)
    return "ok"


def _release() -> Operation:
    yield ("RPUSH", "held", "1")
    return "ok"


def _computed() -> Operation:
    yield ("GET", "k")
    yield Compute(0.0)
    yield Compute(0.105)
    yield Pipeline((("MULTI",), ("SET", "k", "1"), ("EXEC",)))
    return "miss"


def test_without_a_stall_nothing_fails_and_few_connections_are_opened(worker: _Worker,
                                                                     redis_client: Any) -> None:
    before = redis_client.info("stats")["total_connections_received"]
    pool = worker.play(_get, rate=200.0, count=100, size=20, arrivals="poisson")
    assert worker.counts() == {"ok": 100}
    assert not worker.faults
    assert redis_client.info("stats")["total_connections_received"] == before + pool.made
    assert pool.made < 10


def test_what_was_given_back_last_is_taken_first_and_no_more_are_made_than_may_be(worker: _Worker) -> None:
    pool, _, playing = worker.start(_get, size=2)
    playing.get(timeout=_ENOUGH_SECONDS)
    first, second = pool.take(), pool.take()
    assert first is not None
    assert second is not None
    assert pool.take() is None
    pool.give_back(first)
    pool.give_back(second)
    assert pool.take() is second
    assert pool.take() is first


@pytest.mark.parametrize("size", [5, 20])
def test_a_stall_fails_what_finds_no_connection_free_as_predicted(worker: _Worker, redis_client: Any,
                                                                  size: int) -> None:
    rate, count = 400.0, 320
    pool, _, playing = worker.start(_get, rate=rate, count=count, size=size, arrivals="poisson")
    gevent.sleep(0.2)
    redis_client.client_pause(300)
    playing.get(timeout=_ENOUGH_SECONDS)
    rows = worker.rows()
    own = rows[(rows["command"] == "") & (rows["clock"] == "response")]
    assert own["count"].sum() == count, "none is lost, none counted twice"
    failed = int(own.loc[own["outcome"] == "error", "count"].sum())
    assert worker.errors == {TOO_MANY: failed}
    stall_s = own.loc[own["outcome"] == "ok", "bucket_us"].max() / 1e6  # the server's cron ends it a bit late
    predicted = stall_failures(rate, stall_s, connections=size)
    assert failed == pytest.approx(predicted.mid, abs=4.0 * (rate * stall_s) ** 0.5)
    assert failed > 40
    assert pool.made == size
    assert own.loc[own["outcome"] == "error", "bucket_us"].median() < 10_000, "they fail at once"


def test_a_computation_holds_no_connection(worker: _Worker) -> None:
    pool = worker.play(_computed, rate=50.0, count=20)
    rows = worker.rows()
    assert rows.loc[(rows["command"] == "") & (rows["clock"] == "response"), "outcome"].unique() == ["miss"]
    assert rows.loc[rows["command"] == "MULTI+SET+EXEC", "count"].sum() == 20
    assert rows["bucket_us"].max() < 105_000, "nor is it in any clock"
    assert pool.made <= 2


def test_operations_run_side_by_side_up_to_the_connections_that_there_are(worker: _Worker) -> None:
    worker.play(_hold, _release, size=2)
    assert worker.counts() == {"ok": 2}


def test_what_finds_none_free_fails_at_once_and_the_held_one_goes_on(worker: _Worker,
                                                                     redis_client: Any) -> None:
    pool, rider, playing = worker.start(_hold, _get, _get, size=1)
    gevent.sleep(0.1)
    assert rider._state == RUNNING, "something is under way"
    redis_client.rpush("held", "1")
    playing.get(timeout=_ENOUGH_SECONDS)
    assert worker.counts() == {"ok": 1, "error": 2}
    assert worker.errors == {TOO_MANY: 2}
    assert pool.made == 1


def test_a_second_command_may_find_none_free(worker: _Worker, redis_client: Any) -> None:
    _, _, playing = worker.start(_computed, _hold, size=1, rate=50.0)
    gevent.sleep(0.25)
    redis_client.rpush("held", "1")
    playing.get(timeout=_ENOUGH_SECONDS)
    rows = worker.rows()
    assert rows.loc[rows["command"] == "GET", "count"].sum() == 1
    own = rows[(rows["command"] == "") & (rows["clock"] == "response")]
    assert own.groupby("outcome")["count"].sum().to_dict() == {"ok": 1, "error": 1}
    assert worker.errors == {TOO_MANY: 1}


def test_a_connection_lost_under_a_command_is_counted_and_opened_anew(worker: _Worker,
                                                                      redis_client: Any) -> None:
    pool, _, playing = worker.start(_hold, _get, rate=10.0, size=1)
    gevent.sleep(0.15)
    redis_client.client_kill_filter(_type="normal", skipme=True)
    playing.get(timeout=_ENOUGH_SECONDS)
    assert worker.counts() == {"disconnected": 1, "ok": 1}
    assert pool.made == 1


def test_a_connection_that_was_closed_while_it_was_free_is_opened_anew(worker: _Worker,
                                                                       redis_client: Any) -> None:
    _, rider, playing = worker.start(_get, _get, rate=5.0, size=1)
    gevent.sleep(0.3)
    assert rider._state == WAITING
    redis_client.client_kill_filter(_type="normal", skipme=True)
    playing.get(timeout=_ENOUGH_SECONDS)
    assert worker.counts() == {"ok": 2}


def test_no_reply_in_time_frees_the_connection(worker: _Worker) -> None:
    worker.timeout_seconds = 0.1
    worker.play(_hold, _get, rate=5.0, size=1)
    assert worker.counts() == {"timeout": 1, "ok": 1}


def test_a_server_that_is_not_there_is_unreachable_each_time(worker: _Worker) -> None:
    worker.endpoint = Endpoint("127.0.0.1", free_port())
    worker.play(_get, _get, _get, size=1, rate=10.0)
    assert worker.counts() == {"unreachable": 3}


def test_a_fault_of_an_operation_ends_it_alone(worker: _Worker) -> None:
    def faulty() -> Operation:
        yield ("GET", "k")
        raise KeyError("a bug")

    def late() -> Operation:
        yield Compute(0.01)
        raise KeyError("later")

    def strange() -> Any:
        yield ["GET", "k"]

    def unsendable() -> Any:
        yield ("SET", "k", object())

    pool = worker.play(faulty, late, strange, _get, unsendable, unsendable, _get, size=1, rate=20.0)
    assert [type(fault) for fault in worker.faults] == [KeyError, KeyError, TypeError, TypeError, TypeError]
    assert worker.counts() == {"ok": 2}
    assert pool.made == 1


def test_what_the_generator_was_late_for_does_not_fail_of_its_own_hurry(worker: _Worker) -> None:
    _, _, playing = worker.start(_get, rate=200.0, count=60, size=3)
    gevent.sleep(0.1)
    time.sleep(0.15)  # the whole process stands still, and thirty starts pass
    playing.get(timeout=_ENOUGH_SECONDS)
    rows = worker.rows()
    late = rows[(rows["command"] == "") & (rows["clock"] == "lateness")]
    assert late.groupby("outcome")["count"].sum().to_dict() == {"ok": 60}
    assert late.loc[late["bucket_us"] > 10_000, "count"].sum() > 25, "it is told as lateness"


def test_a_worker_that_is_to_stop_begins_nothing_more_and_ends_what_runs(worker: _Worker,
                                                                         redis_client: Any) -> None:
    _, rider, playing = worker.start(_hold, _get, size=2, count=10**6)
    gevent.sleep(0.1)
    rider._state = STOPPING
    gevent.sleep(0.1)
    assert not playing.dead
    redis_client.rpush("held", "1")
    playing.get(timeout=_ENOUGH_SECONDS)
    assert worker.counts()["ok"] < 20


def test_killed_it_closes_its_connections_and_nothing_is_counted_any_more(worker: _Worker,
                                                                          redis_client: Any) -> None:
    before = len(redis_client.client_list())
    pool, _, playing = worker.start(_hold, _computed, size=4, rate=100.0, count=10**6)
    gevent.sleep(0.07)
    playing.kill()
    worker.rows()
    gevent.sleep(0.15)
    assert pool.is_closed
    assert worker.rows().empty
    assert len(redis_client.client_list()) <= before


def test_killed_while_a_connection_is_opened_that_is_closed_too(worker: _Worker, redis_client: Any) -> None:
    before = len(redis_client.client_list())
    pool, _, playing = worker.start(_get, rate=50.0, count=10**6)
    while not pool.made:
        gevent.sleep(0)
    playing.kill()
    assert worker.rows().empty
    gevent.sleep(0.05)
    assert worker.rows().empty
    assert len(redis_client.client_list()) <= before


def test_killed_while_a_new_connection_greets_nobody_waits_for_it_any_more(worker: _Worker,
                                                                          redis_client: Any) -> None:
    worker.endpoint = replace(worker.endpoint, database=1)  # SELECT waits for the pause to end
    before, waiting = len(redis_client.client_list()), _greenlets()
    redis_client.client_pause(200)
    pool, _, playing = worker.start(_get, size=1)
    gevent.sleep(0.1)
    assert pool.made == 1
    playing.kill()
    gevent.sleep(0.01)
    assert _greenlets() <= waiting
    assert worker.rows().empty
    assert len(redis_client.client_list()) <= before


def test_a_server_that_dies_and_comes_back_is_counted_and_the_pool_goes_on(worker: _Worker,
                                                                         tmp_path: Path) -> None:
    server = KillableRedis(tmp_path)
    try:
        worker.endpoint = Endpoint("127.0.0.1", server.port)
        pool, _, playing = worker.start(_hold, _hold, _get, size=3, count=60)
        gevent.sleep(0.1)
        server.kill()
        gevent.sleep(0.1)
        gevent.get_hub().threadpool.apply(server.start)  # the schedule goes on meanwhile
        playing.get(timeout=_ENOUGH_SECONDS)
    finally:
        server.kill()
    counts = worker.counts()
    assert sum(counts.values()) == 60
    assert 2 <= counts["disconnected"] <= 3
    assert counts["unreachable"] >= 5
    assert counts["ok"] >= 10
    assert pool.made <= 3


def test_a_rate_that_is_changed_moves_the_start_that_is_waited_for(worker: _Worker) -> None:
    schedule = SteadyRate(10.0, perf_counter())
    _, _, playing = worker.start(_get, count=21, schedule=schedule, size=21)
    gevent.sleep(0.15)
    schedule.change(0.001, perf_counter())
    worker.reactor.wake_all()
    gevent.sleep(0.05)
    schedule.change(1000.0, perf_counter())
    worker.reactor.wake_all()
    playing.get(timeout=_ENOUGH_SECONDS)
    assert worker.counts() == {"ok": 21}


def test_a_connection_that_follows_the_primary_leaves_one_that_takes_no_writes(worker: _Worker,
                                                                               redis_client: Any) -> None:
    def write() -> Operation:
        yield ("SET", "k", "1")
        return "ok"

    made: list[FailoverConnection] = []
    found: list[Endpoint] = []

    def find_primary() -> Endpoint:
        found.append(worker.endpoint)
        return worker.endpoint

    def make() -> Askable:
        made.append(FailoverConnection(find_primary, 1.0))
        return made[-1]

    worker.play(_computed, _hold, _release, size=3, make=make)
    assert worker.counts() == {"miss": 1, "ok": 2}
    found.clear()
    redis_client.replicaof("127.0.0.1", free_port())
    try:
        worker.play(write, write, size=1, rate=5.0, make=make)
    finally:
        redis_client.replicaof("NO", "ONE")
    assert worker.counts() == {"error": 2}
    assert len(found) == 2, "asked again after READONLY"
    _, _, playing = worker.start(_hold, size=1, make=make)
    gevent.sleep(0.1)
    redis_client.client_kill_filter(_type="normal", skipme=True)
    playing.get(timeout=_ENOUGH_SECONDS)
    assert worker.counts() == {"disconnected": 1}
