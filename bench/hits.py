"""Hit rate, evictions and memory of an emulated server against a real one that is played the same trace."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from amply_capacity.interval import Interval
from bench.claim import Claim, Experiment
from bench.replay import replay
from bench.server import bare_server
from bench.trace import Shape, trace_of, write_csv

__all__ = ["experiments"]

_MB = 1 << 20
_TIMES = 10
_AT_EQUAL_SCALE, _SCALED, _EVICTIONS = 0.25, 0.6, 0.02


@dataclass(frozen=True, slots=True)
class _Case:
    shape: Shape
    memory_bytes: int
    samples: int


_EQUAL = (
    _Case(Shape(seed=501, zipf=0.9), 8 * _MB, 5),
    _Case(Shape(seed=502, zipf=0.9), 12 * _MB, 3),
    _Case(Shape(seed=503, zipf=0.7), 16 * _MB, 10),
    _Case(Shape(seed=504, zipf=1.1, mean_bytes=900.0), 9 * _MB, 3),
)
_MANY_USERS = (
    _Case(Shape(seed=511, zipf=0.6), 12 * _MB, 5),
    _Case(Shape(seed=512, zipf=0.7), 10 * _MB, 3),
    _Case(Shape(seed=513, zipf=0.8), 12 * _MB, 3),
    _Case(Shape(seed=514, zipf=0.9), 14 * _MB, 5),
)


def experiments() -> list[Experiment]:
    """At equal scale, from the whole trace; and of ten times the users, from a trace of a tenth of them."""
    return [*map(_equal, _EQUAL), *map(_many_users, _MANY_USERS)]


def _equal(case: _Case) -> Experiment:
    predicted = _predicted(case.shape, case)
    words = f"{case.memory_bytes // _MB} MB, Zipf {case.shape.zipf:g}, samples {case.samples}"
    claims = [
        Claim("hit rate", words, "points", _interval(predicted), _AT_EQUAL_SCALE),
        Claim("INFO hit rate", words, "points", _bounds(predicted["info_hit_rate"]), _AT_EQUAL_SCALE),
        Claim("evictions", words, "keys", _bounds(predicted["evictions_interval"]), _EVICTIONS),
    ]
    return Experiment(claims, lambda: _measured(case)[:3], inputs=asdict(case), runs_beside_others=True)


def _many_users(case: _Case) -> Experiment:
    """The test has other keys, sizes and moments: nothing of what is measured is known to it."""
    shape = case.shape
    few = replace(shape, seed=shape.seed + 1000, objects=shape.objects // _TIMES, users=shape.users // _TIMES,
                  counters=shape.counters // _TIMES, per_second=shape.per_second / _TIMES)
    predicted = _predicted(few, case, "--scale", str(_TIMES))
    words = f"{case.memory_bytes // _MB} MB, Zipf {shape.zipf:g}, samples {case.samples}"
    claim = Claim(f"hit rate of {_TIMES} times the users", words, "points", _interval(predicted), _SCALED)
    return Experiment([claim], lambda: _measured(case)[:1], inputs=asdict(case), runs_beside_others=True)


def _predicted(shape: Shape, case: _Case, *more: str) -> dict[str, Any]:
    """By the command line, from the trace's file: as anybody would."""
    with tempfile.TemporaryDirectory() as scratch:
        file, run = Path(scratch) / "trace.csv", Path(scratch) / "run"
        write_csv(trace_of(shape), file)
        _amply("import", "trace", str(file), "--run-dir", str(run))
        answer = _amply("predict", "hit-rate", str(run), "--maxmemory", str(case.memory_bytes), "--samples",
                        str(case.samples), "--policy", "volatile-lru", "--connections", "1", "--allocator",
                        "debian", *more)
    found: dict[str, Any] = answer["predictions"][0]
    return found


def _amply(*words: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-m", "amply_capacity.cli", *words, "--json"], check=False,
                          capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _measured(case: _Case) -> Sequence[float]:
    with bare_server(maxmemory=case.memory_bytes, maxmemory_policy="volatile-lru",
                     maxmemory_samples=case.samples) as port:
        outcome = replay(trace_of(case.shape), port)
    return outcome.hit_rate, outcome.info_hit_rate, float(outcome.evictions)


def _interval(found: dict[str, Any]) -> Interval:
    return Interval(found["low"], found["hit_rate"], found["high"])


def _bounds(found: dict[str, Any]) -> Interval:
    return Interval(found["low"], found["mid"], found["high"])
