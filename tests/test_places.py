"""Where the checkout keeps its things, and how that is moved."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from amply_capacity import files

SCRIPT = ("from amply_capacity.files import CLUSTERS_DIR, DATA_DIR, RUNS_DIR\n"
          "print(RUNS_DIR, CLUSTERS_DIR, DATA_DIR, sep='\\n')")


def places(**environment: str) -> list[Path]:
    surroundings = {name: value for name, value in os.environ.items() if name != "AMPLY_STATE_DIR"}
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True,
                          env=surroundings | environment)
    return [Path(line) for line in done.stdout.splitlines()]


def test_what_ships_is_where_it_is_said_to_be() -> None:
    assert (files.ROOT / "pyproject.toml").is_file()
    assert (files.DATA_DIR / "demand.example.toml").is_file()
    assert (files.NOTEBOOKS_DIR / "01_run_review.ipynb").is_file()


@pytest.mark.parametrize("environment", [{}, {"AMPLY_STATE_DIR": ""}])
def test_runs_and_clusters_lie_under_data_unless_moved(environment: dict[str, str]) -> None:
    assert places(**environment) == [files.DATA_DIR / "runs", files.DATA_DIR / "clusters", files.DATA_DIR]


def test_a_state_directory_moves_runs_and_clusters_but_not_what_ships(tmp_path: Path) -> None:
    assert places(AMPLY_STATE_DIR=str(tmp_path)) == [tmp_path / "runs", tmp_path / "clusters", files.DATA_DIR]


def test_the_tests_themselves_leave_the_checkouts_state_alone() -> None:
    assert not files.RUNS_DIR.is_relative_to(files.ROOT)
    assert not files.CLUSTERS_DIR.is_relative_to(files.ROOT)
