"""What a user of Locust takes for granted, on our user class: tasks, waits, task sets, failures."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from locust_process import PATIENCE_SECONDS, csv_counts, operation_counts, run_locust

from amply_capacity.run.reader import Run, read_run

_LOCUSTFILE = '''
from locust import TaskSet, between, constant, events, tag, task

from amply_capacity.load.lifecycle import scenario
from amply_capacity.load.user import RedisUser
from amply_capacity.plan.working_set import working_set


class Judging(RedisUser):
    """Locust's catch_response: a block decides what is a failure."""

    fixed_count = 1
    wait_time = constant(0.01)

    @task
    def validate(self):
        with self.performing("validate") as performed:
            if performed.outcome == "miss":
                performed.failure("a session was lost")

    @task
    def list_active(self):
        with self.performing("list_active") as performed:
            performed.failure("never mind")
            performed.success()


class Shopping(RedisUser):
    """A nested task set, and a task that raises."""

    fixed_count = 1
    wait_time = between(0.005, 0.01)

    @task
    class Browse(TaskSet):
        wait_time = constant(0.005)

        @task(3)
        def read(self):
            self.user.perform("cached_read")

        @task(1)
        def leave(self):
            self.interrupt()

    @task
    def broken(self):
        raise RuntimeError("a bug of mine")


class Scheduled(RedisUser):
    """Our own pace, with a task scheduled by another, and a beginning and an end of its own."""

    fixed_count = 2
    raised = 0

    def on_start(self):
        self.perform("store_result")

    def on_stop(self):
        self.perform("touch")

    @task
    def check(self):
        self.perform("check")
        self._taskset_instance.schedule_task(type(self).result)

    def result(self):
        self.perform("get_result")

    @tag("never")
    @task
    def forget(self):
        self.perform("forget_result")


scenario("features", working_set)
'''

_OF_ONES_OWN = '''
from locust import task

from amply_capacity.load.lifecycle import scenario
from amply_capacity.load.user import RedisUser, plays
from amply_capacity.plan.working_set import working_set


class Peeking(RedisUser):
    @task
    @plays("peeks", "peek")
    def peek(self):
        yield ("EXISTS", "k")
        return "ok"


scenario("peeking", working_set)
'''


pytestmark = pytest.mark.xdist_group("features")  # they share a recording


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, str, Path, Run]:
    folder = tmp_path_factory.mktemp("features")
    (folder / "locustfile.py").write_text(_LOCUSTFILE)
    finished = subprocess.run(
        [
            sys.executable,
            "-m",
            "locust",
            "-f",
            "locustfile.py",
            "--headless",
            "-u",
            "4",
            "-r",
            "4",
            "-t",
            "4s",
            "--population",
            "50",
            "--prefill",
            "0",
            "--think-time-ms",
            "2",
            "--exclude-tags",
            "never",
            "--run-dir",
            "run",
            "--csv",
            "csv",
        ],
        cwd=folder,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    return finished.returncode, finished.stdout + finished.stderr, folder, read_run(folder / "run")


def test_a_task_may_declare_its_operation_failed(recorded: tuple[int, str, Path, Run]) -> None:
    code, words, folder, run = recorded
    own = run.requests[(run.requests["command"] == "") & (run.requests["clock"] == "response")]
    outcomes = own.groupby(["operation", "outcome"])["count"].sum()
    assert code == 1, words  # Locust's exit code for failures
    assert outcomes["validate"].keys().tolist() == ["error"]  # nothing was pre-filled: each is a miss
    assert outcomes["list_active"].keys().tolist() == ["ok"]
    failures = pd.read_csv(folder / "csv_failures.csv").set_index("Name")
    assert failures.loc["validate", "Error"] == "a session was lost"
    assert failures.loc["validate", "Occurrences"] == outcomes["validate", "error"]
    assert "never mind" not in words


def test_locusts_own_figures_are_those_of_the_run(recorded: tuple[int, str, Path, Run]) -> None:
    _, _, folder, run = recorded
    counts, total, failed = csv_counts(folder / "csv")
    assert counts == operation_counts(run.requests)
    assert total == sum(counts.values())
    assert failed == counts["validate"]


def test_a_nested_task_set_and_scheduled_tasks_are_played(recorded: tuple[int, str, Path, Run]) -> None:
    counts = operation_counts(recorded[3].requests)
    assert counts["cached_read"] > 10
    assert counts["get_result"] == pytest.approx(counts["check"], abs=2)
    assert "forget_result" not in counts


def test_what_a_user_does_at_its_start_and_end_is_played_too(recorded: tuple[int, str, Path, Run]) -> None:
    _, words, _, run = recorded
    counts = operation_counts(run.requests)
    assert (counts["store_result"], counts["touch"]) == (2, 2), words


def test_a_task_that_raises_is_told_and_the_user_goes_on(recorded: tuple[int, str, Path, Run]) -> None:
    _, words, _, run = recorded
    assert words.count("RuntimeError: a bug of mine") > 1
    assert operation_counts(run.requests)["cached_read"] > 10


def test_a_wait_of_ones_own_is_kept(recorded: tuple[int, str, Path, Run]) -> None:
    own = recorded[3].requests[(recorded[3].requests["command"] == "")
                               & (recorded[3].requests["clock"] == "response")]
    judged = own[own["operation"].isin(["validate", "list_active"])].groupby("second")["count"].sum()
    assert judged.sum() > 20
    assert judged.max() <= 1.1 / 0.01 + 2


def test_the_knee_of_an_operation_of_ones_own_is_searched(tmp_path: Path) -> None:
    (tmp_path / "locustfile.py").write_text(_OF_ONES_OWN)
    options = ("-u", "5", "-r", "5", "-t", "3s", "--population", "50", "--prefill", "0", "--run-dir", "run")
    finished = subprocess.run(
        [sys.executable, "-m", "locust", "-f", "locustfile.py", "--headless", *options,
         "--knee", "--rate", "50", "--p99-ms", "400"],
        cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    events = read_run(tmp_path / "run").events
    began = events.loc[(events["kind"] == "knee") & (events["name"] == "began"), "detail"].tolist()
    assert [one["objectives_ms"] for one in began] == [{"peeks": 400.0}]


@pytest.mark.parametrize(("options", "is_slow"), [((), False), (("-r", "1"), True)])
def test_a_schedules_users_start_at_once_unless_they_are_to_start_one_by_one(
    tmp_path: Path, options: tuple[str, ...], is_slow: bool
) -> None:
    code, words = run_locust("cache", "-u", "5", *options, "-t", "4s", "--arrivals", "constant", "--rate",
                             "100", "--population", "50", "--prefill", "0", "--run-dir",
                             str(tmp_path / "run"), log=tmp_path / "log")
    assert code == 0, words
    assert ("locust: its 5 users are all there, and the whole rate with them, after 5 s" in words) == is_slow
    run = read_run(tmp_path / "run")
    offered = pd.DataFrame(run.events.loc[run.events["name"] == "offered", "detail"].tolist())
    second = offered.groupby("second")["operations"].sum().iloc[1]
    assert (second < 70) == is_slow


def test_clients_connect_before_their_schedule_begins(tmp_path: Path) -> None:
    code, words = run_locust("mixed", "-u", "20", "-t", "4s", "--arrivals", "poisson", "--rate", "1",
                             "--population", "20", "--prefill", "0", "--run-dir", str(tmp_path / "run"),
                             log=tmp_path / "log")
    run = read_run(tmp_path / "run")
    assert code == 0, words
    assert sum(operation_counts(run.requests).values()) < 20
    assert run.server["CurrConnections"].max() >= 20
