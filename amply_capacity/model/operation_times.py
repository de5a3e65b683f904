"""What operations take in open loops in which little waits, second by second; and what they ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from amply_capacity.errors import BadRun
from amply_capacity.model.cpu_curve import CpuCurve
from amply_capacity.model.trips import round_trips
from amply_capacity.run.histogram import width_us
from amply_capacity.run.reader import Run
from amply_capacity.run.schema import FAILED_OUTCOMES

__all__ = ["Loop", "OperationTimes", "Trip", "open_loops", "quantile_within_us"]

Floats = NDArray[np.float64]

_MOST_BUSY, _LEAST_BUSY, _WANTED_BUSY = 0.45, 0.005, 0.1
_SAME_RATE = 0.9
_WARM_SHARE = 0.35
_DEVIATIONS, _LEAST_MORE = 4.0, 2.0
"""A second was disturbed whose mean time is so many deviations, and so many times, the usual one's."""
_FEWEST_TO_COMPARE = 4
_MAD = 1.4826  # a normal deviation over its median absolute deviation
_MEDIAN_SPREAD, _TAIL_SPREAD, _SPREAD_SEEN = 0.15, 0.25, 4.0
"""Between runs of one load (redis 7.0.15, two shared cores), and what that is worth in runs.

Medians of runs within minutes lie 0.04 to 0.10 apart; those of the next minutes were missed by more: with
0.15, some 24 of the last 28 intervals up to seed 108,209 would have held (data/ledger/bench.jsonl; 13 did).
"""


@dataclass(frozen=True, slots=True)
class Trip:
    """One kind of round trip of an operation: a command, or a pipeline's commands joined by +."""

    asked: str
    per_operation: float
    execution_us: float
    """Inside its commands, in a warm server."""


@dataclass(frozen=True, slots=True)
class OperationTimes:
    """One operation of a loop: how often, its round trips, and its times second by second."""

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
    is_usual: NDArray[np.bool_]
    """Shape (seconds,): not those in which the host disturbed all operations."""

    @property
    def name(self) -> str:
        """Of use case and operation: another use case may have one of the same name."""
        return f"{self.use_case}/{self.operation}"

    @property
    def rounds(self) -> float:
        """Round trips of one operation."""
        return sum(trip.per_operation for trip in self.trips)

    def drawn_us(self, size: int, rng: np.random.Generator, *, is_resampled: bool = False,
                 is_disturbed: bool = False) -> Floats:
        """So many of its times, of the usual seconds or of all; `is_resampled`: of seconds drawn anew, as
        another run might have had them."""
        totals = self._usual
        if is_resampled:
            counts = self.counts if is_disturbed else self.counts[self.is_usual]
            blocks = len(counts)
            again = rng.multinomial(blocks, np.full(blocks, 1.0 / blocks)) @ counts
            totals = again if again.any() else totals
        # Evenly over the quantiles: of a tail's few times, chance would draw half as many or twice.
        places = (np.arange(size) + rng.random(size)) / size
        picked = np.searchsorted(np.cumsum(totals), places * totals.sum(), side="right")
        return np.asarray(self.upper_us[picked] - self.width_us[picked] * rng.random(size))

    @property
    def median_us(self) -> float:
        return quantile_within_us(self.upper_us, self._usual, 0.5)

    @property
    def mean_us(self) -> float:
        totals = self._usual
        return float(totals @ (self.upper_us - self.width_us / 2.0) / totals.sum())

    @property
    def _usual(self) -> Floats:
        """Counts of the usual seconds, of all where it was never played in one, by bucket."""
        usual = self.counts[self.is_usual].sum(axis=0)
        return np.asarray(usual if usual.any() else self.counts.sum(axis=0))


class Loop(NamedTuple):
    """Open loops of about one rate, together."""

    operations: tuple[OperationTimes, ...]
    per_second: float
    """Operations of all kinds."""
    median_spread: float
    """Relative deviation of the median from run to run."""
    tail_spread: float
    """The same of what the p99 has beyond it."""


def open_loops(runs: Sequence[Run], curve: CpuCurve) -> tuple[Loop, ...]:
    """Those that leave the server idle for most of the time, by rate; of a knee search the first steps.

    The last is the base: at slower rates every round trip wakes the server, and the client too.

    Raises BadRun where there is none.
    """
    # One that is given twice is no second sample.
    open_ = {run.directory.resolve(): run for run in runs if run.manifest["arrivals"] != "closed"}.values()
    if not open_:
        scenario = runs[0].manifest["scenario"] if runs else "mixed"
        raise BadRun("response times at other rates need an open loop at a low rate",
                     got=f"only closed loops: {', '.join(run.name for run in runs) or 'no run'}",
                     do=f"record one: `locust -f loadtests/{scenario}.py --headless -u 50 -r 50 -t 30s "
                        "--arrivals poisson --rate 1000`")
    found = sorted((_Calm.of(run, curve) for run in open_), key=lambda one: one.per_second)
    fit = [one for one in found if _LEAST_BUSY <= one.busy <= _MOST_BUSY]
    if not fit:
        worst = min(found, key=lambda one: one.busy)
        too = "too fast" if worst.busy > _MOST_BUSY else "too slow"
        raise BadRun(f"run {worst.run.name} is {too} to tell response times at other rates",
                     got=f"{worst.per_second:,.0f} operations a second, which keep the server "
                         f"{100.0 * worst.busy:.1f} % busy",
                     do=f"record one that keeps it {100.0 * _WANTED_BUSY:g} % busy: `locust -f "
                        f"loadtests/{worst.run.manifest['scenario']}.py --headless -u 50 -r 50 -t 30s "
                        f"--arrivals poisson --rate {_better_rate(worst.per_second, worst.busy):.0f}`")
    groups: list[list[_Calm]] = []
    for one in reversed(fit):
        if groups and one.per_second >= _SAME_RATE * groups[-1][0].per_second:
            groups[-1].append(one)
        else:
            groups.append([one])
    return tuple(_loop(group, curve) for group in reversed(groups))


def _loop(group: Sequence[_Calm], curve: CpuCurve) -> Loop:
    own = pd.concat([one.own for one in group])
    trips = pd.concat([one.trips for one in group])
    total = float(own["count"].sum())
    seconds = sorted({second for one in group for second in one.seconds})
    execution = _execution_us(trips, curve)
    is_usual = _usual(own, seconds)
    return Loop(tuple(
        _times(str(use_case), str(operation), rows,
               trips[(trips["operation"] == operation) & (trips["use_case"] == use_case)], execution, total,
               is_usual)
        for (use_case, operation), rows in own.groupby(["use_case", "operation"])),
        total / sum(len(one.seconds) for one in group), *_spreads([one.own for one in group]))


def _usual(own: pd.DataFrame, seconds: Sequence[int]) -> pd.Series[bool]:
    """By second, whether its mean time is like that of the others: a burst of the host's stalls is not."""
    spent = (own["bucket_us"] * own["count"]).groupby(own["second"]).sum()
    mean = (spent / own.groupby("second")["count"].sum()).reindex(list(seconds))
    middle = float(mean.median())
    deviation = _MAD * float((mean - middle).abs().median())
    if len(mean) < _FEWEST_TO_COMPARE:
        return mean.notna()
    return ~(mean > max(middle + _DEVIATIONS * deviation, _LEAST_MORE * middle))


def _spreads(owns: Sequence[pd.DataFrame]) -> tuple[float, float]:
    """Of median and tail of runs of one load."""
    medians, tails = [], []
    for own in owns:
        uppers, counts = own["bucket_us"].to_numpy(dtype=np.float64), own["count"].to_numpy(dtype=np.float64)
        median, p99 = (quantile_within_us(uppers, counts, q) for q in (0.5, 0.99))
        medians.append(np.log(median))
        tails.append(np.log(max(p99 - median, 1.0)))
    return _shrunk(np.array(medians), _MEDIAN_SPREAD), _shrunk(np.array(tails), _TAIL_SPREAD)


def _shrunk(values: Floats, usual: float) -> float:
    """Their deviation, shrunk towards what is usual, the less the more values there are."""
    beyond = float(np.sum((values - np.mean(values)) ** 2))
    return float(np.sqrt((_SPREAD_SEEN * usual**2 + beyond) / (_SPREAD_SEEN + len(values) - 1)))


@dataclass(frozen=True, slots=True)
class _Calm:
    """The seconds of about the slowest rate of a run."""

    run: Run
    seconds: list[int]
    own: pd.DataFrame
    """Rows of the operations' response times."""
    trips: pd.DataFrame
    """Rows of their round trips."""
    per_second: float
    busy: float
    """Share of the core."""

    @classmethod
    def of(cls, run: Run, curve: CpuCurve) -> _Calm:
        requests = run.sound_requests
        own = requests[(requests["command"] == "") & (requests["clock"] == "response")
                       & ~requests["outcome"].isin(FAILED_OUTCOMES)]
        seconds = _slowest_seconds(own)
        own = own[own["second"].isin(seconds)]
        trips = requests[(requests["command"] != "") & (requests["clock"] == "service")
                         & requests["second"].isin(seconds)]
        rate = float(own["count"].sum()) / max(len(seconds), 1)
        rounds = rate * round_trips(run).count / _operations_per_second(run)
        return cls(run, seconds, own, trips, rate, float(curve.cores(rounds)[0]) if rounds else 0.0)


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
    return float(run.sound_operations("service")["count"].sum()) / len(run.sound_seconds)


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
           is_usual: pd.Series[bool]) -> OperationTimes:
    table = rows.pivot_table(index="second", columns="bucket_us", values="count", aggfunc="sum", fill_value=0)
    table = table.reindex(is_usual.index, fill_value=0)
    count = float(table.to_numpy().sum())
    uppers = table.columns.to_numpy(dtype=np.int64)
    asked = trips.groupby("command")["count"].sum()
    return OperationTimes(use_case, operation, count / total,
                          tuple(Trip(str(name), float(each) / count, execution[operation, str(name)])
                                for name, each in asked.items()),
                          uppers.astype(np.float64), width_us(uppers).astype(np.float64),
                          table.to_numpy(dtype=np.float64), is_usual.to_numpy())
