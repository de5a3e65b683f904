"""A target that stands still, dies and comes back under load."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
import redis
from killable_redis import KillableRedis
from locust_process import csv_counts, operation_counts, seconds_recorded, wait_until

from amply_capacity.run.reader import read_run
from amply_capacity.target import guard

# Beside tests that compute, and not one after another at the end: a load waits more than it works.
pytestmark = pytest.mark.xdist_group("loads")


def test_a_target_that_stands_still_and_dies_and_comes_back_is_recorded_said_and_survived(
    loading: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    users = 5
    server = KillableRedis(tmp_path)
    log = tmp_path / "log"
    try:
        with redis.Redis(port=server.port) as client:
            client.set(guard.MARK_KEY, json.dumps({"until": (date.today() + timedelta(days=1)).isoformat()}))
        process = loading("--target", f"redis://127.0.0.1:{server.port}", "--timeout-ms", "400",
                          seconds=2)
        server.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: log.read_text().count("does not answer") == 1, "a word of the stall")
        server.process.send_signal(signal.SIGCONT)
        wait_until(lambda: log.read_text().count("answers again") == 1, "a word of its end")
        server.kill()
        died_s = time.time()
        wait_until(lambda: log.read_text().count("does not answer") == 2, "a word of the death")
        server.start()
        wait_until(lambda: log.read_text().count("answers again") == 2, "a word of its return")
        back_s = time.time()
        seconds = seconds_recorded(tmp_path / "run")
        wait_until(lambda: seconds_recorded(tmp_path / "run") >= seconds + 3, "more load")
        process.send_signal(signal.SIGINT)
        code = process.wait(60)
    finally:
        server.process.send_signal(signal.SIGCONT)
        server.kill()
    words = log.read_text()
    assert code == 1, words
    assert "Traceback" not in words
    assert words.count("does not answer") == words.count("answers again") == 2
    run = read_run(tmp_path / "run")
    assert "of 120 s" in run.manifest["verdict_reason"]  # nothing but the signal ended it
    own = run.requests.query("command == '' and clock == 'response'")
    by_outcome = own.groupby("outcome")["count"].sum()
    assert by_outcome["timeout"] >= users
    assert 1 <= by_outcome["disconnected"] <= users
    assert by_outcome["unreachable"] >= users
    # Who finds no connection waits 0.2 s: no busy loop.
    assert by_outcome["unreachable"] <= users * 5 * (back_s - died_s + 2.0)
    failed = own[own["outcome"].isin(["timeout", "disconnected", "unreachable"])]
    assert failed["second"].nunique() >= 2
    assert own.loc[own["second"] > back_s, "outcome"].isin(["hit", "miss", "ok", "allowed"]).any()
    counts, _, failures = csv_counts(tmp_path / "csv")
    assert counts == operation_counts(run.requests)
    assert failures >= failed["count"].sum()
    names = run.events["name"].tolist()
    assert sum(name.startswith("INFO failed") for name in names) == 2
    assert names.count("INFO gap") == 2
    assert "the server was restarted" in names
    served = run.commands.set_index("command")["calls"]
    assert (served > 0).all()
