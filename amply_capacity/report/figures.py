"""The figures of the report and the notebooks: each a pure function of a plan's JSON or of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from amply_capacity.catalog.nodes import node_type
from amply_capacity.model.latency import latency_over_time
from amply_capacity.report.look import ACCENT, CALM, INK, PALETTE, WARN, Picture, canvas, picture
from amply_capacity.report.money import usd
from amply_capacity.run.reader import Run

__all__ = ["cost_by_month", "headroom", "latency", "memory_bill", "memory_by_month", "replica_balance", "replica_by_month",
           "server_cpu", "throughput"]

CONSTRAINTS = {
    "memory": "Memory", "cpu": "Engine CPU at the peak", "cpu_credits": "CPU credits, daily mean",
    "network": "Network, mean", "network_burst": "Network, peak", "connections": "Connections",
}
ITEMS = {
    "session": "sessions", "index": "user_sessions index", "result": "Celery results", "hash tables": "hash tables",
    "connection": "connections", "cached": "query cache", "server": "server itself",
    "replication backlog": "replication backlog", "counter": "rate-limit counters",
}

Plan = Mapping[str, Any]


def headroom(plan: Plan) -> Picture:
    """How much of each limit of the chosen node type the first month needs: median, and the 5–95 % of worlds."""
    rows = sorted((row for row in plan["headroom"] if row["available"]), key=_share)
    names = [CONSTRAINTS.get(row["constraint"], row["constraint"]) for row in rows]
    mid = np.array([100.0 * row["needed_mid"] / row["available"] for row in rows])
    low = np.array([100.0 * row["needed_low"] / row["available"] for row in rows])
    high = np.array([100.0 * row["needed_high"] / row["available"] for row in rows])
    tightest = rows[-1]
    claim = (f"{CONSTRAINTS.get(tightest['constraint'], tightest['constraint'])} is the tightest limit of "
             f"{plan['chosen']['node_type']}: {mid[-1]:.0f} % of it is needed")
    with canvas(height=0.9 + 0.42 * len(rows)) as (figure, axes):
        colours = [WARN if one > 100 else ACCENT if name == names[-1] else CALM
                   for name, one in zip(names, high, strict=True)]
        axes.barh(names, mid, color=colours, height=0.58)
        axes.errorbar(mid, names, xerr=[mid - low, high - mid], fmt="none", ecolor=INK, elinewidth=1.4, capsize=3.5)
        for name, middle, top in zip(names, mid, high, strict=True):
            axes.annotate(f"{middle:.0f} %" if middle >= 1 else "< 1 %", (top, name), xytext=(7, 0),
                          textcoords="offset points", va="center", fontsize=9.5, color=INK)
        axes.axvline(100, color=WARN, linewidth=1.6)
        axes.annotate("limit", (100, 0), xycoords=("data", "axes fraction"), xytext=(-5, 5), ha="right",
                      textcoords="offset points", color=WARN, fontsize=9.5)
        axes.set_xlim(0, max(115.0, high.max() * 1.12))
        axes.set_xlabel("percent of what the node type gives")
        axes.grid(axis="y", visible=False)
        return picture(figure, claim, f"{plan['months'][0]['month']}, bar: median world, whisker: 5–95 % of worlds")


def memory_bill(plan: Plan) -> Picture:
    """What fills the memory in the first month, item by item, largest first."""
    items = [item for item in plan["memory_items"] if item["bytes"] > 0]
    total = sum(item["bytes"] for item in items)
    biggest = items[0]
    claim = f"{_sentence(ITEMS.get(biggest['what'], biggest['what']))} take {100 * biggest['bytes'] / total:.0f} % of the memory"
    with canvas(width=6.0, height=4.2) as (figure, axes):
        starts = np.cumsum([0, *(item["bytes"] for item in items)])[:-1] / 1e6
        sizes = np.array([item["bytes"] for item in items]) / 1e6
        names = [ITEMS.get(item["what"], item["what"]) for item in items]
        axes.barh([*names, "total"], [*sizes, total / 1e6], left=[*starts, 0.0], height=0.62,
                  color=[*(ACCENT if i == 0 else CALM for i in range(len(items))), INK])
        for name, start, size in zip([*names, "total"], [*starts, 0.0], [*sizes, total / 1e6], strict=True):
            axes.annotate(f"{size:,.1f}", (start + size, name), xytext=(6, 0), textcoords="offset points",
                          va="center", fontsize=9.5, color=INK)
        axes.invert_yaxis()
        axes.set_xlim(0, 1.1 * total / 1e6)
        axes.set_xlabel("MB")
        axes.grid(axis="y", visible=False)
        return picture(figure, claim, f"{plan['months'][0]['month']}, MB, each item's median over the worlds")


def memory_by_month(plan: Plan) -> Picture:
    """Memory needed, month by month, against what the node types on the way give after reserve and free share."""
    rows = [row for row in plan["needs"] if row["constraint"] == "memory"]
    months = [row["month"] for row in rows]
    low, mid, high = (np.array([row[key] for row in rows]) / 1e6 for key in ("low", "mid", "high"))
    given = _memory_limits(plan)
    path = list(dict.fromkeys([month["node_type"] for month in plan["months"]]))
    first = path[0]
    crossing = next((month for month, value in zip(months, mid, strict=True) if value > given[first]), None)
    claim = (f"The median demand outgrows {first} in {_month(crossing)}" if crossing else
             f"{first} holds the median demand for all {len(months)} months")
    with canvas(width=6.0, height=4.2) as (figure, axes):
        x = np.arange(len(months))
        axes.fill_between(x, low, high, color=CALM, alpha=0.55, linewidth=0, label="5–95 % of worlds")
        axes.plot(x, mid, color=ACCENT, linewidth=2.4, label="median")
        top = float(high.max())
        for name in path:
            axes.axhline(given[name], color=WARN, linewidth=1.2, linestyle=(0, (5, 3)))
            if given[name] < 1.3 * top:
                axes.annotate(f"{name.removeprefix('cache.')} gives {given[name]:,.0f} MB", (0, given[name]),
                              xytext=(2, 4), textcoords="offset points", fontsize=9.5, color=WARN)
        axes.set_ylim(0, 1.3 * top)
        _month_axis(axes, months, labels=4)
        axes.set_ylabel("MB needed")
        axes.legend(loc="upper center", ncols=2)
        return picture(figure, claim, "MB of used_memory needed; dashed: maxmemory less reserved memory and free share")


def cost_by_month(plan: Plan) -> Picture:
    """The bill of each month: the median world as steps with the node type, and the 5–95 % band."""
    rows = plan["months"]
    months = [row["month"] for row in rows]
    low, mid, high = (np.array([row[key] if row[key] is not None else np.nan for row in rows], dtype=float)
                      for key in ("usd_low", "usd_mid", "usd_high"))
    total = float(np.nansum(mid))
    claim = f"{len(months)} months cost {usd(total)} in the median world"
    x = np.arange(len(months) + 1)
    with canvas(height=3.6) as (figure, axes):
        axes.fill_between(x, np.append(low, low[-1]), np.append(high, high[-1]), step="post", color=CALM, alpha=0.55,
                          linewidth=0, label="5–95 % of worlds")
        axes.step(x, np.append(mid, mid[-1]), where="post", color=ACCENT, linewidth=2.4, label="median world")
        previous = None
        for position, row in enumerate(rows):
            if row["node_type"] != previous:
                previous = row["node_type"]
                axes.annotate(f"{previous.removeprefix('cache.')}\n{usd(row['usd_mid'])}", (position, row["usd_mid"]),
                              xytext=(5, 6), textcoords="offset points", fontsize=9.5, color=INK, va="bottom")
        axes.set_ylim(0, max(1.45 * float(np.nanmax(mid)), 1.12 * float(np.nanmax(high))))
        _month_axis(axes, months)
        axes.set_xlim(0, len(months))
        axes.set_ylabel("USD a month")
        axes.legend(loc="upper left")
        terms = plan["chosen"]["term"].replace("_", " ")
        return picture(figure, claim, f"USD a month, {plan['chosen']['region']}, {plan['chosen']['engine']}, {terms}, "
                                      f"{plan['chosen']['replicas']} replica(s), today's prices")


def replica_balance(plan: Plan) -> Picture:
    """What a replica is expected to save a month, over the parameter worlds, against what it costs."""
    replica = plan["replica"]
    avoided, price = replica["avoided_usd_per_month"], replica["usd_per_month"]
    claim = (f"A replica is worth its {usd(price)} in {100 * replica['probability']:.0f} % of the worlds: "
             f"{replica['verdict']}")
    with canvas(height=2.3) as (figure, axes):
        low, mid, high = (max(avoided[key], 0.01) for key in ("low", "mid", "high"))
        axes.plot([low, high], [0, 0], color=CALM, linewidth=13, solid_capstyle="round")
        axes.plot([mid], [0], "o", color=ACCENT, markersize=11)
        axes.annotate(f"expected to save\n{usd(mid)} ({usd(low)} to {usd(high)})", (mid, 0), xytext=(0, 15),
                      textcoords="offset points", ha="center", fontsize=9.5, zorder=5,
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5})
        axes.axvline(price, color=WARN, linewidth=1.8)
        axes.annotate(f"costs {usd(price)}", (price, 0), xytext=(6, -28), textcoords="offset points", color=WARN,
                      fontsize=9.5)
        axes.set_xscale("log")
        axes.set_ylim(-1, 1.3)
        axes.set_yticks([])
        axes.set_xlabel("USD a month, logarithmic")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
        return picture(figure, claim, "dot: median, bar: 5–95 % of parameter worlds (failure rate, recovery, costs)")


def throughput(run: Run) -> Picture:
    """Operations a second of the recording, stacked by use case."""
    first, last = run.measured_seconds
    requests = run.requests
    done = requests[(requests["command"] == "") & (requests["clock"] == "service")
                    & requests["second"].between(first, last)]
    by_second = done.pivot_table(index="second", columns="use_case", values="count", aggfunc="sum", fill_value=0)
    by_second = by_second.reindex(range(first, last + 1), fill_value=0)
    order = by_second.sum().sort_values(ascending=False).index
    claim = f"{by_second.sum(axis=1).mean():,.0f} operations a second, {100 * by_second[order[0]].sum() / by_second.to_numpy().sum():.0f} % of them {order[0].replace('_', ' ')}"
    with canvas(width=6.0, height=3.4) as (figure, axes):
        axes.stackplot(by_second.index - first, *(by_second[name] for name in order),
                       labels=[name.replace("_", " ") for name in order], colors=PALETTE, alpha=0.9)
        axes.set_xlim(0, last - first)
        axes.set_ylim(0, 1.4 * by_second.sum(axis=1).max())
        axes.set_xlabel("second of the measured phase")
        axes.set_ylabel("operations a second")
        axes.legend(ncols=2, loc="upper left", fontsize=9)
        return picture(figure, claim, f"run {run.name}")


def latency(run: Run) -> Picture:
    """Median and p99 of all operations over the recording; open loop: response time, closed loop: service time."""
    clock = "service" if run.manifest["arrivals"] == "closed" else "response"
    first, last = run.measured_seconds
    p50 = latency_over_time(run, clock, 0.5).loc[first:last]
    p99 = latency_over_time(run, clock, 0.99).loc[first:last]
    claim = f"Half of the operations took at most {p50.median():.2g} ms, 99 % at most {p99.median():.2g} ms"
    with canvas(width=6.0, height=3.4) as (figure, axes):
        axes.plot(p99.index - first, p99, color=WARN, linewidth=2.0, label="p99")
        axes.plot(p50.index - first, p50, color=ACCENT, linewidth=2.4, label="median")
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_xlim(0, last - first)
        axes.set_xlabel("second of the measured phase")
        axes.set_ylabel(f"{clock} time, ms")
        axes.legend(ncols=2, loc="upper left")
        return picture(figure, claim, f"{clock} time in ms, the median second; run {run.name}; on the recording host, not a node")


def server_cpu(run: Run) -> Picture:
    """CPU of the server process over the measured phase, in percent of one core."""
    first, last = run.measured_seconds
    rows = run.server[run.server["second"].between(first, last)].dropna(subset=["EngineCPUUtilization"])
    claim = f"The engine used {rows['EngineCPUUtilization'].median():.1f} % of a core"
    with canvas(width=6.0, height=3.0) as (figure, axes):
        axes.plot(rows["second"] - first, rows["EngineCPUUtilization"], color=ACCENT, linewidth=2.2)
        axes.set_ylim(0, max(1.3 * rows["EngineCPUUtilization"].max(), 1.0))
        axes.set_xlim(0, last - first)
        axes.set_xlabel("second of the measured phase")
        axes.set_ylabel("EngineCPUUtilization, %")
        return picture(figure, claim, f"percent of one core of the recording host, the median second; run {run.name}")


def replica_by_month(plan: Plan) -> Picture:
    """Share of the parameter worlds in which the replica pays, month by month, between the bounds of the verdict."""
    rows = plan["replica"]["months"]
    months = [row["month"] for row in rows]
    shares = np.array([100.0 * row["probability"] for row in rows])
    flips = next((row["month"] for row in rows if row["verdict"] != rows[0]["verdict"]), None)
    claim = (f"The verdict turns in {_month(flips)}" if flips else
             f"The verdict stays “{rows[0]['verdict']}” for all {len(rows)} months")
    with canvas(height=3.0) as (figure, axes):
        axes.axhspan(80, 100, color=CALM, alpha=0.5, linewidth=0)
        axes.axhspan(0, 20, color=CALM, alpha=0.5, linewidth=0)
        axes.plot(range(len(months)), shares, color=ACCENT, linewidth=2.4)
        axes.annotate("add", (0, 90), xytext=(6, 0), textcoords="offset points", va="center", color=INK)
        axes.annotate("do not add", (0, 10), xytext=(6, 0), textcoords="offset points", va="center", color=INK)
        axes.set_ylim(0, 100)
        axes.set_ylabel("percent of worlds")
        _month_axis(axes, months)
        return picture(figure, claim, "percent of parameter worlds in which the replica saves more than it costs")


def _share(row: Mapping[str, Any]) -> float:
    return float(row["needed_mid"] / row["available"])


def _memory_limits(plan: Plan) -> dict[str, float]:
    cluster, slo = plan["demand"]["cluster"], plan["demand"]["slo"]
    free = slo["free_memory_percent"]
    kept_free = free["mid"] if isinstance(free, Mapping) else free
    share = 1.0 - kept_free / 100.0
    return {name: share * node_type(name).usable_bytes(cluster["reserved_memory_percent"]) / 1e6
            for name in {month["node_type"] for month in plan["months"]}}


def _month_axis(axes: Any, months: Sequence[str], labels: int = 8) -> None:
    step = max(1, round(len(months) / labels))
    axes.set_xticks(range(0, len(months), step), [_month(month) for month in months[::step]])
    axes.set_xlim(0, len(months) - 1)
    axes.grid(axis="x", visible=False)


def _month(month: str | None) -> str:
    names = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
    year, number = (month or "0000-01").split("-")
    return f"{names[int(number) - 1]} {year}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


