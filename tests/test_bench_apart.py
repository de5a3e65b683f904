"""What a command takes, whatever took more before it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from bench.apart import apart

LONGEST = 60.0


def test_what_was_taken_before_is_not_the_commands() -> None:
    assert np.ones(50_000_000).sum() > 0.0  # 400 MB, in this process
    subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 2.0: pass"], check=True)
    taken = apart("-c", "import sys; print(sys.argv[1:])", "a", "b", longest_seconds=LONGEST)
    assert taken.output == "['a', 'b']\n"
    assert taken.resident_mb < 100.0
    assert 0.0 < taken.cpu_seconds < 2.0
    assert taken.seconds > 0.0


def test_what_the_command_takes_is_told() -> None:
    taken = apart("-c", "block = b'x' * 200_000_000", longest_seconds=LONGEST)
    assert 200.0 < taken.resident_mb < 300.0


def test_a_command_that_fails_says_why() -> None:
    with pytest.raises(RuntimeError, match="no such thing"):
        apart("-c", "raise SystemExit('no such thing')", longest_seconds=LONGEST)
