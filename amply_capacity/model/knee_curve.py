"""The throughput–latency curve of a recorded knee search, found again in the run's own requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from amply_capacity.errors import BadRun
from amply_capacity.interval import Interval
from amply_capacity.model.knee import ALLOWED_SHARE, StepCounts, first_knee, share_beyond
from amply_capacity.run.reader import Run
from amply_capacity.run.schema import FAILED_OUTCOMES

__all__ = ["CurvePoint", "KneeCurve", "knee_of"]

_RESAMPLES = 400
_LEAST_BLOCKS = 3
_LEAST_BEYOND = 5  # operations beyond a quantile, without which it is withheld


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One use case at one step of the search; response times in ms of the operations that succeeded.

    A quantile is None where fewer than five operations lie beyond it. Its interval is a bootstrap over the
    step's seconds; with fewer than three of them there is only the value, as low, mid and high.
    """

    step: int
    use_case: str
    rate_per_second: float
    """Operations of all use cases offered a second."""
    achieved_per_second: float
    """Operations of all use cases answered a second."""
    verdict: str
    """The step's: held, failed, behind, undecided or generator-bound."""
    seconds: int
    operations: int
    share_beyond: float | None
    """Share beyond the objective, failed operations among them; None without an objective."""
    p50_ms: Interval | None
    p99_ms: Interval | None
    p999_ms: Interval | None


@dataclass(frozen=True, slots=True)
class KneeCurve:
    """The curve, and the knee that follows from it: operations a second, None where it is not bounded."""

    objectives_ms: Mapping[str, float]
    confidence: float
    low: float | None
    mid: float | None
    high: float | None
    use_case: str | None
    """The one whose objective gives out first; None where none did."""
    reason: str | None
    """Why the search stopped; None where it was cut off."""
    points: tuple[CurvePoint, ...]

    def as_json(self) -> dict[str, Any]:
        """JSON-able, the points as rows."""
        return asdict(self)

    def table(self) -> pd.DataFrame:
        """A row per step and use case; a quantile in three columns, low, mid and high."""
        rows = []
        for point in self.points:
            row = {name: value for name, value in asdict(point).items() if not name.endswith("_ms")}
            for name in ("p50_ms", "p99_ms", "p999_ms"):
                value = getattr(point, name)
                for part, suffix in (("low", "_low"), ("mid", ""), ("high", "_high")):
                    row[name + suffix] = None if value is None else getattr(value, part)
            rows.append(row)
        return pd.DataFrame(rows)


def knee_of(run: Run) -> KneeCurve | None:
    """The curve and the knee of a run's last search, from its `knee` events and requests; None without one.

    The same estimate as the search made while it ran. Raises BadRun where the events are not ours.
    """
    events = run.events[run.events["kind"] == "knee"].sort_values("time_s", kind="stable")
    starts = np.flatnonzero((events["name"] == "began").to_numpy())
    if not starts.size:
        return None
    events = events.iloc[starts[-1]:]
    try:
        began = events["detail"].iloc[0]
        objectives = {str(name): float(limit) for name, limit in began["objectives_ms"].items()}
        confidence = float(began["confidence"])
        steps = [_Step(int(one["number"]), float(one["rate_per_second"]), str(one["verdict"]),
                       tuple(int(second) for second in one["seconds"]), float(one["achieved_per_second"]))
                 for one in events.loc[events["name"] == "step", "detail"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadRun(f"the knee search of run {run.name} cannot be read",
                     got=f"{type(error).__name__}: {error}",
                     do="restore its events.parquet, or choose another run") from None
    ends = events.loc[events["name"] == "ended", "detail"]
    requests = run.requests
    times = requests[(requests["command"] == "") & (requests["clock"] == "response")]
    by_use_case = {str(name): rows for name, rows in times.groupby("use_case")}
    points, counted = [], []
    for step in steps:
        counts = {}
        for use_case, rows in by_use_case.items():
            block = rows[rows["second"].isin(step.seconds)]
            limit_ms = objectives.get(use_case)
            one = None if limit_ms is None else _counts(block, step, limit_ms)
            if one is not None:
                counts[use_case] = one
            points.append(_point(block, step, use_case, None if one is None else one.share))
        if step.verdict != "generator-bound" and counts:
            counted.append(counts)
    first, bounds = first_knee(counted, objectives, confidence)
    return KneeCurve(objectives, confidence, bounds.low, bounds.mid, bounds.high, first,
                     None if ends.empty else str(ends.iloc[-1].get("reason")), tuple(points))


@dataclass(frozen=True, slots=True)
class _Step:
    """A step as its event tells it."""

    number: int
    rate_per_second: float
    verdict: str
    seconds: tuple[int, ...]
    achieved_per_second: float


def _counts(block: pd.DataFrame, step: _Step, limit_ms: float) -> StepCounts | None:
    """The counts that the search saw: operations beyond the limit in each second of the step."""
    pairs = []
    for second in step.seconds:
        rows = block[block["second"] == second]
        is_failed = rows["outcome"].isin(FAILED_OUTCOMES)
        failed, served = float(rows.loc[is_failed, "count"].sum()), rows[~is_failed]
        beyond, total = share_beyond(served["bucket_us"].to_numpy(), served["count"].to_numpy(), limit_ms)
        pairs.append((beyond + failed, total + failed))
    if sum(total for _, total in pairs) == 0.0:
        return None
    beyonds, totals = np.array(pairs, dtype=np.float64).T
    return StepCounts(step.rate_per_second, beyonds, totals)


def _point(block: pd.DataFrame, step: _Step, use_case: str, share: float | None) -> CurvePoint:
    served = block[~block["outcome"].isin(FAILED_OUTCOMES)]
    table = served.pivot_table(
        index="second", columns="bucket_us", values="count", aggfunc="sum", fill_value=0)
    table = table.reindex(sorted(step.seconds), fill_value=0)
    counts, bounds_ms = table.to_numpy(dtype=np.float64), table.columns.to_numpy(dtype=np.float64) / 1000.0
    p50, p99, p999 = (_quantile(counts, bounds_ms, q) for q in (0.5, 1.0 - ALLOWED_SHARE, 0.999))
    return CurvePoint(step.number, use_case, step.rate_per_second, step.achieved_per_second, step.verdict,
                      len(step.seconds), int(block["count"].sum()), share, p50, p99, p999)


def _quantile(counts: NDArray[np.float64], bounds_ms: NDArray[np.float64], q: float) -> Interval | None:
    """The quantile of the sum of the seconds' histograms, and the 90 % interval of a bootstrap over the
    seconds.

    Seconds are the blocks: operations within one are not independent (Künsch, Annals of Statistics 17, 1989).
    One less than there are is drawn, which keeps the variance of few blocks (Rao, Wu, JASA 83, 1988).
    """
    blocks = len(counts)
    if counts.sum() * (1.0 - q) < _LEAST_BEYOND:
        return None

    def value(histograms: NDArray[np.float64]) -> NDArray[np.float64]:
        cumulated = np.cumsum(histograms, axis=-1)
        reached = cumulated >= q * cumulated[..., -1:] - 1e-9
        return np.asarray(bounds_ms[reached.argmax(axis=-1)])

    mid = float(value(counts.sum(axis=0)))
    if blocks < _LEAST_BLOCKS:
        return Interval.exact(mid)
    draws = np.random.default_rng(blocks).multinomial(blocks - 1, np.full(blocks, 1.0 / blocks), _RESAMPLES)
    low, high = np.quantile(value(draws @ counts), [0.05, 0.95])
    return Interval(min(float(low), mid), mid, max(float(high), mid))
