"""Starts load tests that a test ends in its own way."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from locust_process import seconds_recorded, start_locust, wait_until

_LONG = ("-u", "5", "-r", "5", "-t", "120s", "--population", "60", "--prefill", "0", "--think-time-ms", "20")


@pytest.fixture
def starting(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts Locust, with its words in `log` (or another name) of the test's directory."""
    processes = []

    def start(*options: str, scenario: str = "mixed", log: str = "log") -> subprocess.Popen[bytes]:
        process = start_locust(scenario, *options, log=tmp_path / log)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def loading(
    starting: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> Callable[..., subprocess.Popen[bytes]]:
    """Starts a long load; returns once some seconds of it are recorded."""

    def start(*options: str, scenario: str = "mixed", seconds: int = 3) -> subprocess.Popen[bytes]:
        run, log = tmp_path / "run", tmp_path / "log"
        process = starting(*_LONG, "--run-dir", str(run), "--csv", str(tmp_path / "csv"), *options,
                           scenario=scenario)
        wait_until(lambda: seconds_recorded(run) >= seconds or process.poll() is not None, "a load")
        assert process.poll() is None, log.read_text()
        return process

    return start


@pytest.fixture
def children_of() -> Callable[[int, str], list[int]]:
    """The pids of a process' children whose command line holds a name."""

    def children(pid: int, named: str) -> list[int]:
        found = []
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if named in Path(f"/proc/{child}/cmdline").read_text():
                found.append(int(child))
        return found

    return children
