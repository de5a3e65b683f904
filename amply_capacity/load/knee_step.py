"""A step of a knee search: what it is told second by second, and what comes of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amply_capacity.model.knee import StepCounts

__all__ = ["OpenStep", "Step", "StepSecond"]

_SETTLE_SECONDS = 1


@dataclass(frozen=True, slots=True)
class StepSecond:
    """What happened in one whole Unix second of the load, all generator processes together."""

    second: int
    rate_per_second: float | None
    """The rate that was asked for during the whole second; None where it changed within it."""
    offered: int
    """Intended starts in this second, by the schedule."""
    finished: int
    """Operations that ended in this second, whatever their outcome."""
    times: Mapping[str, tuple[NDArray[np.int64], NDArray[np.int64]]]
    """By use case: response times of the operations that succeeded, as `bucket_us` and `count` of a run."""
    failed: Mapping[str, int] = field(default_factory=dict)
    """By use case: operations that failed; they count as beyond the objective."""
    lateness_p99_ms: float | None = None
    is_generator_bound: bool = False
    """Whether the generator, not the server, was the bottleneck."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rate, offered for some seconds, and what came of it."""

    number: int
    rate_per_second: float
    seconds: tuple[int, ...]
    """The Unix seconds that were measured: settled, and not the generator's fault."""
    verdict: str
    """held, failed, behind (the server fell behind: ended at once), undecided or generator-bound."""
    achieved_per_second: float
    counts: Mapping[str, StepCounts]
    """By use case; empty where the generator was the bottleneck."""
    lateness_p99_ms: float | None
    """The worst second's."""

    def as_event(self) -> dict[str, Any]:
        """Detail of the event `knee`/`step`; `model.knee_curve` finds the counts again in the requests."""
        return {"number": self.number, "rate_per_second": self.rate_per_second, "seconds": list(self.seconds),
                "verdict": self.verdict, "achieved_per_second": round(self.achieved_per_second, 3),
                "lateness_p99_ms": self.lateness_p99_ms}


class OpenStep:
    """The step that is under way."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.seen = 0
        self.measured: list[StepSecond] = []
        self.flagged: list[StepSecond] = []
        self.backlog = 0.0
        self._growing = 0

    def take(self, second: StepSecond) -> bool:
        """Add a second; whether the server has fallen behind.

        That is a quarter of a second's operations unanswered, or a backlog that grows for three seconds. A
        stall of the host is made up for in the second after it.
        """
        before = self.backlog
        self.backlog = max(before + second.offered - second.finished, 0.0)
        self._growing = self._growing + 1 if self.backlog > before + 0.01 * second.offered else 0
        noise = 3.0 * math.sqrt(second.offered)
        is_behind = self.backlog > 0.25 * second.offered + noise or (
            self._growing >= 3 and self.backlog > 0.05 * second.offered + noise)
        self.seen += 1
        if self.seen > _SETTLE_SECONDS or is_behind:
            (self.flagged if second.is_generator_bound else self.measured).append(second)
        return is_behind
