"""Server CPU as a function of the rate: what a round trip costs a server that is rarely or always busy.

**Law.** A round trip costs `o + e + b ln(1 + g / t)` µs: `e` inside its commands (commandstats), `o` for
reading, parsing and writing, and a part that grows with the idle gap `g` before it, since a server that
slept has cold caches and has to be woken. The gap is what the rate leaves, `1 / rate` less the round trip
itself, so that it vanishes in a saturated server. An idle server costs `i` for its cron and the toolkit's
INFO. The logarithm was found on redis 7.0.15 (x86-64, two shared cores) from 66 to 34,000 commands a second,
where it holds within the noise of the runs, about 5 %. A hyperbola, `1 / (1 + rate / t)`, fits as well above
2,000 a second only. What waking costs bends from the logarithm, where cores begin to sleep deeper or not at
all: by a smooth factor of the rate, which is nearly one (`_BEND`) and is learnt near the rates of the runs.

**Fit.** They are estimated in logarithms from the samples of any number of runs, by iterated least
squares with Student weights (one disturbed run must not decide) and priors from that same host. The more
rates a run has, the less the priors matter; with one rate they carry the curve to others, and the interval
says so. Runs differ by more than their seconds show (frequency, neighbours): that spread is estimated too.

`usec_per_call` of commandstats alone is a tenth of the cost. It is used for the difference between commands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from amply_capacity.errors import BadRun
from amply_capacity.interval import Interval
from amply_capacity.model.cpu_samples import CpuSample, cpu_samples, execution_us
from amply_capacity.run.reader import Run

__all__ = ["BEND_KNOTS", "DRAWS", "CpuCurve", "cpu_curve", "curve_of", "interval_of"]

Floats = NDArray[np.float64]

DRAWS = 400
"""Curves drawn from the posterior."""
BEND_KNOTS = 15
"""Rates at which the bend is estimated, each twice the one before: 16 to 262,144 round trips a second."""

# Logarithms of idle µs a second, o, b / o and t in µs: middle, and deviation of what other hosts may have.
_MIDDLE = np.log([4_500.0, 4.6, 1.75, 50.0])
_DEVIATION = np.array([0.7, 1.0, 0.25, 0.4])
_PLAIN = len(_MIDDLE)
# Logarithm of the factor: its deviation before anything is seen, and how far a rate tells of others (in ln).
_BEND, _BEND_LENGTH = 0.12, 1.0
_BEND_LEAST_LOG2 = 4.0
_SPREAD, _SPREAD_SEEN = 0.08, 4.0  # between runs (at 0.04 too few intervals held), and its worth in runs
_JITTER = 1e-3  # of the bend's variance: keeps the matrix from being singular
_STUDENT = 4.0
_ROUNDS, _STEPS, _NUDGE = 4, 25, 1e-4
_SEED = 1
_COLD_US = 1.0  # what a command's own time grows by per unit of the logarithm, where its key is touched first
_WARM_SHARE = 0.35  # of a command's time, at least, that it also takes when warm
_OTHER_MIX = 0.35  # of the difference in execution between two mixes: its standard deviation
_ITERATIONS = 5  # within 0.2 % at the worst, where the server is nearly full; 1e-14 elsewhere
_LEAST_RATE = 1e-3


@dataclass(frozen=True, slots=True)
class CpuCurve:
    """Draws of the curve, (draws,) each, the best one first; units as in the law above."""

    idle_us_per_second: Floats
    own_us: Floats
    wake_us: Floats
    gap_us: Floats
    bend: Floats
    """Shape (draws, knots): logarithm of what the waking costs over the law, at each knot's rate."""
    mix_error: Floats
    """Standard scores, of what is not known of another mix."""
    command_us: Mapping[str, float]
    """Execution of a command by a warm server."""
    fitted_us: float
    """Execution of a round trip of the runs, which needs no allowance."""
    commands_per_round: Mapping[str, float]
    """Of the runs, together."""
    spread: float
    """Relative deviation of another run from the curve."""
    slowest_per_second: float
    fastest_per_second: float
    """Round trips a second between which there were samples."""
    samples: int

    def execution_us(self, commands_per_round: Mapping[str, float] | None = None) -> float:
        """Warm execution of a round trip of these commands, of the runs' own without.

        Raises BadRun for a command that no run shows.
        """
        if commands_per_round is None:
            return self.fitted_us
        unknown = sorted(set(commands_per_round) - set(self.command_us))
        if unknown:
            raise BadRun("no run given shows what every command of that mix costs",
                         got=f"no {', '.join(name.upper() for name in unknown)}",
                         do="record a run that has them, and give it too")
        return sum(count * self.command_us[name] for name, count in commands_per_round.items())

    def us_per_round(self, rounds_per_second: Floats | float, execution_us: float | None = None) -> Floats:
        """Shape (draws, *rates): µs of CPU, without the idle server's, of one round trip at each rate."""
        rates = np.asarray(rounds_per_second, dtype=np.float64)
        return self.us_each(np.broadcast_to(rates, (len(self.own_us), *rates.shape)), execution_us)

    def us_each(self, rounds_per_second: Floats, execution_us: Floats | float | None = None) -> Floats:
        """The same, where each draw has rates of its own, shape (draws, …), and maybe its own execution."""
        shape = (-1, *[1] * (rounds_per_second.ndim - 1))
        warm = (self.own_us + self._busy_us(execution_us)).reshape(shape)
        gap = self.gap_us.reshape(shape)
        rates = np.maximum(rounds_per_second, _LEAST_RATE)
        wake = self.wake_us.reshape(shape) * np.exp(_bent(self.bend, _place(rates)))
        between = 1e6 / rates
        most = np.maximum(between, warm)
        cost = warm + wake * np.log1p(np.maximum(between - warm, 0.0) / gap)
        # The cost and the gap that it leaves, each from the other: Newton's steps, down from above.
        for _ in range(_ITERATIONS):
            cost = np.minimum(cost, most)
            idle = np.maximum(between - cost, 0.0)
            slope = wake / (gap + idle)
            cost = (warm + wake * np.log1p(idle / gap) + slope * cost) / (1.0 + slope)
        return cost

    def cores(self, rounds_per_second: Floats | float, execution_us: float | None = None) -> Floats:
        """Shape (draws, *rates): cores used, the idle server's part included; above 1 there is too much."""
        rates = np.asarray(rounds_per_second, dtype=np.float64)
        return self.cores_each(np.broadcast_to(rates, (len(self.own_us), *rates.shape)), execution_us)

    def cores_each(self, rounds_per_second: Floats, execution_us: Floats | float | None = None) -> Floats:
        """The same, where each draw has rates of its own, as in `us_each`."""
        idle = self.idle_us_per_second.reshape((-1, *[1] * (rounds_per_second.ndim - 1)))
        return (rounds_per_second * self.us_each(rounds_per_second, execution_us) + idle) / 1e6

    def picked(self, draws: NDArray[np.int64]) -> CpuCurve:
        """The curves of these draws, in this order."""
        return replace(self, **{name: getattr(self, name)[draws] for name in (
            "idle_us_per_second", "own_us", "wake_us", "gap_us", "bend", "mix_error")})

    def saturation_per_second(self, execution_us: Floats | float | None = None) -> Floats:
        """Shape (draws,): round trips a second that fill one core, since commands run on one thread."""
        return (1e6 - self.idle_us_per_second) / (self.own_us + self._busy_us(execution_us))

    def us_per_command(self, rounds_per_second: float,
                       commands_per_round: Mapping[str, float] | None = None, *,
                       of_a_run: bool = False) -> Interval:
        """Process CPU over commands, the idle server's part included, 90 %.

        `of_a_run` is what one more run would show, with its spread.
        """
        mix = commands_per_round or self.commands_per_round
        cores = self.cores(rounds_per_second, self.execution_us(commands_per_round))
        each = 1e6 * cores / (rounds_per_second * sum(mix.values()))
        return interval_of(self.noisy(each) if of_a_run else each)

    def noisy(self, values: Floats) -> Floats:
        """Draws, shape (draws,), as single runs would show them."""
        rng = np.random.default_rng(_SEED + 1)
        shaken = values * np.exp(self.spread * rng.standard_t(_STUDENT, len(values)))
        shaken[0] = values[0]
        return np.asarray(shaken)

    def _busy_us(self, execution_us: Floats | float | None) -> Floats:
        """Execution of a round trip in each draw."""
        execution = self.fitted_us if execution_us is None else execution_us
        busy = execution + self.mix_error * _OTHER_MIX * np.abs(execution - self.fitted_us)
        return np.asarray(np.maximum(busy, _WARM_SHARE * execution))


def curve_of(runs: Sequence[Run]) -> CpuCurve:
    """The curve of the server that these runs loaded. Raises BadRun where none tells its CPU."""
    samples = [sample for run in runs for sample in cpu_samples(run)]
    if not samples:
        raise BadRun("no run given tells what its server's CPU did",
                     got=f"{', '.join(run.name for run in runs) or 'no run'}: too short, idle, or a server "
                         "whose INFO has no used_cpu",
                     do="record one of at least 10 seconds, e.g. `locust -f loadtests/mixed.py --headless "
                        "-u 50 -r 50 -t 30s --arrivals poisson --rate 2000`")
    by_run = {run.name: execution_us(run) for run in runs}
    return cpu_curve(samples, by_run)


def cpu_curve(samples: Sequence[CpuSample], execution: Mapping[str, Mapping[str, float]]) -> CpuCurve:
    """Fit it; `execution` is µs by command, by the run of the samples."""
    command_us = _warm(samples, execution)
    busy = np.array([sum(count * command_us.get(name, 0.0) for name, count in one.commands_per_round.items())
                     for one in samples])
    rates = np.array([one.rounds_per_second for one in samples])
    costs = np.array([one.us_per_round for one in samples])
    errors = np.array([one.relative_error for one in samples])
    gaps = np.maximum(1e6 / rates - costs, 0.0)
    place = _place(rates[None])

    def law(theta: Floats) -> Floats:
        idle, own, ratio, gap = np.exp(theta[:_PLAIN])
        factor = np.exp(_bent(theta[None, _PLAIN:], place)[0])
        return np.asarray(np.log(idle / rates + own + busy + ratio * own * factor * np.log1p(gaps / gap)))

    theta, covariance, spread = _estimated(law, np.log(costs), errors)
    rng = np.random.default_rng(_SEED)
    scores = rng.standard_normal((DRAWS, len(theta)))
    scores[0] = 0.0
    drawn = theta + scores @ np.linalg.cholesky(covariance).T
    idle, own, ratio, gap = np.exp(drawn[:, :_PLAIN]).T
    mix_error = rng.standard_normal(DRAWS)
    mix_error[0] = 0.0
    seconds = np.array([one.seconds for one in samples])
    names = sorted({name for one in samples for name in one.commands_per_round})
    together = {name: float(np.average([one.commands_per_round.get(name, 0.0) for one in samples],
                                       weights=seconds * rates)) for name in names}
    fitted_us = sum(count * command_us.get(name, 0.0) for name, count in together.items())
    return CpuCurve(idle, own, ratio * own, gap, drawn[:, _PLAIN:], mix_error, command_us, fitted_us,
                    together, spread, float(rates.min()), float(rates.max()), len(samples))


def interval_of(draws: Floats, confidence: float = 0.9) -> Interval:
    """Of draws whose first is the best one; they may be infinite."""
    low, high = np.quantile(draws, [0.5 - confidence / 2.0, 0.5 + confidence / 2.0], method="nearest")
    mid = float(draws[0])
    return Interval(min(float(low), mid), mid, max(float(high), mid), confidence)


def _warm(samples: Sequence[CpuSample], execution: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Execution of each command by a warm server: of the run with the highest rate that has it."""
    fastest = sorted(samples, key=lambda one: one.rounds_per_second)
    found = {}
    for one in fastest:
        idle_gap = max(1e6 / one.rounds_per_second - one.us_per_round, 0.0)
        cold = _COLD_US * float(np.log1p(idle_gap / np.exp(_MIDDLE[3])))
        for name in one.commands_per_round:
            cost = execution.get(one.run_id, {}).get(name)
            if cost is not None:
                found[name] = max(cost - cold, _WARM_SHARE * cost)
    return found


_Place = tuple[NDArray[np.int64], Floats]


def _place(rates: Floats) -> _Place:
    """The knot below each rate, and how far it lies towards the next one; the ends' beyond them."""
    at = np.clip(np.log2(rates) - _BEND_LEAST_LOG2, 0.0, BEND_KNOTS - 1.0)
    lower = np.minimum(at.astype(np.int64), BEND_KNOTS - 2)
    return lower, at - lower


def _bent(bend: Floats, place: _Place) -> Floats:
    """Logarithm of the factor, shape (draws, …) as the places': of each draw's bend, (draws, knots)."""
    lower, share = place
    draw = np.arange(len(bend)).reshape((-1, *[1] * (lower.ndim - 1)))
    return np.asarray((1.0 - share) * bend[draw, lower] + share * bend[draw, lower + 1])


def _prior() -> tuple[Floats, Floats]:
    """Middle and precision of the parameters: the law's own, then the bend at its knots."""
    apart = np.log(2.0) * np.subtract.outer(np.arange(BEND_KNOTS), np.arange(BEND_KNOTS))
    bend = _BEND**2 * (np.exp(-0.5 * (apart / _BEND_LENGTH)**2) + _JITTER * np.eye(BEND_KNOTS))
    precision = np.zeros((_PLAIN + BEND_KNOTS,) * 2)
    precision[:_PLAIN, :_PLAIN] = np.diag(1.0 / _DEVIATION**2)
    precision[_PLAIN:, _PLAIN:] = np.linalg.inv(bend)
    return np.concatenate([_MIDDLE, np.zeros(BEND_KNOTS)]), precision


def _estimated(law: Callable[[Floats], Floats], costs: Floats,
               errors: Floats) -> tuple[Floats, Floats, float]:
    """Logarithms of the parameters, their covariance, and the spread between runs."""
    middle, precision = _prior()
    theta, spread = middle, _SPREAD
    for _ in range(_ROUNDS):
        deviation = np.hypot(spread, errors)
        for _ in range(_STEPS):
            residual = (costs - law(theta)) / deviation
            slopes = np.stack([(law(theta + step) - law(theta - step)) / (2.0 * _NUDGE)
                               for step in _NUDGE * np.eye(len(theta))], axis=1) / deviation[:, None]
            weights = (_STUDENT + 1.0) / (_STUDENT + residual**2)
            normal = slopes.T @ (weights[:, None] * slopes) + precision
            change = np.linalg.solve(normal, slopes.T @ (weights * residual) - precision @ (theta - middle))
            theta = theta + np.clip(change, -0.5, 0.5)
            if np.abs(change).max() < 1e-6:
                break
        beyond = np.maximum((costs - law(theta))**2 * weights - errors**2, 0.0)
        used = float(np.trace(np.linalg.solve(normal, normal - precision)))
        free = max(len(costs) - used, 0.0)
        spread = float(np.sqrt((_SPREAD_SEEN * _SPREAD**2 + beyond.sum() * free / len(costs))
                               / (_SPREAD_SEEN + free)))
    return np.asarray(theta), np.asarray(np.linalg.inv(normal)), spread
