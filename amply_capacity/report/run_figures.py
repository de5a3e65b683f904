"""The figures of a recorded run: load, latency and the server's CPU over the measured phase."""

from __future__ import annotations

from amply_capacity.model.latency import latency_over_time
from amply_capacity.report import production_figure
from amply_capacity.report.look import ACCENT, PALETTE, WARN, Picture, canvas, picture, plain_logarithm
from amply_capacity.run.reader import Run

__all__ = ["latency", "server_cpu", "throughput"]

_LEGEND_ROOM = 3.0  # above the highest line, on a logarithmic axis
_SECOND = "second of the measured phase"


def throughput(run: Run) -> Picture:
    """Operations a second of the recording, stacked by use case; of production its commands."""
    if run.is_production:
        return production_figure.commands(run)
    first, last = run.measured_seconds
    counts = run.counts_by_second
    own = (counts["command"] == "") & (counts["clock"] == "service")
    done = counts[own & counts["second"].between(first, last)]
    by_second = done.pivot_table(
        index="second", columns="use_case", values="count", aggfunc="sum", fill_value=0)
    by_second = by_second.reindex(range(first, last + 1), fill_value=0)
    totals = by_second.sum().sort_values(ascending=False)
    order = list(totals.index)
    per_second = by_second.sum(axis=1)
    claim = f"{per_second.mean():,.0f} operations a second"
    if order:
        share = 100 * totals.iloc[0] / totals.sum()
        claim += f", {share:.0f} % of them {order[0].replace('_', ' ')}"
    with canvas(width=6.0, height=3.4) as (figure, axes):
        if order:
            axes.stackplot(by_second.index - first, *(by_second[name] for name in order),
                           labels=[name.replace("_", " ") for name in order], colors=PALETTE, alpha=0.9)
            axes.legend(ncols=2, loc="upper left", fontsize=9)
        axes.set_xlim(0, last - first)
        axes.set_ylim(0, max(1.4 * per_second.max(), 1.0))
        axes.set_xlabel(_SECOND)
        axes.set_ylabel("operations a second")
        return picture(figure, claim, f"run {run.name}")


def latency(run: Run) -> Picture:
    """Median and p99 of all operations over the measured phase.

    Open loop: response time, so that a stall of the server shows in full; closed loop: service time.
    """
    if run.is_production:
        return production_figure.latency(run)
    clock = "service" if run.manifest["arrivals"] == "closed" else "response"
    first, last = run.measured_seconds
    over_time = latency_over_time(run, clock, [0.5, 0.99]).loc[first:last]
    p50, p99 = over_time[0.5], over_time[0.99]
    claim = "No operation was measured" if p50.empty else (
        f"Half of the operations took at most {p50.median():.2g} ms, 99 % at most {p99.median():.2g} ms")
    with canvas(width=6.0, height=3.4) as (figure, axes):
        axes.plot(p99.index - first, p99, color=WARN, linewidth=2.0, label="p99")
        axes.plot(p50.index - first, p50, color=ACCENT, linewidth=2.4, label="median")
        axes.set_yscale("log")
        plain_logarithm(axes.yaxis)
        axes.set_xlim(0, last - first)
        axes.set_xlabel(_SECOND)
        axes.set_ylabel(f"{clock} time, ms")
        axes.set_ylim(top=_LEGEND_ROOM * axes.get_ylim()[1])
        axes.legend(ncols=2, loc="upper left")
        return picture(figure, claim, f"{clock} time in ms, the median second; run {run.name}; "
                                      "on the recording host, not a node")


def server_cpu(run: Run) -> Picture:
    """CPU of the server's engine over the measured phase, in percent of one core."""
    if run.is_production:
        return production_figure.cpu(run)
    first, last = run.measured_seconds
    rows = run.server[run.server["second"].between(first, last)].dropna(subset=["EngineCPUUtilization"])
    percent = rows["EngineCPUUtilization"]
    claim = ("The engine's CPU was not measured" if percent.empty else
             f"The engine used {percent.median():.1f} % of a core")
    with canvas(width=6.0, height=3.0) as (figure, axes):
        axes.plot(rows["second"] - first, percent, color=ACCENT, linewidth=2.2)
        axes.set_ylim(0, 1.0 if percent.empty else max(1.3 * percent.max(), 1.0))
        axes.set_xlim(0, last - first)
        axes.set_xlabel(_SECOND)
        axes.set_ylabel("EngineCPUUtilization, %")
        return picture(figure, claim,
                       f"percent of one core of the recording host, the median second; run {run.name}")
