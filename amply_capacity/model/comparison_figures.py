"""The figures that two runs are compared by, each as a statistic of a run's seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from amply_capacity.model.block_bootstrap import Statistic, quantile_of
from amply_capacity.run.histogram import width_us
from amply_capacity.run.reader import Run
from amply_capacity.run.schema import FAILED_OUTCOMES

__all__ = ["Figure", "figures"]

Floats = NDArray[np.float64]

_FEWEST_SAMPLES = 3


@dataclass(frozen=True, slots=True)
class Figure:
    """What is compared; `made` gives None for a run that does not hold it."""

    what: str
    unit: str
    kind: str
    """rate, p50, p99, cpu, failed or hits: how much runs of the same thing differ."""
    made: Callable[[Run], Statistic | None]

    @property
    def is_points(self) -> bool:
        """Whether its change is a difference of shares, and no ratio."""
        return self.unit == "share"


def figures(before: Run, after: Run) -> Iterator[Figure]:
    """What users feel first, then what the server spent; response times where both were open loops."""
    clock = "service" if "closed" in (before.manifest["arrivals"], after.manifest["arrivals"]) else "response"
    used = sorted({str(name) for run in (before, after) for name in run.requests["use_case"].unique()})
    for q, label in ((0.99, "p99"), (0.5, "p50")):
        for use_case in used:
            yield Figure(f"{label} {clock} time of {use_case.replace('_', ' ')}", "ms", label,
                          _quantile(use_case, clock, q))
    yield Figure("operations that failed", "share", "failed", _failed)
    yield Figure("hit rate of cached reads", "share", "hits", _hit_rate)
    yield Figure("operations a second", "operations per second", "rate", _rate)
    yield Figure("CPU of a command", "µs", "cpu", _cpu)


def _by_second(run: Run, rows: pd.DataFrame, columns: str) -> pd.DataFrame:
    """Counts by sound second, in their order, and by the values of a column."""
    table = rows.pivot_table(index="second", columns=columns, values="count", aggfunc="sum", fill_value=0)
    return table.reindex(run.sound_seconds, fill_value=0)


def _quantile(use_case: str, clock: str, q: float) -> Callable[[Run], Statistic | None]:
    def made(run: Run) -> Statistic | None:
        rows = run.sound_operations(clock)
        rows = rows[rows["use_case"] == use_case]
        if rows.empty:
            return None
        table = _by_second(run, rows, "bucket_us")
        bounds = table.columns.to_numpy().astype(np.int64)
        return Statistic(table.to_numpy(dtype=np.float64),
                         quantile_of(q, bounds / 1000.0, width_us(bounds) / 1000.0))

    return made


def _share_of(run: Run, rows: pd.DataFrame, counted: tuple[str, ...]) -> Statistic | None:
    """Share of outcomes."""
    if rows.empty:
        return None
    table = _by_second(run, rows, "outcome")
    part = table[[name for name in counted if name in table]].sum(axis=1)
    return Statistic(np.stack([part, table.sum(axis=1)], axis=1).astype(np.float64), _ratio)


def _failed(run: Run) -> Statistic | None:
    return _share_of(run, run.sound_operations("service"), FAILED_OUTCOMES)


def _hit_rate(run: Run) -> Statistic | None:
    rows = run.sound_operations("service")
    reads = rows[(rows["use_case"] == "cache") & rows["outcome"].isin(("hit", "miss"))]
    return _share_of(run, reads, ("hit",))


def _rate(run: Run) -> Statistic | None:
    rows = run.sound_operations("service")
    if rows.empty:
        return None
    done = rows.groupby("second")["count"].sum().reindex(run.sound_seconds, fill_value=0).to_numpy()
    return Statistic(np.stack([done, np.ones(len(done))], axis=1).astype(np.float64), _ratio)


def _cpu(run: Run) -> Statistic | None:
    """Process CPU over commands, as `model.cpu` has it."""
    needed = ["info_used_cpu_sys", "info_used_cpu_user", "info_total_commands_processed"]
    first, last = run.measured_seconds
    rows = run.server[run.server["second"].between(first, last)].sort_values("second").dropna(subset=needed)
    changes = rows[["second", "role"]].join(rows.groupby("node")[needed].diff())
    changes = run.in_sound_samples(changes).dropna()
    changes = changes[changes[needed[2]] > 0]
    if len(changes) < _FEWEST_SAMPLES:
        return None
    cpu_us = 1e6 * (changes[needed[0]] + changes[needed[1]])
    return Statistic(np.stack([cpu_us, changes[needed[2]]], axis=1).astype(np.float64), _ratio)


def _ratio(sums: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(sums[:, 0] / sums[:, 1])
