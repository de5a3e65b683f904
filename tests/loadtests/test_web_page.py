"""Loads with Locust's web page, which starts them by itself here."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from locust_process import PATIENCE_SECONDS, operation_counts, seconds_recorded, wait_until

from amply_capacity.run.reader import read_run
from amply_capacity.target.process import free_port

Start = Callable[..., subprocess.Popen[bytes]]
_SMALL = ("-u", "2", "-r", "2", "--population", "60", "--prefill", "0", "--headful", "--autostart")


def test_ctrl_c_ends_a_load_of_the_web_page_without_a_traceback(starting: Start, tmp_path: Path) -> None:
    run = tmp_path / "run"
    # Flat out: the signal finds the process in the middle of its clients' turns.
    process = starting(*_SMALL, "--web-port", str(free_port()), "--run-dir", str(run))
    wait_until(lambda: seconds_recorded(run) >= 2 or process.poll() is not None, "a load")
    process.send_signal(signal.SIGINT)
    code, words = process.wait(PATIENCE_SECONDS), (tmp_path / "log").read_text()
    assert code == 0, words
    assert "KeyboardInterrupt" not in words
    assert not read_run(run).requests.empty


def test_a_master_with_the_web_page_loads_through_its_workers(starting: Start, tmp_path: Path) -> None:
    run, port = tmp_path / "run", str(free_port())
    master = starting(*_SMALL, "--master", "--expect-workers", "1", "--master-bind-port", port,
                      "--web-port", str(free_port()), "--think-time-ms", "20", "--run-dir", str(run))
    worker = starting("--worker", "--master-port", port, log="worker")
    wait_until(lambda: seconds_recorded(run) >= 2 or master.poll() is not None, "a load")
    master.send_signal(signal.SIGINT)
    code, words = master.wait(PATIENCE_SECONDS), (tmp_path / "log").read_text()
    assert code == 0, words
    assert "Traceback" not in words
    assert worker.wait(PATIENCE_SECONDS) == 0
    assert not read_run(run).requests.empty


@pytest.mark.parametrize("generators", [(), ("--processes", "2")])
def test_the_web_page_plays_all_iterations_as_often_as_it_is_asked_to(
    generators: tuple[str, ...], starting: Start, tmp_path: Path
) -> None:
    run, port = tmp_path / "run", str(free_port())
    process = starting(*_SMALL, *generators, "--web-port", port, "--iterations", "120",
                       "--think-time-ms", "50", "--run-dir", str(run), scenario="cache")

    def is_played() -> bool:
        try:
            with urllib.request.urlopen(f"http://localhost:{port}/stats/requests") as answer:
                seen = json.load(answer)
        except OSError:
            return process.poll() is not None
        return bool(seen["state"] == "stopped" and seen["stats"][-1]["num_requests"] == 120)

    wait_until(is_played, "the first load's end")
    with urllib.request.urlopen(f"http://localhost:{port}/swarm", b"user_count=2&spawn_rate=2") as answer:
        assert json.load(answer)["success"]
    wait_until(lambda: not is_played(), "the second load's begin")
    wait_until(is_played, "the second load's end")
    process.send_signal(signal.SIGINT)
    code, words = process.wait(PATIENCE_SECONDS), (tmp_path / "log").read_text()
    assert code == 0, words
    assert "Traceback" not in words
    assert operation_counts(read_run(run).requests) == {"cached_read": 240}


def test_another_load_of_the_web_page_has_the_rate_whoever_shares_it(starting: Start, tmp_path: Path) -> None:
    run, port = tmp_path / "run", str(free_port())
    process = starting(*_SMALL, "--web-port", port, "--arrivals", "constant", "--rate", "200", "-t", "2s",
                       "--run-dir", str(run), scenario="cache")

    def state() -> str:
        try:
            with urllib.request.urlopen(f"http://localhost:{port}/stats/requests") as answer:
                return str(json.load(answer)["state"])
        except OSError:
            return "starting" if process.poll() is None else "gone"

    def swarm(users: int) -> None:
        body = f"user_count={users}&spawn_rate={users}&run_time=4s".encode()
        with urllib.request.urlopen(f"http://localhost:{port}/swarm", body) as answer:
            assert json.load(answer)["success"]

    wait_until(lambda: state() in {"stopped", "gone"}, "the first load's end")
    recorded = seconds_recorded(run)
    swarm(6)
    wait_until(lambda: seconds_recorded(run) >= recorded + 3 or state() == "gone", "another load's seconds")
    swarm(3)
    wait_until(lambda: "users offer" in (tmp_path / "log").read_text() or state() == "gone", "a word on it")
    process.send_signal(signal.SIGINT)
    code, words = process.wait(PATIENCE_SECONDS), (tmp_path / "log").read_text()
    assert code == 0, words
    assert "3 users offer 100 of the 200 operations/s asked for" in words
    done = read_run(run).requests.query("command == '' and clock == 'service'")
    counts = done.groupby("second")["count"].sum()
    assert 190 <= counts.max() < 300  # 600, were each of the six to have what one of two had
