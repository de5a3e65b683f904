"""The day on which something that grows crosses a limit: in every world, and as an interval of dates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np

from amply_capacity.plan.worlds import Floats

__all__ = ["MONTH_DAYS", "Crossing", "crossing", "months_until"]

MONTH_DAYS = 30.4375
_QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True, slots=True)
class Crossing:
    """Dates between which it happens in nine of ten worlds; None: not within the horizon."""

    low: date | None
    """The early one: by then it has happened in 5 % of the worlds."""
    mid: date | None
    high: date | None
    probability: float
    """Share of the worlds in which it happens within the horizon."""

    def as_json(self) -> dict[str, Any]:
        dates = {name: None if day is None else day.isoformat()
                 for name, day in (("low", self.low), ("mid", self.mid), ("high", self.high))}
        return {**dates, "probability_within_horizon": round(self.probability, 4)}


def months_until(values: Floats, limit: float) -> Floats:
    """Months until each row reaches the limit, by straight lines between the months; infinite where never.

    Shape (worlds,). What has reached it today is 0.
    """
    reached = values >= limit
    first = np.argmax(reached, axis=1)
    rows = np.arange(len(values))
    before, after = values[rows, np.maximum(first - 1, 0)], values[rows, first]
    rise = np.where(after > before, after - before, 1.0)
    months = np.where(first > 0, first - 1 + (limit - before) / rise, 0.0)
    return np.where(reached.any(axis=1), months, np.inf)


def crossing(months: Floats, start: date) -> Crossing:
    """The dates of those months from `start` on."""
    # Without interpolation: a quantile between a month and never would be neither.
    found = np.quantile(months, _QUANTILES, method="inverted_cdf")
    low, mid, high = (None if np.isinf(one) else start + timedelta(days=round(float(one) * MONTH_DAYS))
                      for one in found)
    return Crossing(low, mid, high, float(np.isfinite(months).mean()))
