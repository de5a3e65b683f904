"""The figures of the run review where the run is production: its weeks, instead of a measured phase."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from amply_capacity.model.production import commands_per_second, primaries
from amply_capacity.report.look import ACCENT, MUTED, WARN, Picture, canvas, picture
from amply_capacity.run.reader import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["commands", "cpu", "latency", "no_load"]

_DAY_S = 86_400.0


def commands(run: Run) -> Picture:
    """Commands a second over the days; a gap is a gap."""
    rows = primaries(run)
    rate = commands_per_second(rows)
    claim = "Production publishes no commands" if rate is None else (
        f"{rate.mean():,.0f} commands a second, {rate.max():,.0f} in the busiest {_minutes(run)} minutes")
    lines = {} if rate is None else {"commands": rate}
    return _over_days(run, rows, lines, claim, "commands a second", "as CloudWatch counts them")


def latency(run: Run) -> Picture:
    """Time inside the server of reads and writes, where they are published."""
    rows = primaries(run)
    names = {f"{kind.lower()}s{comma}": f"Successful{kind}RequestLatency{suffix}"
             for comma, suffix in (("", ""), (", p99", ".p99")) for kind in ("Read", "Write")}
    lines = {words: rows[name] for words, name in names.items() if name in rows}
    claim = "CloudWatch tells no response time of operations here"
    for words, values in list(lines.items())[:1]:
        claim = f"{words.capitalize()} take {float(values.median()):,.0f} µs inside the server"
    return _over_days(run, rows, lines, claim, "µs", "inside the server, without the network and the wait")


def cpu(run: Run) -> Picture:
    """CPU of the engine and of the host over the days."""
    rows = primaries(run)
    names = {"engine, of its core": "EngineCPUUtilization", "host, of all vCPUs": "CPUUtilization"}
    lines = {words: rows[name] for words, name in names.items() if name in rows}
    used = [f"the {words.partition(',')[0]} used {float(values.median()):.1f} %"
            for words, values in lines.items()]
    claim = ", ".join(used) or "the CPU was not published"
    return _over_days(run, rows, lines, f"T{claim[1:]}", "percent", "in the title the median of the periods")


def no_load(run: Run) -> Picture:
    """Where a figure needs a load of ours: an empty one that says so."""
    return _over_days(run, primaries(run), {}, "Latency against load needs a load test", "",
                      "production is loaded by its users, operation by operation nothing is told")


def _over_days(run: Run, rows: pd.DataFrame, lines: Mapping[str, pd.Series[float]], claim: str, unit: str,
               note: str) -> Picture:
    with canvas(width=6.0, height=3.4) as (figure, axes):
        seconds = np.array(rows.index, dtype=np.float64)
        for number, (words, values) in enumerate(lines.items()):
            x, y = _with_gaps(seconds, np.array(values, dtype=np.float64), run)
            axes.plot((x - seconds[0]) / _DAY_S, y, color=(ACCENT, WARN, MUTED, MUTED)[number], linewidth=1.2,
                      linestyle="-" if number < 2 else (0, (2, 2)), label=words)
        _finish(axes, lines, unit)
        imported = run.manifest["imported"]
        made_up = "; made-up data" if imported["synthesised"] else ""
        return picture(figure, claim, f"{note}; run {run.name}, days since {imported['from'][:10]}{made_up}")


def _finish(axes: Axes, lines: Mapping[str, Any], unit: str) -> None:
    if not lines:
        axes.set_yticks([])
        axes.annotate("not told", (0.5, 0.5), xycoords="axes fraction", ha="center", color=MUTED)
    if len(lines) > 1:
        axes.legend(loc="upper left", ncols=2)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("day")
    axes.set_ylabel(unit)


def _with_gaps(seconds: NDArray[np.float64], values: NDArray[np.float64],
               run: Run) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """With a missing point in each gap, so that no line is drawn across it."""
    period_s = float(run.manifest["imported"]["period_s"])
    after = np.flatnonzero(np.diff(seconds) > period_s) + 1
    return np.insert(seconds, after, seconds[after - 1] + period_s), np.insert(values, after, np.nan)


def _minutes(run: Run) -> int:
    return max(int(run.manifest["imported"]["period_s"]) // 60, 1)
