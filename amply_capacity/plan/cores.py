"""What the load takes of the recording host's CPU: at the peak, and as the week's mean, in every world."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from amply_capacity.model.cpu_curve import CpuCurve
from amply_capacity.model.day import WEEKDAYS, WEEKEND_DAYS, day_means
from amply_capacity.plan.measured import Measured
from amply_capacity.plan.workload import Workload
from amply_capacity.plan.worlds import Floats, Worlds
from amply_capacity.traffic.arrivals import day_weights

__all__ = ["engine_cores", "week_mean_cores"]

_PARTS = 4
"""Equal parts of the day, by rate: a round trip costs less in the busy ones."""
_PEAKS = np.array([1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0, 20.0])
_MOST_ROUNDS = 1e9


def engine_cores(figures: Measured, load: Workload, operations: Sequence[str],
                 worlds: Worlds) -> tuple[Floats, Floats]:
    """Cores of the server process on the recording host at the peak, and as a mean; (worlds, months) each.

    A world draws one of the curves that the runs allow. What its mix of operations executes in a round trip
    differs from that of the runs, which is priced too.
    """
    assert figures.cpu is not None
    curve = figures.cpu.picked(worlds.pick("evidence.cpu_curve", len(figures.cpu.own_us)))
    rounds, execution = np.zeros(worlds.count), np.zeros(worlds.count)
    for name in operations:
        trips = figures.trips[name]
        rate = load.per_user_per_second[name] * trips.count
        rounds += rate
        execution += rate * figures.cpu.execution_us(trips.commands_per_round)
    each = np.divide(execution, rounds, out=np.full(worlds.count, figures.cpu.fitted_us), where=rounds > 0.0)
    mean_rate = np.minimum(load.users * rounds[:, None], _MOST_ROUNDS)
    at_peak = curve.cores_each(mean_rate * load.peak_to_mean[:, None], each)
    return at_peak, week_mean_cores(curve, mean_rate, each, load.day_peak_to_mean, load.weekend_to_weekday)


def week_mean_cores(curve: CpuCurve, mean_rate: Floats, execution_us: Floats | float,
                    day_peak_to_mean: Floats, weekend_to_weekday: Floats) -> Floats:
    """The week's mean, where the week's mean round trips a second are `mean_rate`, shape (draws, …).

    The shape of the day and the weekend are of each draw, (draws,). A round trip costs less in busy hours, so
    that this is less than the cores of the mean rate.
    """
    weekday, weekend = day_means(np.ones_like(weekend_to_weekday), weekend_to_weekday)
    column = (slice(None), *[None] * (mean_rate.ndim - 1))
    mean = sum(share * curve.cores_each(mean_rate * (day * part)[column], execution_us)
               for share, day in ((WEEKDAYS / 7 / _PARTS, weekday), (WEEKEND_DAYS / 7 / _PARTS, weekend))
               for part in _day_parts(day_peak_to_mean))
    return np.asarray(mean)


def _day_parts(peak_to_mean: Floats) -> Floats:
    """Shape (parts, worlds): the mean rate in each part of the day over that of the day."""
    table = np.array([np.sort(day_weights(float(peak))).reshape(_PARTS, -1).mean(axis=1) for peak in _PEAKS])
    return np.array([np.interp(peak_to_mean, _PEAKS, column) for column in table.T])
