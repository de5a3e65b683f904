"""CPU per command at rates and of mixes that were not run before: predicted, then measured, again and again.

Fitted to the usual mix at six rates and to each use case alone, as a user would record them; predicted are
other rates and mixes of the use cases. On this kind of host runs of one load differ by a tenth, and by half
from one quarter of an hour to the next, when a neighbour comes. So it is fitted to several rounds of runs,
and what is predicted from the last of them is measured in the next, several times; how good the model is, is
the median of a load's errors over the rounds. The server's core is kept awake, and how fast it was at the
time is taken out of what is fitted and of what is measured (`awake`): what halting and neighbours cost is the
host's. Until seed 61,139 it was not kept awake, and the use cases alone were predicted; until 73,124 its
speed was not known, and four rates were fitted.
Developed on seeds 1 to 99, 1,040 to 7,064, and 101,100 to 308,000; seeds 5,100 to 5,139, 6,100 to 8,139,
9,120 to 11,135, 15,100 to 22,149, 25,100 to 31,139, 35,100 to 41,139, 45,100 to 48,139, 55,100 to 61,139,
65,100 to 73,124 and 75,100 to 82,124 are used up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from amply_capacity.model.cpu_curve import CpuCurve, cpu_curve
from amply_capacity.model.cpu_samples import cpu_samples, execution_us
from amply_capacity.model.forecast import CPU, outcomes
from amply_capacity.model.trips import RoundTrips, mixed_trips, operation_trips
from amply_capacity.run.reader import Run
from amply_capacity.traffic.mix import CACHE_MIX, CELERY_MIX, DEFAULT_MIX, RATE_LIMIT_MIX, SESSIONS_MIX
from bench.claim import Claim, Experiment
from bench.recorder import Load, Recorder
from bench.rig import SCENARIOS

__all__ = ["batches"]

_SEED = 85_100
_ANOTHER_RATE, _ANOTHER_MIX = 0.05, 0.08
# Beyond 7,000 the generator is often the bottleneck here: such seconds are none that a model stands on.
_FIT_RATES, _RATES = (300, 900, 1_300, 2_600, 3_500, 7_000), (600, 1_800, 4_500, 6_000)
_FIT_ROUNDS, _ROUNDS, _SECONDS = 3, 6, 12.0
_ALONE: tuple[tuple[str, str, Mapping[str, int]], ...] = (
    ("sessions", "sessions.py", SESSIONS_MIX), ("rate limits", "rate_limit.py", RATE_LIMIT_MIX),
    ("cached reads", "cache.py", CACHE_MIX), ("results", "celery_results.py", CELERY_MIX))
_ALONE_RATE = 3_000
_MIXES: tuple[tuple[str, int, Mapping[str, int]], ...] = (
    ("results, log-ins", 2_500, {"store_result": 300, "get_result": 300, "create": 200, "validate": 200}),
    ("touches, reads", 5_000, {"touch": 500, "cached_read": 300, "check": 200}),
    ("limits, reads", 2_500, {"check": 500, "cached_read": 500}),
    ("sessions, limits", 5_000, {"validate": 300, "touch": 150, "create": 50, "check": 500}),
    ("reads, results", 1_500, {"cached_read": 500, "store_result": 250, "get_result": 250}),
)


def batches(seed: int = _SEED) -> Iterator[list[Experiment]]:
    """A batch a round: it stands on the runs of the rounds before it, and of the minute before it."""
    recorder = Recorder(keeps_awake=True)
    shown = [_mixed(rate, seed + place) for place, rate in enumerate(_FIT_RATES)]
    shown += [Load(name, SCENARIOS / file, _ALONE_RATE, seed + 6 + place, _SECONDS, mix)
              for place, (name, file, mix) in enumerate(_ALONE)]
    unseen = [_mixed(rate, seed + 10 + place) for place, rate in enumerate(_RATES)]
    unseen += [_load(name, rate, seed + 20 + place, mix) for place, (name, rate, mix) in enumerate(_MIXES)]
    for number, runs in recorder.windows(shown, _FIT_ROUNDS, _ROUNDS):
        curve = _curve(recorder, runs)
        trips = {name: each for run in runs for name, each in operation_trips(run).items()}
        yield [Experiment([_claim(curve, trips, load)], partial(_measured, recorder, load), load.inputs)
               for load in (one.again(number) for one in unseen)]


def _mixed(rate: int, seed: int) -> Load:
    return _load("mixed", rate, seed, {})


def _load(name: str, rate: int, seed: int, mix: Mapping[str, int]) -> Load:
    return Load(name, SCENARIOS / "mixed.py", rate, seed, _SECONDS, mix)


def _curve(recorder: Recorder, runs: Sequence[Run]) -> CpuCurve:
    """Of the server on a core that is always as fast."""
    speeds = {run.name: recorder.at_usual_speed(run) for run in runs}
    samples = [replace(sample, cores=speeds[run.name] * sample.cores)
               for run in runs for sample in cpu_samples(run)]
    return cpu_curve(samples, {run.name: {name: speeds[run.name] * each
                                          for name, each in execution_us(run).items()} for run in runs})


def _claim(curve: CpuCurve, trips: Mapping[str, RoundTrips], load: Load) -> Claim:
    """What an operation sends is known from the fitted runs, how often it comes from the mix."""
    what, allowed = ("mix", _ANOTHER_MIX) if load.mix else ("rate", _ANOTHER_RATE)
    mix = load.mix or DEFAULT_MIX
    total = sum(mix.values())
    asked = mixed_trips(trips, {name: load.rate * weight / total for name, weight in mix.items()})
    predicted = curve.us_per_command(asked.count, asked.commands_per_round, of_a_run=True)
    return Claim(f"CPU per command, another {what}",
                 f"{load.name}, {load.rate:,} operations/s, a core of one speed", "µs", predicted, allowed)


def _measured(recorder: Recorder, load: Load) -> list[float]:
    run = recorder.run(load)
    seen = outcomes(run)
    if CPU not in seen:
        raise RuntimeError(f"{load.name}: the host was busy all through the run, which so tells no CPU")
    return [seen[CPU] * recorder.at_usual_speed(run)]
