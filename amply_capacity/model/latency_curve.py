"""Response times at rates that were not run, and the highest rate that holds a p99.

What an operation takes where nothing waits (network, wake-ups, the host's own stalls) is taken from the
base, the fastest open loops in which little waits; what its commands wait for at another rate is simulated:
Poisson arrivals at the server's event loop (`queueing`), each served for as long as it costs the server's CPU
at that rate (`cpu_curve`). Slower loops, where there are some, tell how the rest of a round trip's way
shrinks as the server and the client sleep less: with the same logarithm of the idle gap as the server's CPU
(redis 7.0.15, two shared cores: 50 to 80 µs per unit from 120 to 1,800 scripts a second).

The middle is that of a host as it was in most seconds of the base: one in which it stalled everything says
what may come, and not what is usual. The interval holds which curve it is, the seconds of the base
(bootstrap, the seconds being the blocks, for times within one are not independent; half of the draws with the
disturbed ones), how much runs differ, their tails above all, and what the simulation itself leaves open.
Where the host's own stalls make the quantile, and leave it open by more than a factor of five, the prediction
is withheld.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amply_capacity.interval import Interval
from amply_capacity.model.cpu_curve import DRAWS, CpuCurve, interval_of
from amply_capacity.model.operation_mix import OperationMix
from amply_capacity.model.operation_times import Loop, OperationTimes, open_loops
from amply_capacity.model.queueing import waited_us
from amply_capacity.model.stalls import Base, Load, Stalls, base_of, tail_of, with_stalls
from amply_capacity.run.reader import Run

__all__ = ["KNEE_DRAWS", "Knee", "LatencyCurve", "Quantile", "latency_curve"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

KNEE_DRAWS = 40
_DRAWS = 30
_COMMANDS, _WARM_UP = 30_000, 5_000
_MORE_FOR_THE_BEST = 6  # times the commands, since the middle is that draw's
_TIMES, _FEWEST_TIMES = 20_000, 2_000
_CLOSE = 0.004  # of the rate, to which a knee is sought
_SEED = 1
_STRUCTURE = 0.08
"""Relative deviation of the simulated from the real waits, beyond all else."""
_NOISY = 5.0
"""Times the lower bound."""
_FEWEST_BEYOND = 5.0
_LEAST_SERVICE = 0.2
_RATES_APART = 0.5  # of the logarithm of idle gaps, between the slowest and the fastest loop, to tell a slope
_WAY_ERROR = 0.3
_CORRECTIONS = 3
_LEAST_BETWEEN_US = 5.0


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
                   for name, bound in bounds.items()},
                "saturated": value is not None and value.high == np.inf, "withheld": self.withheld}


@dataclass(frozen=True, slots=True)
class Knee:
    """The highest rate of operations at which every use case keeps its p99; None where none can be told."""

    operations_per_second: Interval | None
    use_case: str | None
    """The one that gives out first."""
    withheld: str | None = None


def _scores(seed: int) -> Floats:
    """Standard scores of what is not known in each draw; none for the best one."""
    scores = np.random.default_rng(seed).standard_normal(DRAWS)
    scores[0] = 0.0
    return scores


_WAYS, _TAILS = _scores(_SEED + 3), _scores(_SEED + 4)


@dataclass(frozen=True, slots=True)
class LatencyCurve:
    """What is needed to simulate any rate of one mix of operations on one server."""

    curve: CpuCurve
    mix: OperationMix
    base_per_second: float
    """Operations a second of the base run."""
    way_us: float = 0.0
    """What a round trip's way grows by per unit of the logarithm of `cpu_curve`, beside the server's CPU."""
    median_spread: float = 0.0
    """Relative deviation of the median from run to run."""
    tail_spread: float = 0.0
    """The same of what is beyond it."""
    _bases: dict[int, Base] = field(default_factory=dict, compare=False, repr=False)

    def idle_and_way_us(self) -> tuple[float, float]:
        """Of a round trip of the base run, in the best curve: the logarithm of the law, and what is left of
        the mean of the operations' medians, without waits and the server's CPU."""
        cost = float(self._costs(np.array([self.base_per_second]))[0, 0])
        medians = [float(np.median(times)) for times in self._base(0).times]
        median = float(np.average(medians, weights=[one.share for one in self.mix.operations]))
        return self._idle(0, self.base_per_second, cost), median / self.mix.rounds_per_operation - cost

    def mixed(self, shares: Mapping[str, float]) -> LatencyCurve:
        """Of the same operations in other shares, by name; raises BadRun where one was not recorded."""
        return replace(self, _bases={}, mix=self.mix.mixed(shares))

    def quantiles(self, operations_per_second: float, qs: Sequence[float],
                  use_case: str | None = None) -> list[Quantile]:
        """Response time of the use case's operations, of all without one, at a rate of all operations.

        A bound is infinite where a curve of the interval is saturated at that rate.
        """
        ours = [one for one in self.mix.operations if use_case in {None, one.use_case}]
        found = np.array([self._drawn_quantiles(draw, operations_per_second, qs, ours)
                          for draw in range(_DRAWS)])
        rng = np.random.default_rng(_SEED)
        waited, floor = found[:, :, 0] - found[:, :, 1], found[:, :, 1]
        scores, of_a_run = rng.standard_normal((2, _DRAWS, 1))
        scores[0] = of_a_run[0] = 0.0
        spread = max(self.curve.spread, self.median_spread)
        shaken = floor * np.exp(spread * of_a_run) + waited * np.exp(_STRUCTURE * scores)
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
                                f"{self.base_per_second:,.0f} operations a second, where nothing waits: "
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
            return Quantile(None, f"{seen:,.0f} operations in the base run are too few for it")
        value, floor = (interval_of(draws / 1000.0) for draws in (draws_us, floor_us))
        if floor.high > max(_NOISY * floor.low, value.mid):
            return Quantile(None, f"the host was too noisy: its own stalls alone make it {floor.low:.2f} to "
                                  f"{floor.high:.2f} ms")
        return Quantile(value)

    def _drawn_quantiles(self, draw: int, rate: float, qs: Sequence[float],
                         ours: Sequence[OperationTimes]) -> Floats:
        """Shape (qs, 2): with and without what the commands wait for, µs."""
        saturated = rate >= self._saturation_per_second(draw)
        times = self._simulated(draw, self.base_per_second if saturated else rate)
        both = np.stack([_quantiles(times, ours, qs, row) for row in (0, 1)], axis=1)
        if saturated:
            both[:, 0] = np.inf
        return both

    def _simulated(self, draw: int, rate: float) -> dict[str, Floats]:
        """By operation, shape (2, times): with and without what its commands wait for, µs."""
        rng = np.random.default_rng([_SEED, draw])
        base = self._base(draw)
        waits, cheaper = self._waits(draw, rate, rng, base.stalls)
        longer = np.exp(self.tail_spread * _TAILS[draw])
        found = {}
        for one, whole, calm, waited in zip(self.mix.operations, base.times, base.calm, waits, strict=True):
            less = one.rounds * cheaper
            more = waited[rng.integers(len(waited), size=len(calm))] if len(waited) else 0.0
            times = np.stack([np.maximum(calm - less, 0.0) + more, np.maximum(whole - less, 0.0)])
            medians = np.median(times, axis=1, keepdims=True)
            found[one.name] = np.where(times > medians, medians + longer * (times - medians), times)
        return found

    def _base(self, draw: int) -> Base:
        """Times of the base run, less what was waited there, and the stalls that are in them."""
        if draw not in self._bases:
            rng = np.random.default_rng([_SEED, draw, 1])
            waits, _ = self._waits(draw, self.base_per_second, rng)
            seen, times = [], []
            for one, waited in zip(self.mix.operations, waits, strict=True):
                size = max(round(_TIMES * one.share), _FEWEST_TIMES)
                seen.append(one.drawn_us(size, rng, is_resampled=draw > 0, is_disturbed=draw % 2 == 1))
                times.append(rng.permutation(_without(seen[-1], waited)))
            shares = np.array([one.share for one in self.mix.operations])
            self._bases[draw] = self._corrected(draw, base_of(times, shares, rng), seen, shares)
        return self._bases[draw]

    def _corrected(self, draw: int, base: Base, seen: Sequence[Floats], shares: Floats) -> Base:
        """With stalls that, simulated at the base's own rate, make the tail that was seen there, and with
        calm times that hold nothing of what waits for them."""
        if base.stalls is None:
            return base
        stalls, aim = base.stalls, tail_of(seen, shares)
        for _ in range(_CORRECTIONS):
            waits, rng = self._base_waits(draw, stalls)
            times = [calm + waited[rng.integers(len(waited), size=len(calm))] if len(waited) else calm
                     for calm, waited in zip(base.calm, waits, strict=True)]
            stalls = stalls.corrected(aim, tail_of(times, shares, like=seen))
        waits, rng = self._base_waits(draw, stalls)
        return replace(base, stalls=stalls, calm=[
            np.minimum(rng.permutation(_without(each, waited)), most.max())
            for each, waited, most in zip(seen, waits, base.calm, strict=True)])

    def _base_waits(self, draw: int, stalls: Stalls) -> tuple[list[Floats], np.random.Generator]:
        """What waits at the base's rate among such stalls: the same arrivals each time."""
        rng = np.random.default_rng([_SEED, draw, 2])
        return self._waits(draw, self.base_per_second, rng, stalls)[0], rng

    def _saturation_per_second(self, draw: int) -> float:
        rounds = self.curve.saturation_per_second(self.mix.execution_us)[draw]
        return float(rounds / self.mix.rounds_per_operation)

    def _highest(self, draw: int, p99_ms: Mapping[str, float]) -> tuple[float | None, str]:
        """The rate of one draw; None where the objective is missed where nothing waits."""
        groups = {name: [one for one in self.mix.operations if one.use_case == name] for name in p99_ms}
        low, high = self.base_per_second, self._saturation_per_second(draw)

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

    def _waits(self, draw: int, rate: float, rng: np.random.Generator,
               stalls: Stalls | None = None) -> tuple[list[Floats], float]:
        """What operations of each kind wait, µs; and how much less a round trip costs than in the base
        run."""
        rounds, mean = self.mix.rounds_per_operation, self.mix.execution_us
        base = self.base_per_second
        cost, at_floor = self._costs(np.array([rate, base]))[draw]
        nearer = (self.way_us * np.exp(_WAY_ERROR * _WAYS[draw])
                  * (self._idle(draw, base, at_floor) - self._idle(draw, rate, cost)))
        shares = np.array([one.share for one in self.mix.operations])
        commands = _COMMANDS * (_MORE_FOR_THE_BEST if draw == 0 else 1)
        size = round((commands + _WARM_UP) / rounds) + 1
        kinds = rng.choice(len(shares), size=size, p=shares / shares.sum())
        places, execution = self.mix.asked(kinds, rng)
        services = np.maximum(execution + cost - mean, _LEAST_SERVICE * cost)
        services *= cost / services.mean()
        network = np.array([max(one.median_us / max(one.rounds, 1.0) - at_floor - nearer, _LEAST_BETWEEN_US)
                            for one in self.mix.operations])
        starts = np.cumsum(rng.standard_exponential(size)) * (1e6 / rate)
        begun = starts[round(_WARM_UP / rounds)]
        load = Load(starts, kinds, places, services, network[kinds])
        if stalls is not None:
            load = with_stalls(load, stalls, rng)
        waited = waited_us(load.starts_us, load.places, load.services_us, load.between_us)
        is_counted = load.starts_us >= begun
        kinds, waited = load.kinds[is_counted], waited[is_counted]
        return [waited[kinds == number] for number in range(len(shares))], float(at_floor - cost + nearer)

    def _costs(self, rates: Floats) -> Floats:
        """Shape (draws, rates): µs of CPU of a round trip at each rate of operations."""
        return self.curve.us_per_round(rates * self.mix.rounds_per_operation, self.mix.execution_us)

    def _idle(self, draw: int, rate: float, cost_us: float) -> float:
        """The logarithm of the law: of what a round trip leaves idle at that rate."""
        between_us = 1e6 / (rate * self.mix.rounds_per_operation)
        return float(np.log1p(max(between_us - cost_us, 0.0) / self.curve.gap_us[draw]))


def latency_curve(runs: Sequence[Run], curve: CpuCurve) -> LatencyCurve:
    """From the open loops among these; raises BadRun where none shows what an operation takes when nothing
    waits."""
    loops = open_loops(runs, curve)
    return replace(_of(loops[-1], curve), way_us=_way_us(loops, curve),
                   median_spread=loops[-1].median_spread, tail_spread=loops[-1].tail_spread)


def _of(loop: Loop, curve: CpuCurve) -> LatencyCurve:
    return LatencyCurve(curve, OperationMix(loop.operations), loop.per_second)


def _way_us(loops: Sequence[Loop], curve: CpuCurve) -> float:
    """The slope of what is left of the medians, without waits and the server's CPU; 0 where the rates of the
    loops are too near to each other to tell."""
    idle, way = np.array([_of(loop, curve).idle_and_way_us() for loop in loops]).T
    return max(float(np.polyfit(idle, way, 1)[0]), 0.0) if np.ptp(idle) >= _RATES_APART else 0.0


def _without(times: Floats, waited: Floats) -> Floats:
    """In order, less what was waited, the longest wait from the longest time: the sum had that tail."""
    if not len(waited):
        return np.sort(times)
    # As np.quantile, which takes ten times as long for thousands of them at once.
    place = (np.arange(len(times)) + 0.5) / len(times) * (len(waited) - 1)
    return np.maximum(np.sort(times) - np.interp(place, np.arange(len(waited)), np.sort(waited)), 0.0)


def _quantiles(times: Mapping[str, Floats], ours: Sequence[OperationTimes], qs: Sequence[float],
               row: int) -> Floats:
    """Of the times of operations in their shares: each weighs as much as its share is, however many there
    are."""
    parts = [(one.share, times[one.name][row]) for one in ours]
    values = np.concatenate([part for _, part in parts])
    weights = np.concatenate([np.full(len(part), share / len(part)) for share, part in parts])
    order = np.argsort(values)
    cumulated = np.cumsum(weights[order])
    places = np.searchsorted(cumulated, np.asarray(qs) * cumulated[-1])
    return np.asarray(values[order][np.minimum(places, len(values) - 1)])
