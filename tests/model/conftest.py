"""Makes runs with known answers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from amply_capacity.run.reader import Run

sys.path.insert(0, str(Path(__file__).parent))
from synthetic_run import synthetic_run


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Run]:
    count = iter(range(1_000))

    def make(**options: Any) -> Run:
        return synthetic_run(tmp_path / f"run-{next(count)}", **options)

    return make
