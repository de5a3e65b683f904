"""One node type in one month: headroom per constraint, the one that binds, and in words why it does not do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from amply_capacity.catalog.nodes import NodeType
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.needs import Needs
from amply_capacity.plan.sizing import UNITS, capacities, fits
from amply_capacity.plan.worlds import Floats

__all__ = ["Fit", "Headroom", "fit_of", "in_words"]


@dataclass(frozen=True, slots=True)
class Headroom:
    """One constraint: what is needed (5 %, 50 %, 95 %, and at the plan's confidence) and what there is."""

    constraint: str
    needed_low: float
    needed_mid: float
    needed_high: float
    needed: float
    available: float | None
    how: str
    probability: float | None
    """Share of the worlds in which it is enough; None where the catalog does not know what there is."""

    @property
    def share_left(self) -> float | None:
        """1 is idle, 0 is full, below 0 is too small; at the plan's confidence."""
        return None if self.available is None else 1.0 - self.needed / self.available

    @property
    def least_left(self) -> float:
        """`share_left`, or less than any where it is not known."""
        return -np.inf if self.share_left is None else self.share_left

    def as_json(self) -> dict[str, Any]:
        left = self.share_left
        return {
            "constraint": self.constraint,
            "unit": UNITS[self.constraint],
            "needed_low": float(f"{self.needed_low:.6g}"),
            "needed_mid": float(f"{self.needed_mid:.6g}"),
            "needed_high": float(f"{self.needed_high:.6g}"),
            "needed": float(f"{self.needed:.6g}"),
            "available": None if self.available is None else float(f"{self.available:.6g}"),
            "available_is": self.how,
            "headroom_percent": None if left is None else round(100.0 * left, 2),
            "probability": None if self.probability is None else round(self.probability, 4),
        }


@dataclass(frozen=True, slots=True)
class Fit:
    """`probability` is the share of the worlds in which the type has enough of everything."""

    node_type: str
    constraints: tuple[Headroom, ...]
    probability: float
    confidence: float

    @property
    def unknown(self) -> tuple[Headroom, ...]:
        return tuple(headroom for headroom in self.constraints if headroom.available is None)

    @property
    def is_enough(self) -> bool:
        """Whether it fits in as many worlds as the plan asks; never, where a fact is unknown."""
        return not self.unknown and self.probability >= self.confidence

    @property
    def binding(self) -> Headroom:
        """The constraint with the least headroom, an unknown one before all."""
        return min(self.constraints, key=lambda headroom: headroom.least_left)

    @property
    def reason(self) -> str:
        """Why it does not do, or how close its tightest constraint is."""
        worst = self.binding
        if worst.available is None:
            return f"unknown: the catalog does not hold {worst.how}, so it cannot be shown to fit"
        percentile = f"{100.0 * self.confidence:g}th percentile"
        text = (f"needs {in_words(worst.needed, UNITS[worst.constraint])} of "
                f"{in_words(worst.available, UNITS[worst.constraint])} ({worst.how}) at the {percentile}")
        if worst.needed > worst.available:
            over_percent = 100.0 * (worst.needed / worst.available - 1.0)
            by = f"{over_percent:,.0f} %" if over_percent >= 1.0 else "just"
            return f"{text}: {by} too much"
        if not self.is_enough:
            share = f"{100.0 * self.probability:.1f} % of the worlds, {100.0 * self.confidence:g} % are asked"
            return f"fits in {share}; closest: {text}"
        return text


def fit_of(node: NodeType, demand: Demand, need: Needs, month: int, *, shards: int = 1, replicas: int = 1,
           engine: str | None = None) -> Fit:
    """The node type against the needs of one month, 0 being today; of the busiest of several shards."""
    confidence = demand.plan.confidence
    one_month = slice(month, month + 1)
    constraints = []
    for constraint, capacity in capacities(node, demand).items():
        needed = need.sorted_of(node, constraint, month, shards=shards, replicas=replicas, engine=engine)
        low, mid, high, at_confidence = (_quantile(needed, q) for q in (0.05, 0.5, 0.95, confidence))
        available = capacity.available
        probability = None if available is None else float(
            np.searchsorted(needed, available, side="right") / len(needed))
        constraints.append(Headroom(constraint, low, mid, high, at_confidence, available, capacity.how,
                                    probability))
    share = float(np.mean(fits(node, demand, need, one_month, shards=shards, replicas=replicas,
                               engine=engine)))
    return Fit(node.name, tuple(constraints), share, confidence)


def _quantile(rising: Floats, q: float) -> float:
    """As numpy's, of values that are sorted already."""
    place = q * (len(rising) - 1)
    left = min(int(place), len(rising) - 2) if len(rising) > 1 else 0
    right = min(left + 1, len(rising) - 1)
    return float(rising[left] + (place - left) * (rising[right] - rising[left]))


def in_words(value: float, unit: str) -> str:
    """A figure with its unit as a person says it: `412 MB`, `0.21 cores`, `64 Mbit/s`."""
    if unit == "bytes":
        return f"{value / 1e6:,.0f} MB" if value < 1e10 else f"{value / 1e9:,.1f} GB"
    if unit == "bits per second":
        return f"{value / 1e6:,.3g} Mbit/s" if value < 1e9 else f"{value / 1e9:,.3g} Gbit/s"
    return f"{value:,.3g} {unit}" if unit in ("cores", "ms") else f"{value:,.0f} {unit}"
