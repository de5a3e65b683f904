"""How many keys a real server holds while keys expire: before its cycle reclaims any, and once it does."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from amply_capacity.interval import Interval
from amply_capacity.model.expiry import standing_keys
from amply_capacity.model.synthesis import KeyClass
from bench.claim import Claim, Experiment
from bench.server import Wire, bare_server

__all__ = ["experiments"]

_EVER_S = 600_000
_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class _Case:
    """So many keys that stay, and so many a second that expire after their TTL, never to be asked for
    again."""

    standing: int
    per_second: int
    ttl_s: int
    from_s: float
    """Keys are counted from then on, until `to_s`; the mean is claimed."""
    to_s: float
    allowed: float

    @property
    def classes(self) -> list[KeyClass]:
        return [KeyClass("standing", "session", self.standing, 0.0, 100, _EVER_S),
                KeyClass("passing", "written", 0, self.per_second, 100, self.ttl_s)]


_CASES = (
    _Case(0, 7000, 6, 4.5, 5.5, 0.01),
    _Case(90_000, 1300, 3, 8.0, 12.0, 0.01),
    _Case(0, 7000, 6, 20.0, 40.0, 0.06),
    _Case(25_000, 900, 4, 20.0, 40.0, 0.06),
)


def experiments() -> list[Experiment]:
    return [_experiment(case) for case in _CASES]


def _experiment(case: _Case) -> Experiment:
    found = standing_keys(case.classes, after_seconds=case.to_s, over_seconds=case.to_s - case.from_s, seed=5)
    low, mid, high = (sum(getattr(one.present, bound) for one in found) for bound in ("low", "mid", "high"))
    predicted = Interval(low, mid, high)
    kind = "before reclaim" if case.allowed < 0.05 else "steady"
    claim = Claim(f"keys under churn, {kind}",
                  f"{case.standing:,} stay, {case.per_second:,}/s of {case.ttl_s} s, "
                  f"{case.from_s:g}–{case.to_s:g} s",
                  "keys", predicted, case.allowed)
    return Experiment([claim], lambda: [_measured(case)], inputs=case.classes, runs_beside_others=True)


def _measured(case: _Case) -> float:
    with bare_server() as port, Wire(port) as wire:
        for first in range(0, case.standing, 1000):
            wire.ask([("SETEX", f"session:{key:024x}", _EVER_S, "x" * 40)
                      for key in range(first, min(first + 1000, case.standing))])
        began, written, counts, look = time.perf_counter(), 0, list[int](), case.from_s
        while look <= case.to_s:
            now = time.perf_counter() - began
            due = int(now * case.per_second)
            wire.ask([("SETEX", f"rate:{key:024x}", case.ttl_s, "1") for key in range(written, due)])
            written = due
            if now >= look:
                counts.append(wire.ask([("DBSIZE",)])[0])
                look += _LOOK_SECONDS
            time.sleep(0.002)
    return float(np.mean(counts))
