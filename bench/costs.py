"""CPU per command at rates and of mixes that were not run before: predicted, then measured, again and again.

On this kind of host runs of one load differ by a tenth, and by half from one quarter of an hour to the next,
when a neighbour comes. So it is fitted to several rounds of runs, and what is predicted from them is measured
several times, in rounds as well; how good the model is, is the median of a load's errors over the rounds.
Developed on seeds 1 to 99 and 1,040 to 7,064; seeds 5,100 to 5,139, 6,100 to 8,139, 9,120 to 11,135,
15,100 to 22,149, 25,100 to 31,139, 35,100 to 41,139, 45,100 to 48,139 and 55,100 to 61,139 are used up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from amply_capacity.model.cpu_curve import CpuCurve, curve_of
from amply_capacity.model.forecast import CPU, outcomes
from amply_capacity.model.trips import RoundTrips, mixed_trips, operation_trips
from amply_capacity.traffic.mix import CACHE_MIX, DEFAULT_MIX, RATE_LIMIT_MIX, SESSIONS_MIX
from bench.claim import Claim, Experiment
from bench.recorder import Load, Recorder
from bench.rig import SCENARIOS

__all__ = ["batches"]

_SEED = 65_100
_MIXED = SCENARIOS / "mixed.py"
_ANOTHER_RATE, _ANOTHER_MIX = 0.05, 0.08
# Beyond 8,000 the generator is the bottleneck here: such seconds are none that a model should stand on.
_FIT_RATES, _RATES = (250, 1_000, 3_000, 8_000), (600, 1_800, 4_500, 6_000)
_FIT_ROUNDS, _ROUNDS, _SECONDS = 6, 7, 6.0
_SLOW_BELOW, _SLOW_SECONDS = 2_000, 15.0
"""A server that sleeps most of the time differs most from one moment to the next."""
_MIXES: tuple[tuple[str, str, int, Mapping[str, int]], ...] = (
    ("sessions alone", "sessions.py", 2_500, SESSIONS_MIX),
    ("rate limits alone", "rate_limit.py", 2_500, RATE_LIMIT_MIX),
    ("cached reads alone", "cache.py", 5_000, CACHE_MIX),
    ("results, log-ins", "mixed.py", 2_500,
     {"store_result": 300, "get_result": 300, "create": 200, "validate": 200}),
    ("touches, reads", "mixed.py", 5_000, {"touch": 500, "cached_read": 300, "check": 200}),
)


def batches(seed: int = _SEED) -> Iterator[list[Experiment]]:
    """One batch, fitted when it is asked for: the rounds of all loads, in turn."""
    recorder = Recorder()
    fitted = [recorder.run(_mixed(rate, seed + place).again(number))
              for number in range(_FIT_ROUNDS) for place, rate in enumerate(_FIT_RATES)]
    curve, trips = curve_of(fitted), operation_trips(fitted[-1])
    loads = [_mixed(rate, seed + 10 + number) for number, rate in enumerate(_RATES)]
    loads += [Load(name, SCENARIOS / file, rate, seed + 20 + number, _SECONDS, mix)
              for number, (name, file, rate, mix) in enumerate(_MIXES)]
    yield [Experiment([_claim(curve, trips, load)], partial(_measured, recorder, load), load.inputs)
           for number in range(_ROUNDS) for load in (one.again(number) for one in loads)]


def _mixed(rate: int, seed: int) -> Load:
    return Load("mixed", _MIXED, rate, seed, _SLOW_SECONDS if rate < _SLOW_BELOW else _SECONDS)


def _claim(curve: CpuCurve, trips: Mapping[str, RoundTrips], load: Load) -> Claim:
    """What an operation sends is known from the fitted runs, how often it comes from the mix."""
    what, allowed = ("mix", _ANOTHER_MIX) if load.mix else ("rate", _ANOTHER_RATE)
    mix = load.mix or DEFAULT_MIX
    total = sum(mix.values())
    asked = mixed_trips(trips, {name: load.rate * weight / total for name, weight in mix.items()})
    predicted = curve.us_per_command(asked.count, asked.commands_per_round if load.mix else None,
                                     of_a_run=True)
    return Claim(f"CPU per command, another {what}", f"{load.name}, {load.rate:,} operations/s", "µs",
                 predicted, allowed)


def _measured(recorder: Recorder, load: Load) -> list[float]:
    seen = outcomes(recorder.run(load))
    if CPU not in seen:
        raise RuntimeError(f"{load.name}: the host was busy all through the run, which so tells no CPU")
    return [seen[CPU]]
