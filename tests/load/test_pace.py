from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise
from random import Random
from time import perf_counter
from typing import Any

import gevent
import pytest

from amply_capacity.load.pace import Pace
from amply_capacity.load.reactor import Reactor
from amply_capacity.traffic.arrivals import SteadyRate, positions


@pytest.fixture
def reactor() -> Reactor:
    return Reactor.of(gevent.get_hub())


def _pace(reactor: Reactor, rate: float, began: float, clients: int = 1) -> tuple[Pace, SteadyRate]:
    """Of so many clients at that rate each, since then."""
    schedule = SteadyRate(rate, began)
    pace = Pace(schedule, reactor)
    for client in range(clients):
        pace.enter(_places(client), began)
    return pace, schedule


def _same(moments: float | list[float]) -> Any:
    """Of a clock that counts from the machine's start: of its hours a millionth would be some starts."""
    return pytest.approx(moments, rel=0.0, abs=1e-6)


def _places(client: int) -> Iterator[float]:
    return positions("poisson", Random(client))


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


def test_the_starts_are_those_of_all_clients_in_order(reactor: Reactor) -> None:
    pace, schedule = _pace(reactor, 20.0, perf_counter(), clients=30)
    given = [pace.next_start() for _ in range(12_000)]
    wanted = sorted(moment for client in range(30)
                    for moment in schedule.moments([*islice(_places(client), 800)]))
    assert given == _same(wanted[:12_000])


def test_a_client_that_comes_later_adds_its_starts_from_then_on(reactor: Reactor) -> None:
    began = perf_counter()
    pace, schedule = _pace(reactor, 10.0, began, clients=5)
    first = [pace.next_start() for _ in range(10)]
    pace.enter(_places(9), began + 2.0)
    rest = [pace.next_start() for _ in range(300)]
    later = [2.0 + moment for moment in schedule.moments([*islice(_places(9), 100)])]
    assert min(later) > began + 2.0
    wanted = sorted([*later, *(moment for client in range(5)
                               for moment in schedule.moments([*islice(_places(client), 100)]))])
    assert first + rest == _same(wanted[:310])


def test_a_client_that_ends_takes_what_was_still_to_come(reactor: Reactor) -> None:
    began = perf_counter()
    pace, schedule = _pace(reactor, 1000.0, began)
    leaving = pace.enter(_places(7), began)
    while perf_counter() < began + 0.05:
        gevent.sleep(0.01)
    left = perf_counter()
    pace.leave(leaving)
    ended = perf_counter()
    both = [moment for client in (0, 7) for moment in schedule.moments([*islice(_places(client), 3000)])]
    alone = schedule.moments([*islice(_places(0), 3000)])
    given = [pace.next_start() for _ in range(1000)]
    assert [one for one in given if one < left] == _same(sorted(one for one in both if one < left))
    assert [one for one in given if one > ended] == _same(
        [one for one in alone if one > ended][:sum(one > ended for one in given)])
    assert not pace.is_empty


def test_a_start_that_was_given_before_its_client_ended_is_kept(reactor: Reactor) -> None:
    pace, schedule = _pace(reactor, 10.0, perf_counter())
    leaving = pace.enter(_places(7), perf_counter())
    given = [pace.next_start() for _ in range(600)]
    later = pace.moment(pace.position)
    pace.leave(leaving)
    alone = schedule.moments([*islice(_places(0), 3000)])
    rest = [pace.next_start() for _ in range(600)]
    assert rest == _same([one for one in alone if one > later][:600])
    assert given[-1] == _same(later)


def test_what_all_clients_wanted_is_counted_whoever_takes_it(reactor: Reactor) -> None:
    began = perf_counter()
    pace, schedule = _pace(reactor, 100.0, began, clients=4)
    taken = [pace.next_start() for _ in range(1500)]
    wanted = [moment for client in range(4) for moment in schedule.moments([*islice(_places(client), 1500)])]
    for since, until in pairwise((0.0, 1.0, 2.0, 6.0)):
        assert pace.offered_until(began + until) == sum(
            began + since <= moment < began + until for moment in wanted)
    assert max(taken) < began + 6.0


def test_nothing_is_wanted_when_all_clients_have_ended(reactor: Reactor) -> None:
    pace = Pace(SteadyRate(100.0, perf_counter()), reactor)
    entry = pace.enter(_places(1), perf_counter() + 0.5)
    assert not pace.is_empty
    pace.leave(entry)
    assert pace.is_empty
    assert pace.offered_until(perf_counter() + 10.0) == 0


def test_a_start_keeps_its_place_when_the_rate_is_changed(reactor: Reactor) -> None:
    began = perf_counter()
    pace, schedule = _pace(reactor, 1.0, began)
    start, position = pace.next_start(), pace.position
    schedule.change(10.0, began)
    pace.reschedule()
    assert pace.moment(position) == _same(began + (start - began) / 10.0)
