"""The promises of the demand against what the run showed, on the host where it was recorded."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from amply_capacity.interval import Interval
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.measured import Measured

__all__ = ["Objective", "objectives"]


@dataclass(frozen=True, slots=True)
class Objective:
    """One promise; `measured` is None where no run holds the figure."""

    what: str
    target: Interval
    unit: str
    measured: float | None
    run_id: str | None
    is_lower_better: bool = True

    @property
    def is_met(self) -> bool | None:
        """None where it was not measured, or lies within an uncertain target's bounds."""
        if self.measured is None:
            return None
        if self.measured <= self.target.low:
            return self.is_lower_better or (self.target.is_exact and self.measured == self.target.low)
        return (not self.is_lower_better) if self.measured >= self.target.high else None

    def as_json(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "target": self.target.mid,
            "unit": self.unit,
            "measured": None if self.measured is None else float(f"{self.measured:.6g}"),
            "met": self.is_met,
            "run_id": self.run_id,
        }


def objectives(demand: Demand, figures: Measured) -> tuple[Objective, ...]:
    """p99 of each use case, hit rate, evictions; the p99 is the recording host's, not a node's."""
    found = []
    for use_case in (field.name for field in fields(demand.slo.p99_ms)):
        latency = figures.latency.get(use_case)
        p99_ms = None
        if latency is not None:
            p99_ms = latency.service_p99_ms if latency.response_p99_ms is None else latency.response_p99_ms
        clock = "service" if latency is None or latency.response_p99_ms is None else "response"
        found.append(Objective(f"p99 {clock} time of {use_case} on the recording host",
                               getattr(demand.slo.p99_ms, use_case), "ms", p99_ms,
                               figures.run_of.get(f"{use_case} latency")))
    hit_percent = None if figures.hit_rate is None else 100.0 * figures.hit_rate
    found.append(Objective("hit rate of cached reads", demand.slo.hit_rate_percent, "percent", hit_percent,
                           figures.run_of.get("hit_rate"), is_lower_better=False))
    found.append(Objective("evictions", demand.slo.evictions_per_minute, "per minute",
                           figures.evictions_per_minute, figures.run_of.get("evictions")))
    return tuple(found)
