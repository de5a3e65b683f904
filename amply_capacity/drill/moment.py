"""What happened when in a drill: rows of the run's events, and the marks of its timeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["DRILL", "FAILOVER", "Moment"]

DRILL = "drill"
"""Kind of what the drill itself did or saw."""
FAILOVER = "failover"
"""Kind of what Sentinels, the servers' logs or AWS told of a failover, under their own names for it."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One event."""

    time_s: float
    """Unix time."""
    kind: str
    name: str
    detail: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self, began_s: float) -> dict[str, Any]:
        """With `at_seconds` since the load began beside the Unix time."""
        return {"time_s": round(self.time_s, 4), "at_seconds": round(self.time_s - began_s, 3),
                "kind": self.kind, "name": self.name, "detail": dict(self.detail)}
