from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from random import Random
from time import perf_counter

import gevent
import pytest

from amply_capacity.load import reactor as reactors
from amply_capacity.load.reactor import Reactor
from amply_capacity.load.readiness import READ, WRITE

_ENOUGH_SECONDS = 20.0


@pytest.fixture(params=["epoll and timerfd", "the loop's own watchers"])
def reactor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reactor]:
    if request.param == "the loop's own watchers":
        monkeypatch.setattr(reactors.sys, "platform", "elsewhere")
    made = Reactor(gevent.get_hub())
    yield made
    made.close()


def _all(greenlets: list[gevent.Greenlet]) -> None:
    assert len(gevent.joinall(greenlets, timeout=_ENOUGH_SECONDS)) == len(greenlets), "somebody was not woken"


def _until(is_so: Callable[[], bool]) -> None:
    """Let the loop go round until then. One sleep is not always a turn: its time may be over already."""
    with gevent.Timeout(_ENOUGH_SECONDS):
        while not is_so():
            gevent.sleep(0.001)


def test_nobody_is_woken_too_early_and_all_in_order(reactor: Reactor) -> None:
    rng, woken = Random(1), []
    dues = [perf_counter() + rng.uniform(0.1, 0.4) for _ in range(200)]
    waiting_since = [0.0]  # on a machine that stood still, some were due before all of them waited

    def wait(due: float) -> None:
        waiting_since[0] = perf_counter()
        reactor.wait_until(due)
        woken.append((perf_counter(), due))

    _all([gevent.spawn(wait, due) for due in dues])
    assert len(woken) == 200
    assert all(now >= due for now, due in woken)
    in_time = [due for _, due in woken if due > waiting_since[0]]
    assert in_time == sorted(in_time)


def test_a_moment_that_has_passed_is_not_waited_for(reactor: Reactor) -> None:
    other = []
    gevent.spawn(other.append, 1)
    reactor.wait_until(perf_counter() - 1.0)
    assert other == []  # not even the loop was run


def test_a_nearer_moment_comes_before_one_that_is_waited_for_already(reactor: Reactor) -> None:
    order = []

    def wait(seconds: float) -> None:
        reactor.wait_until(perf_counter() + seconds)
        order.append(seconds)

    far = gevent.spawn(wait, 0.3)
    gevent.sleep(0.01)
    near = gevent.spawn(wait, 0.02)
    _all([near])
    assert order == [0.02]
    _all([far])


def test_one_that_was_killed_while_it_waited_disturbs_nobody(reactor: Reactor) -> None:
    woken = []

    def wait(seconds: float) -> None:
        reactor.wait_until(perf_counter() + seconds)
        woken.append(seconds)

    first, second = gevent.spawn(wait, 0.05), gevent.spawn(wait, 0.1)
    gevent.sleep(0.01)
    first.kill()
    _all([second])
    assert woken == [0.1]


def test_all_can_be_woken_at_once(reactor: Reactor) -> None:
    began = perf_counter()
    waiting = [gevent.spawn(reactor.wait_until, began + 3600.0) for _ in range(5)]
    gevent.sleep(0.01)
    reactor.wake_all()
    _all(waiting)
    assert perf_counter() - began < 3600.0


def test_waiting_again_and_again_never_loses_the_alarm(reactor: Reactor) -> None:
    rng = Random(2)

    def wait() -> None:
        for _ in range(200):
            reactor.wait_until(perf_counter() + rng.expovariate(2000.0))

    _all([gevent.spawn(wait) for _ in range(10)])


def test_bytes_and_room_are_told_as_long_as_they_are_there(reactor: Reactor) -> None:
    ours, theirs = socket.socketpair()
    told: list[int] = []

    def tell(events: int) -> None:
        told.append(events)
        if len(told) == 3:
            reactor.forget(ours.fileno())

    with ours, theirs:
        reactor.watch(ours.fileno(), READ, tell)
        gevent.sleep(0.05)
        assert told == []
        theirs.send(b"x")
        _until(lambda: len(told) == 3)
        gevent.sleep(0.01)
        assert [events & READ for events in told] == [READ] * 3
        told.clear()
        reactor.watch(ours.fileno(), READ, tell)
        reactor.watch(ours.fileno(), READ | WRITE, tell)
        _until(lambda: len(told) == 3)
        assert told[-1] & WRITE
        reactor.forget(ours.fileno())  # again: nothing is to do


class _Noted:
    """A connection that notes when it may send."""

    answer = None

    def __init__(self) -> None:
        self.left: list[tuple[float, bytes]] = []

    def leave(self, packed: bytes) -> None:
        self.left.append((perf_counter(), packed))


def test_what_is_to_leave_does_so_in_order_before_the_loop_waits(reactor: Reactor) -> None:
    sender = _Noted()
    for number in range(3):
        reactor.add((sender, b"%d" % number))
    assert sender.left == []
    _until(lambda: len(sender.left) == 3)
    assert [packed for _, packed in sender.left] == [b"0", b"1", b"2"]
    reactor.at(perf_counter(), lambda: reactor.add((sender, b"3")))
    _until(lambda: len(sender.left) == 4)
    assert sender.left[-1][1] == b"3"


def test_a_turn_reads_all_then_delivers_all_then_lets_all_go_on(reactor: Reactor) -> None:
    done: list[tuple[str, int]] = []

    class Noting:
        def __init__(self, number: int) -> None:
            self.ours, self.theirs = socket.socketpair()
            self.number = number
            self.answer: Callable[[bytes], None] | None = self.take

        def leave(self, packed: bytes) -> None:
            raise AssertionError(packed)

        def read(self, _events: int) -> None:
            done.append(("read", self.number))
            reactor.hand((self, self.ours.recv(9)))

        def take(self, reply: bytes) -> None:
            done.append((f"delivered {reply.decode()}", self.number))
            reactor.follow(lambda: done.append(("went on", self.number)))

    connections = [Noting(number) for number in range(3)]
    for one in connections:
        reactor.watch(one.ours.fileno(), READ, one.read)
        one.theirs.send(b"x")
    _until(lambda: len(done) == 9)
    stages = [stage for stage, _ in done]
    assert stages == ["read"] * 3 + ["delivered x"] * 3 + ["went on"] * 3
    numbers = [number for _, number in done]
    assert numbers[:3] == numbers[3:6] == numbers[6:]
    assert sorted(numbers[:3]) == [0, 1, 2]
    for one in connections:
        reactor.forget(one.ours.fileno())
        one.ours.close()
        one.theirs.close()


def _work(seconds: float) -> None:
    until = perf_counter() + seconds
    while perf_counter() < until:
        pass


def _awake_seconds(reactor: Reactor, begin: Callable[[], None], noted: list[float]) -> float:
    """How long the loop is only kept awake while `begin` is due twenty times, which each note something."""
    before = reactor.awake_seconds
    for _ in range(20):
        reactor.at(perf_counter(), begin)
        gevent.sleep(0.003)
    _until(lambda: len(noted) == 20)
    return reactor.awake_seconds - before


def test_who_is_due_in_a_long_turn_begins_right_after_it(reactor: Reactor) -> None:
    """Without a pause in which more could come together: natural batches are large enough (README)."""
    late_seconds: list[float] = []
    sender = _Noted()

    def begin() -> None:
        due = reactor.now + 1e-5  # not in this turn any more
        reactor.at(due, lambda: late_seconds.append(reactor.now - due))
        reactor.add((sender, b"x"))
        _work(2e-4)

    awake_seconds = _awake_seconds(reactor, begin, late_seconds)
    assert 1.9e-4 <= min(late_seconds) < 2.7e-4
    assert awake_seconds < 20 * 5e-5


def test_a_load_that_never_pauses_lets_everything_else_run(reactor: Reactor) -> None:
    turns = [0]

    def again() -> None:
        turns[0] += 1
        if turns[0] > 0:
            reactor.at(perf_counter(), again)

    again()
    others = gevent.spawn(lambda: [gevent.sleep(0.002) for _ in range(20)])
    assert gevent.joinall([others], timeout=_ENOUGH_SECONDS) == [others]
    count, turns[0] = turns[0], -(10**9)
    gevent.sleep(0.01)
    assert count > 100


def test_one_reactor_serves_a_hub_and_a_forked_process_has_its_own() -> None:
    hub = gevent.get_hub()
    assert Reactor.of(hub) is Reactor.of(hub)
    done = subprocess.run([sys.executable, "-c", _FORKED], capture_output=True, text=True,
                          timeout=60.0, check=True)
    assert sorted(done.stdout.split()) == ["child", "parent"]


_FORKED = """
import os, socket, sys
import gevent
from amply_capacity.load.reactor import Reactor
from amply_capacity.load.readiness import READ

def exchange(name):
    reactor, (ours, theirs) = Reactor.of(gevent.get_hub()), socket.socketpair()
    def tell(events):
        if ours.recv(9) == name.encode():
            os.write(1, (name + "\\n").encode())
        reactor.forget(ours.fileno())
    reactor.watch(ours.fileno(), READ, tell)
    theirs.send(name.encode())
    gevent.sleep(0.2)

Reactor.of(gevent.get_hub())
gevent.sleep(0.01)
pid = gevent.fork()
exchange("parent" if pid else "child")
if pid:
    os.waitpid(pid, 0)
"""
