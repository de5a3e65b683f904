"""Hit rate and evictions against memory, with the node types and the limits of the specification on it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from amply_capacity.catalog import prices
from amply_capacity.catalog.nodes import node_type
from amply_capacity.interval import Interval
from amply_capacity.model.layout import Layout
from amply_capacity.model.shapes import shapes_of
from amply_capacity.plan.demand import Demand, load_demand
from amply_capacity.plan.hit_rate_curve import HitRateCurve, hit_rate_curve
from amply_capacity.report.look import (
    ACCENT,
    CALM,
    INK,
    MUTED,
    ON_WHITE,
    WARN,
    Picture,
    canvas,
    picture,
    plain_logarithm,
)
from amply_capacity.run.reader import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["hit_rate_against_memory", "hit_rate_of"]

_MOST_MARKS, _MOST_NAMES = 7, 2
_ROOM = 2.6
"""How far beyond the memory needed node types are marked: further out nothing changes."""


def hit_rate_of(run: Run, demand: Path, month: int = 0) -> Picture:
    """The curve of a demand's peak hour in that month from today, with the sizes of the run's keys."""
    wanted = load_demand(demand)
    cluster = wanted.cluster
    offered = [node_type(one.node_type) for one in prices.offered(cluster.region, cluster.engine)
               if wanted.allowed.allows(one.node_type)]
    curve = hit_rate_curve(wanted, shapes_of(run), Layout(), offered, month=month,
                           reserved_memory_percent=cluster.reserved_memory_percent,
                           start=datetime.fromisoformat(run.manifest["started_at"]).date())
    return hit_rate_against_memory(curve, wanted, month, run.name)


def hit_rate_against_memory(curve: HitRateCurve, demand: Demand, month: int, run_name: str) -> Picture:
    """Both against maxmemory: the median world, and the band of those of least and of most need."""
    marks = _marks(curve)
    with canvas(height=5.2) as (figure, single):
        single.remove()
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        memory = np.array([point.memory_bytes for point in curve.points]) / 1e6
        _band(upper, memory, [point.hit_rate.scaled(100.0) for point in curve.points])
        _band(lower, memory, [point.evictions_per_minute for point in curve.points])
        end = max(float(memory[-1]), max((size / 1e6 for _, size in marks), default=0.0)) * 1.06
        for axes, last in ((upper, curve.unlimited.hit_rate.scaled(100.0)),
                           (lower, curve.unlimited.evictions_per_minute)):
            _band(axes, np.array([memory[-1], end]), [last, last])
        _limit(upper, demand.slo.hit_rate_percent.mid, f"at least {demand.slo.hit_rate_percent.mid:g} %")
        _limit(lower, demand.slo.evictions_per_minute.mid,
               f"at most {demand.slo.evictions_per_minute.mid:g} a minute")
        for names, size in marks:
            for axes in (upper, lower):
                axes.axvline(size / 1e6, color=MUTED, linewidth=1.0, linestyle=(0, (1, 2)))
            upper.annotate(names, (size / 1e6, 0.02), xycoords=("data", "axes fraction"), rotation=90,
                           xytext=(-4, 2), textcoords="offset points", ha="right", va="bottom", fontsize=9,
                           color=INK)
        upper.set_ylim(min(75.0, *(100.0 * point.hit_rate.mid for point in curve.points)), 100.0)
        lower.set_yscale("symlog", linthresh=10.0)
        lower.set_ylim(bottom=0.0)
        lower.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        for axes in (upper, lower):
            axes.set_xscale("log")
        lower.set_xlim(float(memory[0]), end)
        plain_logarithm(lower.xaxis)
        upper.set_ylabel("cached reads that hit, %")
        lower.set_ylabel("evictions a minute")
        lower.set_xlabel("maxmemory less the reserve, MB (logarithmic)")
        when = "today" if month == 0 else f"in {month} months"
        return picture(figure, _claim(curve, demand, when),
                       f"peak hour {when}, emulated; line: every number at its median, band: the worlds "
                       f"of 5 % and 95 % need; volatile-lru; sizes of run {run_name}")


def _claim(curve: HitRateCurve, demand: Demand, when: str) -> str:
    """What the curve says, in a sentence."""
    wanted, most = demand.slo.hit_rate_percent.mid / 100.0, demand.slo.evictions_per_minute.mid
    fits = next((name for name, size in curve.node_types
                 if curve.at(size).evictions_per_minute.high <= most), None)
    best = curve.unlimited.hit_rate
    bound = (f"{100.0 * best.mid:.0f} % of the cached reads hit, and more memory changes nothing: "
             "what misses has expired")
    if fits is None:
        return f"No node type keeps evictions under {most:g} a minute {when}"
    if best.mid < wanted:
        return f"With {fits} {bound}; {100.0 * wanted:g} % needs a longer TTL, not a larger node"
    return f"From {fits} on {bound}"


def _marks(curve: HitRateCurve) -> list[tuple[str, int]]:
    """Node types of about one size share a mark; those far beyond what is needed have none."""
    groups: dict[int, list[str]] = {}
    for name, size in curve.node_types:
        near = next((one for one in groups if abs(size / one - 1.0) < 0.12), size)
        groups.setdefault(near, []).append(name.removeprefix("cache."))
    marks = [(_together(names), size) for size, names in groups.items()]
    inside = [mark for mark in marks if mark[1] < _ROOM * curve.needed.high]
    return (inside or marks[:1])[:_MOST_MARKS]


def _together(names: Sequence[str]) -> str:
    """The burstable ones first: they are the cheap ones."""
    ordered = sorted(names, key=lambda name: (not name.startswith("t"), name))
    more = len(ordered) - _MOST_NAMES
    return ", ".join(ordered[:_MOST_NAMES]) + (f" +{more}" if more > 0 else "")


def _band(axes: Axes, memory: np.ndarray[tuple[int], np.dtype[np.float64]],
          values: Sequence[Interval]) -> None:
    axes.fill_between(memory, [one.low for one in values], [one.high for one in values], color=CALM,
                      alpha=0.55,
                      linewidth=0)
    axes.plot(memory, [one.mid for one in values], color=ACCENT, linewidth=2.4)


def _limit(axes: Axes, value: float, words: str) -> None:
    axes.axhline(value, color=WARN, linewidth=1.4, linestyle=(0, (5, 3)))
    axes.annotate(words, (0.0, value), xycoords=("axes fraction", "data"), xytext=(5, -13),
                  textcoords="offset points", color=WARN, fontsize=9.5, zorder=6,
                  bbox=ON_WHITE)
