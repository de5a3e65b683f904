"""The folder of a run, before anything is written into it."""

from __future__ import annotations

from pathlib import Path

from amply_capacity.errors import BadInput

__all__ = ["check_free"]


def check_free(directory: Path) -> None:
    """Raise BadInput unless a run can be written there: an empty directory, or none yet."""
    if directory.exists() and not directory.is_dir():
        raise BadInput("the run's folder is a file", got=f"{directory}", do="name a folder with --run-dir")
    if directory.exists() and any(directory.iterdir()):
        raise BadInput("the run's folder is not empty", got=f"{directory}", do="name a new one by --run-dir")
