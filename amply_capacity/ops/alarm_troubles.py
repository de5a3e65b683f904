"""When a run went wrong: what its metrics and its operations show, in stretches of minutes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from amply_capacity.ops.alarm import COMPARISONS, Bools, Floats
from amply_capacity.ops.alarm_points import NodePoints, RunPoints
from amply_capacity.run.histogram import quantile_us
from amply_capacity.run.reader import Run
from amply_capacity.run.schema import FAILED_OUTCOMES

__all__ = ["Limits", "Trouble", "troubles_of"]

_MINUTE_S = 60
_SAME_TROUBLE_MINUTES = 5
"""Two stretches no further apart are one trouble."""
_FULL_PERCENT, _SATURATED_PERCENT, _SPENT_CREDITS = 99.9, 99.0, 0.5


@dataclass(frozen=True, slots=True)
class Limits:
    """Beyond which it is trouble; the defaults are the specification's table and one failure in a hundred."""

    evictions_per_minute: float = 100.0
    failed_percent: float = 1.0
    p99_ms: Mapping[str, float] | None = None
    """By use case; None where no objective is known."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A stretch of it, Unix seconds."""

    kind: str
    what: str
    node: str | None
    """None for what the application saw of them all."""
    from_s: int
    until_s: int

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "what": self.what, "node": self.node, "from_s": self.from_s,
                "until_s": self.until_s}


def troubles_of(run: Run, points: RunPoints, limits: Limits) -> tuple[Trouble, ...]:
    """Every trouble of the run, the earliest first."""
    found = [*_seen_by_nodes(points, limits), *_seen_by_the_application(run, points, limits)]
    return tuple(sorted(found, key=lambda one: (one.from_s, one.kind, one.node or "")))


def _seen_by_nodes(points: RunPoints, limits: Limits) -> Iterator[Trouble]:
    evicted = f"more than {limits.evictions_per_minute:g} keys a minute were evicted"
    for node in points.nodes:
        for kind, what, metric, sign, limit in (
            ("evictions", evicted, "Evictions", "GreaterThanThreshold", limits.evictions_per_minute),
            ("memory full", "memory was full", "DatabaseMemoryUsagePercentage",
             "GreaterThanOrEqualToThreshold", _FULL_PERCENT),
            ("engine saturated", "the engine's core was full", "EngineCPUUtilization",
             "GreaterThanOrEqualToThreshold", _SATURATED_PERCENT),
            ("credits spent", "the CPU credits were spent: the node is held to its baseline",
             "CPUCreditBalance", "LessThanOrEqualToThreshold", _SPENT_CREDITS),
        ):
            if metric in node.metrics:
                bad = COMPARISONS[sign][1](_by_minute(node, metric), limit)
                yield from _stretches(kind, what, node.node, points.start_s, bad)


def _by_minute(node: NodePoints, metric: str) -> Floats:
    """Where a value stands for several minutes, each of them."""
    points = node.metrics[metric]
    return np.repeat(points.values, points.step_s // _MINUTE_S)


def _stretches(kind: str, what: str, node: str | None, start_s: int, bad: Bools) -> Iterator[Trouble]:
    places = np.flatnonzero(bad)
    cuts = np.flatnonzero(np.diff(places) > _SAME_TROUBLE_MINUTES) + 1
    for stretch in np.split(places, cuts) if places.size else ():
        yield Trouble(kind, what, node, start_s + _MINUTE_S * int(stretch[0]),
                      start_s + _MINUTE_S * (int(stretch[-1]) + 1))


def _seen_by_the_application(run: Run, points: RunPoints, limits: Limits) -> Iterator[Trouble]:
    requests = run.requests
    own = requests[(requests["command"] == "") & (requests["second"] >= points.start_s)]
    own = own.assign(minute=(own["second"] - points.start_s) // _MINUTE_S)
    own = own[own["minute"] < points.minutes]
    service = own[own["clock"] == "service"]
    if service.empty:
        return
    is_failed = service["outcome"].isin(FAILED_OUTCOMES)
    counts = service.groupby("minute")["count"].sum()
    failed = service[is_failed].groupby("minute")["count"].sum().reindex(counts.index, fill_value=0)
    bad = np.zeros(points.minutes, np.bool_)
    bad[counts.index[100.0 * failed / counts > limits.failed_percent].to_numpy()] = True
    yield from _stretches("failures", f"more than {limits.failed_percent:g} % of the operations failed", None,
                          points.start_s, bad)
    yield from _slow(own, points, limits)


def _slow(own: Any, points: RunPoints, limits: Limits) -> Iterator[Trouble]:
    clock = "response" if (own["clock"] == "response").any() else "service"
    timed = own[own["clock"] == clock]
    for use_case, limit_ms in (limits.p99_ms or {}).items():
        bad = np.zeros(points.minutes, np.bool_)
        for minute, rows in timed[timed["use_case"] == use_case].groupby("minute"):
            bad[int(minute)] = quantile_us(rows["bucket_us"], rows["count"], 0.99) > 1000.0 * limit_ms
        yield from _stretches("slow", f"the p99 of {use_case} was above {limit_ms:g} ms", None,
                              points.start_s, bad)
