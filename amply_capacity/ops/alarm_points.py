"""The metrics of a run as CloudWatch would hold them: one value a minute for each node.

ElastiCache publishes one value a minute (CPU credits every five): the CPU of that minute, what was counted
in it, and of all else what INFO says at its end. A recording has a value a second, which are put together so;
its minutes begin with its measured phase, and one of which less than half was sampled is left out. What was
imported from CloudWatch stays as it is; where it was imported coarser than a minute, each minute gets its
share, and the answer is marked approximate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from amply_capacity.aws.metrics import CREDITS, CREDITS_EVERY_S, is_count
from amply_capacity.errors import BadRun
from amply_capacity.ops.alarm import Alarm, Floats
from amply_capacity.ops.alarm_evaluation import Points
from amply_capacity.run.reader import Run

__all__ = ["NodePoints", "RunPoints", "points_of"]

_RATES = frozenset({"CPUUtilization", "EngineCPUUtilization"})
_MINUTE_S = 60
_FEWEST_SECONDS = 30


@dataclass(frozen=True, slots=True)
class NodePoints:
    """One node's metrics."""

    node: str
    metrics: Mapping[str, Points]

    def of(self, alarm: Alarm) -> Points | None:
        """What the alarm looks at; None where it was not measured.

        An import of longer periods has extremes of their own beside the average: `CPUUtilization.Maximum`.
        """
        points = self.metrics.get(f"{alarm.metric}.{alarm.statistic}") or self.metrics.get(alarm.metric)
        if points is None or alarm.less_metric is None:
            return points
        other = self.metrics.get(alarm.less_metric)
        return None if other is None else points.minus(other)


@dataclass(frozen=True, slots=True)
class RunPoints:
    """A run's metrics by node."""

    nodes: tuple[NodePoints, ...]
    start_s: int
    minutes: int
    resolution_s: int
    """Between two values in the run: 1 in a recording."""

    @property
    def is_approximate(self) -> bool:
        """Whether a value stands for several minutes."""
        return self.resolution_s > _MINUTE_S


def points_of(run: Run) -> RunPoints:
    """Raises BadRun for a run without samples of a server, as an import of key accesses."""
    server = run.server
    names = [name for name in server.columns if name[0].isupper() and server[name].notna().any()]
    if not names:
        run.need_load()
        raise BadRun(f"run {run.name} holds no metrics of a server", got="its table server is empty",
                     do="choose a recorded run, or an import from CloudWatch")
    resolution_s = int((run.manifest.get("imported") or {}).get("period_s") or _resolution_s(server))
    if resolution_s < _MINUTE_S:
        first, last = run.measured_seconds
        server = server[server["second"].between(first, last)]
        minutes = (last - first + 1 + _MINUTE_S - _FEWEST_SECONDS) // _MINUTE_S
    else:
        first = int(server["second"].min()) // resolution_s * resolution_s
        minutes = ((int(server["second"].max()) - first) // resolution_s + 1) * (resolution_s // _MINUTE_S)
    nodes = []
    for node, rows in server.sort_values("second", kind="stable").groupby("node", sort=True):
        metrics = {name: _recorded(name, rows, first, minutes) if resolution_s < _MINUTE_S
                   else _imported(name, rows, first, minutes, resolution_s) for name in names}
        known = {name: points for name, points in metrics.items() if not np.isnan(points.values).all()}
        nodes.append(NodePoints(str(node), MappingProxyType(known)))
    return RunPoints(tuple(nodes), first, minutes, resolution_s)


def _resolution_s(server: pd.DataFrame) -> int:
    """The usual time between two samples of a node; below a minute it does not matter which."""
    steps = server.sort_values(["node", "second"]).groupby("node")["second"].diff()
    steps = steps[steps > 0]
    usual = int(steps.mode().iloc[0]) if len(steps) else _MINUTE_S
    return usual if usual < _MINUTE_S else usual // _MINUTE_S * _MINUTE_S


def _imported(name: str, rows: pd.DataFrame, first: int, minutes: int, resolution_s: int) -> Points:
    known = rows[["second", name]].dropna()
    steps = resolution_s // _MINUTE_S
    values = np.full(minutes // steps, np.nan)
    places = ((known["second"] - first) // resolution_s).to_numpy()
    # A run holds counts per second, whoever recorded it.
    values[places] = known[name].to_numpy() * (resolution_s if is_count(name) else 1)
    if steps == 1 or (name.partition(".")[0] in CREDITS and resolution_s <= CREDITS_EVERY_S):
        return Points(first, resolution_s, values)
    return Points(first, _MINUTE_S, np.repeat(values / steps if is_count(name) else values, steps))


def _recorded(name: str, rows: pd.DataFrame, first: int, minutes: int) -> Points:
    if name != "CacheHitRate":
        return Points(first, _MINUTE_S, _by_minute(name, rows, first, minutes))
    # Of the minute, not the mean of its seconds.
    hits, misses = (_by_minute(each, rows, first, minutes) for each in ("CacheHits", "CacheMisses"))
    looked_up = hits + misses
    return Points(first, _MINUTE_S, 100.0 * hits / np.where(looked_up > 0.0, looked_up, np.nan))


def _by_minute(name: str, rows: pd.DataFrame, first: int, minutes: int) -> Floats:
    # A sample tells of the time since the one before.
    told_s = rows["second"].diff().fillna(1.0).clip(1.0, _MINUTE_S)
    known = rows[name].notna()
    minute, values = ((rows["second"] - first) // _MINUTE_S)[known], rows.loc[known, name]
    told_s = told_s[known]
    if is_count(name):
        found = (values * told_s).groupby(minute).sum()
    else:
        grouped = values.groupby(minute)
        found = grouped.mean() if name in _RATES else grouped.last()
    found = found[(told_s.groupby(minute).sum() >= _FEWEST_SECONDS) & (found.index < minutes)]
    result = np.full(minutes, np.nan)
    result[found.index.to_numpy()] = found.to_numpy()
    return result
