"""Makes runs with known answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synthetic_run import synthetic_run

from amply_capacity.run.reader import Run


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Run]:
    count = iter(range(1_000))

    def make(**options: Any) -> Run:
        return synthetic_run(tmp_path / f"run-{next(count)}", **options)

    return make
