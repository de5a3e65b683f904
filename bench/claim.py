"""What the accuracy benchmark claims before it measures, and how near it must come."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from amply_capacity.interval import Interval

__all__ = ["Claim", "Experiment"]


@dataclass(frozen=True, slots=True)
class Claim:
    """One prediction. `allowed` is the error it may have: of what is measured, or in points of a share."""

    quantity: str
    case: str
    unit: str
    """`points` for a share between 0 and 1, whose error is a difference; else the error is relative."""
    predicted: Interval
    allowed: float | None
    """None for a row that is told and not judged."""

    def error(self, measured: float) -> float:
        """Signed: predicted less measured, in points of 100, or over what was measured in percent; where
        that is 0, endless."""
        if self.unit == "points":
            return 100.0 * (self.predicted.mid - measured)
        if measured == 0.0:
            return math.inf if self.predicted.mid else 0.0
        return 100.0 * (self.predicted.mid / measured - 1.0)

    @property
    def limit(self) -> float | None:
        """The error that is allowed, as `error` tells one."""
        return self.allowed if self.allowed is None or self.unit == "points" else 100.0 * self.allowed


@dataclass(frozen=True, slots=True)
class Experiment:
    """Claims that one measurement settles. The predictions are made when it is made, before anything is
    run."""

    claims: Sequence[Claim]
    measure: Callable[[], Sequence[float]]
    """Runs real servers; what was measured of each claim, in their order."""
    inputs: Any = None
    """What the predictions were made from; its hash stands in the ledger."""
    withheld: Sequence[str] = field(default=(), kw_only=True)
    """What could not be predicted, with the reason: told, and not judged."""
    runs_beside_others: bool = field(default=False, kw_only=True)
    """It keeps its own times and leaves most of a core free."""
