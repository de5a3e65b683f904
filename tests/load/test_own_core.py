"""A core of its own for the server, given and given back, on real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from locust_process import run_locust

from amply_capacity.load.own_core import OwnCore
from amply_capacity.run.reader import read_run

needs_two_cores = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="a host of one core")


@pytest.fixture
def sleeper() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    before = os.sched_getaffinity(0)
    yield process.pid
    os.sched_setaffinity(0, before)
    process.kill()
    process.wait()


@needs_two_cores
def test_server_and_generator_share_no_core_until_it_is_given_back(sleeper: int) -> None:
    before = os.sched_getaffinity(0)
    taken = OwnCore.take(sleeper)
    assert taken is not None
    assert os.sched_getaffinity(sleeper) == {taken.core}
    assert os.sched_getaffinity(0) == before - {taken.core}
    taken.give_back()
    assert os.sched_getaffinity(sleeper) == os.sched_getaffinity(0) == before


@needs_two_cores
def test_where_there_is_one_core_or_no_server_nothing_is_changed(sleeper: int) -> None:
    before = os.sched_getaffinity(0)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert OwnCore.take(gone.pid) is None
    assert os.sched_getaffinity(0) == before
    os.sched_setaffinity(0, {min(before)})
    assert OwnCore.take(sleeper) is None
    assert os.sched_getaffinity(sleeper) == before


@needs_two_cores
@pytest.mark.parametrize(("share", "is_placed"), [("", True), ("1", False)])
def test_a_run_says_which_core_its_server_had(tmp_path: Path, share: str, is_placed: bool) -> None:
    code, words = run_locust(
        "rate_limit", "-u", "2", "-r", "2", "-t", "4s", "--arrivals", "poisson", "--rate", "50",
        "--prefill", "0", "--run-dir", str(tmp_path / "run"), log=tmp_path / "log", AMPLY_SHARE_CORES=share)
    assert code == 0, words
    core = read_run(tmp_path / "run").manifest["generator"]["server_core"]
    assert (core is not None) == is_placed
