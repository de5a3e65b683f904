"""What operations take in the slowest run, where nothing waits, second by second; and what they ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from amply_capacity.errors import BadRun
from amply_capacity.model.cpu_curve import CpuCurve
from amply_capacity.model.trips import round_trips
from amply_capacity.run.histogram import width_us
from amply_capacity.run.reader import Run
from amply_capacity.run.schema import FAILED_OUTCOMES

__all__ = ["OperationTimes", "Trip", "operation_times", "quantile_within_us"]

Floats = NDArray[np.float64]

_MOST_BUSY, _LEAST_BUSY, _WANTED_BUSY = 0.3, 0.005, 0.04
_WARM_SHARE = 0.35


@dataclass(frozen=True, slots=True)
class Trip:
    """One kind of round trip of an operation: a command, or a pipeline's commands joined by +."""

    asked: str
    per_operation: float
    execution_us: float
    """Inside its commands, in a warm server."""


@dataclass(frozen=True, slots=True)
class OperationTimes:
    """One operation in the slowest run: how often, its round trips, and its times second by second."""

    use_case: str
    operation: str
    share: float
    """Of all operations."""
    trips: tuple[Trip, ...]
    upper_us: Floats
    """Upper bounds of the histogram's buckets."""
    width_us: Floats
    counts: Floats
    """Shape (seconds, buckets)."""

    @property
    def name(self) -> str:
        """Of use case and operation: another use case may have one of the same name."""
        return f"{self.use_case}/{self.operation}"

    @property
    def rounds(self) -> float:
        """Round trips of one operation."""
        return sum(trip.per_operation for trip in self.trips)

    def drawn_us(self, size: int, rng: np.random.Generator, *, is_resampled: bool) -> Floats:
        """So many of its times; `is_resampled`: of seconds drawn anew, as another run might have had them."""
        blocks = len(self.counts)
        weights = rng.multinomial(blocks, np.full(blocks, 1.0 / blocks)) if is_resampled else np.ones(blocks)
        totals = weights @ self.counts
        if not totals.sum():
            totals = self.counts.sum(axis=0)
        picked = np.searchsorted(np.cumsum(totals), rng.random(size) * totals.sum(), side="right")
        return np.asarray(self.upper_us[picked] - self.width_us[picked] * rng.random(size))

    @property
    def median_us(self) -> float:
        return quantile_within_us(self.upper_us, self.counts.sum(axis=0), 0.5)

    @property
    def mean_us(self) -> float:
        totals = self.counts.sum(axis=0)
        return float(totals @ (self.upper_us - self.width_us / 2.0) / totals.sum())


def operation_times(runs: Sequence[Run], curve: CpuCurve) -> tuple[tuple[OperationTimes, ...], float]:
    """From the run with the slowest rate in an open loop, or a knee search's first steps; and that rate.

    Raises BadRun where none can show what an operation takes when nothing waits.
    """
    open_loops = [run for run in runs if run.manifest["arrivals"] != "closed"]
    if not open_loops:
        scenario = runs[0].manifest["scenario"] if runs else "mixed"
        raise BadRun("response times at other rates need an open loop at a low rate",
                     got=f"only closed loops: {', '.join(run.name for run in runs) or 'no run'}",
                     do=f"record one: `locust -f loadtests/{scenario}.py --headless -u 50 -r 50 -t 30s "
                        "--arrivals poisson --rate 1000`")
    slowest = min(open_loops, key=_operations_per_second)
    requests = slowest.in_sound_seconds(slowest.requests)
    own = requests[(requests["command"] == "") & (requests["clock"] == "response")
                   & ~requests["outcome"].isin(FAILED_OUTCOMES)]
    steady = _slowest_seconds(own)
    own = own[own["second"].isin(steady)]
    trips = requests[(requests["command"] != "") & (requests["clock"] == "service")
                     & requests["second"].isin(steady)]
    rate = float(own["count"].sum()) / len(steady)
    busy = float(curve.cores(rate * round_trips(slowest).count / _operations_per_second(slowest))[0])
    if not _LEAST_BUSY <= busy <= _MOST_BUSY:
        too = "too fast" if busy > _MOST_BUSY else "too slow"
        raise BadRun(f"run {slowest.name} is {too} to tell response times at other rates",
                     got=f"{rate:,.0f} operations a second, which keep the server {100.0 * busy:.1f} % busy",
                     do=f"record one that keeps it {100.0 * _WANTED_BUSY:g} % busy: `locust -f "
                        f"loadtests/{slowest.manifest['scenario']}.py --headless -u 50 -r 50 -t 30s "
                        f"--arrivals poisson --rate {_better_rate(rate, busy):.0f}`")
    total = float(own["count"].sum())
    execution = _execution_us(trips, curve)
    return tuple(
        _times(str(use_case), str(operation), rows,
               trips[(trips["operation"] == operation) & (trips["use_case"] == use_case)], execution, total,
               steady)
        for (use_case, operation), rows in own.groupby(["use_case", "operation"])), rate


def quantile_within_us(upper_us: Floats, counts: Floats, q: float) -> float:
    """A quantile of a histogram as recorded, its bucket divided evenly; rows of one bucket add up."""
    uppers, which = np.unique(upper_us, return_inverse=True)
    cumulated = np.cumsum(np.bincount(which, weights=counts))
    place = int(np.searchsorted(cumulated, q * cumulated[-1]))
    before = cumulated[place - 1] if place else 0.0
    part = (q * cumulated[-1] - before) / (cumulated[place] - before)
    width = float(width_us(uppers[place:place + 1].astype(np.int64))[0])
    return float(uppers[place] - width * (1.0 - part))


def _better_rate(rate: float, busy: float) -> float:
    wanted = rate * _WANTED_BUSY / busy
    return float(f"{wanted:.2g}")


def _operations_per_second(run: Run) -> float:
    requests = run.in_sound_seconds(run.requests[(run.requests["command"] == "")
                                                 & (run.requests["clock"] == "service")])
    return float(requests["count"].sum()) / len(run.sound_seconds)


def _slowest_seconds(own: pd.DataFrame) -> list[int]:
    """The seconds of about the slowest rate: all of a steady run, the first steps of a search."""
    rates = own.groupby("second")["count"].sum()
    least = float(rates.quantile(0.1))
    return [int(second) for second in rates.index[rates <= max(1.5 * least, least + 4.0 * least**0.5)]]


def _execution_us(trips: pd.DataFrame, curve: CpuCurve) -> dict[tuple[str, str], float]:
    """Execution of each operation's round trips. One command may cost much more in one operation than in
    another, a script above all: that shows in the medians of their times, where nothing waits. Medians also
    differ by what the client and the network do, so the mean of a command stays what commandstats says."""
    found: dict[tuple[str, str], float] = {}
    for asked, rows in trips.groupby("command"):
        mean = sum(curve.command_us.get(part.lower(), 0.0) for part in str(asked).split("+"))
        medians = {operation: quantile_within_us(times["bucket_us"].to_numpy(dtype=np.float64),
                                                 times["count"].to_numpy(dtype=np.float64), 0.5)
                   for operation, times in rows.groupby("operation")}
        counts = rows.groupby("operation")["count"].sum()
        middle = sum(medians[name] * counts[name] for name in medians) / float(counts.sum())
        each = {name: max(mean + medians[name] - middle, _WARM_SHARE * mean) for name in medians}
        over = sum(each[name] * counts[name] for name in each) / float(counts.sum())
        for name, cost in each.items():
            found[str(name), str(asked)] = cost * mean / over if over else 0.0
    return found


def _times(use_case: str, operation: str, rows: pd.DataFrame, trips: pd.DataFrame,
           execution: Mapping[tuple[str, str], float], total: float,
           seconds: Sequence[int]) -> OperationTimes:
    table = rows.pivot_table(index="second", columns="bucket_us", values="count", aggfunc="sum", fill_value=0)
    table = table.reindex(sorted(seconds), fill_value=0)
    count = float(table.to_numpy().sum())
    uppers = table.columns.to_numpy(dtype=np.int64)
    asked = trips.groupby("command")["count"].sum()
    return OperationTimes(use_case, operation, count / total,
                          tuple(Trip(str(name), float(each) / count, execution[operation, str(name)])
                                for name, each in asked.items()),
                          uppers.astype(np.float64), width_us(uppers).astype(np.float64),
                          table.to_numpy(dtype=np.float64))
