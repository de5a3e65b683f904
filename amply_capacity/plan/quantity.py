"""A number in a demand file: known, or uncertain with its low, mid and high."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated

from pydantic import PlainValidator

from amply_capacity.interval import Interval
from amply_capacity.plan.faults import nearest

__all__ = ["INTERVAL_KEYS", "Amount", "AtLeastOne", "FreePercent", "GrowthPercent", "Percent", "Positive",
           "Share"]

INTERVAL_KEYS = ("low", "mid", "high", "confidence")
# Beyond this a number is a slip of the pen, and its powers would leave the range of a float.
_MOST = 1e12


class _Bounds:
    """Reads a number, or a table of low, mid and high, as an Interval whose ends lie within the bounds.

    Called by pydantic; raises ValueError naming all faults of the number.
    """

    def __init__(self, *, above: float = -math.inf, at_least: float = -math.inf,
                 at_most: float = _MOST) -> None:
        self.above, self.at_least, self.at_most = above, at_least, at_most

    def __call__(self, given: object) -> Interval:
        if isinstance(given, Interval):
            return given
        if isinstance(given, Mapping):
            return self._interval(given)
        if fault := self._fault(given):
            raise ValueError(fault)
        return Interval.exact(_as_float(given))

    def _interval(self, given: Mapping[str, object]) -> Interval:
        faults = [f"unknown key {key!r} ({nearest(key, INTERVAL_KEYS)})"
                  for key in given if key not in INTERVAL_KEYS]
        confidence = given.get("confidence", 0.9)
        if not _is_number(confidence) or not 0.0 < _as_float(confidence) < 1.0:
            faults.append(f"confidence must lie between 0 and 1, got {_shown(confidence)}")
        for key in ("low", "mid", "high"):
            fault = self._fault(given[key]) if key in given else "is missing"
            if fault:
                faults.append(f"{key} {fault}")
        if not faults:
            low, mid, high = (_as_float(given[key]) for key in ("low", "mid", "high"))
            if low <= mid <= high:
                return Interval(low, mid, high, _as_float(confidence))
            faults.append(f"low <= mid <= high does not hold: {low:g}, {mid:g}, {high:g}")
        raise ValueError("; ".join(faults))

    def _fault(self, given: object) -> str | None:
        if not _is_number(given):
            return f"must be a number, got {_shown(given)}"
        value = _as_float(given)
        if value < self.at_least:
            return f"must be at least {self.at_least:g}, got {_shown(given)}"
        if value <= self.above:
            return f"must be more than {self.above:g}, got {_shown(given)}"
        if value > self.at_most:
            return f"must be at most {self.at_most:g}, got {_shown(given)}"
        return None


def _is_number(given: object) -> bool:
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        return False
    return not math.isnan(given) if isinstance(given, float) else True


def _as_float(given: object) -> float:
    assert isinstance(given, (int, float))
    try:
        return float(given)
    except OverflowError:
        # TOML's integers have no bounds here; a float has.
        return math.inf if given > 0 else -math.inf


def _shown(given: object) -> str:
    text = repr(given)
    return text if len(text) <= 60 else f"{text[:57]}..."


Amount = Annotated[Interval, PlainValidator(_Bounds(at_least=0.0))]
Positive = Annotated[Interval, PlainValidator(_Bounds(above=0.0))]
AtLeastOne = Annotated[Interval, PlainValidator(_Bounds(at_least=1.0))]
Percent = Annotated[Interval, PlainValidator(_Bounds(at_least=0.0, at_most=100.0))]
Share = Annotated[Interval, PlainValidator(_Bounds(at_least=0.0, at_most=1.0))]
FreePercent = Annotated[Interval, PlainValidator(_Bounds(at_least=0.0, at_most=95.0))]
GrowthPercent = Annotated[Interval, PlainValidator(_Bounds(above=-100.0, at_most=1000.0))]
