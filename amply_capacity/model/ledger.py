"""The ledger: what was predicted, what was then measured, and how often the intervals held the truth.

JSON Lines. A prediction is a line that is written before the measurement that it predicts; the measurement is
a line of its own, that names it. Nothing is ever changed or removed, so that a track record cannot be tidied
up. A line counts when it is whole: what a full disk or a crash left of the last one says nothing, and goes
when the next is written.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean, median
from typing import Any, BinaryIO

import numpy as np

from amply_capacity import __version__
from amply_capacity.disk import on_disk
from amply_capacity.errors import BadInput
from amply_capacity.interval import Interval

__all__ = ["Entry", "Ledger", "Score", "read_ledgers", "scores"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A prediction, and what was measured of it so far."""

    id: str
    quantity: str
    """What kind of figure, e.g. `hit rate`: scores are taken by it."""
    case: str
    """Of what, e.g. `8 MB, samples 5`."""
    unit: str
    predicted: Interval
    predicted_at: str
    """ISO 8601, UTC."""
    inputs_sha256: str
    """Of everything that the prediction was made from."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of what made it; empty in the oldest lines."""
    measured: float | None = None
    measured_at: str | None = None

    @property
    def is_inside(self) -> bool | None:
        """Whether the interval held what was measured; None before it was."""
        if self.measured is None:
            return None
        return bool(self.predicted.low <= self.measured <= self.predicted.high)

    @property
    def relative_error(self) -> float | None:
        """Predicted over measured, less 1; None before it was measured, or where that is 0."""
        return self.predicted.mid / self.measured - 1.0 if self.measured else None


@dataclass(frozen=True, slots=True)
class Score:
    """How good the predictions of one quantity have been."""

    quantity: str
    measured: int
    """Predictions that were measured."""
    inside: int
    """Those of them whose interval held the truth."""
    confidence: float
    """How often it should, mean of those that were measured (of all where none was)."""
    median_error: float | None
    """Of the relative errors' amounts; None where none can be told."""
    bias: float | None
    """The median relative error with its sign: above 0 where too much was predicted."""
    worst_error: float | None
    open: int
    """Predictions that have not been measured yet."""


class Ledger:
    """A file of predictions and measurements, appended to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def predict(self, quantity: str, case: str, unit: str, predicted: Interval, inputs: Any) -> str:
        """Write a prediction down; its id. `inputs` is what it was made from, anything that JSON can say."""
        content = json.dumps(inputs, sort_keys=True, default=str).encode()
        line = {
            "quantity": quantity, "case": case, "unit": unit, "low": predicted.low,
            "predicted": predicted.mid, "high": predicted.high, "confidence": predicted.confidence,
            "predicted_at": _now(),
            "inputs_sha256": hashlib.sha256(content).hexdigest(),
            "versions": {"amply_capacity": __version__, "numpy": np.__version__,
                         "python": platform.python_version()},
        }
        name = hashlib.sha256(json.dumps(line, sort_keys=True).encode()).hexdigest()[:16]
        self._append({"prediction": name, **line})
        return name

    def measure(self, name: str, measured: float) -> None:
        """Write down what was measured of a prediction."""
        if not math.isfinite(measured):
            raise ValueError(f"a measurement is a number, got {measured}")
        self._append({"measurement_of": name, "measured": measured, "measured_at": _now()})

    def _append(self, line: dict[str, Any]) -> None:
        with on_disk(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "ab+") as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # so that no line is looked at that another process writes
                _mend_end(file)
                file.write(f"{json.dumps(line, ensure_ascii=False)}\n".encode())

    def entries(self) -> list[Entry]:
        """The predictions, oldest first. Raises BadInput that names each line that cannot be read, up to
        ten."""
        return list(_entries(self.path))


def read_ledgers(*directories: Path) -> list[Entry]:
    """The entries of every `*.jsonl` of these directories; none where there is no such directory.

    A prediction that stands in several, as in a copy of a ledger, is one.
    """
    files = {path.resolve(): None for directory in directories for path in sorted(directory.glob("*.jsonl"))}
    entries: dict[str, Entry] = {}
    for path in files:
        for entry in _entries(path):
            if entry.id not in entries or entries[entry.id].measured is None:
                entries[entry.id] = entry
    return list(entries.values())


def scores(entries: Iterable[Entry]) -> list[Score]:
    """The track record, by quantity, in the order in which they were first predicted."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.quantity, []).append(entry)
    return [_score(quantity, group) for quantity, group in groups.items()]


def _score(quantity: str, group: list[Entry]) -> Score:
    measured = [entry for entry in group if entry.measured is not None]
    errors = [error for entry in measured if (error := entry.relative_error) is not None]
    return Score(
        quantity, len(measured), sum(entry.is_inside is True for entry in measured),
        fmean(entry.predicted.confidence for entry in measured or group),
        median(map(abs, errors)) if errors else None, median(errors) if errors else None,
        max(map(abs, errors)) if errors else None, len(group) - len(measured))


def _entries(path: Path) -> Iterator[Entry]:
    predictions: dict[str, dict[str, Any]] = {}
    measurements: dict[str, dict[str, Any]] = {}
    faults: list[str] = []
    try:
        *lines, last = path.read_bytes().split(b"\n")
    except OSError as error:
        raise BadInput(f"the ledger {path} cannot be read", got=str(error)[:120],
                       do="restore the file, or move it away") from None
    if _is_whole(last):
        lines.append(last)
    for number, line in enumerate(lines, 1):
        try:
            content = json.loads(line)
            if "prediction" in content:
                Interval(content["low"], content["predicted"], content["high"], content["confidence"])
                if predictions.setdefault(content["prediction"], content) != content:
                    raise ValueError("it predicts otherwise what was predicted before")
            elif content["measurement_of"] not in predictions:
                raise ValueError("it measures what was not predicted before it")
            elif content["measured_at"] < predictions[content["measurement_of"]]["predicted_at"]:
                raise ValueError("it was measured before it was predicted")
            else:
                measurements.setdefault(content["measurement_of"], content)  # the first one counts
        except (ValueError, KeyError, TypeError) as error:
            faults.append(f"line {number}: {error or type(error).__name__}"[:120])
    if faults:
        raise BadInput(f"the ledger {path} has {len(faults)} lines that say nothing",
                       got="; ".join(faults[:10]),
                       do="restore the file, or move it away")
    for name, content in predictions.items():
        found = measurements.get(name, {})
        yield Entry(
            name, content["quantity"], content["case"], content["unit"],
            Interval(content["low"], content["predicted"], content["high"], content["confidence"]),
            content["predicted_at"], content["inputs_sha256"], content.get("versions", {}),
            found.get("measured"),
            found.get("measured_at"))


def _mend_end(file: BinaryIO) -> None:
    """Leave a file that lines may be added to: the last one is ended if it is whole, else cut off."""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    last = file.read().rpartition(b"\n")[2]
    if _is_whole(last):
        file.write(b"\n")
    else:
        file.truncate(end - len(last))


def _is_whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
