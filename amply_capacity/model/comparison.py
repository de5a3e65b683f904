"""Two runs side by side: what differs in their settings, what differs in their figures, and is it noise?

A figure's noise has two parts: what its run's own seconds show (`block_bootstrap`), and what they cannot
show, for two runs of the same thing differ by more than their seconds do (frequency, neighbours, where memory
lies). The second is a prior from repeated runs, `python -m bench.compare`. Many figures are compared at once,
so each has to be surer than one alone (Holm 1979): of twenty comparisons of like runs one tells a difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np

from amply_capacity.errors import BadRun
from amply_capacity.interval import Interval
from amply_capacity.model.block_bootstrap import blocks_of, drawn
from amply_capacity.model.comparison_figures import Figure, figures
from amply_capacity.model.footprint import footprint
from amply_capacity.run.reader import Run

__all__ = ["LESS", "MORE", "NOISE", "UNKNOWN", "Change", "Comparison", "Difference", "compare_runs",
           "differences"]

MORE, LESS, NOISE, UNKNOWN = "more", "less", "noise", "not measured"

_CONFIDENCE, _LEVEL = 0.9, 0.05
_SEED = 1
_BETWEEN_RUNS = {"rate": (0.01, 0.01), "p50": (0.1, 0.36), "p99": (0.2, 0.25), "cpu": (0.08, 0.09),
                 "failed": (0.0005, 0.0005), "hits": (0.002, 0.002)}
"""Standard deviation of a run about what it measures, of logarithms, of a share the share itself: on a calm
host, and on one whose other processes took CPU from the server in every second."""
_SETTINGS = ("scenario", "arrivals", "rate_per_second", "locust_users", "seed", "mix", "population",
             "prefill.share", "think_time_seconds", "compute_seconds", "target", "server", "generator",
             "versions")
_NO_SETTINGS = ("target.url", "server.used_memory_startup")
_BYTES = {"session_bytes": "a session", "index_bytes": "a user's session index", "counter_bytes":
          "a rate-limit counter", "cached_bytes": "a cached organisation", "result_bytes": "a Celery result",
          "connection_bytes": "a client connection"}


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting that is not the same in both."""

    what: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Change:
    """One figure of both; None where a run does not hold it."""

    what: str
    unit: str
    before: float | None
    after: float | None
    change: Interval | None
    """After less before, in percent of before; where that is a share of 1, in percent points."""
    is_points: bool
    p_value: float | None
    """Of no difference, adjusted for the number of figures; None of what is no sample."""
    verdict: str

    def as_json(self) -> dict[str, Any]:
        return {
            "what": self.what, "unit": self.unit, "before": self.before, "after": self.after,
            "change": None if self.change is None else self.change.rounded(3),
            "change_unit": "percent points" if self.is_points else "percent",
            "p_value": None if self.p_value is None else float(f"{self.p_value:.3g}"),
            "verdict": self.verdict,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """`changes` in the order of what users feel, then what the server spent."""

    settings: tuple[Difference, ...]
    changes: tuple[Change, ...]

    @property
    def told(self) -> tuple[Change, ...]:
        """Those that are more than noise."""
        return tuple(change for change in self.changes if change.verdict in (MORE, LESS))


def compare_runs(before: Run, after: Run) -> Comparison:
    """Raises BadRun for a run without a measured phase of a few seconds."""
    found = [_compared(figure, before, after) for figure in figures(before, after)]
    adjusted = _holm([p_value for _, p_value in found])
    changes = [_judged(change, p_value) for (change, _), p_value in zip(found, adjusted, strict=True)]
    settings = tuple(Difference(path, old, new) for path, old, new in differences(
        _settings(before.manifest), _settings(after.manifest)))
    return Comparison(settings, (*changes, *_byte_changes(before, after)))


def differences(before: Mapping[str, Any], after: Mapping[str, Any],
                path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every value, by its dotted path, that is not the same in both; None where one has none."""
    for key in dict.fromkeys((*before, *after)):
        old, new = before.get(key), after.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from differences(old, new, f"{path}{key}.")
        elif old != new:
            yield f"{path}{key}", old, new


def _settings(manifest: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for path in _SETTINGS:
        value: Any = manifest
        for step in path.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
        found[path] = value
    for path in _NO_SETTINGS:
        table, _, key = path.partition(".")
        if isinstance(found.get(table), Mapping):
            found[table] = {name: value for name, value in found[table].items() if name != key}
    return found


def _compared(figure: Figure, before: Run, after: Run) -> tuple[Change, float | None]:
    """The change without its verdict, and the probability of as much by chance."""
    old, new = figure.made(before), figure.made(after)
    if old is None or new is None:
        known = (None if old is None else old.value, None if new is None else new.value)
        return Change(figure.what, figure.unit, *known, None, figure.is_points, None, UNKNOWN), None
    rng = np.random.default_rng(_SEED)
    scale: Callable[[Any], Any] = (lambda value: value) if figure.is_points else np.log
    moved = float(scale(new.value) - scale(old.value))
    error = math.sqrt(sum(float(np.nanvar(scale(drawn(one, rng)))) + _between(figure, run)**2
                          for one, run in ((old, before), (new, after))))
    freedom = sum(blocks_of(len(one.by_second))[1] for one in (old, new)) - 2
    half = _student(0.5 + _CONFIDENCE / 2.0, freedom) * error
    bounds = [100.0 * float(one if figure.is_points else np.expm1(one))
              for one in (moved - half, moved, moved + half)]
    p_value = _two_sided(moved / error, freedom)
    change = Change(figure.what, figure.unit, old.value, new.value, Interval(*bounds), figure.is_points,
                    p_value, NOISE)
    return change, p_value


def _between(figure: Figure, run: Run) -> float:
    """What the run's seconds do not show, by how calm its host was in those that are used."""
    calm, noisy = _BETWEEN_RUNS[figure.kind]
    used = run.sound_seconds
    return calm + (noisy - calm) * sum(second in run.starved_seconds for second in used) / len(used)


def _two_sided(t: float, freedom: int) -> float:
    """The chance of as much by Student's t (Wallace 1959)."""
    z = (8.0 * freedom + 1.0) / (8.0 * freedom + 3.0) * math.sqrt(freedom * math.log1p(t * t / freedom))
    return 2.0 * NormalDist().cdf(-z)


def _student(probability: float, freedom: int) -> float:
    """The quantile of Student's t, from the same."""
    z = NormalDist().inv_cdf(probability) * (8.0 * freedom + 3.0) / (8.0 * freedom + 1.0)
    return math.sqrt(freedom * math.expm1(z * z / freedom))


def _judged(change: Change, p_value: float | None) -> Change:
    if p_value is None or change.change is None:
        return change
    verdict = NOISE if p_value >= _LEVEL else MORE if change.change.mid > 0.0 else LESS
    return replace(change, p_value=p_value, verdict=verdict)


def _holm(p_values: list[float | None]) -> list[float | None]:
    """Each raised so that all together are wrong as seldom as one alone would be."""
    known = sorted((value, place) for place, value in enumerate(p_values) if value is not None)
    raised: list[float | None] = [None] * len(p_values)
    most = 0.0
    for rank, (value, place) in enumerate(known):
        most = max(most, min(1.0, (len(known) - rank) * value))
        raised[place] = most
    return raised


def _byte_changes(before: Run, after: Run) -> Iterator[Change]:
    """Bytes are differences of two readings, no samples: told where the readings' errors do not meet."""
    try:
        old, new = footprint(before), footprint(after)
    except BadRun:
        return
    for name, what in _BYTES.items():
        one, other = getattr(old, name), getattr(new, name)
        label = f"bytes of {what}"
        if one is None or other is None:
            if one is not other:
                known = (None if one is None else one.mid, None if other is None else other.mid)
                yield Change(label, "bytes", *known, None, False, None, UNKNOWN)
            continue
        verdict = MORE if other.low > one.high else LESS if other.high < one.low else NOISE
        bounds = [100.0 * (top / bottom - 1.0) for top, bottom in (
            (other.low, one.high), (other.mid, one.mid), (other.high, one.low))]
        yield Change(label, "bytes", one.mid, other.mid, Interval(*bounds), False, None, verdict)
