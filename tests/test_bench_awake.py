"""The core that benchmarks keep awake, and what they know of its speed."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from bench.awake import Core, awake


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux pins processes and has idle ones")
def test_a_core_is_kept_awake_by_a_process_that_ends_with_it() -> None:
    number = max(os.sched_getaffinity(0))
    began = time.time()
    with awake(number) as core:
        deadline = time.monotonic() + 60.0  # it runs only where nobody else wants the core
        while not core.readings.read_text().endswith("\n") and time.monotonic() < deadline:
            time.sleep(0.05)
        assert core.speed(began, time.time()) > 10_000.0, "rounds of an empty loop a second"
    assert not core.readings.exists()
    with pytest.raises(FileNotFoundError):
        core.speed(began, time.time())


def test_a_speed_is_the_geometric_mean_of_whole_readings_between_two_moments(tmp_path: Path) -> None:
    core = Core(tmp_path / "speeds")
    core.readings.write_text("10.1 1000\n10.2 4000\n11.5 9000\n11.6 90")
    assert core.speed(10.0, 11.0) == pytest.approx(2_000.0)
    assert core.speed(11.0, 12.0) == pytest.approx(9_000.0), "the last line is still being written"
    with pytest.raises(RuntimeError, match="never free between 20 and 21"):
        core.speed(20.0, 21.0)
