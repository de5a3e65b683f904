"""What an import is asked for, whom it asks, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["Clients", "Imported", "Outcome", "Request"]


@dataclass(frozen=True, slots=True)
class Clients:
    """boto3 clients of the region."""

    cloudwatch: Any
    elasticache: Any


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for."""

    region: str
    cache: str | None
    """None: every cache of the region."""
    days: int
    period_s: int
    run_dir: Path | None = None
    """The run's own folder; of all caches the folder that theirs are made in."""

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "run_dir": None if self.run_dir is None else str(self.run_dir.resolve())}


@dataclass(frozen=True, slots=True)
class Imported:
    """One run that was made."""

    cache: str
    directory: Path
    summary: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """All of them, and why other caches have none."""

    runs: tuple[Imported, ...]
    left_out: Mapping[str, str]
