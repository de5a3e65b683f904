"""Where the knee is: a search that is told what happened in each second, and says what to offer next.

No I/O, no clock, no Locust: whoever drives it offers `rate`, calls `observe` once for every finished second,
and stops when `done`. The rate is multiplied until a step clearly fails; from then on each step is where it
tells most about the knee as `model.knee` estimates it from all steps so far (probabilistic bisection: Waeber,
Frazier, Henderson, SIAM J. Control Optim. 51, 2013): at its median, later a little to either side.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from amply_capacity.load.knee_step import OpenStep, Step, StepSecond
from amply_capacity.model.knee import (
    ALLOWED_SHARE,
    Bounds,
    StepCounts,
    clearness,
    first_knee,
    share_beyond,
)

__all__ = ["Knee", "KneeSearch"]

_CLEAR = 2.2  # standard scores; looked at every second, so more than the 1.65 of a single look
_CLEAR_AT_ONCE = 4.0
_LEAST_SECONDS, _MOST_SECONDS = 2, 6
_DRAIN_SECONDS = 20
_WIDE = 1.25  # while the knee is known no better than by this factor, steps are at its median
_ASIDE = 0.7  # steps at half and at twice the allowed share tell the slope
_LEAST_RATE = 1.0


@dataclass(frozen=True, slots=True)
class Knee:
    """What the search found: operations a second. A bound that was not measured is None."""

    low: float | None
    mid: float | None
    high: float | None
    confidence: float
    use_case: str | None
    """The one whose objective gives out first; None where none did."""
    reason: str
    """Why the search stopped, a clause."""
    load_seconds: int
    steps: tuple[Step, ...]

    def as_json(self) -> dict[str, Any]:
        """The manifest's `knee`, and detail of the event `knee`/`ended`."""
        return {"low": self.low, "mid": self.mid, "high": self.high, "confidence": self.confidence,
                "use_case": self.use_case, "reason": self.reason, "load_seconds": self.load_seconds,
                "steps": len(self.steps)}


class KneeSearch:
    """The search. `rate` is what to offer now, `observe` what happened, `result` the answer once `done`.

    `objectives_ms`: p99 response time by use case; those without one are not judged. It ends when the
    interval's half-width is at most `half_width` of its middle, after `load_seconds` of load, at `most_rate`,
    or where the generator is the bottleneck twice in a row: then the knee is above what held. Raises
    ValueError for numbers that are out of range.
    """

    def __init__(self, objectives_ms: Mapping[str, float], start_rate: float, *, confidence: float = 0.9,
                 half_width: float = 0.05, growth: float = 2.0, load_seconds: int = 90,
                 most_rate: float = math.inf) -> None:
        if not objectives_ms or min(objectives_ms.values()) <= 0.0 or not 0.0 < start_rate <= most_rate:
            raise ValueError(f"objectives and rates have to be positive: {dict(objectives_ms)}, {start_rate}")
        if not 0.0 < confidence < 1.0 or half_width <= 0.0 or growth <= 1.0:
            raise ValueError(f"out of range: confidence {confidence}, half_width {half_width}, "
                             f"growth {growth}")
        self.objectives_ms = dict(objectives_ms)
        self.confidence = confidence
        self._half_width, self._growth = half_width, growth
        self._load_seconds, self._most_rate = load_seconds, most_rate
        self._steps: list[Step] = []
        self._step = OpenStep(start_rate)
        self._draining: int | None = None
        self._seconds = 0
        self._result: Knee | None = None

    @property
    def rate(self) -> float:
        """Operations a second to offer now; 0 when done."""
        if self._result is not None:
            return 0.0
        return self._step.rate if self._draining is None else self._drain_rate()

    @property
    def done(self) -> bool:
        return self._result is not None

    @property
    def result(self) -> Knee:
        """What was found. Raises ValueError while the search goes on."""
        if self._result is None:
            raise ValueError("the search is not done")
        return self._result

    def as_event(self) -> dict[str, Any]:
        """Detail of the event `knee`/`began`."""
        return {"objectives_ms": self.objectives_ms, "confidence": self.confidence}

    def observe(self, second: StepSecond) -> Step | None:
        """Take a finished second in; the step that it ended, if any.

        Within a step it costs some sums. When a step ends the knee is estimated, which takes some 10 ms: a
        process that also generates the load would delay it by that, in a second that is dropped as settling.
        """
        if self._result is not None:
            return None
        self._seconds += 1
        if self._draining is not None:
            self._drain(second)
        elif second.rate_per_second == self._step.rate:
            verdict = self._verdict(self._step.take(second))
            if verdict is not None:
                return self._end_step(verdict)
        if self._seconds >= self._load_seconds + _MOST_SECONDS:
            self.stop(f"{self._seconds} seconds of load were used")
        return None

    def stop(self, reason: str) -> None:
        """End the search with what is known by now; nothing where it has ended."""
        if self._result is not None:
            return
        use_case, bounds = self._estimate()
        if bounds.high is None and bounds.low is not None:
            reason += f": the knee is above {bounds.low:,.0f}"
        self._result = Knee(bounds.low, bounds.mid, bounds.high, self.confidence, use_case, reason,
                            self._seconds, tuple(self._steps))

    def _verdict(self, is_behind: bool) -> str | None:
        """The open step's; None while it goes on."""
        step = self._step
        if is_behind:
            return "generator-bound" if step.flagged else "behind"
        if len(step.flagged) >= max(_LEAST_SECONDS, len(step.measured)):
            both = self._counts(step.measured + step.flagged)
            if not both or max(one.share for one in both.values()) > ALLOWED_SHARE:
                return "generator-bound"
            # Late as the generator was, the objectives held: so they would without its delay.
            step.measured, step.flagged = step.measured + step.flagged, []
        counts = self._counts(step.measured)
        if counts:
            score = max(clearness(one, self.objectives_ms[use_case]) for use_case, one in counts.items())
            needed = _CLEAR if len(step.measured) >= _LEAST_SECONDS else _CLEAR_AT_ONCE
            if abs(score) > needed:
                return "failed" if score > 0.0 else "held"
        return "undecided" if len(step.measured) >= _MOST_SECONDS else None

    def _end_step(self, verdict: str) -> Step:
        open_step, is_blamed = self._step, verdict == "generator-bound"
        seconds = open_step.measured + (open_step.flagged if is_blamed else [])
        seconds = sorted(seconds, key=lambda one: one.second)
        late = [one.lateness_p99_ms for one in seconds if one.lateness_p99_ms is not None]
        ended = Step(
            len(self._steps) + 1, open_step.rate, tuple(one.second for one in seconds), verdict,
            sum(one.finished for one in seconds) / len(seconds),
            {} if is_blamed else self._counts(seconds), max(late) if late else None)
        is_second = is_blamed and bool(self._steps) and self._steps[-1].verdict == verdict
        self._steps.append(ended)
        if is_second:
            self.stop(f"the generator was the bottleneck at {open_step.rate:,.0f} operations a second")
        elif is_blamed:
            self._begin(open_step.rate, drains=True)
        else:
            self._go_on(drains=verdict == "behind" or open_step.backlog > 0.02 * seconds[-1].offered)
        return ended

    def _go_on(self, drains: bool) -> None:
        judged = [step for step in self._steps if step.counts]
        rates = [step.rate_per_second for step in judged]
        failed = [step for step in judged if step.verdict in ("failed", "behind")]
        if not judged:
            self.stop("no operation was answered")
        elif failed and len(failed) < len(judged) and self._estimate()[1].half_width <= self._half_width:
            self.stop("the interval is narrow enough")
        elif self._seconds >= self._load_seconds:
            self.stop(f"{self._seconds} seconds of load were used")
        elif not failed:
            if max(rates) >= self._most_rate:
                self.stop("the highest rate that was allowed held")
            else:
                self._begin(min(max(rates) * self._growth, self._most_rate), drains)
        elif len(failed) == len(judged):
            lower = min(rates) / self._growth**2
            if lower < _LEAST_RATE:
                self.stop("no rate held")
            else:
                self._begin(lower, drains)
        else:
            self._begin(self._next_rate(self._estimate()[1], min(rates), max(rates)), drains)

    def _next_rate(self, bounds: Bounds, lowest: float, highest: float) -> float:
        low, high = max(bounds.low or 0.0, lowest), min(bounds.high or math.inf, highest)
        middle = bounds.mid if bounds.mid is not None else math.sqrt(low * high)
        if high > low * _WIDE:
            return min(max(middle, low), high)
        aside = min(max(_ASIDE / bounds.slope, 0.25 * (high - low) / middle), 0.35)
        return middle * (1.0 + (aside if len(self._steps) % 2 else -aside))

    def _begin(self, rate: float, drains: bool) -> None:
        self._step = OpenStep(rate)
        self._draining = 0 if drains else None

    def _drain_rate(self) -> float:
        """Half of what is known to be served, so that the backlog goes."""
        held = [step.rate_per_second for step in self._steps if step.verdict == "held"]
        return 0.5 * max(held) if held else 0.25 * min(step.rate_per_second for step in self._steps)

    def _drain(self, second: StepSecond) -> None:
        """The next step begins once the operations of a second are within their objectives again."""
        self._draining = (self._draining or 0) + 1
        counts = self._counts([second])
        if second.rate_per_second == self._drain_rate() and counts and (
                max(one.share for one in counts.values()) <= ALLOWED_SHARE):
            self._draining = None
        elif self._draining >= _DRAIN_SECONDS:
            self.stop(f"the backlog was not served within {_DRAIN_SECONDS} seconds")

    def _counts(self, seconds: list[StepSecond]) -> dict[str, StepCounts]:
        """Operations beyond the objectives; use cases without an operation are left out."""
        found = {}
        for use_case, limit_ms in self.objectives_ms.items():
            pairs = []
            for one in seconds:
                times = one.times.get(use_case)
                beyond, total = (0.0, 0.0) if times is None else share_beyond(*times, limit_ms)
                failed = one.failed.get(use_case, 0)
                pairs.append((beyond + failed, total + failed))
            if sum(total for _, total in pairs) > 0.0:
                beyonds, totals = np.array(pairs, dtype=np.float64).T
                found[use_case] = StepCounts(self._step.rate, beyonds, totals)
        return found

    def _estimate(self) -> tuple[str | None, Bounds]:
        return first_knee([step.counts for step in self._steps if step.counts], self.objectives_ms,
                          self.confidence)
