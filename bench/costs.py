"""CPU per command at rates and of mixes that were not run before: predicted, then measured.

On this kind of host two runs of one load differ by a tenth, and slowly: so all loads are run in turn, many
times, and a load's cost is the median of its runs. Costs beside a load that was fitted, measured before and
after, did not differ less.
Developed on seeds 1 to 99; seeds 5,100 to 5,139, 6,100 to 8,139 and 9,120 to 11,135 are used up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from statistics import median

from amply_capacity.model.cpu_curve import CpuCurve, curve_of
from amply_capacity.model.forecast import CPU, outcomes
from amply_capacity.model.trips import RoundTrips, mixed_trips, operation_trips
from amply_capacity.traffic.mix import CACHE_MIX, DEFAULT_MIX, RATE_LIMIT_MIX, SESSIONS_MIX
from bench.claim import Claim, Experiment
from bench.recorder import Load, Recorder
from bench.rig import SCENARIOS

__all__ = ["batches"]

_SEED = 15_100
_MIXED = SCENARIOS / "mixed.py"
_ANOTHER_RATE, _ANOTHER_MIX = 0.05, 0.08
_FIT_RATES = (250, 1_500, 5_000, 20_000)
_FIT_ROUNDS, _ROUNDS, _SECONDS = 6, 8, 6.0
_RATES = (600, 3_500, 7_000, 12_000)
_MIXES: tuple[tuple[str, str, int, Mapping[str, int]], ...] = (
    ("sessions alone", "sessions.py", 2_500, SESSIONS_MIX),
    ("rate limits alone", "rate_limit.py", 2_500, RATE_LIMIT_MIX),
    ("cached reads alone", "cache.py", 5_000, CACHE_MIX),
    ("results, log-ins", "mixed.py", 2_500,
     {"store_result": 300, "get_result": 300, "create": 200, "validate": 200}),
    ("touches, reads", "mixed.py", 5_000, {"touch": 500, "cached_read": 300, "check": 200}),
)


def batches(seed: int = _SEED) -> Iterator[list[Experiment]]:
    """Fits, and leaves the measuring to who takes it."""
    recorder = Recorder()
    fitted = [recorder.run(Load("mixed", _MIXED, rate, seed + number, _SECONDS))
              for number, rate in enumerate(_FIT_RATES * _FIT_ROUNDS)]
    rates = [Load("mixed", _MIXED, rate, seed + 30 + number, _SECONDS) for number, rate in enumerate(_RATES)]
    mixes = [Load(name, SCENARIOS / file, rate, seed + 40 + number, _SECONDS, mix)
             for number, (name, file, rate, mix) in enumerate(_MIXES)]
    loads = rates + mixes
    curve, trips = curve_of(fitted), operation_trips(fitted[-1])
    yield [Experiment([_claim(curve, trips, load) for load in loads], partial(_measured, recorder, loads),
                      {"loads": [load.inputs for load in loads]})]


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


def _measured(recorder: Recorder, loads: Sequence[Load]) -> list[float]:
    rounds = [[outcomes(recorder.run(load.again(number))) for load in loads] for number in range(_ROUNDS)]
    return [_told(seen) for seen in zip(*rounds, strict=True)]


def _told(seen: Sequence[Mapping[str, float]]) -> float:
    """The median of the runs that tell it: a host that was busy all through one leaves nothing to tell."""
    costs = [one[CPU] for one in seen if CPU in one]
    if not costs:
        raise RuntimeError(f"none of {len(seen)} runs tells what the server's CPU did")
    return median(costs)
