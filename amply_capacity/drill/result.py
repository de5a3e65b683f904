"""The answer of a drill: what clients saw, what is gone, and how it came about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from amply_capacity.drill.counts import Counts
from amply_capacity.drill.moment import Moment
from amply_capacity.drill.outage import Outage
from amply_capacity.drill.refill import Refill
from amply_capacity.drill.storm import Storm
from amply_capacity.drill.timeline import Timeline
from amply_capacity.drill.writes import CheckedWrites

__all__ = ["DrillResult"]


@dataclass(frozen=True, slots=True)
class DrillResult:
    """One drill. What is None was not measured, and `unknown` says why."""

    kind: str
    topology: str
    persistence: str
    scenario: str
    rate: float
    users: int
    population: int
    run: Path
    began_s: float
    """Of the load, Unix time."""
    ended_s: float
    fault_s: float | None
    is_completed: bool
    why_not: str | None
    """Why it is not: Sentinel's own reason, or the servers'."""
    outage: Outage | None
    """Of all operations; on a sharded cluster of the shard that was drilled."""
    outages: dict[str, Outage]
    """By use case."""
    counts: Counts | None
    counts_by_use_case: dict[str, Counts]
    writes: CheckedWrites | None
    storm: Storm | None
    refill: Refill | None
    timeline: Timeline
    moments: Sequence[Moment]
    predicted: dict[str, Any] = field(default_factory=dict)
    """By quantity: the prediction beside what was measured."""
    facts: dict[str, Any] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The contract's object (DESIGN section 4), and everything else that was found."""
        writes = self.writes.as_json() if self.writes is not None else {
            "writes": None, "sessions": None, "celery_results": None, "limits": None}
        return {
            "drill": self.kind, "topology": self.topology, "completed": self.is_completed,
            "reason": self.why_not,
            "unavailable_seconds": _seconds(self.outage),
            "failed_operations": None if self.counts is None else self.counts.failed,
            "delayed_operations": None if self.counts is None else self.counts.delayed,
            "lost_writes": None if self.writes is None else self.writes.lost,
            "lost_sessions": None if self.writes is None else self.writes.sessions.lost,
            "run": str(self.run),
            "persistence": self.persistence, "scenario": self.scenario, "rate_per_second": self.rate,
            "users": self.users, "population": self.population,
            "seconds": round(self.ended_s - self.began_s, 3),
            "fault_at_seconds": None if self.fault_s is None else round(self.fault_s - self.began_s, 3),
            "is_available_again": None if self.outage is None else self.outage.is_over,
            "unavailable": [] if self.outage is None else [
                {"at_seconds": round(gap.from_s - self.began_s, 3), "seconds": round(gap.seconds, 3)}
                for gap in self.outage.gaps],
            "use_cases": self._use_cases(),
            **writes,
            "connections": None if self.storm is None else self.storm.as_json(),
            "cache": None if self.refill is None else self.refill.as_json(),
            "predicted": self.predicted, **self.facts, "unknown": self.unknown,
            "timeline": self.timeline.as_json(),
            "events": [moment.as_json(self.began_s) for moment in self.moments],
        }

    def _use_cases(self) -> dict[str, Any]:
        found = {}
        for name, counts in sorted(self.counts_by_use_case.items()):
            outage = self.outages.get(name)
            found[name] = {
                "unavailable_seconds": _seconds(outage),
                "resolution_seconds": None if outage is None or outage.resolution_seconds is None
                else round(outage.resolution_seconds, 3),
                "operations": counts.operations, "failed": counts.failed,
                "failed_by_outcome": counts.failed_by_outcome, "delayed": counts.delayed,
                "delayed_from_ms": counts.delayed_from_ms}
        return found


def _seconds(outage: Outage | None) -> float | None:
    seconds = None if outage is None else outage.unavailable_seconds
    return None if seconds is None else round(seconds, 3)
