"""How long the cache took to be warm again, and what the database behind it had to bear meanwhile."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

__all__ = ["Refill", "has_cached_reads", "refill_of"]

_READ = "cached_read"
_CALM_SECONDS = 3
"""So many seconds in a row at the usual level, and it is warm again."""
_FEWEST_BEFORE = 2


@dataclass(frozen=True, slots=True)
class Refill:
    """Misses of cached reads, each of which asks the database."""

    usual_misses_per_second: float
    peak_misses_per_second: int
    extra_misses: int
    """Above the usual, from the fault until it is warm again, or until the load ended."""
    refill_seconds: float | None
    """From the fault until misses were at their usual level again; None where that was not seen."""
    why_unknown: str | None = None

    def as_json(self) -> dict[str, Any]:
        found = asdict(self)
        del found["why_unknown"]
        return {**found, "usual_misses_per_second": round(self.usual_misses_per_second, 2),
                "refill_seconds": None if self.refill_seconds is None else round(self.refill_seconds, 1)}


def has_cached_reads(requests: pd.DataFrame) -> bool:
    """Whether the load had any."""
    return not _own(requests).empty


def refill_of(requests: pd.DataFrame, fault_s: float, began_s: float, ended_s: float) -> Refill | None:
    """From the run's requests, by whole seconds; None for a load without cached reads, or without two whole
    seconds before the fault to compare with.

    The usual level is that of the whole seconds before the fault, and what chance adds to it (two standard
    deviations of a Poisson count).
    """
    own = _own(requests)
    if own.empty:
        return None
    misses = own[own["outcome"] == "miss"].groupby("second")["count"].sum()
    reads = own[own["outcome"].isin(["hit", "miss"])].groupby("second")["count"].sum()
    fault, last = int(fault_s), int(ended_s) - 1
    before = [int(misses.get(second, 0)) for second in range(int(began_s) + 1, fault)]
    if len(before) < _FEWEST_BEFORE:
        return None
    usual = sum(before) / len(before)
    level = usual + 2.0 * math.sqrt(usual) + 1.0
    after = {second: int(misses.get(second, 0)) for second in range(fault, last + 1)}
    warm = next((second for second in after if second > fault and all(
        reads.get(one, 0) > 0 and after.get(one, math.inf) <= level
        for one in range(second, second + _CALM_SECONDS))), None)
    until = last + 1 if warm is None else warm
    disturbed = [second for second, count in after.items() if second < until and count > level]
    extra = sum(after[second] - usual for second in disturbed)
    # Where no second was above the level there was nothing to refill.
    seconds = None if warm is None else (disturbed[-1] + 1 - fault_s if disturbed else 0.0)
    unknown = (None if warm is not None else "misses were not back at their usual level for 3 s when "
               f"the load ended, {last + 1 - fault_s:.0f} s after the fault")
    return Refill(usual, max(after.values(), default=0), round(extra), seconds, unknown)


def _own(requests: pd.DataFrame) -> pd.DataFrame:
    """The rows of cached reads themselves, whatever commands they took."""
    return requests[(requests["operation"] == _READ) & (requests["command"] == "")
                    & (requests["clock"] == "service")]
