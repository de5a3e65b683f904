"""Response times at rates that were not run, and the highest rate that holds a p99.

What an operation takes where nothing waits (network, wake-ups, the host's own stalls) is taken from the
slowest run as it was recorded; what its commands wait for at another rate is simulated: Poisson arrivals at
the server's event loop (`queueing`), each served for as long as it costs the server's CPU at that rate
(`cpu_curve`).

The interval holds which curve it is, the seconds of the slowest run (bootstrap, the seconds being the blocks,
for times within one are not independent), how much runs differ, and what the simulation itself leaves open.
Where the host's own stalls make the quantile, and the seconds do not agree on it within half of it, the
prediction is withheld.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from amply_capacity.errors import BadRun
from amply_capacity.interval import Interval
from amply_capacity.model.cpu_curve import CpuCurve, interval_of
from amply_capacity.model.queueing import waits_us
from amply_capacity.model.trips import round_trips
from amply_capacity.run.histogram import width_us
from amply_capacity.run.reader import Run
from amply_capacity.run.schema import FAILED_OUTCOMES

__all__ = ["KNEE_DRAWS", "Knee", "LatencyCurve", "OperationTimes", "Quantile", "Trip", "latency_curve",
           "quantile_within_us"]

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

KNEE_DRAWS = 40
_DRAWS = 30
_COMMANDS, _WARM_UP = 30_000, 5_000
_TIMES, _FEWEST_TIMES = 20_000, 2_000
_CLOSE = 0.004  # of the rate, to which a knee is sought
_SEED = 1
_STRUCTURE = 0.08
"""Relative deviation of the simulated from the real waits, beyond all else."""
_NOISY = 0.5
_OF_THE_HOST = 0.5
_FEWEST_BEYOND = 5.0
_MOST_BUSY, _LEAST_BUSY = 0.3, 0.005
_LEAST_SERVICE = 0.2
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
    def rounds(self) -> float:
        """Round trips of one operation."""
        return sum(trip.per_operation for trip in self.trips)


@dataclass(frozen=True, slots=True)
class Quantile:
    """A predicted quantile, ms; None where it is withheld, with the reason."""

    value_ms: Interval | None
    withheld: str | None = None

    def as_json(self) -> dict[str, Any]:
        value = self.value_ms
        bounds = {f"{name}_ms": None if value is None else getattr(value, name)
                  for name in ("low", "mid", "high")}
        return {**{name: None if bound is None or bound == np.inf else round(bound, 4)
                   for name, bound in bounds.items()}, "withheld": self.withheld}


@dataclass(frozen=True, slots=True)
class Knee:
    """The highest rate of operations at which every use case keeps its p99; None where none can be told."""

    operations_per_second: Interval | None
    use_case: str | None
    """The one that gives out first."""
    withheld: str | None = None


@dataclass(frozen=True, slots=True)
class LatencyCurve:
    """What is needed to simulate any rate of one mix of operations on one server."""

    curve: CpuCurve
    operations: tuple[OperationTimes, ...]
    floor_per_second: float
    """Operations a second of the slowest run."""

    @property
    def rounds_per_operation(self) -> float:
        return sum(one.share * one.rounds for one in self.operations)

    @property
    def commands_per_operation(self) -> float:
        return sum(one.share * sum(trip.per_operation * (trip.asked.count("+") + 1) for trip in one.trips)
                   for one in self.operations)

    @property
    def round_trip_ms(self) -> float:
        """Mean response time of a round trip in the slowest run, where nothing waits."""
        means = [(one.share, float(one.counts.sum(axis=0) @ (one.upper_us - one.width_us / 2.0))
                  / float(one.counts.sum())) for one in self.operations]
        return sum(share * mean for share, mean in means) / self.rounds_per_operation / 1000.0

    def mixed(self, shares: Mapping[str, float]) -> LatencyCurve:
        """The same operations in other shares, by name; raises BadRun where one was not recorded."""
        known = {one.operation: one for one in self.operations}
        missing = sorted(set(shares) - set(known))
        if missing:
            raise BadRun("the runs do not show every operation of that mix", got=f"no {', '.join(missing)}",
                         do="record a run that has them, e.g. loadtests/mixed.py with --mix")
        total = sum(shares.values())
        return replace(self, operations=tuple(
            replace(known[name], share=share / total) for name, share in shares.items() if share > 0.0))

    def quantiles(self, operations_per_second: float, qs: Sequence[float],
                  use_case: str | None = None) -> list[Quantile]:
        """Response time of the use case's operations, of all without one, at a rate of all operations.

        A bound is infinite where a curve of the interval is saturated at that rate.
        """
        ours = [one for one in self.operations if use_case in {None, one.use_case}]
        found = np.array([self._drawn_quantiles(draw, operations_per_second, qs, ours)
                          for draw in range(_DRAWS)])
        rng = np.random.default_rng(_SEED)
        waited, floor = found[:, :, 0] - found[:, :, 1], found[:, :, 1]
        scores = rng.standard_normal((_DRAWS, 1))
        scores[0] = 0.0
        shaken = floor + waited * np.exp(_STRUCTURE * scores)
        return [self._quantile(shaken[:, place], floor[:, place], q, ours) for place, q in enumerate(qs)]

    def knee(self, p99_ms: Mapping[str, float], confidence: float = 0.9,
             advance: Callable[[], object] = lambda: None) -> Knee:
        """The highest rate of all operations together at which each use case keeps its p99.

        `advance` is called for each of the `KNEE_DRAWS` curves that are tried.
        """
        found, first = [], ""
        for draw in range(KNEE_DRAWS):
            rate, use_case = self._highest(draw, p99_ms)
            advance()
            if draw == 0:
                first = use_case
                if rate is None:
                    return Knee(None, use_case, f"the p99 of {use_case} is beyond its objective even at "
                                f"{self.floor_per_second:,.0f} operations a second, where nothing waits: "
                                "that is the host, not the server")
            if rate is not None:
                found.append(rate)
        noisy = np.array(found)
        rng = np.random.default_rng(_SEED + 2)
        noisy[1:] *= np.exp(self.curve.spread * rng.standard_normal(len(noisy) - 1))
        return Knee(interval_of(noisy, confidence), first)

    def _quantile(self, draws_us: Floats, floor_us: Floats, q: float,
                  ours: Sequence[OperationTimes]) -> Quantile:
        seen = sum(float(one.counts.sum()) for one in ours)
        if seen * (1.0 - q) < _FEWEST_BEYOND:
            return Quantile(None, f"{seen:,.0f} operations in the slowest run are too few for it")
        value = interval_of(draws_us / 1000.0)
        floor = interval_of(floor_us / 1000.0)
        if (floor.high - floor.low) > 2.0 * _NOISY * floor.mid and floor.mid > _OF_THE_HOST * value.mid:
            return Quantile(None, f"the host was too noisy: its own stalls alone make it {floor.low:.2f} to "
                                  f"{floor.high:.2f} ms")
        return Quantile(value)

    def _drawn_quantiles(self, draw: int, rate: float, qs: Sequence[float],
                         ours: Sequence[OperationTimes]) -> Floats:
        """Shape (qs, 2): with and without what the commands wait for, µs."""
        saturated = rate >= self._saturation_per_second(draw)
        times = self._simulated(draw, self.floor_per_second if saturated else rate)
        both = np.stack([_quantiles(times, ours, qs, row) for row in (0, 1)], axis=1)
        if saturated:
            both[:, 0] = np.inf
        return both

    def _simulated(self, draw: int, rate: float) -> dict[str, Floats]:
        """By operation, shape (2, times): with and without what its commands wait for, µs."""
        rng = np.random.default_rng([_SEED, draw])
        places, waits, cheaper = self._waits(draw, rate, rng)
        found = {}
        for one in self.operations:
            size = max(round(_TIMES * one.share), _FEWEST_TIMES)
            floor = np.maximum(_drawn(one, size, rng, is_resampled=draw > 0) - one.rounds * cheaper, 0.0)
            found[one.operation] = np.stack([floor + _waited(one, places, waits, size, rng), floor])
        return found

    def _saturation_per_second(self, draw: int) -> float:
        return float(self.curve.saturation_per_second(self.execution_us)[draw] / self.rounds_per_operation)

    def _highest(self, draw: int, p99_ms: Mapping[str, float]) -> tuple[float | None, str]:
        """The rate of one draw; None where the objective is missed where nothing waits."""
        groups = {name: [one for one in self.operations if one.use_case == name] for name in p99_ms}
        low, high = self.floor_per_second, self._saturation_per_second(draw)

        def worst(rate: float) -> tuple[float, str]:
            times = self._simulated(draw, rate)
            return max((float(_quantiles(times, group, (0.99,), 0)[0]) / (1000.0 * p99_ms[name]), name)
                       for name, group in groups.items() if group)

        beyond, first = worst(min(low, 0.5 * high))
        if beyond > 1.0 or high <= low:
            return None, first
        while high - low > _CLOSE * high:
            rate = (low + high) / 2.0
            beyond, use_case = worst(rate)
            if beyond > 1.0:
                high, first = rate, use_case
            else:
                low = rate
        return (low + high) / 2.0, first

    @property
    def commands_per_round(self) -> Mapping[str, float]:
        """In a mean round trip, by command as commandstats names it."""
        found: dict[str, float] = {}
        for one in self.operations:
            for trip in one.trips:
                for name in trip.asked.lower().split("+"):
                    found[name] = found.get(name, 0.0) + one.share * trip.per_operation
        return {name: count / self.rounds_per_operation for name, count in sorted(found.items())}

    @property
    def execution_us(self) -> float:
        """Of a mean round trip of this mix."""
        return sum(one.share * trip.per_operation * trip.execution_us
                   for one in self.operations for trip in one.trips) / self.rounds_per_operation

    def _waits(self, draw: int, rate: float,
               rng: np.random.Generator) -> tuple[dict[tuple[str, str], Places], Floats, float]:
        """Where in the simulation each kind of round trip stands, what each waits, µs, and how much less a
        round trip costs at this rate than in the slowest run."""
        kinds = {(one.operation, trip.asked): (one.share * trip.per_operation, trip.execution_us)
                 for one in self.operations for trip in one.trips}
        shares, execution = np.array(list(kinds.values())).T
        per_second, mean = rate * float(shares.sum()), self.execution_us
        cost, at_floor = self.curve.us_per_round(
            np.array([per_second, self.floor_per_second * float(shares.sum())]), mean)[draw]
        drawn = rng.choice(len(shares), size=_COMMANDS + _WARM_UP, p=shares / shares.sum())
        services = np.maximum(execution[drawn] + cost - mean, _LEAST_SERVICE * cost)
        arrivals = np.cumsum(rng.standard_exponential(len(drawn))) * (1e6 / per_second)
        waits = waits_us(arrivals, services * (cost / services.mean()))[_WARM_UP:]
        drawn = drawn[_WARM_UP:]
        return ({kind: np.flatnonzero(drawn == number) for number, kind in enumerate(kinds)}, waits,
                float(at_floor - cost))


def latency_curve(runs: Sequence[Run], curve: CpuCurve) -> LatencyCurve:
    """From the run with the slowest rate in an open loop, its knee search's first steps included.

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
                     do="record one that keeps it 10 % busy: `locust -f "
                        f"loadtests/{slowest.manifest['scenario']}.py --headless -u 50 -r 50 -t 30s "
                        f"--arrivals poisson --rate {_better_rate(rate, busy):.0f}`")
    total = float(own["count"].sum())
    execution = _execution_us(trips, curve)
    return LatencyCurve(curve, tuple(
        _times(str(use_case), str(operation), rows, trips[trips["operation"] == operation], execution, total,
               steady)
        for (use_case, operation), rows in own.groupby(["use_case", "operation"])), rate)


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
    wanted = rate * 0.1 / busy
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


def _drawn(one: OperationTimes, size: int, rng: np.random.Generator, *, is_resampled: bool) -> Floats:
    """Times of the slowest run, of seconds drawn anew for all but the first draw."""
    blocks = len(one.counts)
    weights = rng.multinomial(blocks, np.full(blocks, 1.0 / blocks)) if is_resampled else np.ones(blocks)
    totals = weights @ one.counts
    if not totals.sum():
        totals = one.counts.sum(axis=0)
    picked = np.searchsorted(np.cumsum(totals), rng.random(size) * totals.sum(), side="right")
    return np.asarray(one.upper_us[picked] - one.width_us[picked] * rng.random(size))


def _quantiles(times: Mapping[str, Floats], ours: Sequence[OperationTimes], qs: Sequence[float],
               row: int) -> Floats:
    """Of the times of operations in their shares: each weighs as much as its share is, however many there
    are."""
    parts = [(one.share, times[one.operation][row]) for one in ours]
    values = np.concatenate([part for _, part in parts])
    weights = np.concatenate([np.full(len(part), share / len(part)) for share, part in parts])
    order = np.argsort(values)
    cumulated = np.cumsum(weights[order])
    places = np.searchsorted(cumulated, np.asarray(qs) * cumulated[-1])
    return np.asarray(values[order][np.minimum(places, len(values) - 1)])


def _waited(one: OperationTimes, places: Mapping[tuple[str, str], Places], waits: Floats, size: int,
            rng: np.random.Generator) -> Floats:
    """What the round trips of so many operations wait in all; a part of a round trip is a chance of one."""
    total = np.zeros(size)
    for trip in one.trips:
        ours = places[one.operation, trip.asked]
        if not len(ours):
            continue
        whole, rest = divmod(trip.per_operation, 1.0)
        for _ in range(int(whole)):
            total += waits[ours[rng.integers(len(ours), size=size)]]
        total += np.where(rng.random(size) < rest, waits[ours[rng.integers(len(ours), size=size)]], 0.0)
    return total
