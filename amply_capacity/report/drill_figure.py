"""The timelines of drills: what succeeded and what failed around the moment at which something broke."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from amply_capacity.errors import BadRun
from amply_capacity.report.look import (
    ACCENT,
    CALM,
    INK,
    MUTED,
    ON_WHITE,
    PALETTE,
    WARN,
    Picture,
    canvas,
    picture,
)
from amply_capacity.run.reader import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["drill_timeline", "drill_timelines"]

_MARKED = ("+odown", "+promoted-slave", "+convert-to-slave", "Failover election won", "server is back",
           "another primary", "a primary for every key", "link healed", "larger server has taken over")

_ROOM_FOR_WORDS = 1.35
_BEFORE_SECONDS, _AFTER_SECONDS, _TIMES_USUAL = 3.5, 12.0, 2.0
_PANEL_INCHES, _REST_INCHES = 1.55, 1.35
_TOPOLOGIES = {"single": "single node", "replicated": "with a replica", "sharded": "one of several shards"}
_MOMENTS = {"+odown": "noticed", "+switch-master": "replica promoted",
            "server is back": "empty server", "Failover election won": "replica promoted"}


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


def drill_timelines(runs: Sequence[Run]) -> Picture:
    """Drills under each other by seconds from what broke: answered and failed operations, and at the bottom
    the misses of the cache that was emptied, where one was.

    Raises BadRun for a run that is of no drill, or in which nothing broke.
    """
    drills = [_drill(run) for run in runs]
    refilled = [(run, drill) for run, drill in zip(runs, drills, strict=True)
                if drill["cache"] and drill["cache"]["extra_misses"]]
    panels = len(runs) + bool(refilled)
    with canvas(height=_REST_INCHES + _PANEL_INCHES * panels) as (figure, alone):
        alone.remove()
        rows = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
        for axes, run, drill in zip(rows, runs, drills, strict=False):
            _answers(axes, run, drill)
        if refilled:
            _misses(rows[-1], *refilled[0])
        figure.legend(*rows[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9.5)
        rows[-1].set_xlim(-_BEFORE_SECONDS, min(_AFTER_SECONDS, *map(_seconds_after, drills)))
        rows[-1].set_xlabel(f"seconds from the {drills[0]['drill']}")
        names = "; ".join(f"{_topology(drill)}: run {run.name}"
                          for run, drill in zip(runs, drills, strict=True))
        claim = "; ".join(_outcome(drill) for drill in drills)
        return picture(figure, f"{claim[0].upper()}{claim[1:]}", names)


def _drill(run: Run) -> dict[str, Any]:
    drill: dict[str, Any] = run.manifest.get("drill") or {}
    if not drill or drill["fault_at_seconds"] is None:
        raise BadRun(f"run {run.name} is of no drill, or nothing broke in it",
                     got="no moment of a fault in its run.json",
                     do="choose one that `amply-capacity drill` recorded to its end")
    return drill


def _seconds_after(drill: dict[str, Any]) -> float:
    """Of whole bins from the fault on."""
    timeline = drill["timeline"]
    bins = min(len(counts) for counts in timeline["succeeded"].values())
    return float((bins - 1) * timeline["bin_seconds"] - drill["fault_at_seconds"])


def _topology(drill: dict[str, Any]) -> str:
    return _TOPOLOGIES.get(str(drill["topology"]), str(drill["topology"]))


def _outcome(drill: dict[str, Any]) -> str:
    """E.g. `single node: away 2.1 s, 6,563 sessions lost`."""
    name, seconds, lost = _topology(drill), drill["unavailable_seconds"], drill["lost_sessions"]
    away = "away for an unknown time" if seconds is None else f"away {seconds:.1f} s"
    gone = "what was lost is not known" if lost is None else (
        f"{lost:,} session{'s' * (lost != 1)} lost" if lost else "none lost")
    return f"{name}: {away}, {gone}"


def _answers(axes: Axes, run: Run, drill: dict[str, Any]) -> None:
    """A second's operations by their end; what catches up goes beyond the panel, and is told in words."""
    timeline, fault = drill["timeline"], float(drill["fault_at_seconds"])
    width = float(timeline["bin_seconds"])
    answered, failed = (np.sum(list(timeline[name].values()), axis=0) / width
                        for name in ("succeeded", "failed"))
    edges = width * np.arange(len(answered) + 1) - fault
    before = answered[edges[1:] <= 0.0]
    top = _TIMES_USUAL * max(float(np.median(before)) if before.size else float(answered.max()), 1.0)
    axes.stairs(np.minimum(answered, top), edges, fill=True, color=CALM, label="answered")
    axes.stairs(failed, edges, color=WARN, linewidth=1.8, label="failed")
    peak = int(answered.argmax())
    if answered[peak] > top:
        axes.annotate(f"catching up, {answered[peak]:,.0f} a second", (edges[peak + 1], 0.88 * top),
                      xytext=(4, 0), textcoords="offset points", va="center", fontsize=8.5, color=MUTED)
    shown = _moments(run, drill, timeline["began_s"], tuple(_MOMENTS))
    for number, (seconds, words) in enumerate(shown):
        told = str(drill["drill"]) if seconds == fault else _MOMENTS[words]
        axes.axvline(seconds - fault, color=MUTED, linewidth=0.9, linestyle=":")
        is_last = number and number == len(shown) - 1
        axes.annotate(told, (seconds - fault, (0.68 if number else 0.88) * top),
                      xytext=(12 if is_last else -4, 0), textcoords="offset points", fontsize=8.5,
                      color=MUTED, ha="left" if is_last else "right", va="center", bbox=ON_WHITE)
    axes.set_ylim(0, top)
    axes.set_ylabel("operations\na second")
    axes.annotate(_topology(drill), (0.012, 0.9), xycoords="axes fraction", fontsize=10.5, fontweight="bold",
                  color=INK, va="top")


def _misses(axes: Axes, run: Run, drill: dict[str, Any]) -> None:
    """Reads of the cache that asked the database, whole seconds."""
    requests = run.requests
    own = requests[(requests["operation"] == "cached_read") & (requests["command"] == "")
                   & (requests["clock"] == "service") & (requests["outcome"] == "miss")]
    fault_s = drill["timeline"]["began_s"] + drill["fault_at_seconds"]
    counts = own.groupby("second")["count"].sum()
    seconds = np.arange(int(fault_s - _BEFORE_SECONDS), int(fault_s + _AFTER_SECONDS) + 2)
    axes.stairs([int(counts.get(second, 0)) for second in seconds[:-1]], seconds - fault_s, fill=True,
                color=ACCENT)
    refill = drill["cache"]["refill_seconds"]
    if refill is not None:
        axes.axvline(refill, ymax=0.66, color=MUTED, linewidth=0.9, linestyle=":")
        axes.annotate("warm again", (refill, 0.6), xycoords=("data", "axes fraction"), xytext=(4, 0),
                      textcoords="offset points", fontsize=8.5, color=MUTED, va="center")
    axes.set_ylabel("cache misses\na second")
    axes.annotate(f"{_topology(drill)}: {drill['cache']['extra_misses']:,} queries more for the database",
                  (0.012, 0.92), xycoords="axes fraction", fontsize=10.5, fontweight="bold", color=INK,
                  va="top")
    axes.set_ylim(top=_ROOM_FOR_WORDS * axes.get_ylim()[1])


def _moments(run: Run, drill: dict[str, Any], began_s: float,
             marked: Sequence[str] = _MARKED) -> list[tuple[float, str]]:
    """The fault, and the first of each moment that a person wants to know of; seconds from the beginning."""
    events = run.events[run.events["kind"].isin(["drill", "failover"])]
    found: dict[str, float] = {}
    if drill["fault_at_seconds"] is not None:
        found[str(drill["drill"])] = drill["fault_at_seconds"]
    for time_s, name in zip(events["time_s"], events["name"], strict=True):
        label = next((one for one in marked if name.startswith(one)), None)
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
