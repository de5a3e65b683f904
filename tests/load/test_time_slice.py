from __future__ import annotations

import platform
import subprocess
import sys

import pytest

_READ = """
import ctypes, os, struct
from amply_capacity.load.time_slice import ask_for_long_slices
def look():
    room = ctypes.create_string_buffer(48)
    number = {"x86_64": 315, "aarch64": 275}[os.uname().machine]
    assert ctypes.CDLL(None).syscall(number, 0, room, 48, 0) == 0
    _, policy, _, nice, _, slice_ns, _, _ = struct.unpack("=IIQiIQQQ", room.raw)
    print(policy, nice, slice_ns)
os.nice(3)
look()
ask_for_long_slices()
look()
"""


@pytest.mark.skipif(sys.platform != "linux" or platform.machine() not in {"x86_64", "aarch64"}
                    or tuple(map(int, platform.release().split(".")[:2])) < (6, 12),
                    reason="slices of one's own came with Linux 6.12")
def test_a_thread_asks_for_longer_slices_and_nothing_else() -> None:
    said = subprocess.run([sys.executable, "-c", _READ], check=True, capture_output=True, text=True,
                          timeout=60.0).stdout
    before, after = (tuple(map(int, line.split())) for line in said.splitlines())
    assert after[:2] == before[:2]
    assert before[2] < 100_000_000
    assert after[2] == 100_000_000
