"""The drill in time: how many operations succeeded and failed in each short while, and what happened when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from amply_capacity.drill.journal_file import Played

__all__ = ["Timeline", "timeline_of"]

_BIN_SECONDS = 0.25
_MOST_BINS = 400


@dataclass(frozen=True, slots=True)
class Timeline:
    """Counts by bins of equal length, by use case."""

    began_s: float
    bin_seconds: float
    succeeded: Mapping[str, Sequence[int]]
    failed: Mapping[str, Sequence[int]]

    def as_json(self) -> dict[str, Any]:
        return {"began_s": round(self.began_s, 3), "bin_seconds": self.bin_seconds,
                "succeeded": {name: list(counts) for name, counts in self.succeeded.items()},
                "failed": {name: list(counts) for name, counts in self.failed.items()}}


def timeline_of(operations: Iterable[Played], began_s: float, ended_s: float) -> Timeline:
    """A quarter of a second a bin, or longer ones where that were more than 400; by when operations ended."""
    seconds = max(ended_s - began_s, _BIN_SECONDS)
    width = _BIN_SECONDS * max(int(np.ceil(seconds / _BIN_SECONDS / _MOST_BINS)), 1)
    bins = int(np.ceil(seconds / width))
    edges = began_s + width * np.arange(bins + 1)
    found: tuple[dict[str, list[float]], dict[str, list[float]]] = ({}, {})
    for one in operations:
        for times in found:
            times.setdefault(one.use_case, [])
        found[0 if one.is_ok else 1][one.use_case].append(one.ended_s)
    succeeded, failed = ({name: np.histogram(group[name], edges)[0].tolist() for name in sorted(group)}
                         for group in found)
    return Timeline(began_s, width, succeeded, failed)
