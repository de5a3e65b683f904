"""The figures of the decision on a replica, each a pure function of the plan's JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from amply_capacity.errors import BadInput
from amply_capacity.report.look import (
    ACCENT,
    CALM,
    INK,
    MUTED,
    WARN,
    Picture,
    canvas,
    picture,
    plain_logarithm,
)
from amply_capacity.report.money import usd
from amply_capacity.report.replica_words import (
    amount_of,
    cheapest_of,
    listed,
    number_name,
    rounded,
    setup_words,
    turning,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["VERDICT_GROUNDS", "break_even_map", "sensitivity", "setups"]

Plan = Mapping[str, Any]

_NEVER, _MAYBE, _ADD = "#fbe9dc", "#f4f5f7", "#d6e8f4"
"""Grounds of the three verdicts: pale orange, grey and blue."""
VERDICT_GROUNDS = (("do not add", 0.0, 0.2, _NEVER), ("undecided", 0.2, 0.8, _MAYBE),
                   ("add", 0.8, 1.0, _ADD))
"""From which share of the worlds to which, and the ground."""
_COMPARED = ("single node", "one replica, Multi-AZ")
_AMBER = "#e69f00"
_LEAST_SHOWN, _MOST_MINUTES = 0.01, 500.0
_MOST_SWINGS = 8
_LONG = 2_000.0
_ROOM_FOR_A_NAME = 1.4
_ROW_INCHES = 0.42


def setups(plan: Plan) -> Picture:
    """Five ways to run the chosen nodes: minutes away, sessions lost, and dollars, in the first month."""
    rows, best = _needed(plan, "setups"), cheapest_of(plan)
    others = [one for one in rows if one is not best and one["name"] in _COMPARED]
    beside = listed([f"{setup_words(one['name'])} {usd(one['total_usd']['expected'])}" for one in others])
    words = setup_words(best["name"])
    claim = (f"{words[0].upper()}{words[1:]} is expected to cost least, "
             f"{usd(best['total_usd']['expected'])} a month with its outages; {beside}")
    with canvas(height=2.0 + _ROW_INCHES * len(rows)) as (figure, alone):
        alone.remove()
        panels: dict[str, Axes] = figure.subplot_mosaic(
            [["note"] * 3, ["away", "lost", "money"]], height_ratios=(0.01, 1.0), width_ratios=(6, 5, 5))
        panels.pop("note").axis("off")  # as wide as the figure: the note's place
        away, lost, money = panels.values()
        _ranges(away, rows, "downtime_minutes", "minutes without Redis", _MOST_MINUTES)
        for place, one in enumerate(rows):
            away.plot([one["promised_minutes"]], [place], "|", color=WARN, markersize=15, markeredgewidth=2.2)
        _ranges(lost, rows, "lost_sessions", "sessions lost",
                3.0 * max(float(one["lost_sessions"]["high"]) for one in rows))
        _dollars(money, rows, best)
        for axes in (away, lost, money):
            axes.set_ylim(len(rows) - 0.45, -0.6)
            axes.set_yticks([])
            axes.grid(axis="y", visible=False)
        away.set_yticks(range(len(rows)), [one["name"] for one in rows], color=INK)
        away.tick_params(axis="y", length=0)
        for label, one in zip(away.get_yticklabels(), rows, strict=True):
            label.set_fontweight("bold" if one is best else "normal")
        return picture(figure, claim, f"expected in a month, {_nodes(plan)}; dot: median, bar and line: "
                                      "5–95 % of worlds; orange: what AWS’ service level agreement allows")


def break_even_map(plan: Plan) -> Picture:
    """Where a replica pays, over the cost of a minute and the failure rate, and where this demand lies."""
    drawn = _needed(plan, "map")
    costs, rates = np.array(drawn["usd_per_downtime_minute"]), np.array(drawn["failures_per_year"])
    shares = np.array(drawn["probability"])
    # What costs nothing has no place on a logarithmic axis but its edge.
    edge = np.array([costs[0], rates[0]])
    likely, point, region = (drawn["point"][1], np.maximum(drawn["point"], edge),
                             np.maximum(drawn["region"], edge))
    replica = plan["replica"]
    even = replica["break_even"]["failures_per_year"]
    claim = ("A replica never pays, however often a node fails" if even is None else
             f"From {even:.2g} failures of a node a year on, a replica pays at the median cost of a minute; "
             f"{likely:.2g} are thought likely")
    with canvas(width=7.6, height=5.2) as (figure, axes):
        axes.contourf(costs, rates, shares, levels=[-0.01, 0.2, 0.8, 1.01], colors=[_NEVER, _MAYBE, _ADD])
        if shares.min() < 0.5 < shares.max():
            axes.contour(costs, rates, shares, levels=[0.5], colors=[ACCENT], linewidths=2.2)
        edges = [one for one in (0.2, 0.8) if shares.min() < one < shares.max()]
        if edges:
            axes.contour(costs, rates, shares, levels=edges, colors=[MUTED], linewidths=0.9,
                         linestyles=[(0, (4, 3))])
        axes.fill(region[:, 0], region[:, 1], facecolor=INK, alpha=0.08, linewidth=0)
        axes.plot(*np.vstack([region, region[:1]]).T, color=INK, linewidth=1.3)
        axes.plot([point[0]], [point[1]], "o", color=INK, markersize=9, markeredgecolor="white")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(costs[0], costs[-1])
        axes.set_ylim(rates[0], rates[-1])
        plain_logarithm(axes.xaxis, is_long=costs[-1] > _LONG * costs[0])
        plain_logarithm(axes.yaxis, is_long=rates[-1] > _LONG * rates[0])
        axes.grid(visible=False)
        axes.annotate("this demand,\n90 % of its worlds", (point[0], point[1]), xytext=(12, 0),
                      textcoords="offset points", va="center", fontsize=9.5, color=INK)
        _name_zones(axes, costs, rates, shares)
        axes.set_xlabel("cost of a minute without Redis, USD (logarithmic)")
        axes.set_ylabel("failures of a node a year (logarithmic)")
        return picture(figure, claim, f"blue line: a replica of {usd(replica['usd_per_month'])} a month pays "
                                      "in half of the worlds; dashed: in 20 and in 80 % of them")


def sensitivity(plan: Plan) -> Picture:
    """Which numbers turn the verdict: the share of worlds in which a replica pays with one number held."""
    rows = list(_needed(plan, "sensitivity"))[:_MOST_SWINGS]
    turns = turning(plan)
    base = 100.0 * plan["replica"]["probability"]
    if turns:
        named = listed(turns)
        claim = f"{named[0].upper()}{named[1:]} decide{'s' if len(turns) == 1 else ''} whether a replica pays"
    else:
        claim = f"No number alone turns the verdict “{plan['replica']['verdict']}”"
    with canvas(height=1.9 + _ROW_INCHES * max(len(rows), 1)) as (figure, axes):
        for name, low, high, ground in VERDICT_GROUNDS:
            axes.axvspan(100.0 * low, 100.0 * high, color=ground, linewidth=0, zorder=0)
            axes.annotate(name, (50.0 * (low + high), len(rows) - 0.1), ha="center", va="center",
                          fontsize=10.5, fontweight="bold", color=MUTED)
        axes.plot([base, base], [-0.6, len(rows) - 0.5], color=INK, linewidth=1.2)
        for place, one in enumerate(rows):
            _swing(axes, place, one, base)
        axes.set_yticks(range(len(rows)), [number_name(one["number"]) for one in rows], color=INK)
        for label, one in zip(axes.get_yticklabels(), rows, strict=True):
            label.set_fontweight("bold" if one["flips"] else "normal")
        axes.set_ylim(len(rows) + 0.3, -0.6)
        axes.set_xlim(-11, 111)
        axes.set_xticks(range(0, 101, 20))
        axes.grid(visible=False)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("percent of worlds in which the replica pays")
        return picture(figure, claim, "one number held at its 5 % (light) or 95 % bound (dark), all others "
                                      f"drawn; line: none held, {base:.0f} %")


def _needed(plan: Plan, name: str) -> Any:
    """Raises BadInput for a draft, which leaves them out."""
    found = plan["replica"][name]
    if not found:
        raise BadInput("this plan has no such figure of the replica",
                       got=f"no {name}: a draft leaves it out, or nothing is uncertain",
                       do="make the whole plan")
    return found


def _nodes(plan: Plan) -> str:
    one = plan["replica"]["setups"][0]
    shards = f"{one['shards']} shards, " if one["shards"] > 1 else ""
    return f"{shards}{one['node_type']}, {plan['months'][0]['month']}"


def _ranges(axes: Axes, rows: Sequence[Plan], name: str, label: str, most: float) -> None:
    """A bar from the 5 to the 95 % world and a dot at the median; at the left edge: next to none."""
    for place, one in enumerate(rows):
        low, mid, high = (max(float(one[name][key]), _LEAST_SHOWN) for key in ("low", "mid", "high"))
        axes.plot([low, high], [place, place], color=CALM, linewidth=10, solid_capstyle="butt")
        axes.plot([mid], [place], "o", color=ACCENT, markersize=7)
        axes.annotate(rounded(float(one[name]["mid"])), (mid, place), xytext=(0, 7),
                      textcoords="offset points", ha="center", va="bottom", fontsize=8.5, color=INK)
    axes.set_xscale("log")
    axes.set_xlim(_LEAST_SHOWN / 2.5, most)
    plain_logarithm(axes.xaxis, is_long=True)
    axes.set_xlabel(f"{label} (logarithmic)")


def _dollars(axes: Axes, rows: Sequence[Plan], best: Plan) -> None:
    """Nodes and expected outages as one bar each, the 5–95 % of worlds as a line."""
    most = max(float(one["total_usd"]["high"]) for one in rows)
    for place, one in enumerate(rows):
        nodes, outage, total = one["usd_per_month"], one["outage_usd"]["expected"], one["total_usd"]
        axes.barh(place, nodes, color=ACCENT, height=0.5, label=None if place else "nodes")
        axes.barh(place, outage, left=nodes, color=_AMBER, height=0.5, label=None if place else "outages")
        axes.plot([total["low"], total["high"]], [place, place], color=INK, linewidth=1.1, marker="|",
                  markersize=6)
        axes.annotate(usd(total["expected"]), (max(total["high"], total["expected"]), place), xytext=(6, 0),
                      textcoords="offset points", va="center", fontsize=9.5, color=INK,
                      fontweight="bold" if one is best else "normal")
    axes.legend(loc="lower right", fontsize=9, handlelength=1.1)
    axes.set_xlim(0, 1.3 * most)
    axes.set_xlabel("USD, expected")


def _swing(axes: Axes, place: int, one: Plan, base: float) -> None:
    low, high = 100.0 * one["probability_at_low"], 100.0 * one["probability_at_high"]
    for end, value, colour in ((low, one["low_value"], CALM), (high, one["high_value"], ACCENT)):
        axes.barh(place, end - base, left=base, height=0.5, color=colour, zorder=2)
        is_left = end < base or (end == base and colour == CALM)
        axes.annotate(amount_of(one["number"], value), (end, place), xytext=(-5 if is_left else 5, 0),
                      textcoords="offset points", ha="right" if is_left else "left", va="center",
                      fontsize=8.5, color=INK, zorder=3)


def _name_zones(axes: Axes, costs: NDArray[np.float64], rates: NDArray[np.float64],
                shares: NDArray[np.float64]) -> None:
    """Each verdict's name at the left edge, or at the right one where it has no room there."""
    for name, low, high, _ in VERDICT_GROUNDS:
        # The line of half the worlds has no name across it.
        parts = [(low, high)] if low == 0.0 or high == 1.0 else [(low, 0.5), (0.5, high)]
        for column, side in ((0, "left"), (len(costs) - 1, "right")):
            spans = [_span(rates, shares[:, column], *part) for part in parts]
            bottom, top = max(spans, key=lambda span: span[1] / span[0])
            if top / bottom > _ROOM_FOR_A_NAME:
                axes.annotate(name, (costs[column], np.sqrt(bottom * top)),
                              xytext=(8 if side == "left" else -8, 0), textcoords="offset points", ha=side,
                              va="center", fontsize=11, color=MUTED, fontweight="bold")
                break


def _span(rates: NDArray[np.float64], shares: NDArray[np.float64], low: float,
          high: float) -> tuple[float, float]:
    """Between which rates the share lies between these; it grows with them."""
    logs = np.log(rates)
    bottom = logs[0] if low == 0.0 else float(np.interp(low, shares, logs))
    top = logs[-1] if high == 1.0 else float(np.interp(high, shares, logs))
    return float(np.exp(bottom)), float(np.exp(max(top, bottom)))
