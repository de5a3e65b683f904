"""The throughput–latency curve of a knee search with its objective and knee; else a run's seconds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from amply_capacity.model.knee_curve import CurvePoint, KneeCurve, knee_of
from amply_capacity.model.latency import latency_over_time
from amply_capacity.report import production_figure
from amply_capacity.report.look import (
    ACCENT,
    CALM,
    INK,
    MUTED,
    PALETTE,
    WARN,
    Picture,
    canvas,
    picture,
    plain_logarithm,
)
from amply_capacity.run.reader import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["knee", "knee_of_run", "latency_against_load"]

_MARKERS = "osD^vP*X"


def knee_of_run(run: Run) -> Picture | None:
    """The curve of the run's knee search; None without one."""
    curve = knee_of(run)
    return None if curve is None else knee(curve, run.name)


def latency_against_load(run: Run) -> Picture:
    """The curve of the run's knee search; without one, p99 against the load, a point per second."""
    if run.is_production:
        return production_figure.no_load(run)
    return knee_of_run(run) or _seconds(run)


def knee(curve: KneeCurve, run_name: str) -> Picture:
    """p99 response time against the offered rate, by use case and step, and the knee with its interval.

    Steps at which the server fell behind are hollow: a p99 that grows for as long as one waits. Use cases
    without an objective are left out.
    """
    drawn = [point for point in curve.points if point.use_case in curve.objectives_ms
             and point.p99_ms is not None and point.verdict != "generator-bound"]
    with canvas(height=4.4) as (figure, axes):
        width = max((point.rate_per_second for point in drawn), default=1.0)
        names = sorted({point.use_case for point in drawn})
        for number, use_case in enumerate(names):
            aside = 0.006 * width * (number - (len(names) - 1) / 2.0)  # equal points would hide each other
            _draw_use_case(axes, use_case, [point for point in drawn if point.use_case == use_case], number,
                           aside)
        for limit_ms in sorted(set(curve.objectives_ms.values())):
            axes.axhline(limit_ms, color=WARN, linewidth=1.6, linestyle=(0, (5, 3)))
            axes.annotate(_objective(curve, limit_ms), (0.0, limit_ms), xycoords=("axes fraction", "data"),
                          xytext=(5, 4), textcoords="offset points", color=WARN, fontsize=9.5)
        _draw_knee(axes, curve)
        axes.set_yscale("log")
        plain_logarithm(axes.yaxis)
        _set_limits(axes, curve, drawn)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.set_xlabel("operations offered a second")
        axes.set_ylabel("p99 response time, ms")
        if drawn:
            axes.legend(loc="lower right", fontsize=9, frameon=True, framealpha=0.9, edgecolor="white")
        percent = f"{100 * curve.confidence:g} %"
        return picture(figure, _claim(curve),
                       "whiskers: 90 %, bootstrap over the seconds of a step; hollow: the server fell "
                       f"behind; band: {percent} interval of the knee; run {run_name}; on the recording "
                       "host, not a node")


def _claim(curve: KneeCurve) -> str:
    use_case = (curve.use_case or "").replace("_", " ")
    if curve.mid is not None and curve.low is not None and curve.high is not None and curve.use_case:
        return (f"The knee is at {_rate(curve.mid)} operations a second ({_rate(curve.low)} to "
                f"{_rate(curve.high)}): beyond it the p99 of {use_case} exceeds "
                f"{curve.objectives_ms[curve.use_case]:g} ms")
    if curve.low is not None and curve.high is not None:
        return f"The knee is between {_rate(curve.low)} and {_rate(curve.high)} operations a second"
    if curve.low is not None:
        bottleneck = any(point.verdict == "generator-bound" for point in curve.points)
        why = ": then the generator, not the server, was the bottleneck" if bottleneck else ""
        return f"The knee is above {_rate(curve.low)} operations a second{why}"
    if curve.high is not None:
        return (f"The knee is below {_rate(curve.high)} operations a second: "
                f"no rate that was tried held the p99 of {use_case}")
    return "The knee was not found: no step was measured"


def _objective(curve: KneeCurve, limit_ms: float) -> str:
    """Whose objective it is; without names where it is everybody's."""
    own = sorted(name.replace("_", " ") for name, limit in curve.objectives_ms.items() if limit == limit_ms)
    whose = f" for {', '.join(own)}" if len(own) < len(curve.objectives_ms) else ""
    return f"objective{whose}: {limit_ms:g} ms"


def _rate(value: float) -> str:
    """To three significant digits: no search knows more."""
    digits = 2 - math.floor(math.log10(value)) if value > 0.0 else 0
    return f"{round(value, digits):,.0f}" if value >= 10.0 else f"{value:.3g}"


def _draw_use_case(axes: Axes, use_case: str, points: Sequence[CurvePoint], number: int,
                   aside: float) -> None:
    colour, marker = PALETTE[number % len(PALETTE)], _MARKERS[number % len(_MARKERS)]
    line = sorted((point.rate_per_second + aside, point.p99_ms.mid) for point in points
                  if point.p99_ms is not None and point.verdict != "behind")
    if line:
        rates, middles = zip(*line, strict=True)
        axes.plot(rates, middles, color=colour, linewidth=1.2, alpha=0.5)
    label: str | None = use_case.replace("_", " ")
    for point in sorted(points, key=lambda one: one.verdict == "behind"):
        p99 = point.p99_ms
        if p99 is None:
            continue
        face = "white" if point.verdict == "behind" else colour
        axes.errorbar([point.rate_per_second + aside], [p99.mid],
                      yerr=[[p99.mid - p99.low], [p99.high - p99.mid]], fmt=marker, color=colour,
                      markerfacecolor=face, markersize=6, elinewidth=1.3, capsize=3, label=label)
        label = None  # the legend names a use case once


def _draw_knee(axes: Axes, curve: KneeCurve) -> None:
    if curve.low is not None and curve.high is not None:
        axes.axvspan(curve.low, curve.high, color=CALM, alpha=0.5, linewidth=0)
    for value in (curve.low, curve.high) if curve.mid is None else (curve.mid,):
        if value is not None:
            axes.axvline(value, color=INK, linewidth=1.6)
            word = "knee" if curve.mid is not None else "above" if value == curve.low else "below"
            axes.annotate(f"{word} {_rate(value)}", (value, 1.0), xycoords=("data", "axes fraction"),
                          xytext=(-6, -4), textcoords="offset points", ha="right", va="top", color=INK,
                          fontsize=10)


def _set_limits(axes: Axes, curve: KneeCurve, points: Iterable[CurvePoint]) -> None:
    """What lies far beyond the knee needs no room."""
    points = list(points)
    lows = [point.p99_ms.low for point in points if point.p99_ms is not None]
    highs = [point.p99_ms.high for point in points if point.p99_ms is not None]
    limits = list(curve.objectives_ms.values())
    axes.set_ylim(0.5 * min([*lows, *limits]), min(3.0 * max([*highs, *limits]), 20.0 * max(limits)))
    rates = [point.rate_per_second for point in points]
    top = max(rates, default=1.0)
    if curve.high is not None:
        top = min(top, 1.6 * curve.high)
    axes.set_xlim(0, 1.06 * max(top, curve.low or 0.0))


def _seconds(run: Run) -> Picture:
    clock = "service" if run.manifest["arrivals"] == "closed" else "response"
    first, last = run.measured_seconds
    rows = run.requests[(run.requests["command"] == "") & (run.requests["clock"] == clock)]
    rates = rows.groupby("second")["count"].sum().loc[first:last]
    p99 = latency_over_time(run, clock, [0.99])[0.99].loc[first:last]
    claim = "No operation was measured, and no knee searched" if rates.empty else (
        f"No knee was searched: at {_rate(rates.min())} to {_rate(rates.max())} operations a second "
        f"a second's p99 was at most {_rate(p99.max())} ms")
    with canvas(width=6.0, height=3.4) as (figure, axes):
        axes.plot(rates, p99, "o", color=ACCENT, markersize=5, markeredgecolor="white", markeredgewidth=0.6)
        axes.set_yscale("log")
        plain_logarithm(axes.yaxis)
        axes.set_xlim(0, 1.1 * (rates.max() if len(rates) else 1.0))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.set_xlabel("operations answered a second", color=MUTED)
        axes.set_ylabel(f"p99 {clock} time, ms")
        return picture(figure, claim,
                       f"a point per second; run {run.name}; on the recording host, not a node")
