"""Whether a finished run can be believed: did the generator keep up?"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from amply_capacity.errors import BadRun
from amply_capacity.run.histogram import quantile_us
from amply_capacity.run.reader import Run, read_run

__all__ = ["judge"]

_BUSY_PERCENT = 90.0
_LATE_MS = 10.0


def judge(directory: Path, arrivals: str) -> tuple[str, str]:
    """The verdict of a run that was recorded to its end, and its reason in one sentence (empty if complete).

    Closed loop: the generator is the bottleneck when one of its processes used 90 % of a core in half of the
    seconds. Open loop: when 1 % of the operations left 10 ms late or more, which the generator causes or a
    connection that was still busy.
    """
    run = read_run(directory)
    try:
        first, last = run.measured_seconds
    except BadRun as error:
        return "partial", error.what
    busy = _busy_percent(run, first, last)
    if arrivals == "closed":
        if busy >= _BUSY_PERCENT:
            return "generator-bound", (
                f"the generator used {busy:.0f} % of a core, so it set the pace: raise --processes, or set a "
                "rate with --arrivals poisson --rate")
        return "complete", ""
    late = run.requests[(run.requests["clock"] == "lateness") & run.requests["second"].between(first, last)]
    p99_ms = quantile_us(late["bucket_us"], late["count"], 0.99) / 1000.0
    if p99_ms >= _LATE_MS:
        return "generator-bound", (
            f"1 % of the operations left {p99_ms:.0f} ms late or more (generator CPU {busy:.0f} %): use more "
            "Locust users (-u), raise --processes, or lower --rate")
    return "complete", ""


def _busy_percent(run: Run, first: int, last: int) -> float:
    """CPU of the busiest generator process, its median second; a waiting master is not it."""
    load = run.events[(run.events["kind"] == "generator") & run.events["time_s"].between(first, last + 1)]
    if load.empty:
        return float("nan")
    seconds = pd.DataFrame(load["detail"].tolist())
    return float(seconds.groupby("pid")["cpu_percent"].median().max())
