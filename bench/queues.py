"""Response times at rates that were not run, and the rate at which a p99 gives out: predicted, then measured.

The server runs scripts that take it a known time (`busy_script`), so that it gives out and not the
generator. What an operation takes beside them is the host's, and another from one quarter of an hour to the
next: so a queue is fitted to several rounds of runs, and what is predicted from the last of them is measured
in the next, several times, as CPU is (`costs`). Until seed 38,209 all was fitted first, then measured, and a
figure was the median of four runs.
Developed on seeds 1 to 99; seeds 5,150 to 5,189, 6,150 to 8,189, 9,150 to 11,189, 15,150 to 18,209,
25,150 to 28,209, 35,150 to 38,209, 95,150 to 101,169, 105,150 to 110,209, 115,150 to 121,209 and 125,150 to
131,209 are used up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from amply_capacity.errors import BadRun
from amply_capacity.model.cpu_curve import curve_of
from amply_capacity.model.forecast import outcomes
from amply_capacity.model.latency_curve import LatencyCurve, latency_curve
from bench.claim import Claim, Experiment
from bench.recorder import Load, Recorder
from bench.rig import LOCUSTFILES

__all__ = ["batches"]

_SEED = 135_150
_FILE = LOCUSTFILES / "scripts.py"
_P99_ONE, _P99_MIXED, _KNEE = 0.25, 0.35, 0.15
_QUANTILES = (0.5, 0.99)
_FIT_ROUNDS, _ROUNDS, _SECONDS, _SEARCH_SECONDS = 3, 5, 12.0, 150.0
_US_PER_MS = 1000.0


@dataclass(frozen=True, slots=True)
class _Queue:
    """Scripts of a known cost: what is fitted, and what is then predicted."""

    name: str
    scripts: str
    fitted: tuple[int, ...]
    unseen: tuple[int, ...]
    knee_p99_ms: float
    allowed: float
    """Error of a p99."""


_QUEUES = (
    _Queue("one script of 0.4 ms", "costly=400:1", (120, 700), (1_000, 1_350), 5.0, _P99_ONE),
    _Queue("scripts of 0.05 and 0.6 ms", "cheap=50:9,costly=600:1", (300, 1_800), (3_000, 4_200), 5.0,
           _P99_MIXED),
    _Queue("one script of 0.9 ms", "costly=900:1", (120, 400), (520, 650), 20.0, _P99_ONE),
)


def batches(seed: int = _SEED, queues: Sequence[_Queue] = _QUEUES) -> Iterator[list[Experiment]]:
    """A batch a round and queue: it stands on the runs of the rounds before it, and of the minute before it.
    """
    recorder = Recorder()
    for place, queue in enumerate(queues):
        yield from _rounds(recorder, queue, seed + 20 * place)


def _rounds(recorder: Recorder, queue: _Queue, seed: int) -> Iterator[list[Experiment]]:
    shown = [_load(queue, rate, seed + place) for place, rate in enumerate(queue.fitted)]
    unseen = [_load(queue, rate, seed + 10 + place) for place, rate in enumerate(queue.unseen)]
    for number, runs in recorder.windows(shown, _FIT_ROUNDS, _ROUNDS):
        try:
            latency = latency_curve(runs, curve_of(runs))
        except BadRun as error:
            yield [Experiment([], list, {"name": queue.name}, withheld=(f"{queue.name}: {error}",))]
            continue
        experiments = [_quantiles(recorder, queue, latency, load.again(number)) for load in unseen]
        if number == _FIT_ROUNDS + _ROUNDS - 2:  # the last
            experiments.append(_highest_rate(recorder, queue, latency, seed + 19))
        yield experiments


def _load(queue: _Queue, rate: int, seed: int, seconds: float = _SECONDS) -> Load:
    return Load(queue.name, _FILE, rate, seed, seconds, scripts=queue.scripts)


def _quantiles(recorder: Recorder, queue: _Queue, latency: LatencyCurve, load: Load) -> Experiment:
    claims, wanted, withheld = [], [], []
    for q, told in zip(_QUANTILES, latency.quantiles(load.rate, _QUANTILES), strict=True):
        name, case = f"p{100 * q:g} response time", f"{queue.name}, {load.rate:,}/s"
        if told.value_ms is None:
            withheld.append(f"{name} of {case}: {told.withheld}")
            continue
        claims.append(Claim(name, case, "µs", told.value_ms.scaled(_US_PER_MS),
                            queue.allowed if q == _QUANTILES[-1] else None))
        wanted.append(name)
    return Experiment(claims, partial(_measured, recorder, load, wanted), load.inputs,
                      withheld=tuple(withheld))


def _measured(recorder: Recorder, load: Load, wanted: Sequence[str]) -> list[float]:
    seen = outcomes(recorder.run(load))
    return [_US_PER_MS * seen[name] for name in wanted]


def _highest_rate(recorder: Recorder, queue: _Queue, latency: LatencyCurve, seed: int) -> Experiment:
    load = _load(queue, queue.fitted[-1], seed, _SEARCH_SECONDS)
    knee = latency.knee({"bench": queue.knee_p99_ms})
    case = f"{queue.name}, p99 of {queue.knee_p99_ms:g} ms"
    if knee.operations_per_second is None:
        return Experiment([], list, load.inputs, withheld=(f"knee of {case}: {knee.withheld}",))
    claim = Claim("highest rate at a p99", case, "/s", knee.operations_per_second, _KNEE)
    return Experiment([claim], lambda: [_knee(recorder, load, queue.knee_p99_ms)], load.inputs)


def _knee(recorder: Recorder, load: Load, p99_ms: float) -> float:
    knee = recorder.run(load, "--knee", "--p99-ms", f"{p99_ms:g}").manifest["knee"]
    if knee["mid"] is None:
        raise RuntimeError(f"the knee of {load.name} was not found: {knee['reason']}")
    return float(knee["mid"])
