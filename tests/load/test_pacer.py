from __future__ import annotations

from collections.abc import Iterator
from random import Random
from time import perf_counter

import gevent
import pytest

from amply_capacity.load import pacer as pacers
from amply_capacity.load.pacer import Pacer

_ENOUGH_SECONDS = 20.0


@pytest.fixture(params=["timerfd", "the loop's timer"])
def pacer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pacer]:
    if request.param == "the loop's timer":
        monkeypatch.setattr(pacers.sys, "platform", "elsewhere")
    made = Pacer()
    yield made
    made.close()


def _all(greenlets: list[gevent.Greenlet]) -> None:
    assert len(gevent.joinall(greenlets, timeout=_ENOUGH_SECONDS)) == len(greenlets), "somebody was not woken"


def test_nobody_is_woken_too_early_and_all_in_order(pacer: Pacer) -> None:
    rng, woken = Random(1), []
    dues = [perf_counter() + rng.uniform(0.1, 0.4) for _ in range(200)]
    waiting_since = [0.0]  # on a machine that stood still, some were due before all of them waited

    def wait(due: float) -> None:
        waiting_since[0] = perf_counter()
        pacer.wait_until(due)
        woken.append((perf_counter(), due))

    _all([gevent.spawn(wait, due) for due in dues])
    assert len(woken) == 200
    assert all(now >= due for now, due in woken)
    in_time = [due for _, due in woken if due > waiting_since[0]]
    assert in_time == sorted(in_time)


def test_a_moment_that_has_passed_is_not_waited_for(pacer: Pacer) -> None:
    other = []
    gevent.spawn(other.append, 1)
    pacer.wait_until(perf_counter() - 1.0)
    assert other == []  # not even the loop was run


def test_a_nearer_moment_comes_before_one_that_is_waited_for_already(pacer: Pacer) -> None:
    order = []

    def wait(seconds: float) -> None:
        pacer.wait_until(perf_counter() + seconds)
        order.append(seconds)

    far = gevent.spawn(wait, 0.3)
    gevent.sleep(0.01)
    near = gevent.spawn(wait, 0.02)
    _all([near])
    assert order == [0.02]
    _all([far])


def test_one_that_was_killed_while_it_waited_disturbs_nobody(pacer: Pacer) -> None:
    woken = []

    def wait(seconds: float) -> None:
        pacer.wait_until(perf_counter() + seconds)
        woken.append(seconds)

    first, second = gevent.spawn(wait, 0.05), gevent.spawn(wait, 0.1)
    gevent.sleep(0.01)
    first.kill()
    _all([second])
    assert woken == [0.1]


def test_all_can_be_woken_at_once(pacer: Pacer) -> None:
    began = perf_counter()
    waiting = [gevent.spawn(pacer.wait_until, began + 3600.0) for _ in range(5)]
    gevent.sleep(0.01)
    pacer.wake_all()
    _all(waiting)
    assert perf_counter() - began < 3600.0


def test_waiting_again_and_again_never_loses_the_alarm(pacer: Pacer) -> None:
    rng = Random(2)

    def wait() -> None:
        for _ in range(200):
            pacer.wait_until(perf_counter() + rng.expovariate(2000.0))

    _all([gevent.spawn(wait) for _ in range(10)])


def test_a_pacer_after_another_works_as_well() -> None:
    for _ in range(5):
        pacer = Pacer()
        _all([gevent.spawn(pacer.wait_until, perf_counter() + 0.005) for _ in range(20)])
        pacer.close()
