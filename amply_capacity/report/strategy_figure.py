"""The ways through the horizon beside each other: what each comes to, in the same worlds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amply_capacity.report.look import ACCENT, CALM, INK, MUTED, Picture, canvas, picture, plain_logarithm
from amply_capacity.report.money import usd
from amply_capacity.report.ways import cheaper_way

__all__ = ["strategies"]

_ROW_INCHES, _REST_INCHES = 0.36, 1.5
_LONG = 300.0


def strategies(plan: Mapping[str, Any]) -> Picture:
    """Expected total over the horizon and the 5–95 % of worlds; cheapest at the top."""
    rows = sorted((one for one in plan["strategies"] if one["usd_total"] is not None),
                  key=lambda one: -float(one["usd_total_expected"]))
    own = plan["strategies"][0]
    free = [one for one in rows if not one["changes"] and one is not own]
    months = len(plan["months"])
    cheaper = cheaper_way(plan)
    if own["usd_total"] is None:
        claim = f"What the plan comes to over {months} months is not known: too many worlds outgrow all nodes"
    elif cheaper is None:
        claim = (f"No other way costs less than the plan's {usd(own['usd_total_expected'])} "
                 f"over {months} months")
    else:
        name = cheaper["name"]
        claim = (f"“{name[0].upper()}{name[1:]}” would save {usd(-cheaper['difference_expected'])} of the "
                 f"plan's {usd(own['usd_total_expected'])} over {months} months")
    with canvas(height=_REST_INCHES + _ROW_INCHES * len(rows)) as (figure, axes):
        for place, one in enumerate(rows):
            total = one["usd_total"]
            is_own = one is own
            axes.plot([total["low"], total["high"]], [place, place], color=CALM, linewidth=9,
                      solid_capstyle="butt")
            axes.plot([one["usd_total_expected"]], [place], "D" if is_own else "o", markersize=8,
                      color=ACCENT if is_own or one in free else MUTED)
            axes.annotate(usd(one["usd_total_expected"]), (total["high"], place), xytext=(7, 0),
                          textcoords="offset points", va="center", fontsize=9, color=INK)
        axes.set_ylim(-0.7, len(rows) - 0.3)
        axes.set_yticks(range(len(rows)), [one["name"] for one in rows])
        for label, one in zip(axes.get_yticklabels(), rows, strict=True):
            label.set_color(INK)
            label.set_fontweight("bold" if one is own else "normal")
        axes.set_xscale("log")
        low, high = axes.get_xlim()
        plain_logarithm(axes.xaxis, is_long=high > _LONG * low)
        axes.set_xlim(low, high * 1.35)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(f"USD over {months} months, outages included, logarithmic")
        return picture(figure, claim, "mark: expected, bar: 5–95 % of worlds; blue: nothing has to "
                                      "change for it, grey: a contract or the application has to")
