"""`--pool-size`, as a person gives it: workers of the application with a pool each, under load."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
import redis
from locust_process import (
    PATIENCE_SECONDS,
    csv_counts,
    operation_counts,
    run_locust,
    seconds_recorded,
    wait_until,
)

from amply_capacity.model.pool import stall_failures
from amply_capacity.run.reader import Run, read_run
from amply_capacity.target import guard
from amply_capacity.target.process import free_port

# Beside tests that compute, and not one after another at the end: a load waits more than it works.
pytestmark = pytest.mark.xdist_group("loads")

_SMALL = ("-u", "2", "-r", "2", "--population", "60", "--prefill", "0", "--arrivals", "poisson")
_OWN_CODE = '''
from locust import constant, task

from amply_capacity.load.lifecycle import scenario
from amply_capacity.load.user import RedisUser
from amply_capacity.plan.working_set import working_set


class Mine(RedisUser):
    wait_time = constant(1)

    @task
    def check(self):
        self.perform("check")


scenario("mine", working_set)
'''


def _marked(port: int) -> str:
    url, today = f"redis://127.0.0.1:{port}", date.today()
    guard.mark(url, "tests", today + timedelta(days=1), today=today)
    return url


def _own(run: Run) -> pd.DataFrame:
    return run.requests[(run.requests["command"] == "") & (run.requests["clock"] == "response")]


def test_a_stall_of_the_server_fails_as_many_operations_as_predicted_and_loses_none(
        starting: Callable[..., subprocess.Popen[bytes]], plain_redis: Callable[..., int],
        tmp_path: Path) -> None:
    size, users, rate = 5, 2, 500.0
    port, run_dir, log = plain_redis(), tmp_path / "run", tmp_path / "log"
    process = starting(*_SMALL, "-t", "5s", "--rate", str(rate), "--mix", "validate=1", "--pool-size",
                       str(size), "--target", _marked(port), "--run-dir", str(run_dir), "--csv",
                       str(tmp_path / "csv"))
    wait_until(lambda: seconds_recorded(run_dir) >= 2 or process.poll() is not None, "a load")
    with redis.Redis(port=port) as client:
        client.client_pause(300)
        opened = sum(one["cmd"] == "get" for one in client.client_list())  # answered when the pause is over
    assert process.wait(PATIENCE_SECONDS) == 1, log.read_text()  # Locust's exit code for failures
    words = log.read_text()
    assert "Traceback" not in words
    run = read_run(run_dir)
    assert run.manifest["pool_size"] == size
    own = _own(run)
    by_outcome = own.groupby("outcome")["count"].sum()
    assert set(by_outcome.index) == {"error", "miss"}, "nothing was pre-filled"
    stall_s = own.loc[own["outcome"] == "miss", "bucket_us"].max() / 1e6  # it may end a bit late
    predicted = users * stall_failures(rate / users, stall_s, connections=size).mid
    assert by_outcome["error"] == pytest.approx(predicted, abs=4.0 * (rate * stall_s) ** 0.5)
    counts, total, failed = csv_counts(tmp_path / "csv")
    assert counts == operation_counts(run.requests)
    assert (total, failed) == (by_outcome.sum(), by_outcome["error"])
    failures = pd.read_csv(tmp_path / "csv_failures.csv")
    assert failures["Error"].tolist() == ["Too many connections"]
    assert failures["Occurrences"].tolist() == [failed]
    offered = run.events.loc[run.events["name"] == "offered", "detail"].tolist()
    whole = own["second"] <= max(one["second"] for one in offered)  # the schedule counts seconds that ended
    wanted = sum(one["operations"] for one in offered)
    assert own.loc[whole, "count"].sum() == pytest.approx(wanted, abs=0.05 * rate)
    assert users * size <= opened <= users * size + 1  # the run's own connection reads its lease
    assert run.server["CurrConnections"].max() >= opened


def test_all_iterations_are_played_by_several_processes_and_the_run_ends_itself(tmp_path: Path) -> None:
    code, words = run_locust(
        "mixed", *_SMALL, "-t", "60s", "--rate", "300", "--iterations", "601", "--processes", "2",
        "--compute-delay-ms", "50", "--pool-size", "20", "--run-dir", str(tmp_path / "run"),
        log=tmp_path / "log")
    assert code == 0, words
    run = read_run(tmp_path / "run")
    assert "broken off" not in run.manifest["verdict_reason"]
    assert _own(run)["count"].sum() == 601


def test_what_a_pool_cannot_play_is_refused_before_anything_is_loaded(plain_redis: Callable[..., int],
                                                                      tmp_path: Path) -> None:
    (tmp_path / "locustfile.py").write_text(_OWN_CODE)
    refused = subprocess.run(
        [sys.executable, "-m", "locust", "--headless", *_SMALL, "--rate", "5", "--pool-size", "20"],
        cwd=tmp_path, env=os.environ, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert refused.returncode == 2
    assert "Mine.check, Mine.wait_time" in refused.stderr
    assert "@plays(use_case, name)" in refused.stderr
    port = plain_redis("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    with redis.Redis(port=port) as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        wait_until(lambda: client.cluster("INFO")["cluster_state"] == "ok", "a cluster of one")
        url = _marked(port)
        mark = client.keys("*")
        code, words = run_locust("mixed", *_SMALL, "--rate", "5", "--pool-size", "20", "--target", url,
                                 "--run-dir", str(tmp_path / "run"), log=tmp_path / "log")
        assert code == 2, words
        assert "--pool-size is for one primary" in words
        assert not (tmp_path / "run").exists()
        assert client.keys("*") == mark, "the target was given back"
