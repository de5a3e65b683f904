"""Whether, how long and how silently a burstable node is throttled: for many worlds at once, and for one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amply_capacity.catalog.nodes import NodeType
from amply_capacity.errors import BadInput
from amply_capacity.model.credits import (
    ENGINE_CORES,
    HOST_CORES,
    CreditCourse,
    CreditRules,
    credit_course,
    credit_rules,
)
from amply_capacity.model.day import WEEKDAYS, WEEKEND_DAYS, DayDrain, day_means, week_weights

__all__ = [
    "SPEC_CPU_ALARM_PERCENT", "CreditOutlook", "SilentThrottling", "alarm_fires", "credit_outlook",
    "silent_throttling", "sustainable_cores",
]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
SPEC_CPU_ALARM_PERCENT, SPEC_CPU_ALARM_PERIODS = 80.0, 3
"""`redis-amply-high-cpu` of the specification: CPUUtilization above 80 in 3 periods. Its others look at
FreeableMemory, Evictions and CurrConnections, which do not move when the CPU is throttled; none looks at
CPUCreditBalance."""
ADVISED_CPU_ALARM_PERCENT = 90.0
"""Over the number of vCPUs, for nodes of up to two: ElastiCache User Guide, "Which Metrics Should I
Monitor?", 2026."""
_BISECTIONS = 30
_MOST_OPS = 1e12
_LEAST_LACKING = 1e-6  # credits; rounding of the closed form


@dataclass(frozen=True, slots=True)
class CreditOutlook:
    """The settled week of a node type in standard mode; arrays of the shape of the demand."""

    never_exhausts: Bools
    throttled_hours: Floats
    """A week; at the baseline with more asked for."""
    sustainable_cores: Floats
    """The highest mean of the engine's that is never throttled; of the shape of peak and ratio."""


def credit_outlook(rules: CreditRules, mean_cores: Floats, peak_to_mean: Floats,
                   weekend_to_weekday: Floats | float = 1.0, *,
                   host_cores: float = HOST_CORES) -> CreditOutlook:
    """For every world the week's mean of the engine, cores, with its peak and its weekend.

    Arrays that numpy can broadcast, e.g. (worlds, months) and (worlds, 1). The settled week is what follows
    upon itself for ever; see `credit_course`. Never exhausted means: the mean is at most the sustainable one,
    which is exact, for more demand in any minute leaves no later balance higher.
    """
    sustainable = sustainable_cores(rules, peak_to_mean, weekend_to_weekday, host_cores=host_cores)
    mean, peak, ratio, most = np.broadcast_arrays(mean_cores, peak_to_mean, weekend_to_weekday, sustainable)
    never: Bools = mean <= most
    hours = np.zeros(mean.shape)
    hours[~never] = _settled_week(rules, mean[~never], peak[~never], ratio[~never], host_cores)[1]
    return CreditOutlook(never, hours, sustainable)


def sustainable_cores(rules: CreditRules, peak_to_mean: Floats, weekend_to_weekday: Floats | float = 1.0, *,
                      host_cores: float = HOST_CORES) -> Floats:
    """The highest mean of the engine over the week, cores, that never exhausts the settled balance.

    Where all days are equal and the balance may hold 24 hours' earnings, as T3's and T4g's may, it is the
    baseline less the host's own, whatever the shape of the day. Sufficient: let the mean use be at most the
    earnings g a minute. In any τ minutes of at most a day the balance falls by what is used in them, at most
    the day's 1440 g, less τ g that is earned in them: by less than the limit, 1440 g. In a longer time it
    falls no further, for a whole day adds nothing negative. So a balance that was full is never at 0.
    Necessary: with a higher mean every day takes more than it earns, and what the limit discards only adds
    to that. Unequal days break the first half, for five days may take together more than the limit: then,
    and where the peak would need more than the engine's core, the mean is sought by bisection. At most the
    engine's core, since no higher mean can be served.
    """
    shape = np.broadcast_shapes(np.shape(peak_to_mean), np.shape(weekend_to_weekday))
    peak = np.broadcast_to(peak_to_mean, shape).ravel()
    ratio = np.broadcast_to(weekend_to_weekday, shape).ravel()
    if not ((peak >= 1.0).all() and (ratio >= 0.0).all()):
        raise BadInput("a day's peak is at least its mean, and a weekend's ratio at least 0",
                       got=f"peaks from {peak.min():g}, ratios from {ratio.min():g}", do="correct the demand")
    level, cores = _level_and_cores(rules, host_cores)
    result = np.full(peak.shape, level)
    is_open = (ratio != 1.0) | (peak * level > cores) | (rules.most < 24 * rules.per_hour)
    if is_open.any():
        result[is_open] = _sought(rules, peak[is_open], ratio[is_open], host_cores, cores)
    return result.reshape(shape)


def _sought(rules: CreditRules, peak: Floats, ratio: Floats, host_cores: float, cores: float) -> Floats:
    low, high = np.zeros_like(peak), np.full_like(peak, cores)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        holds = _settled_week(rules, middle, peak, ratio, host_cores, only_lacking=True)[0] <= _LEAST_LACKING
        low, high = np.where(holds, middle, low), np.where(holds, high, middle)
    return low


def _level_and_cores(rules: CreditRules, host_cores: float) -> tuple[float, float]:
    """What the engine may use for ever, and at once."""
    level = float(rules.baseline_cores) - host_cores
    if level <= 0.0:
        raise BadInput("the host's own CPU leaves nothing of the baseline", got=f"{host_cores:g} cores",
                       do=f"give less than the baseline of {float(rules.baseline_cores):g} cores")
    return level, min(ENGINE_CORES, rules.vcpu - host_cores)


def _settled_week(rules: CreditRules, mean: Floats, peak: Floats, ratio: Floats, host_cores: float, *,
                  only_lacking: bool = False) -> tuple[Floats, Floats]:
    """Credits lacking and hours throttled in the settled week; flat arrays of one shape."""
    level, cores = _level_and_cores(rules, host_cores)
    weekday_mean, weekend_mean = day_means(mean, ratio)
    weekday = _Day(DayDrain.of(weekday_mean, peak, level, cores))
    are_equal = bool((ratio == 1.0).all())
    weekend = weekday if are_equal else _Day(DayDrain.of(weekend_mean, peak, level, cores))
    days = [weekday] if are_equal else [weekday] * WEEKDAYS + [weekend] * WEEKEND_DAYS
    most, lost = float(rules.most), np.sum([day.lost for day in days], axis=0)
    balance = np.where(lost > 0.0, 0.0, most)  # the end that leads to the fixed point, as in `credit_course`
    for day in days:
        balance, _ = day.passed(balance, most)
    lacking, hours = np.zeros_like(mean), np.zeros_like(mean)
    for day in days:
        if not only_lacking:
            hours += day.hours(balance, most)
        balance, more = day.passed(balance, most)
        lacking += more
    weeks = (WEEKDAYS + WEEKEND_DAYS) / len(days)
    return lacking * weeks, hours * weeks


class _Day:
    """The four steps of a kind of day in credits, and the hours that it was throttled, kept for its like."""

    def __init__(self, drain: DayDrain) -> None:
        self._drain, self._angles = drain, drain.angles()
        taken = [drain.taken(angle) for angle in self._angles]
        # Rounding and the table's error must not turn a rise into a fall, or the other way.
        self._night, self._peak = (np.maximum(taken[end] - taken[end - 1], 0.0) for end in (1, 3))
        self._morning, self._evening = (np.maximum(taken[end - 1] - taken[end], 0.0) for end in (2, 4))
        self.lost = drain.whole
        self._known = {name: (np.full_like(self.lost, np.nan), np.zeros_like(self.lost)) for name in "np"}

    def passed(self, balance: Floats, most: float) -> tuple[Floats, Floats]:
        """The balance a day later, and what was lacking in it."""
        after = balance - self._night
        peak = np.minimum(np.maximum(after, 0.0) + self._morning, most) - self._peak
        lacking: Floats = np.maximum(-after, 0.0) + np.maximum(-peak, 0.0)
        return np.minimum(np.maximum(peak, 0.0) + self._evening, most), lacking

    def hours(self, balance: Floats, most: float) -> Floats:
        """Throttled in the day that begins with this balance."""
        at_peak = np.minimum(np.maximum(balance - self._night, 0.0) + self._morning, most)
        return self._hours("n", balance, self._night, 0) + self._hours("p", at_peak, self._peak, 2)

    def _hours(self, name: str, balance: Floats, drain: Floats, step: int) -> Floats:
        is_out = drain - balance > _LEAST_LACKING
        known_balance, known_hours = self._known[name]
        hours = np.where(is_out & (balance == known_balance), known_hours, 0.0)
        new = is_out & (balance != known_balance)
        if new.any():
            left = self._drain.where(new).minutes_left(self._angles[step][new], self._angles[step + 1][new],
                                                       balance[new])
            hours[new] = left / 60.0
        self._known[name] = balance, hours
        return hours


@dataclass(frozen=True, slots=True)
class SilentThrottling:
    """The lowest load at which a node is throttled, and what its CPU alarm sees of it."""

    node_type: str
    ops_per_second: float
    """Mean over the week: a hair more is throttled, a hair less never."""
    peak_ops_per_second: float
    peak_engine_cores: float
    """What that peak asks of the engine; above 1 its one core gives out before the credits do."""
    highest_cpu_percent: float
    """CloudWatch's CPUUtilization at that load, of any minute of the settled week."""
    throttled_cpu_percent: float
    """What it shows while throttled: the baseline."""
    most_cpu_percent: float
    """The most that it can show at any load: one core for the engine, and the host's own."""
    alarm_percent: float
    alarm_fires: bool
    """The specification's alarm, in this week."""
    alarm_can_fire: bool
    """At any load."""
    advised_alarm_percent: float
    """AWS' own advice for this number of vCPUs."""
    advised_alarm_fires: bool
    throttled_hours_at_ten_percent_more: float
    """A settled week of 1.1 times that load."""
    unserved_share_at_ten_percent_more: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def silent_throttling(node: NodeType, cores: Callable[[Floats], Floats], peak_to_mean: float,
                      weekend_to_weekday: float = 1.0, *, host_cores: float = HOST_CORES,
                      alarm_percent: float = SPEC_CPU_ALARM_PERCENT) -> SilentThrottling | None:
    """Seek the load by bisection; `cores` gives the engine's cores for operations a second, never falling.

    The load is what the node sustains, too. None where no load throttles it, for its balance outlasts even a
    peak that fills the engine's core. The alarm's period is not in the specification, so it is taken as a
    minute, at which it fires most easily. Raises BadInput for a node without credits, and where no load
    needs more CPU than the baseline.
    """
    rules, shape = credit_rules(node), week_weights(peak_to_mean, weekend_to_weekday)

    def week(mean_ops: float) -> CreditCourse:
        return credit_course(rules, cores(mean_ops * shape), host_cores=host_cores, start_balance="settled")

    low, high = 0.0, 1.0
    while (course := week(high)).first_exhaustion_minutes is None:
        low, high = high, 2.0 * high
        if high > _MOST_OPS:
            if course.engine_cores.max() < min(float(rules.baseline_cores), ENGINE_CORES) - host_cores:
                raise BadInput("no load needs the node's baseline", got=f"{low:g} operations a second",
                               do="give the cores that the engine needs for a rate of operations")
            return None
    while high - low > 1e-4 * high:
        middle = (low + high) / 2.0
        low, high = (low, middle) if week(middle).first_exhaustion_minutes is not None else (middle, high)
    percent, more = week(high).cpu_percent, week(1.1 * high)
    peak_ops = high * float(shape.max())
    most_percent = 100.0 * (min(ENGINE_CORES, rules.vcpu - host_cores) + host_cores) / rules.vcpu
    advised = ADVISED_CPU_ALARM_PERCENT / rules.vcpu
    return SilentThrottling(
        node_type=node.name, ops_per_second=high, peak_ops_per_second=peak_ops,
        peak_engine_cores=float(cores(np.array([peak_ops]))[0]),
        highest_cpu_percent=float(percent.max()), throttled_cpu_percent=float(rules.baseline_percent),
        most_cpu_percent=most_percent, alarm_percent=alarm_percent,
        alarm_fires=alarm_fires(percent, alarm_percent), alarm_can_fire=most_percent > alarm_percent,
        advised_alarm_percent=advised, advised_alarm_fires=alarm_fires(percent, advised),
        throttled_hours_at_ten_percent_more=more.throttled_hours,
        unserved_share_at_ten_percent_more=more.unserved_share,
    )


def alarm_fires(percent: Floats, threshold: float, periods: int = SPEC_CPU_ALARM_PERIODS) -> bool:
    """Whether so many periods in a row lie above the threshold."""
    above = np.concatenate([[0], np.cumsum(percent > threshold)])
    return bool((above[periods:] - above[:-periods] == periods).any())
