from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from amply_capacity.load.workers import Crew, in_locusts_order


class _Master:
    """A crew, what it noted, and a clock that the test moves."""

    def __init__(self, expected: int) -> None:
        self.now_s, self.noted = 1000.0, list[tuple[str, dict[str, Any]]]()
        self.crew = Crew(expected, self._note, lambda: self.now_s)

    def _note(self, name: str, **detail: Any) -> None:
        self.noted.append((name, detail))

    def start(self, *workers: str) -> Crew:
        for worker in workers:
            self.crew.admit(worker)
        self.crew.begin()
        for worker in workers:
            self.crew.report(worker, self.now_s)
        return self.crew


def test_each_worker_has_a_share_of_its_own() -> None:
    master = _Master(3)
    assert master.start("vm_a", "vm_b", "vm_c").shares == {"vm_a": 0, "vm_b": 1, "vm_c": 2}
    assert master.noted == []


def test_more_workers_than_expected_at_the_start_have_shares_of_their_own_too() -> None:
    crew = _Master(1).start("vm_a", "vm_b")
    assert crew.shares == {"vm_a": 0, "vm_b": 1}
    assert crew.count == 2


def test_a_worker_that_no_longer_answers_is_named_once_with_its_last_second(
    capsys: pytest.CaptureFixture[str],
) -> None:
    master = _Master(2)
    crew = master.start("vm_a", "host-2_b")
    master.now_s = 1004.6
    for _ in range(3):
        assert crew.check({"vm_a": True, "host-2_b": False})
    assert master.noted == [
        ("worker lost", {"worker_id": "host-2_b", "worker": 1, "host": "host-2", "last_second": 1000})]
    assert capsys.readouterr().err == (
        "locust: worker 2 of 2 (host-2_b) was lost: its last report came 5 s ago; its data up to then is "
        "kept\n")


def test_a_worker_that_quits_in_the_middle_is_lost_and_without_any_the_load_is_over() -> None:
    crew = _Master(2).start("vm_a", "vm_b")
    assert crew.check({"vm_a": True})
    assert not crew.check({})


def test_before_the_load_nobody_is_lost() -> None:
    master = _Master(2)
    master.crew.admit("vm_a")
    assert master.crew.check({})
    assert master.noted == []


@pytest.mark.parametrize("by", ["report", "heartbeat"])
def test_a_worker_that_was_lost_and_answers_again_is_back(by: str) -> None:
    master = _Master(2)
    crew = master.start("vm_a", "vm_b")
    crew.check({"vm_a": True})
    if by == "report":
        crew.report("vm_b", master.now_s)
    else:
        crew.check({"vm_a": True, "vm_b": True})
    assert [name for name, _ in master.noted] == ["worker lost", "worker back"]


def test_a_worker_that_joins_late_takes_the_share_that_nobody_plays() -> None:
    master = _Master(2)
    crew = master.start("vm_a", "vm_b")
    crew.check({"vm_a": True})
    crew.admit("vm_c")
    crew.admit("vm_d")
    assert crew.shares == {"vm_a": 0, "vm_b": 1, "vm_c": 1, "vm_d": 1}
    assert crew.count == 2
    assert [name for name, _ in master.noted] == ["worker lost", "worker joined", "worker joined"]


def test_the_crew_has_played_once_all_clients_of_workers_that_are_left_have() -> None:
    master = _Master(2)
    crew = master.start("vm_a", "vm_b")
    crew.report("vm_a", master.now_s, 2, 2)
    crew.report("vm_b", master.now_s, 2, 1)
    assert not crew.has_played(4)
    crew.check({"vm_a": True})
    assert crew.has_played(4)


def test_what_was_played_before_counts_for_no_other_load_of_the_web_page() -> None:
    master = _Master(1)
    crew = master.start("vm_a")
    crew.report("vm_a", master.now_s, 2, 2)
    crew.begin()
    assert not crew.has_played(2)
    crew.report("vm_a", master.now_s, 2, 2)
    assert crew.has_played(2)


def test_a_worker_without_clients_keeps_nobody_and_one_whose_clients_are_to_come_does() -> None:
    master = _Master(3)
    crew = master.start("vm_a", "vm_b", "vm_c")
    assert not crew.has_played(2)
    crew.report("vm_a", master.now_s, 1, 1)
    assert not crew.has_played(2)
    crew.report("vm_c", master.now_s, 1, 1)
    assert crew.has_played(2)


_DISPATCH = """
import json, sys
from locust import User
from locust.dispatch import UsersDispatcher
from locust.runners import WorkerNode
dispatcher = UsersDispatcher([WorkerNode(name) for name in sys.argv[1:]], [User])
dispatcher.new_dispatch(target_user_count=4, spawn_rate=4)
print(json.dumps([name for name, users in next(dispatcher).items() if sum(users.values())]))
"""


def test_workers_are_in_the_order_in_which_locust_starts_users_on_them() -> None:
    names = ["vm_c", "host_b", "vm_a", "host_z", "vm_b", "third_a"]
    # In a process of its own: Locust patches the standard library when it is imported.
    with_one = json.loads(subprocess.run([sys.executable, "-c", _DISPATCH, *names], check=True,
                                         capture_output=True, text=True).stdout)
    assert in_locusts_order(names) == ["host_b", "third_a", "vm_a", "host_z", "vm_b", "vm_c"]
    assert set(with_one) == set(in_locusts_order(names)[:4])


def test_a_clock_that_goes_wrong_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    master = _Master(1)
    crew = master.start("vm_a")
    for _ in range(3):
        crew.report("vm_a", master.now_s - 2.0)
    crew.report("vm_unknown", 0.0)
    assert master.noted == [("clock skew", {"worker_id": "vm_a", "worker": 0, "seconds": -2.0})]
    assert "2.0 s behind" in capsys.readouterr().err
