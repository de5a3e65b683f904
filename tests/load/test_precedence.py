from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="scheduling classes are Linux'")

_ROOM = """
import os, signal, threading, time
from amply_capacity.load.precedence import Precedence
waiting, over = threading.Event(), threading.Event()
other = threading.Thread(target=lambda: (waiting.set(), over.wait()))
other.start()
waiting.wait()

def place():
    policies = {os.SCHED_OTHER: "other", os.SCHED_IDLE: "idle"}
    print(*(f"{policies[os.sched_getscheduler(one)]} {os.getpriority(os.PRIO_PROCESS, one)}"
            for one in (os.getpid(), other.native_id)))

usual = os.getpriority(os.PRIO_PROCESS, 0)
precedence = Precedence()
"""


def _out(words: str, given: str = "") -> str:
    """What they print where a `precedence` is at hand, and another thread waits."""
    return subprocess.run([sys.executable, "-c", f"{_ROOM}{words}\nover.set()"], check=True, text=True,
                          input=given, capture_output=True, timeout=60.0).stdout


def _places(words: str) -> list[tuple[str, int]]:
    """Class and nice value of the main thread, at each `place()`; another thread has the same."""
    places = [line.split() for line in _out(words).splitlines()]
    assert all(place[:2] == place[2:] for place in places)
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    return [(policy, int(nice) - usual) for policy, nice, *_ in places]


_STOOD_STILL = """
with precedence.in_pieces():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    time.sleep(0.3)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    worked = time.thread_time()
    while time.thread_time() < worked + 2e-3:
        pass
    place()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may come back from there")
def test_who_stands_still_comes_back_before_all_is_done() -> None:
    assert _places(f"precedence.give_way(is_scheduled=True); place(){_STOOD_STILL}") == [
        ("idle", 10), ("other", 10)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may come back from there")
def test_beside_a_schedule_it_takes_what_is_left_until_that_is_too_little() -> None:
    places = _places("precedence.give_way(is_scheduled=True); place()\n"
                     "with precedence.in_pieces(): time.sleep(0.3)\n"  # left alone meanwhile, by itself
                     "place()\n"
                     "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})\n"
                     "with precedence.in_pieces(): time.sleep(0.3)\n"
                     "place()\n"
                     "precedence.take_part(); place()")
    assert places == [("idle", 10), ("idle", 10), ("other", 10), ("other", 0)]


def test_beside_a_closed_loop_it_is_only_nice() -> None:
    assert _places("precedence.give_way(is_scheduled=False); place()") == [("other", 10)]


@pytest.mark.skipif(os.geteuid() != 0, reason="another user's place is taken")
def test_who_could_not_come_back_does_not_go_there() -> None:
    assert _places("os.setresuid(65534, 65534, 65534)\n"
                   "precedence.give_way(is_scheduled=True); place()") == [("other", 10)]


_BUSY = """
import resource
def rests():
    before, worked = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw, time.thread_time()
    with precedence.in_pieces():
        while time.thread_time() < worked + 0.03:
            pass
    print(resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before)
"""


def _rests(words: str) -> list[int]:
    """How often the process gave up its core of its own accord, at each `rests()`: 30 ms of work."""
    return [int(line) for line in _out(_BUSY + words).splitlines()]


def test_beside_a_schedule_work_is_done_in_pieces() -> None:
    before, beside, after = _rests("rests(); precedence.give_way(is_scheduled=True); rests(); "
                                   "precedence.take_part(); rests()")
    assert beside >= 20  # a hundred pieces; a host that takes the core away makes longer ones
    assert before < 5
    assert after < 5


def test_what_a_second_brings_is_spread_over_some_of_it() -> None:
    out = _out("precedence.give_way(is_scheduled=True)\n"
               "began, worked = time.perf_counter(), time.thread_time()\n"
               "with precedence.in_pieces():\n"
               "    while time.thread_time() < worked + 0.006:\n"
               "        pass\n"
               "print(time.perf_counter() - began)")
    assert float(out) > 0.1  # twenty pieces


def test_what_waited_meanwhile_is_not_spread_as_long_again() -> None:
    out = _out("precedence.give_way(is_scheduled=True)\n"
               "for is_behind in (False, True, True):\n"
               "    began, worked = time.perf_counter(), time.thread_time()\n"
               "    with precedence.in_pieces(is_behind=is_behind):\n"
               "        while time.thread_time() < worked + 0.02:\n"
               "            pass\n"
               "    print(time.perf_counter() - began)")
    first, second, third = map(float, out.split())
    assert first > 0.4
    assert second < first
    assert third < first


def test_beside_a_closed_loop_work_is_done_at_a_stretch() -> None:
    (beside,) = _rests("precedence.give_way(is_scheduled=False); rests()")
    assert beside < 5


def test_a_pause_within_a_call_is_no_error() -> None:
    out = _out("import sys\nprecedence.give_way(is_scheduled=True)\n"
               "with precedence.in_pieces():\n    print(sys.stdin.buffer.read(3)); time.sleep(0.02)",
               given="abc")
    assert out == "b'abc'\n"
