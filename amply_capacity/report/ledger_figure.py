"""The track record as a figure: how far predictions were off, and how often their intervals held."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, median
from typing import TYPE_CHECKING

from amply_capacity.model.ledger import Entry, Score, scores
from amply_capacity.report.look import ACCENT, CALM, INK, MUTED, WARN, Picture, canvas, picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["predicted_against_measured", "track_record_text", "wilson"]

_CONFIDENCE = 0.9
_LINEAR_PERCENT = 1.0
"""Errors below it are drawn to scale, larger ones logarithmically."""
_MOST_PERCENT, _EDGE_PERCENT = 1_000.0, 1_250.0
"""An error beyond the edge is drawn there."""
_WHOLE_PERCENT = 10.0
"""From here on a percentage is told without decimals."""
_SPREAD = 0.7
"""Of a row's height, for the cases of one quantity beside each other."""
_ALONE, _BESIDE, _MOST_HEIGHT = 5, 4, 3.0
"""Cases with broad lines; in a row of the least height; heights of the highest row."""
_FAINT_FROM = 4
"""Repeats of a case beyond which their marks shine through."""


def track_record_text(entries: Sequence[Entry]) -> str:
    """The record in a sentence or two."""
    measured = [entry for entry in entries if entry.measured is not None]
    left = len(entries) - len(measured)
    waiting = (f"{left} {'prediction waits' if left == 1 else 'predictions wait'} for a measurement"
               if left else "")
    if not measured:
        return f"Nothing has been measured of what was predicted{f': {waiting}' if waiting else ''}."
    held = sum(entry.is_inside is True for entry in measured)
    wanted = sum(entry.predicted.confidence for entry in measured) / len(measured)
    errors = [abs(error) for entry in measured if (error := entry.relative_error) is not None]
    typical = f"; the median error is {_percent(median(errors))} %" if errors else ""
    share = 100.0 * held / len(measured)
    return (f"{held} of {len(measured)} intervals held the truth ({share:.0f} %; "
            f"{100.0 * wanted:.0f} % stated){typical}.{f' {waiting}.' if waiting else ''}")


def predicted_against_measured(entries: Sequence[Entry]) -> Picture:
    """A row for each quantity: its relative errors with their intervals, and how many intervals held.

    What was predicted again and again has one line, with its usual interval and an error each time. What was
    measured as 0 has no relative error and counts only on the right.
    """
    judged = [score for score in scores(entries) if score.measured]
    total = sum(score.measured for score in judged)
    cases = {score.quantity: _cases(entries, score.quantity) for score in judged}
    heights = [min(max(len(cases[score.quantity]) / _BESIDE, 1.0), _MOST_HEIGHT) for score in judged] + [1.0]
    edges = [sum(heights[:place]) for place in range(len(heights) + 1)]
    with canvas(height=1.7 + 0.34 * edges[-1]) as (figure, single):
        single.remove()
        errors, shares = figure.subplots(1, 2, sharey=True, width_ratios=(5, 3))
        for score, top, height in zip(judged, edges, heights, strict=False):
            ours = cases[score.quantity]
            for place, repeats in enumerate(ours):
                aside = _SPREAD * ((place + 0.5) / len(ours) - 0.5)
                _draw_errors(errors, top + height * (0.5 + aside), repeats, alone=len(ours) < _ALONE)
            _draw_coverage(shares, top + height / 2.0, score.inside, score.measured, ACCENT)
        if judged:
            _draw_coverage(shares, edges[-2] + 0.5, sum(score.inside for score in judged), total, INK)
            shares.axvline(100.0 * _wanted(judged), color=WARN, linewidth=1.6, linestyle=(0, (5, 3)),
                           label="as many as were to hold")
        names = [*(score.quantity for score in judged), *(["all"] if judged else [])]
        errors.set_yticks([top + height / 2.0 for _, top, height in zip(names, edges, heights, strict=False)],
                          names, color=INK, fontsize=9.5)
        errors.set_ylim(edges[-1], 0.0)
        errors.axvline(0.0, color=INK, linewidth=1.2)
        _set_error_axis(errors, entries)
        shares.set_xlim(0, 150)
        shares.set_xticks([0, 50, 100])
        shares.tick_params(axis="y", length=0, labelleft=False)
        shares.set_xlabel("intervals that held, %")
        for axes in (errors, shares):
            axes.grid(axis="y", visible=False)
            for line in edges[1:-1]:
                axes.axhline(line, color="#e9eef2", linewidth=0.9, zorder=0.5)
        errors.plot([], [], "o-", color=ACCENT, label="interval held")
        errors.plot([], [], "s-", color=WARN, label="did not hold")
        figure.legend(loc="outside lower center", ncols=3, fontsize=9.5)
        return picture(figure, track_record_text(entries).split(". ")[0].rstrip("."),
                       "a line a case: its errors, with the predicted interval | "
                       "share that held, with its 90 % interval")


def wilson(held: int, of: int, confidence: float = _CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval of a share (Journal of the American Statistical Association 22, 1927).

    Raises ZeroDivisionError for none of none.
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    share, more = held / of, z * z / of
    middle = (share + more / 2.0) / (1.0 + more)
    half = z * math.sqrt(share * (1.0 - share) / of + more / (4.0 * of)) / (1.0 + more)
    return max(min(middle - half, share), 0.0), min(max(middle + half, share), 1.0)


def _cases(entries: Sequence[Entry], quantity: str) -> list[list[Entry]]:
    """Those of a quantity that have an error, by case, in the order in which a case came first."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.quantity == quantity and entry.relative_error is not None:
            found.setdefault(entry.case, []).append(entry)
    return [*found.values()]


def _draw_errors(axes: Axes, row: float, repeats: Sequence[Entry], *, alone: bool) -> None:
    bounds = [sorted(bound / measured - 1.0 for bound in (entry.predicted.low, entry.predicted.high))
              for entry in repeats if (measured := entry.measured)]
    low, high = (100.0 * median(side) for side in zip(*bounds, strict=True))
    held = [entry for entry in repeats if entry.is_inside]
    axes.plot([low, high], [row, row], color=CALM if 2 * len(held) > len(repeats) else WARN,
              linewidth=2.4 if alone else 1.3, solid_capstyle="butt")
    size = 6.0 if alone else 4.0
    faint = min(1.0, (_FAINT_FROM / len(repeats)) ** 0.5)
    for colour, marker, ours in ((ACCENT, "o", held),
                                 (WARN, "s", [entry for entry in repeats if not entry.is_inside])):
        axes.plot([min(100.0 * (entry.relative_error or 0.0), _EDGE_PERCENT) for entry in ours],
                  [row] * len(ours), marker,
                  color=colour, markersize=size, markeredgecolor="white", markeredgewidth=0.5, alpha=faint)


def _draw_coverage(axes: Axes, row: float, held: int, of: int, colour: str) -> None:
    low, high = wilson(held, of)
    axes.plot([100.0 * low, 100.0 * high], [row, row], color=CALM if colour == ACCENT else MUTED,
              linewidth=3.0, solid_capstyle="butt")
    axes.plot([100.0 * held / of], [row], "o", color=colour, markersize=7, zorder=3, clip_on=False)
    axes.annotate(f"{held} of {of}", (1.0, row), xycoords=("axes fraction", "data"), xytext=(-2, 0),
                  textcoords="offset points", ha="right", va="center", fontsize=9.5, color=INK)


def _set_error_axis(axes: Axes, entries: Sequence[Entry]) -> None:
    """Symmetric, up to the furthest error or bound that is not absurd."""
    measured = [entry for entry in entries if entry.measured]
    bounds = [abs(value / entry.measured - 1.0) for entry in measured if entry.measured
              for value in (entry.predicted.low, entry.predicted.mid, entry.predicted.high)]
    most = min(max([_LINEAR_PERCENT, *(100.0 * bound for bound in bounds)]), _MOST_PERCENT)
    axes.set_xscale("symlog", linthresh=_LINEAR_PERCENT, linscale=0.8)
    axes.set_xlim(-1.3 * most, 1.3 * most)
    sizes = [size for size in (1.0, 10.0, 100.0, 1_000.0) if size <= 1.3 * most]
    axes.set_xticks([*(-size for size in reversed(sizes)), 0.0, *sizes],
                    [*(f"−{size:g}" for size in reversed(sizes)), "0", *(f"+{size:g}" for size in sizes)])
    axes.minorticks_off()
    axes.set_xlabel("error, % (to scale up to 1 %, then logarithmic)")


def _wanted(judged: Sequence[Score]) -> float:
    total = sum(score.measured for score in judged)
    return sum(score.confidence * score.measured for score in judged) / total


def _percent(share: float) -> str:
    percent = 100.0 * share
    return f"{percent:,.0f}" if percent >= _WHOLE_PERCENT else f"{percent:.2g}"
