"""What the benchmarks of imports and plans say of memory and CPU, as `make bench` runs them: after others."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from bench import plan, production

BEFORE_S, BEFORE_MB = 8.0, 1_200.0


@pytest.fixture(scope="module", autouse=True)
def other_benchmarks() -> Iterator[None]:
    held = np.ones(int(BEFORE_MB * 1e6) // 8)
    subprocess.run([sys.executable, "-c", f"import time\nwhile time.process_time() < {BEFORE_S}: pass"],
                   check=True)
    yield
    assert held.all()


def test_an_imports_memory_and_cpu_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(production, "_CLUSTERS", 1)
    monkeypatch.setattr(production, "_DAYS", 1)
    found = re.search(r"of CPU +([\d.]+)\nresident +([\d,]+) MB", production.table())
    assert found is not None
    assert float(found[1]) < BEFORE_S
    assert float(found[2].replace(",", "")) < BEFORE_MB


def test_a_plans_memory_is_its_own() -> None:
    assert plan._one("Amply as it is")["resident_mb"] < BEFORE_MB
