"""The timeline of a drill: what succeeded and what failed around the moment at which something broke."""

from __future__ import annotations

from typing import Any

import numpy as np

from amply_capacity.errors import BadRun
from amply_capacity.report.look import MUTED, PALETTE, WARN, Picture, canvas, picture
from amply_capacity.run.reader import Run

__all__ = ["drill_timeline"]

_MARKED = ("+odown", "+promoted-slave", "+convert-to-slave", "Failover election won", "server is back",
           "another primary", "a primary for every key", "link healed", "larger server has taken over")


def drill_timeline(run: Run) -> Picture:
    """Operations a second that succeeded, by use case, and all that failed; the drill's moments as lines.

    Raises BadRun for a run that is of no drill.
    """
    drill = run.manifest.get("drill")
    if not drill:
        raise BadRun(f"run {run.name} is of no drill", got="no `drill` in its run.json",
                     do="choose one that `amply-capacity drill` recorded")
    timeline, width = drill["timeline"], float(drill["timeline"]["bin_seconds"])
    names = sorted(timeline["succeeded"], key=lambda name: -sum(timeline["succeeded"][name]))
    failed = np.sum([timeline["failed"][name] for name in names], axis=0) / width
    at = width * (np.arange(len(failed)) + 0.5)
    with canvas(width=9.2, height=3.6) as (figure, axes):
        axes.stackplot(at, *(np.array(timeline["succeeded"][name]) / width for name in names), colors=PALETTE,
                       labels=[name.replace("_", " ") for name in names], alpha=0.9)
        axes.plot(at, failed, color=WARN, linewidth=1.8, label="failed")
        top = 1.6 * max(axes.get_ylim()[1], float(failed.max(initial=0.0)), 1.0)
        axes.set_ylim(0, top)
        axes.set_xlim(0, width * len(failed))
        for number, (seconds, words) in enumerate(_moments(run, drill, timeline["began_s"])):
            axes.axvline(seconds, color=MUTED, linewidth=0.9, linestyle=":")
            height = top * (0.86 - 0.07 * (number % 3))
            axes.text(seconds, height, f" {words}", fontsize=8, color=MUTED, va="top")
        axes.set_xlabel("seconds of load")
        axes.set_ylabel("operations a second")
        axes.legend(ncols=5, loc="upper left", fontsize=8.5)
        return picture(figure, _claim(drill), f"{drill['drill']} on {drill['topology']}, "
                       f"{drill['rate_per_second']:g} operations/s; run {run.name}")


def _moments(run: Run, drill: dict[str, Any], began_s: float) -> list[tuple[float, str]]:
    """The fault, and the first of each moment that a person wants to know of; seconds from the beginning."""
    events = run.events[run.events["kind"].isin(["drill", "failover"])]
    found: dict[str, float] = {}
    if drill["fault_at_seconds"] is not None:
        found[str(drill["drill"])] = drill["fault_at_seconds"]
    for time_s, name in zip(events["time_s"], events["name"], strict=True):
        label = next((marked for marked in _MARKED if name.startswith(marked)), None)
        if label is not None:
            found.setdefault(label, time_s - began_s)
    return [(seconds, words) for words, seconds in sorted(found.items(), key=lambda one: one[1])]


def _claim(drill: dict[str, Any]) -> str:
    if not drill["completed"]:
        return f"The {drill['drill']} did not come to its end: {drill['reason']}"
    seconds, writes, sessions = (
        drill[name] for name in ("unavailable_seconds", "lost_writes", "lost_sessions"))
    away = "An unknown time" if seconds is None else f"{seconds:.1f} s"
    lost = ("what was lost is not known" if writes is None else
            f"{writes:,} acknowledged writes and {sessions:,} sessions lost")
    return f"{away} without an answer for clients, {lost}"
