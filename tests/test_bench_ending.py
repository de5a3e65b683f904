"""A benchmark that is ended or killed leaves no server, generator or folder behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from amply_capacity.target.process import is_free

SERVER = """
import time
from bench import __main__ as bench, startup
from bench.server import bare_server

def table():
    with bare_server() as port:
        print(port, flush=True)
        time.sleep(60.0)

startup.table = table
bench.main(["startup"])
"""
GENERATOR = """
import sys, time
from pathlib import Path
from bench.rig import Rig

with Rig(None, "nobody", None).generator(Path(sys.argv[1]), seconds=60.0) as process:
    print(process.pid, flush=True)
    time.sleep(60.0)
"""
MEASUREMENT = """
import os, sys, time
from pathlib import Path
from bench import accuracy
from bench.claim import Experiment

def measure():
    print(os.getpid(), flush=True)
    time.sleep(60.0)
    return []

accuracy.LEDGER_DIR = Path(sys.argv[1])
accuracy.table((lambda: [Experiment([], measure, runs_beside_others=True)],), ())
"""
SOON = 10.0


def begun(program: str, *words: str, scratch: Path) -> tuple[subprocess.Popen[str], int]:
    """The program at work, and the number that it says first."""
    process = subprocess.Popen([sys.executable, "-c", program, *words], stdout=subprocess.PIPE, text=True,
                               env={**os.environ, "TMPDIR": str(scratch)})
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def ended(process: subprocess.Popen[str], number: signal.Signals) -> int:
    process.send_signal(number)
    process.communicate(timeout=SOON)
    return process.returncode


def is_soon(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + SOON
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_benchmark_that_is_ended_takes_its_servers_and_folders_with_it(
        tmp_path: Path, number: signal.Signals) -> None:
    process, port = begun(SERVER, scratch=tmp_path)
    assert ended(process, number) != 0
    assert is_free(port)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_a_benchmark_that_is_killed_takes_its_servers_with_it(tmp_path: Path) -> None:
    process, port = begun(SERVER, scratch=tmp_path)
    ended(process, signal.SIGKILL)
    assert is_soon(lambda: is_free(port))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_a_measurement_beside_others_does_not_go_on_alone(tmp_path: Path) -> None:
    process, pid = begun(MEASUREMENT, str(tmp_path), scratch=tmp_path)
    os.kill(process.pid, signal.SIGKILL)  # the measurement has its output too
    assert is_soon(lambda: has_ended(pid))
    process.communicate(timeout=SOON)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_a_generator_that_stands_still_is_not_left_so(tmp_path: Path) -> None:
    process, pid = begun(GENERATOR, str(tmp_path / "nothing.py"), scratch=tmp_path)
    os.kill(pid, signal.SIGSTOP)  # as between its turns
    ended(process, signal.SIGKILL)
    assert is_soon(lambda: has_ended(pid))


def has_ended(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
