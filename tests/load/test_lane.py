"""A lane with a real connection, reactor and server; its rider is what a Locust user is to it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

import gevent
import pandas as pd
import pytest
from batches import tables

from amply_capacity.load.client import Connection
from amply_capacity.load.labels import Labels
from amply_capacity.load.lane import RUNNING, STOPPING, WAITING, Lane
from amply_capacity.load.pace import Pace
from amply_capacity.load.player import Player
from amply_capacity.load.reactor import Reactor
from amply_capacity.load.recorder import Recorder
from amply_capacity.target.cluster import Cluster
from amply_capacity.traffic.arrivals import SteadyRate, positions
from amply_capacity.traffic.operation import Compute, Operation, Pipeline

_ENOUGH_SECONDS = 20.0


class _Rider:
    def __init__(self, **operations: Callable[[], Operation]) -> None:
        self._state = RUNNING
        self.tasks: list[Any] = list(operations)
        self.operations = operations
        self.playable: dict[Any, tuple[Labels, Callable[[], Operation]]] = {}
        self.random = Random(1)
        self.pace: Pace | None = None
        self.think_seconds = 0.0
        self.quota: int | None = None
        self.intended: float | None = None


class _Track:
    """All that a lane needs, on one server."""

    def __init__(self, cluster: Cluster) -> None:
        self.reactor, self.recorder = Reactor.of(gevent.get_hub()), Recorder()
        self.connection = Connection(cluster.endpoint, timeout_seconds=1.0)
        self.connection.connect()
        self.player = Player(self.connection, self.recorder)

    def lane(self, rider: _Rider) -> Lane:
        rider.playable = {name: (self.recorder.labels("sessions", name), operation)
                          for name, operation in rider.operations.items()}
        return Lane(rider, self.player, self.connection, self.reactor)

    def rows(self) -> pd.DataFrame:
        return tables(self.recorder.drain()).requests

    def counts(self) -> dict[tuple[str, str], int]:
        """Operations by name and outcome."""
        rows = self.rows()
        own = rows[(rows["command"] == "") & (rows["clock"] == "response")]
        counted: dict[tuple[str, str], int] = own.groupby(["operation", "outcome"])["count"].sum().to_dict()
        return counted


@pytest.fixture
def track(redis_cluster: Cluster, redis_client: Any) -> Iterator[_Track]:
    made = _Track(redis_cluster)
    yield made
    made.connection.close()


def _get() -> Operation:
    return "hit" if (yield ("GET", "k")) else "miss"


def _write() -> Operation:
    yield Pipeline((("MULTI",), ("SET", "k", "1"), ("EXEC",)))
    yield ("EXPIRE", "k", 60)
    return "ok"


def _computed() -> Operation:
    yield ("GET", "k")
    yield Compute(0.05)
    yield Compute(0.0)
    yield ("SET", "k", "2")
    return "miss"


def _blocked() -> Operation:
    yield ("BLPOP", "none", 0)
    return "ok"


def test_the_states_are_locusts() -> None:
    package = importlib.util.find_spec("locust")  # only looked up: importing it patches the standard library
    assert package is not None
    assert package.submodule_search_locations is not None
    text = (Path(package.submodule_search_locations[0]) / "user" / "task.py").read_text()
    names = "LOCUST_STATE_RUNNING, LOCUST_STATE_WAITING, LOCUST_STATE_STOPPING"
    assert f'{names} = ["{RUNNING}", "{WAITING}", "{STOPPING}"]' in text


def test_it_plays_as_many_tasks_as_it_may_and_records_each(track: _Track) -> None:
    rider = _Rider(get=_get, write=_write)
    assert track.lane(rider).run("write", 100, ()) is None
    counts = track.counts()
    assert sum(counts.values()) == 100
    assert set(counts) == {("get", "hit"), ("write", "ok")}
    assert min(counts.values()) > 30


def test_steps_of_all_kinds_are_taken_and_computing_is_in_no_clock(track: _Track) -> None:
    began = perf_counter()
    assert track.lane(_Rider(computed=_computed)).run("computed", 1, ()) is None
    assert perf_counter() - began >= 0.05
    assert track.rows()["bucket_us"].max() < 50_000


def test_a_task_that_is_more_than_an_operation_is_handed_over(track: _Track) -> None:
    rider = _Rider(get=_get)
    rider.tasks = ["get"] * 9 + ["mine"]
    assert track.lane(rider).run("get", 1000, ()) == "mine"
    assert 0 < sum(track.counts().values()) < 1000


def test_what_lies_in_the_queue_comes_first(track: _Track) -> None:
    assert track.lane(_Rider(get=_get)).run("get", 100, ["something"]) is None
    assert track.counts() == {("get", "miss"): 1}


def test_a_client_that_is_to_stop_begins_nothing_more(track: _Track) -> None:
    rider = _Rider(get=_get)
    gevent.spawn_later(0.05, setattr, rider, "_state", STOPPING)
    assert track.lane(rider).run("get", 10**9, ()) is None


def test_a_quota_is_kept(track: _Track) -> None:
    rider = _Rider(get=_get)
    rider.quota = 7
    assert track.lane(rider).run("get", 100, ()) is None
    assert rider.quota == 0
    assert sum(track.counts().values()) == 8, "the first was counted by who ran it"


def test_a_lost_connection_ends_its_operation_and_hands_the_next_task_over(track: _Track,
                                                                          redis_client: Any) -> None:
    rider = _Rider(blocked=_blocked)
    waiting = gevent.spawn(track.lane(rider).run, "blocked", 100, ())
    gevent.sleep(0.05)
    redis_client.client_kill_filter(_type="normal", skipme=True)
    assert waiting.get(timeout=_ENOUGH_SECONDS) == "blocked"
    assert track.counts() == {("blocked", "disconnected"): 1}
    assert track.connection.is_closed


def test_no_reply_in_time_is_a_timeout(track: _Track) -> None:
    assert track.lane(_Rider(blocked=_blocked)).run("blocked", 100, ()) == "blocked"
    assert track.counts() == {("blocked", "timeout"): 1}


def test_a_fault_of_the_application_reaches_its_client_and_the_connection_goes_on(track: _Track) -> None:
    def faulty() -> Operation:
        yield ("GET", "k")
        raise KeyError("a bug")

    lane = track.lane(_Rider(faulty=faulty, get=_get))
    with pytest.raises(KeyError, match="a bug"):
        lane.run("faulty", 1, ())
    assert not track.connection.is_closed
    assert lane.run("get", 1, ()) is None
    assert track.counts() == {("get", "miss"): 1}


def test_what_is_no_step_is_a_fault(track: _Track) -> None:
    def strange() -> Any:
        yield ["GET", "k"]

    with pytest.raises(TypeError, match="an operation yields commands"):
        track.lane(_Rider(strange=strange)).run("strange", 1, ())


def test_a_client_killed_while_it_waits_for_a_reply_closes_the_connection(track: _Track) -> None:
    waiting = gevent.spawn(track.lane(_Rider(blocked=_blocked)).run, "blocked", 1, ())
    gevent.sleep(0.05)
    waiting.kill()
    assert track.connection.is_closed


def test_starts_follow_the_schedule_and_are_what_the_clocks_count_from(track: _Track) -> None:
    rate, began = 200.0, perf_counter()
    rider = _Rider(get=_get)
    rider.pace = Pace(SteadyRate(rate, began), track.reactor)
    rider.pace.enter(positions("poisson", Random(2)), began)
    rider.intended = rider.pace.wait()
    assert track.lane(rider).run("get", 100, ()) is None
    assert rider._state == RUNNING
    assert perf_counter() - began == pytest.approx(100 / rate, abs=5 * 100**0.5 / rate)
    rows = track.rows()
    assert rows.loc[(rows["command"] == "") & (rows["clock"] == "lateness"), "count"].sum() == 100


def test_a_client_killed_before_its_start_never_begins(track: _Track) -> None:
    rider = _Rider(get=_get)
    rider.think_seconds = 0.1
    waiting = gevent.spawn(track.lane(rider).run, "get", 100, ())
    gevent.sleep(0.05)
    assert rider._state == WAITING
    waiting.kill()
    gevent.sleep(0.1)
    assert sum(track.counts().values()) == 1


def test_a_rate_that_is_changed_moves_the_start_that_is_waited_for(track: _Track) -> None:
    schedule = SteadyRate(0.001, perf_counter())
    rider = _Rider(get=_get)
    rider.pace = Pace(schedule, track.reactor)
    rider.pace.enter(positions("constant", Random(3)), perf_counter())
    waiting = gevent.spawn(track.lane(rider).run, "get", 20, ())
    gevent.sleep(0.05)
    schedule.change(1000.0, perf_counter())
    rider.pace.reschedule()
    track.reactor.wake_all()
    assert waiting.get(timeout=_ENOUGH_SECONDS) is None
    assert sum(track.counts().values()) == 20


def test_who_is_free_takes_the_starts_while_another_waits_for_the_server(
        track: _Track, redis_cluster: Cluster) -> None:
    schedule, began = SteadyRate(50.0, perf_counter()), perf_counter()
    pace, wanted = Pace(schedule, track.reactor), Pace(schedule, track.reactor)
    for one, client in product((pace, wanted), (1, 2)):
        one.enter(positions("poisson", Random(client)), began)
    starts: list[float | None] = []

    def noted() -> Operation:
        starts.append(free.intended)
        yield ("GET", "k")
        return "hit"

    stuck, free = _Rider(blocked=_blocked), _Rider(get=noted)
    stuck.pace = free.pace = pace
    other = _Track(redis_cluster)
    stuck.intended = pace.wait()
    waiting = gevent.spawn(other.lane(stuck).run, "blocked", 1, ())
    free.intended = pace.wait()
    assert track.lane(free).run("get", 40, ()) is None
    waiting.kill()
    assert [stuck.intended, *starts] == [wanted.next_start() for _ in range(41)]
