"""What production's metrics say of it: rates, their day and week, memory's growth, and what went wrong.

All figures are of the primaries, shards together, over the periods that have a value; each bears the range in
which nine of ten hours (or days) lie, or what a resampling of its days gives. What was not published is None.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from amply_capacity.errors import BadRun
from amply_capacity.interval import Interval
from amply_capacity.model.production_findings import findings_of
from amply_capacity.run.reader import Run

__all__ = ["Figure", "Review", "commands_per_second", "hourly", "primaries", "range_of", "review_of"]

Floats = NDArray[np.float64]

_KIND = "cloudwatch"
_HOUR_S, _DAY_S = 3_600, 86_400
_DRAWS, _SEED = 2_000, 1
_FEWEST_DAYS, _FEWEST_USUAL_DAYS = 3, 5
_SATURDAY = 5
_SUMMED = frozenset({"BytesUsedForCache", "CurrItems", "CurrVolatileItems", "CurrConnections"})
"""States that the shards have together; of others the highest counts."""
_LOWEST = frozenset({"FreeableMemory", "CPUCreditBalance", "CacheHitRate"})


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of production, with its 90 % range."""

    name: str
    unit: str
    value: Interval
    what: str
    """What the range is of."""

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "unit": self.unit, **self.value.rounded(6), "range": self.what}


@dataclass(frozen=True, slots=True)
class Review:
    """What a look at production shows."""

    run: str
    cache: str
    days: float
    """From the first value to the last."""
    figures: tuple[Figure, ...]
    findings: tuple[str, ...]

    def figure(self, name: str) -> Interval | None:
        return next((one.value for one in self.figures if one.name == name), None)

    def as_json(self) -> dict[str, Any]:
        return {"days": round(self.days, 2), "figures": [one.as_json() for one in self.figures],
                "findings": list(self.findings)}


def primaries(run: Run) -> pd.DataFrame:
    """A row for each period, `second` its index: primaries only, shards together, counts per second.

    Raises BadRun for a run that is no import from CloudWatch.
    """
    imported = run.manifest.get("imported") or {}
    if imported.get("kind") != _KIND:
        raise BadRun(f"run {run.name} is no production import", got=f"a run of {run.manifest['scenario']}",
                     do="give one that `amply-capacity import cloudwatch` made")
    rows = run.server
    rows = rows[rows["role"] != "slave"] if (rows["role"] != "slave").any() else rows
    names = [name for name in map(str, rows) if name[:1].isupper() and rows[name].notna().any()]
    counts = {row["metric"] for row in imported["metrics"] if row["per_second"]}
    if rows["node"].nunique() == 1:
        return rows.set_index("second")[names].sort_index()
    grouped = rows.groupby("second")
    columns = {}
    for name in names:
        base = name.partition(".")[0]
        if base in counts or base in _SUMMED:
            columns[name] = grouped[name].sum(min_count=1)
        else:
            columns[name] = grouped[name].min() if base in _LOWEST else grouped[name].max()
    return pd.DataFrame(columns).sort_index()


def commands_per_second(rows: pd.DataFrame) -> pd.Series[float] | None:
    """Commands that clients sent, of `primaries`; None where production does not publish them."""
    if "ProcessedCommands" in rows:
        return rows["ProcessedCommands"]
    parts = [rows[name] for name in ("GetTypeCmds", "SetTypeCmds", "NonKeyTypeCmds") if name in rows]
    if not {"GetTypeCmds", "SetTypeCmds"} <= set(rows):
        return None
    total: pd.Series[float] = pd.concat(parts, axis=1).sum(axis=1, min_count=2)
    return total


def hourly(values: pd.Series[float]) -> pd.Series[float]:
    """The mean of each hour that has a value, by the Unix second at which it begins."""
    known = values.dropna()
    means: pd.Series[float] = known.groupby(known.index.to_numpy() // _HOUR_S * _HOUR_S).mean()
    return means


def range_of(values: Sequence[float] | pd.Series[float] | Floats) -> Interval | None:
    """Median and 5–95 % of values; None without any."""
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    return _around(float(np.median(known)), known) if known.size else None


def review_of(run: Run) -> Review:
    """The review of an import from CloudWatch. Raises BadRun for another run."""
    rows = primaries(run)
    seconds = rows.index.to_numpy()
    period_s = int(run.manifest["imported"]["period_s"])
    figures = tuple(one for one in _figures(rows) if one is not None)
    days = float(seconds[-1] + period_s - seconds[0]) / _DAY_S if len(seconds) else 0.0
    return Review(run.name, str(run.manifest["imported"]["cache"]), days, figures, findings_of(run, rows))


def _figures(rows: pd.DataFrame) -> Iterator[Figure | None]:
    by_hour = "nine of ten hours"
    commands = commands_per_second(rows)
    if commands is not None:
        yield _figure("commands", "per second", range_of(hourly(commands)), by_hour)
        yield _figure("busiest period", "commands per second", _exact(commands.max()), "one value")
        yield _figure("peak to mean", "", _peak_to_mean(commands), "the days' busiest hours over the mean")
        yield _figure("weekend to weekday", "", _weekend(commands), "90 %, days resampled")
    if {"CacheHits", "CacheMisses"} <= set(rows):
        hits, misses = hourly(rows["CacheHits"]), hourly(rows["CacheMisses"])
        yield _figure("hit rate", "%", range_of(100.0 * hits / (hits + misses)), by_hour)
    for metric, name, unit, scale in (
            ("EngineCPUUtilization", "engine CPU", "% of a core", 1.0),
            ("CPUUtilization", "host CPU", "%", 1.0),
            ("BytesUsedForCache", "memory used", "MB", 1e-6), ("CurrItems", "keys", "", 1.0),
            ("CurrConnections", "connections", "", 1.0), ("NetworkBytesIn", "network in", "MB/s", 1e-6),
            ("NetworkBytesOut", "network out", "MB/s", 1e-6)):
        if metric in rows:
            yield _figure(name, unit, range_of(scale * hourly(rows[metric])), by_hour)
    if "BytesUsedForCache" in rows:
        yield _figure("memory's growth", "MB a day", _growth(1e-6 * rows["BytesUsedForCache"]),
                      "90 %, days resampled")


def _figure(name: str, unit: str, value: Interval | None, what: str) -> Figure | None:
    return None if value is None else Figure(name, unit, value, what)


def _exact(value: float) -> Interval | None:
    return Interval.exact(float(value)) if np.isfinite(value) else None


def _by_day(values: pd.Series[float], *, most_of_it: float = 0.75) -> dict[int, pd.Series[float]]:
    """The hours of each UTC day of which most have a value, by the days since 1970."""
    hours = hourly(values)
    day_of = hours.index.to_numpy() // _DAY_S
    days = {int(day): hours[day_of == day] for day in np.unique(day_of)}
    return {day: rows for day, rows in days.items() if len(rows) >= most_of_it * 24}


def _peak_to_mean(commands: pd.Series[float]) -> Interval | None:
    """By the mean of the days without the busiest and the quietest, so that one odd night does not decide."""
    days = _by_day(commands)
    means = sorted(float(rows.mean()) for rows in days.values())
    usual = means[1:-1] if len(means) >= _FEWEST_USUAL_DAYS else means
    mean = sum(usual) / len(usual) if usual else 0.0
    return range_of([float(rows.max()) / mean for rows in days.values()]) if mean > 0.0 else None


def _weekend(commands: pd.Series[float]) -> Interval | None:
    """The median weekend day's mean over the median weekday's."""
    means = {day: float(rows.mean()) for day, rows in _by_day(commands).items()}
    # 1970 began on a Thursday.
    weekend = np.array([mean for day, mean in means.items() if (day + 3) % 7 >= _SATURDAY])
    weekday = np.array([mean for day, mean in means.items() if (day + 3) % 7 < _SATURDAY])
    if not weekend.size or not weekday.size or np.median(weekday) <= 0.0:
        return None
    rng = np.random.default_rng(_SEED)
    drawn = [np.median(one[rng.integers(one.size, size=(_DRAWS, one.size))], axis=1)
             for one in (weekend, weekday)]
    return _around(float(np.median(weekend) / np.median(weekday)), drawn[0] / drawn[1])


def _growth(values: pd.Series[float]) -> Interval | None:
    """Of a day, as the slope of the days' means."""
    days = _by_day(values)
    if len(days) < _FEWEST_DAYS:
        return None
    at = np.array(list(days), dtype=np.float64)
    means = np.array([float(rows.mean()) for rows in days.values()])
    rng = np.random.default_rng(_SEED)
    picks = rng.integers(at.size, size=(_DRAWS, at.size))
    x, y = at[picks] - at[picks].mean(axis=1, keepdims=True), means[picks]
    spread = (x * x).sum(axis=1)
    slopes = (x * y).sum(axis=1)[spread > 0.0] / spread[spread > 0.0]
    whole = at - at.mean()
    return _around(float((whole * means).sum() / (whole * whole).sum()), slopes)


def _around(mid: float, draws: Floats) -> Interval:
    low, high = np.quantile(draws, [0.05, 0.95])
    return Interval(min(float(low), mid), float(mid), max(float(high), mid))
