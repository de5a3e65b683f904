"""The balance of CPU credits over a week, by burstable node type, and when each is throttled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from amply_capacity.catalog.nodes import NodeType
from amply_capacity.errors import BadInput
from amply_capacity.model.credits import HOST_CORES, CreditCourse, CreditRules, credit_course, credit_rules
from amply_capacity.model.day import DAY_MINUTES, WEEK_MINUTES, week_weights
from amply_capacity.report.look import ACCENT, CALM, INK, MUTED, WARN, Picture, canvas, picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["credit_week"]

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_ROOM = 1.3  # above the limit, for a panel's words
_STEP_MINUTES = 10  # ten thousand points a line would make a page of megabytes


def credit_week(nodes: Sequence[NodeType], mean_cores: float, peak_to_mean: float,
                weekend_to_weekday: float = 1.0, *, host_cores: float = HOST_CORES,
                start_balance: float | Literal["settled"] = "settled") -> Picture:
    """A week at that mean of the engine's, cores; a panel for each set of types with the same credits.

    Raises BadInput without nodes, and for a type without credits.
    """
    if not nodes:
        raise BadInput("no node type to draw", got="none", do="give e.g. cache.t3.micro and cache.t3.small")
    together: dict[CreditRules, list[str]] = {}
    for node in nodes:
        together.setdefault(credit_rules(node), []).append(node.name.removeprefix("cache."))
    demand = mean_cores * week_weights(peak_to_mean, weekend_to_weekday)
    courses = {", ".join(names): credit_course(rules, demand, host_cores=host_cores,
                                               start_balance=start_balance)
               for rules, names in together.items()}
    with canvas(height=1.5 + 1.65 * len(courses)) as (figure, single):
        single.remove()
        panels = figure.subplots(len(courses), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (names, course) in zip(panels, courses.items(), strict=True):
            _draw(axes, names, course)
        panels[-1].set_xlim(0, WEEK_MINUTES)
        panels[-1].set_xticks(np.arange(len(_DAYS)) * DAY_MINUTES + DAY_MINUTES / 2, _DAYS)
        panels[-1].tick_params(axis="x", length=0)
        figure.supylabel("CPU credits (vCPU-minutes)", fontsize=10.5, color=MUTED)
        begin = "as it is every week" if start_balance == "settled" else f"from {start_balance:g} credits"
        return picture(figure, _claim(courses, mean_cores),
                       f"balance, standard mode, {begin}; hatched: throttled to the baseline; engine "
                       f"{mean_cores:.2g} cores in the mean, peak {peak_to_mean:.3g} times the day's, "
                       f"weekend {weekend_to_weekday:.2g} of a weekday, host {host_cores:g} cores")


def _claim(courses: dict[str, CreditCourse], mean_cores: float) -> str:
    said, never = [], []
    for names, course in courses.items():
        hours, lost = course.throttled_hours, 100.0 * course.unserved_share
        if hours:
            work = "under 1 %" if lost < 1.0 else f"{lost:.0f} %"
            said.append(f"{_are(names)} throttled {_hours(hours)} a week, which loses {work} of the work")
        else:
            never.append(names)
    names = ", ".join(never)
    if never:
        said.append(f"{_listed(names)} never" if said else f"{_are(names)} never throttled")
    return f"At {mean_cores:.2g} cores {'; '.join(said)}"


def _are(names: str) -> str:
    return _listed(names) + (" are" if "," in names else " is")


def _listed(names: str) -> str:
    return " and ".join(names.rsplit(", ", 1))


def _hours(hours: float) -> str:
    return f"{hours:.0f} h" if hours >= 1.0 else "under 1 h"


def _draw(axes: Axes, names: str, course: CreditCourse) -> None:
    most = float(course.rules.most)
    minutes = np.arange(0, WEEK_MINUTES + 1, _STEP_MINUTES)
    balance = np.concatenate([[course.start_balance], course.balance])[minutes]
    axes.fill_between(minutes, 0.0, balance, color=CALM, alpha=0.45, linewidth=0)
    axes.plot(minutes, balance, color=ACCENT, linewidth=2.2)
    is_out = course.throttled > 0.0
    edges = np.flatnonzero(np.diff(np.concatenate([[0], is_out.astype(np.int8), [0]])))
    for begin, end in edges.reshape(-1, 2):
        # A hatch beside the colour: seen in grey, and by who cannot tell the two.
        axes.axvspan(begin, end, ymax=1.0 / _ROOM, facecolor=WARN, edgecolor="white", alpha=0.55,
                     hatch="///", linewidth=0)
    for midnight in range(DAY_MINUTES, WEEK_MINUTES, DAY_MINUTES):
        axes.axvline(midnight, color="#d9e0e6", linewidth=0.9, zorder=0.5)
    axes.grid(axis="x", visible=False)
    axes.set_ylim(0.0, _ROOM * most)
    axes.set_yticks([0.0, most / 2, most])
    axes.axhline(most, color=MUTED, linewidth=1.0, linestyle=(0, (1, 2)))
    hours = course.throttled_hours
    lowest = f"never below {course.lowest_balance:,.0f} credits"
    state = f"throttled {_hours(hours)} a week" if hours else lowest
    axes.annotate(f"{names}: {state}", (0.0, 1.0), xycoords="axes fraction", xytext=(4, -3),
                  textcoords="offset points", va="top", fontsize=11, color=INK,
                  fontweight="bold" if hours else "normal")
