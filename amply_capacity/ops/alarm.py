"""An alarm as CloudWatch defines it: a metric's statistic, compared with what, in how many of which periods.

The names and limits are those of `PutMetricAlarm` (CloudWatch API reference, 2026).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amply_capacity.errors import BadInput

__all__ = ["ALARM", "COMPARISONS", "INSUFFICIENT_DATA", "MISSING_TREATMENTS", "NAMESPACE", "OK", "Alarm"]

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"
NAMESPACE = "AWS/ElastiCache"
MISSING_TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")
_STATISTICS = ("Average", "Sum", "Minimum", "Maximum", "SampleCount")
_PERCENTILE = re.compile(r"p(100|\d{1,2}(\.\d{1,10})?)")
_SHORT_PERIODS_S = (10, 20, 30)
_DAY_S, _WEEK_S, _HOUR_S = 86_400, 604_800, 3_600

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

COMPARISONS: Mapping[str, tuple[str, Callable[[Floats, float], Bools]]] = {
    "GreaterThanThreshold": (">", np.greater),
    "GreaterThanOrEqualToThreshold": ("≥", np.greater_equal),
    "LessThanThreshold": ("<", np.less),
    "LessThanOrEqualToThreshold": ("≤", np.less_equal),
}
"""The sign of each comparison with a fixed threshold, and how it is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Fires where `datapoints_to_alarm` (M) of the last `evaluation_periods` (N) data points breach.

    Raises BadInput with everything that CloudWatch would refuse.

    Example: `Alarm(name="cpu", metric="CPUUtilization", statistic="Average", period_s=60, threshold=80.0,
    comparison="GreaterThanThreshold", evaluation_periods=3, datapoints_to_alarm=3, why="…", source="…")`
    """

    name: str
    metric: str
    statistic: str
    """Average, Sum, Minimum, Maximum, SampleCount, or a percentile such as p99 or p99.9."""
    period_s: int
    threshold: float
    comparison: str
    evaluation_periods: int
    datapoints_to_alarm: int
    missing: str = "missing"
    """How a missing data point counts: missing, ignore, breaching or notBreaching."""
    less_metric: str | None = None
    """A second metric that is taken off the first, with the same statistic: metric math `m1 - m2`."""
    why: str
    """How the threshold came about, in a sentence."""
    source: str
    assumed: tuple[str, ...] = ()
    """What its source leaves open, and how it was taken."""

    def __post_init__(self) -> None:
        faults = list(self._faults())
        if faults:
            raise BadInput(f"the alarm {self.name} is none that CloudWatch takes", got="; ".join(faults),
                           do="correct it; CloudWatch's PutMetricAlarm lists what it takes")

    def _faults(self) -> Iterator[str]:
        if not self.name or not self.metric:
            yield "no name or no metric"
        if self.statistic not in _STATISTICS and not _PERCENTILE.fullmatch(self.statistic):
            yield f"statistic {self.statistic!r}: {', '.join(_STATISTICS)} or p0 to p100"
        if self.comparison not in COMPARISONS:
            yield f"comparison {self.comparison!r}: {', '.join(COMPARISONS)}"
        if self.missing not in MISSING_TREATMENTS:
            yield f"missing data {self.missing!r}: {', '.join(MISSING_TREATMENTS)}"
        if not math.isfinite(self.threshold):
            yield f"threshold {self.threshold}: a finite number"
        if self.period_s not in _SHORT_PERIODS_S and (self.period_s < 60 or self.period_s % 60):
            yield f"period {self.period_s} s: 10, 20, 30 or a multiple of 60"
        if not 1 <= self.datapoints_to_alarm <= self.evaluation_periods:
            yield (f"{self.datapoints_to_alarm} of {self.evaluation_periods} data points: at least 1, and no "
                   "more than are evaluated")
        most_s = _DAY_S if self.period_s < _HOUR_S else _WEEK_S
        if self.window_s > most_s:
            yield f"{self.evaluation_periods} periods of {self.period_s} s: {most_s:,} s at most"

    @property
    def window_s(self) -> int:
        """Period times evaluation periods."""
        return self.period_s * self.evaluation_periods

    @property
    def is_above(self) -> bool:
        """Whether it fires above its threshold."""
        return self.comparison.startswith("Greater")

    @property
    def what(self) -> str:
        """The metric, or the difference of two."""
        return self.metric if self.less_metric is None else f"{self.metric} - {self.less_metric}"

    @property
    def words(self) -> str:
        """As a person says it: `CPUUtilization Average > 80, 3 of 3 periods of 60 s`."""
        sign = COMPARISONS[self.comparison][0]
        return (f"{self.what} {self.statistic} {sign} {self.threshold:,.10g}, {self.datapoints_to_alarm} of "
                f"{self.evaluation_periods} periods of {self.period_s} s")

    def breaches(self, values: Floats) -> Bools:
        """Where the values breach, any shape; NaN never does."""
        return COMPARISONS[self.comparison][1](values, self.threshold)

    def at(self, threshold: float) -> Alarm:
        """The same alarm at another threshold."""
        return replace(self, threshold=threshold)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name, "metric": self.what, "statistic": self.statistic, "period_s": self.period_s,
            "comparison": self.comparison, "threshold": self.threshold,
            "evaluation_periods": self.evaluation_periods, "datapoints_to_alarm": self.datapoints_to_alarm,
            "treat_missing_data": self.missing, "why": self.why, "source": self.source,
            "assumed": list(self.assumed),
        }
