"""One figure of production beside the same of a load test, and the verdict on the two in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amply_capacity.interval import Interval

__all__ = ["ABOVE", "BELOW", "LIKE", "UNKNOWN", "LikenessFigure"]

LIKE, UNKNOWN = "like production", "not known"
ABOVE, BELOW = "above production", "below production"
_TOLERANCE = 0.05
"""A difference that no decision hangs on: what a plan takes from a test bears wider intervals."""


@dataclass(frozen=True, slots=True)
class LikenessFigure:
    """One figure of both; None where one of them does not tell it."""

    name: str
    unit: str
    production: Interval | None
    test: Interval | None
    missing: str = ""
    """Why one is None."""
    note: str = ""
    """How the two were made comparable."""

    @property
    def verdict(self) -> str:
        if self.production is None or self.test is None:
            return UNKNOWN
        if (self.test.low * (1.0 - _TOLERANCE) <= self.production.high
                and self.production.low <= self.test.high * (1.0 + _TOLERANCE)):
            return LIKE
        return ABOVE if self.test.mid > self.production.mid else BELOW

    @property
    def sentence(self) -> str:
        if self.production is None or self.test is None:
            return f"not known, since {self.missing}"
        unit = f" {self.unit}" if self.unit else ""
        there, here = _text(self.production), _text(self.test)
        words = f"{there}{unit} in production, {here} by the load test"
        if self.verdict != LIKE:
            factor = self.test.mid / self.production.mid if self.production.mid else float("inf")
            words += f": {_times(factor)}"
        return f"{words}{f' ({self.note})' if self.note else ''}"

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "unit": self.unit,
                "production": None if self.production is None else self.production.rounded(6),
                "test": None if self.test is None else self.test.rounded(6),
                "verdict": self.verdict, "sentence": self.sentence}


def _text(value: Interval) -> str:
    def number(one: float) -> str:
        return f"{one:,.0f}" if abs(one) >= 1_000 else f"{one:.3g}"

    if value.is_exact:
        return number(value.mid)
    return f"{number(value.mid)} ({number(value.low)} to {number(value.high)})"


def _times(factor: float) -> str:
    return f"{factor:.2g} times as much" if factor >= 1.995 else f"{100.0 * (factor - 1.0):+.0f} %"
