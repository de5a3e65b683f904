"""What the emulator's benchmark tells beside speeds."""

from __future__ import annotations

import re

from bench.simulator import _memory


def test_the_emulators_memory_is_told_by_the_key() -> None:
    found = re.fullmatch(r"memory: (\d+) bytes a distinct key \(100 allowed\)", _memory(1_000_000))
    assert found is not None
    assert 22 < int(found[1]) < 100, "rows of 16 bytes, two bits and the buckets"
