"""The figures of a plan, each a pure function of its JSON; for the notebooks also those of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amply_capacity.catalog.nodes import node_type
from amply_capacity.errors import BadInput
from amply_capacity.report.bought import is_serverless, node_name
from amply_capacity.report.knee_figure import knee_of_run, latency_against_load
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
from amply_capacity.report.replica_figures import VERDICT_GROUNDS
from amply_capacity.report.run_figures import latency, server_cpu, throughput
from amply_capacity.report.strategy_figure import strategies

__all__ = [
    "cost_by_month",
    "headroom",
    "knee_of_run",
    "latency",
    "latency_against_load",
    "memory_bill",
    "memory_by_month",
    "replica_balance",
    "replica_by_month",
    "server_cpu",
    "strategies",
    "throughput",
]

CONSTRAINTS = {
    "memory": "Memory", "cpu": "Engine CPU at the peak", "cpu_credits": "CPU credits, daily mean",
    "latency": "p99 at the peak", "network": "Network, mean", "network_burst": "Network, peak",
    "connections": "Connections",
}
ITEMS = {
    "session": "sessions", "index": "user_sessions index", "result": "Celery results",
    "hash tables": "hash tables", "connection": "connections", "cached": "query cache",
    "server": "server itself", "replication backlog": "replication backlog", "counter": "rate-limit counters",
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

Plan = Mapping[str, Any]


def headroom(plan: Plan) -> Picture:
    """How much of each limit of the chosen node type is needed until the review: median, 5–95 % of worlds."""
    rows = sorted((row for row in plan["headroom"] if row["available"]), key=_share)
    if not rows:
        raise BadInput("there is no limit to be near to", got=node_name(plan["chosen"]),
                       do="nothing: AWS gives a serverless cache what it needs")
    names = [CONSTRAINTS.get(row["constraint"], row["constraint"]) for row in rows]
    mid = np.array([100.0 * row["needed_mid"] / row["available"] for row in rows])
    low = np.array([100.0 * row["needed_low"] / row["available"] for row in rows])
    high = np.array([100.0 * row["needed_high"] / row["available"] for row in rows])
    claim = (f"{names[-1]} is the tightest limit of {plan['chosen']['node_type']}: "
             f"{mid[-1]:.0f} % of it is needed")
    with canvas(height=0.9 + 0.42 * len(rows)) as (figure, axes):
        colours = [WARN if one > 100 else ACCENT if name == names[-1] else CALM
                   for name, one in zip(names, high, strict=True)]
        axes.barh(names, mid, color=colours, height=0.58)
        axes.errorbar(mid, names, xerr=[mid - low, high - mid], fmt="none", ecolor=INK, elinewidth=1.4,
                      capsize=3.5)
        for name, middle, top in zip(names, mid, high, strict=True):
            axes.annotate(f"{middle:.0f} %" if middle >= 1 else "< 1 %", (top, name), xytext=(7, 0),
                          textcoords="offset points", va="center", fontsize=9.5, color=INK)
        axes.axvline(100, color=WARN, linewidth=1.6)
        axes.annotate("limit", (100, 0), xycoords=("data", "axes fraction"), xytext=(-5, 5), ha="right",
                      textcoords="offset points", color=WARN, fontsize=9.5)
        axes.set_xlim(0, max(115.0, high.max() * 1.12))
        axes.set_xlabel("percent of what the node type gives")
        axes.grid(axis="y", visible=False)
        month = plan["fits_in_month"]
        return picture(figure, claim, f"{month}, bar: median world, whisker: 5–95 % of worlds")


def memory_bill(plan: Plan) -> Picture:
    """What fills the memory in the last month before the review, item by item, largest first."""
    items = [item for item in plan["memory_items"] if item["bytes"] > 0]
    total = sum(item["bytes"] for item in items)
    names = [ITEMS.get(item["what"], item["what"]) for item in items]
    claim = f"{_sentence(names[0])} take {100 * items[0]['bytes'] / total:.0f} % of the memory"
    with canvas(width=6.0, height=4.2) as (figure, axes):
        starts = np.cumsum([0, *(item["bytes"] for item in items)])[:-1] / 1e6
        sizes = np.array([item["bytes"] for item in items]) / 1e6
        axes.barh([*names, "total"], [*sizes, total / 1e6], left=[*starts, 0.0], height=0.62,
                  color=[*(ACCENT if i == 0 else CALM for i in range(len(items))), INK])
        for name, start, size in zip([*names, "total"], [*starts, 0.0], [*sizes, total / 1e6], strict=True):
            axes.annotate(f"{size:,.1f}", (start + size, name), xytext=(6, 0), textcoords="offset points",
                          va="center", fontsize=9.5, color=INK)
        axes.invert_yaxis()
        axes.set_xlim(0, 1.1 * total / 1e6)
        axes.set_xlabel("MB")
        axes.grid(axis="y", visible=False)
        return picture(figure, claim, f"{plan['fits_in_month']}, MB, each item's median over the worlds")


def memory_by_month(plan: Plan) -> Picture:
    """Memory needed, month by month, against what the node types on the way give.

    What a type gives is its memory less the reserve and the share to be kept free.
    """
    rows = [row for row in plan["needs"] if row["constraint"] == "memory"]
    months = [row["month"] for row in rows]
    low, mid, high = (np.array([row[key] for row in rows]) / 1e6 for key in ("low", "mid", "high"))
    given = _memory_limits(plan)
    path = [name for name in dict.fromkeys(month["node_type"] for month in plan["months"]) if name in given]
    if not path:
        return _memory_without_a_limit(plan)
    first = path[0]
    crossing = next((month for month, value in zip(months, mid, strict=True) if value > given[first]), None)
    claim = (f"The median demand outgrows {first} in {_month(crossing)}" if crossing else
             f"{first} holds the median demand for all {len(months)} months")
    with canvas(width=6.0, height=4.2) as (figure, axes):
        x = np.arange(len(months))
        axes.fill_between(x, low, high, color=CALM, alpha=0.55, linewidth=0, label="5–95 % of worlds")
        axes.plot(x, mid, color=ACCENT, linewidth=2.4, label="median")
        most = max(float(high.max()), 1.0)
        for name in path:
            axes.axhline(given[name], color=WARN, linewidth=1.2, linestyle=(0, (5, 3)))
            if given[name] < 1.5 * most:
                axes.annotate(f"{name.removeprefix('cache.')} gives {given[name]:,.0f} MB", (0, given[name]),
                              xytext=(2, 4), textcoords="offset points", fontsize=9.5, color=WARN, zorder=6,
                              bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.75})
        axes.set_yscale("log")  # node sizes double: their lines stand apart
        axes.set_ylim(0.7 * max(min(float(low.min()), given[first]), 1.0), 3.0 * most)
        plain_logarithm(axes.yaxis)
        _month_axis(axes, months, labels=4)
        axes.set_ylabel("MB needed (logarithmic)")
        axes.legend(loc="upper center", ncols=2)
        return picture(figure, claim,
                       "MB of used_memory needed; dashed: maxmemory less reserved memory and free share")


def _memory_without_a_limit(plan: Plan) -> Picture:
    """Of a serverless cache, which holds what there is."""
    rows = [row for row in plan["needs"] if row["constraint"] == "memory"]
    low, mid, high = (np.array([row[key] for row in rows]) / 1e6 for key in ("low", "mid", "high"))
    claim = f"The median demand grows from {mid[0]:,.0f} to {mid[-1]:,.0f} MB"
    with canvas(width=6.0, height=4.2) as (figure, axes):
        x = np.arange(len(rows))
        axes.fill_between(x, low, high, color=CALM, alpha=0.55, linewidth=0, label="5–95 % of worlds")
        axes.plot(x, mid, color=ACCENT, linewidth=2.4, label="median")
        axes.set_ylim(0, 1.3 * float(high.max()))
        _month_axis(axes, [row["month"] for row in rows], labels=4)
        axes.set_ylabel("MB needed")
        axes.legend(loc="upper center", ncols=2)
        return picture(figure, claim, "MB of used_memory that a node would need: serverless has no limit")


def cost_by_month(plan: Plan) -> Picture:
    """The bill of each month: the median world as steps with the node type, and the 5–95 % band.

    A month whose bill nobody knows, since one shard is not enough, is a gap and is not in the sum.
    """
    rows = plan["months"]
    months = [row["month"] for row in rows]
    low, lower, mid, upper, high = (
        np.array([np.nan if row[key] is None else row[key] for row in rows])
        for key in ("usd_low", "usd_lower", "usd_mid", "usd_upper", "usd_high"))
    known = mid[~np.isnan(mid)]
    claim = f"{known.size} months cost {usd(float(known.sum()))} in the median world"
    if known.size < len(rows):
        claim += f"; what the other {len(rows) - known.size} cost is unknown"
    with canvas(height=3.6) as (figure, axes):
        x = np.arange(len(months) + 1)
        for bottom, top, alpha, label in ((low, high, 0.4, "5–95 % of worlds"),
                                          (lower, upper, 0.75, "25–75 %")):
            axes.fill_between(x, np.append(bottom, bottom[-1]), np.append(top, top[-1]), step="post",
                              color=CALM, alpha=alpha, linewidth=0, label=label)
        axes.step(x, np.append(mid, mid[-1]), where="post", color=ACCENT, linewidth=2.4,
                  label="median world")
        previous = None
        for position, row in enumerate(rows):
            if row["usd_mid"] is not None and row["node_type"] != previous:
                previous = row["node_type"]
                axes.annotate(f"{previous.removeprefix('cache.')}\n{usd(row['usd_mid'])}",
                              (position, row["usd_mid"]), xytext=(5, 6), textcoords="offset points",
                              fontsize=9.5, color=INK, va="bottom")
        axes.set_ylim(0, max(1.45 * _most(mid), 1.12 * _most(high)))
        _month_axis(axes, months)
        axes.set_xlim(0, len(months))
        axes.set_ylabel("USD a month")
        axes.legend(loc="upper left")
        chosen = plan["chosen"]
        replicas = "" if is_serverless(chosen) else f", {chosen['replicas']} replica(s)"
        return picture(figure, claim, f"USD a month, {chosen['region']}, {chosen['engine']}, "
                                      f"{chosen['term'].replace('_', ' ')}{replicas}, today's prices")


def replica_balance(plan: Plan) -> Picture:
    """What a replica saves a month, over the parameter worlds, against what it costs."""
    replica = plan["replica"]
    avoided, price = replica["avoided_usd_per_month"], replica["usd_per_month"]
    claim = (f"A replica is worth its {usd(price)} in {100 * replica['probability']:.0f} % of the worlds: "
             f"{replica['verdict']}")
    with canvas(height=2.3) as (figure, axes):
        low, mid, high = (max(avoided[key], 0.01) for key in ("low", "mid", "high"))
        axes.plot([low, high], [0, 0], color=CALM, linewidth=13, solid_capstyle="round")
        axes.plot([mid], [0], "o", color=ACCENT, markersize=11)
        axes.annotate(f"saves in the median world\n{usd(mid)} ({usd(low)} to {usd(high)})", (mid, 0),
                      xytext=(0, 15), textcoords="offset points", ha="center", fontsize=9.5, zorder=5,
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5})
        axes.axvline(price, color=WARN, linewidth=1.8)
        axes.annotate(f"costs {usd(price)}", (price, 0), xytext=(6, -28), textcoords="offset points",
                      color=WARN, fontsize=9.5)
        axes.set_xscale("log")
        plain_logarithm(axes.xaxis)
        axes.set_ylim(-1, 1.3)
        axes.set_yticks([])
        axes.set_xlabel("USD a month, logarithmic")
        return picture(figure, claim,
                       "dot: median, bar: 5–95 % of parameter worlds (failure rate, recovery, costs)")


def replica_by_month(plan: Plan) -> Picture:
    """Share of the worlds in which the replica pays, month by month, between the bounds of the verdict."""
    rows = plan["replica"]["months"]
    months = [row["month"] for row in rows]
    shares = np.array([100.0 * row["probability"] for row in rows])
    flips = next((row["month"] for row in rows if row["verdict"] != rows[0]["verdict"]), None)
    claim = (f"The verdict turns in {_month(flips)}" if flips else
             f"The verdict stays “{rows[0]['verdict']}” for all {len(rows)} months")
    with canvas(height=3.0) as (figure, axes):
        for verdict, low, high, ground in VERDICT_GROUNDS:
            axes.axhspan(100.0 * low, 100.0 * high, color=ground, linewidth=0)
            if verdict != "undecided":  # the line is likely there
                axes.annotate(verdict, (0, 50.0 * (low + high)), xytext=(6, 0), textcoords="offset points",
                              va="center", color=MUTED, fontweight="bold")
        axes.plot(range(len(months)), shares, color=ACCENT, linewidth=2.4)
        if flips:
            axes.plot([months.index(flips)], [shares[months.index(flips)]], "o", color=ACCENT, markersize=9)
        axes.set_ylim(0, 100)
        axes.set_ylabel("percent of worlds")
        _month_axis(axes, months)
        return picture(figure, claim,
                       "percent of parameter worlds in which the replica saves more than it costs")


def _share(row: Mapping[str, Any]) -> float:
    return float(row["needed_mid"] / row["available"])


def _most(values: NDArray[np.float64]) -> float:
    """The largest known value; 1 where none is, so that an axis has a length."""
    return max(float(np.nan_to_num(values).max()), 1.0)


def _memory_limits(plan: Plan) -> dict[str, float]:
    cluster, slo = plan["demand"]["cluster"], plan["demand"]["slo"]
    free = slo["free_memory_percent"]
    kept_free = free["mid"] if isinstance(free, Mapping) else free
    share = 1.0 - kept_free / 100.0
    return {name: share * node_type(name).usable_bytes(cluster["reserved_memory_percent"]) / 1e6
            for name in {month["node_type"] for month in plan["months"]} if name != "serverless"}


def _month_axis(axes: Any, months: Sequence[str], labels: int = 8) -> None:
    step = max(1, round(len(months) / labels))
    axes.set_xticks(range(0, len(months), step), [_month(month) for month in months[::step]])
    axes.set_xlim(0, max(len(months) - 1, 1))
    axes.grid(axis="x", visible=False)


def _month(month: str) -> str:
    year, number = month.split("-")
    return f"{_MONTHS[int(number) - 1]} {year}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
