"""What the load takes of the recording host's CPU: at the peak, and as the week's mean, in every world.

A round trip costs less the busier the server is (`model.cpu_curve`), so cores are no multiple of the rate.
Each world's curve is looked up from a table over rates: months, shards and parts of the day are many, curves
are few.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from amply_capacity.model.cpu_curve import CpuCurve
from amply_capacity.model.day import WEEKDAYS, WEEKEND_DAYS, day_means
from amply_capacity.plan.measured import Measured
from amply_capacity.plan.workload import Workload
from amply_capacity.plan.worlds import Floats, Worlds
from amply_capacity.traffic.arrivals import day_weights

__all__ = ["CoreTable", "EngineCores", "engine_cores", "week_mean_cores"]

_PARTS = 4
"""Equal parts of the day, by rate: a round trip costs less in the busy ones."""
_PEAKS = np.array([1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0, 20.0])
_MOST_ROUNDS, _LEAST_ROUNDS = 1e9, 1e-3
_MOST_READERS = 6
"""A shard and its replicas: they share what is read."""
_NO_CORES, _ENDLESS = 1e-300, 700.0
_KNOTS_PER_DECADE = 6
"""A straight line between two knots, of logarithms, is within 0.3 % of the curve."""


@dataclass(frozen=True, slots=True)
class CoreTable:
    """Cores over rates: a row a world, a column a knot, both as logarithms."""

    first: float
    step: float
    values: Floats
    """Shape (worlds, knots)."""

    def at(self, rates: Floats) -> Floats:
        """Cores at these rates, shape (worlds, …)."""
        return self._between(
            np.maximum((np.log(np.maximum(rates, _LEAST_ROUNDS)) - self.first) / self.step, 0.0))

    def times(self, factor: Floats) -> Floats:
        """Cores at each knot's rate times each world's factor, (worlds, knots): all knots move alike."""
        knots = self.values.shape[1]
        return self._between(np.maximum(np.arange(knots) + (np.log(factor) / self.step)[:, None], 0.0))

    def rates_of(self, cores: Floats) -> Floats:
        """The highest rate at which each world takes no more than its cores, (worlds,); -1 where none is.

        More rounds take more cores, so that there is one.
        """
        worlds, knots = self.values.shape
        logs = np.log(np.maximum(cores, _NO_CORES))
        flat, first = self.values.ravel(), np.arange(worlds) * knots
        left = np.zeros(worlds, dtype=np.int64)  # by bisection, the last but one knot at most
        for step in 2 ** np.arange((knots - 1).bit_length())[::-1]:
            further = np.minimum(left + step, knots - 2)
            left = np.where(flat.take(first + further) <= logs, further, left)
        low, high = flat.take(first + left), flat.take(first + left + 1)
        place = left + (logs - low) / (high - low)
        rates = np.exp(np.minimum(self.first + self.step * place, _ENDLESS))
        return np.where(logs < flat.take(first), -1.0, rates)

    def _between(self, place: Floats) -> Floats:
        """Cores at places between the knots, from 0 on, (worlds, …)."""
        worlds, knots = self.values.shape
        at = place.astype(np.int64)
        np.minimum(at, knots - 2, out=at)
        beyond = place - at
        at += (np.arange(worlds) * knots).reshape(-1, *[1] * (place.ndim - 1))
        flat = self.values.ravel()
        low = flat.take(at)
        at += 1
        logs = flat.take(at)  # in place from here on: memory is what takes time
        logs -= low
        logs *= beyond
        logs += low
        return np.exp(logs, out=logs)


@dataclass(frozen=True, slots=True)
class EngineCores:
    """Cores of the server process on the recording host, from round trips a second as the week's mean."""

    peak: CoreTable
    week: CoreTable
    rounds_per_user: Floats
    """Mean round trips a second of one registered user, shape (worlds,)."""
    peak_to_mean: Floats
    busy_us: Floats
    """What a round trip takes a server that is never idle, (worlds,)."""

    def of_worlds(self, rows: NDArray[np.intp]) -> EngineCores:
        """The same of some worlds."""
        return EngineCores(replace(self.peak, values=self.peak.values[rows]),
                           replace(self.week, values=self.week.values[rows]), self.rounds_per_user[rows],
                           self.peak_to_mean[rows], self.busy_us[rows])

    def at_peak(self, mean_rate: Floats) -> Floats:
        """Shape (worlds, months), as `mean_rate` has."""
        return self.peak.at(mean_rate * self.peak_to_mean[:, None])

    def rate_at_peak(self, cores: Floats) -> Floats:
        """The highest mean rate that takes no more than these at the peak, (worlds,); below 0 where none."""
        return self.peak.rates_of(cores) / self.peak_to_mean

    def rate_of_week(self, cores: Floats) -> Floats:
        """The same of the week's mean."""
        return self.week.rates_of(cores)

    def week_mean(self, mean_rate: Floats) -> Floats:
        """Shape (worlds, months), as `mean_rate` has."""
        return self.week.at(mean_rate)


def engine_cores(figures: Measured, load: Workload, operations: Sequence[str], worlds: Worlds,
                 most_shards: int) -> EngineCores:
    """A world draws one of the curves that the runs allow.

    What its mix of operations executes in a round trip differs from that of the runs, which is priced too.
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
    mean = load.active_users * rounds[:, None]
    shares, parts = _week_parts(load.day_peak_to_mean, load.weekend_to_weekday)
    least = max(float(mean.min()) * min(float(parts.min()), 1.0) / (most_shards * _MOST_READERS),
                _LEAST_ROUNDS)
    most = min(float((mean.max(axis=1) * np.maximum(load.peak_to_mean, parts.max(axis=0))).max()),
               _MOST_ROUNDS)
    first, last = np.log(least), np.log(max(most, 2.0 * least))
    knots = max(int(np.ceil((last - first) / np.log(10.0) * _KNOTS_PER_DECADE)) + 1, 2)
    rates = np.exp(np.linspace(first, last, knots))
    step = float((last - first) / (knots - 1))
    cores = curve.cores_each(np.broadcast_to(rates, (worlds.count, knots)), each)
    peak = CoreTable(float(first), step, np.log(cores))
    week = sum(share * peak.times(part) for share, part in zip(shares, parts, strict=True))
    busy_us = (1e6 - curve.idle_us_per_second) / curve.saturation_per_second(each)
    return EngineCores(peak, CoreTable(float(first), step, np.log(week)), rounds, load.peak_to_mean, busy_us)


def week_mean_cores(curve: CpuCurve, mean_rate: Floats, execution_us: Floats | float,
                    day_peak_to_mean: Floats, weekend_to_weekday: Floats) -> Floats:
    """The week's mean, where the week's mean round trips a second are `mean_rate`, shape (draws, …).

    The shape of the day and the weekend are of each draw, (draws,). A round trip costs less in busy hours, so
    that this is less than the cores of the mean rate.
    """
    shares, parts = _week_parts(day_peak_to_mean, weekend_to_weekday)
    column = (slice(None), *[None] * (mean_rate.ndim - 1))
    mean = sum(share * curve.cores_each(mean_rate * part[column], execution_us)
               for share, part in zip(shares, parts, strict=True))
    return np.asarray(mean)


def _week_parts(day_peak_to_mean: Floats, weekend_to_weekday: Floats) -> tuple[list[float], Floats]:
    """Of each part of the week its share of the time, and its rate over the week's, (parts, draws)."""
    weekday, weekend = day_means(np.ones_like(weekend_to_weekday), weekend_to_weekday)
    table = np.array([np.sort(day_weights(float(peak))).reshape(_PARTS, -1).mean(axis=1) for peak in _PEAKS])
    day = np.array([np.interp(day_peak_to_mean, _PEAKS, column) for column in table.T])
    shares = [WEEKDAYS / 7 / _PARTS] * _PARTS + [WEEKEND_DAYS / 7 / _PARTS] * _PARTS
    return shares, np.concatenate([day * weekday, day * weekend])
