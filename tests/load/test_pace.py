from __future__ import annotations

from random import Random
from time import perf_counter

import gevent
import pytest

from amply_capacity.load.pace import Pace
from amply_capacity.load.reactor import Reactor
from amply_capacity.traffic.arrivals import SteadyRate, positions


@pytest.fixture
def reactor() -> Reactor:
    return Reactor.of(gevent.get_hub())


def _pace(reactor: Reactor, rate: float, began: float, seed: int = 1) -> tuple[Pace, SteadyRate]:
    schedule = SteadyRate(rate, began)
    return Pace(schedule, reactor, positions("poisson", Random(seed))), schedule


def test_a_start_that_has_passed_is_given_at_once_and_keeps_its_time(reactor: Reactor) -> None:
    began = perf_counter()
    pace, _ = _pace(reactor, 1000.0, began)
    gevent.sleep(0.05)
    starts = [pace.wait() for _ in range(10)]
    assert starts == sorted(starts)
    assert starts[0] < began + 0.05


def test_it_waits_until_the_start(reactor: Reactor) -> None:
    pace, _ = _pace(reactor, 50.0, perf_counter())
    for _ in range(5):
        start = pace.wait()
        assert perf_counter() >= start


def test_starts_that_the_client_could_not_take_are_counted_as_offered(reactor: Reactor) -> None:
    began = perf_counter()
    pace, _ = _pace(reactor, 100.0, began)
    taken = [pace.next_start() for _ in range(5)]
    by_second = [pace.offered_until(began + second) for second in (1.0, 2.0, 3.0)]
    assert sum(by_second) == pytest.approx(300, abs=5 * 300**0.5)
    rest = []
    while not rest or rest[-1] < began + 3.0:
        rest.append(pace.next_start())
    # Each start below three seconds was counted once, whether it had been taken or not.
    assert sum(start < began + 3.0 for start in taken + rest) == sum(by_second)
    assert pace.offered_until(began + 3.0) == 0


def test_a_higher_rate_brings_a_start_nearer_that_is_waited_for(reactor: Reactor) -> None:
    began = perf_counter()
    pace, schedule = _pace(reactor, 0.001, began)
    waiting = gevent.spawn(pace.wait)
    gevent.sleep(0.01)
    schedule.change(1000.0, perf_counter())
    pace.reschedule()
    reactor.wake_all()
    assert waiting.get(timeout=20.0) < began + 20.0
