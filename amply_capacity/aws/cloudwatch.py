"""CloudWatch's metrics: which there are, and their points, hundreds of series at once.

A call may ask for 500 series and is answered in pages of at most 100,800 points. boto3 would turn each of
their times into an object, which takes seconds a page: the numbers are taken from an answer before it does.
Source: CloudWatch API Reference, GetMetricData and ListMetrics (2010-08-01).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from amply_capacity.aws.asking import HalfAnswer, asked, whole
from amply_capacity.aws.metrics import NAMESPACE, NODE, Listed, Query
from amply_capacity.errors import AmplyError, BadInput

__all__ = ["QUERIES_A_CALL", "Series", "Window", "list_metrics", "read_series", "window_of"]

QUERIES_A_CALL = 500
_GET, _LIST = "cloudwatch:GetMetricData", "cloudwatch:ListMetrics"
_POINTS = "AmplyPoints"
_EVENT = "before-parse.cloudwatch.GetMetricData"
_TIMES_ASKED = 3
_MOST_NAMED = 5
_DAY_S = 86_400
_KEPT_DAYS: Mapping[int, int] = {60: 15, 300: 63, 3_600: 455}
"""How long CloudWatch keeps the values of each period (GetMetricData, 2026)."""

Seconds: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Window:
    """The time of an import, Unix seconds: whole periods from `start_s`, inclusive, to `end_s`, exclusive."""

    start_s: int
    end_s: int
    period_s: int

    @property
    def points(self) -> int:
        """Of a series without gaps."""
        return (self.end_s - self.start_s) // self.period_s


@dataclass(frozen=True, slots=True)
class Series:
    """One series: a value for each period that has one, in order of time."""

    seconds: Seconds
    """Unix seconds at which the periods begin."""
    values: Floats


def window_of(days: int, period_s: int, now_s: float) -> Window:
    """The last so many days, up to the last whole period.

    Raises BadInput for a period that CloudWatch does not keep for so long.
    """
    if period_s not in _KEPT_DAYS:
        raise BadInput("CloudWatch keeps no such period", got=f"--period {period_s}",
                       do=f"give {', '.join(map(str, _KEPT_DAYS))} seconds")
    if not 1 <= days <= _KEPT_DAYS[period_s]:
        longer = next((period for period, kept in _KEPT_DAYS.items() if days <= kept), None)
        wider = f", or --period {longer}" if longer is not None and days > 0 else ""
        raise BadInput(f"CloudWatch keeps values of {period_s} s for {_KEPT_DAYS[period_s]} days",
                       got=f"--days {days}", do=f"ask for 1 to {_KEPT_DAYS[period_s]} days{wider}")
    end_s = int(now_s) // period_s * period_s
    return Window(end_s - days * _DAY_S, end_s, period_s)


def list_metrics(cloudwatch: Any, node: str | None = None) -> list[Listed]:
    """ElastiCache's metrics that had values in the last two weeks: of one node, or of the whole region.

    Raises AmplyError.
    """
    narrow = {} if node is None else {"Dimensions": [{"Name": NODE, "Value": node}]}
    return whole(lambda: list(_listed(cloudwatch, narrow)))


def _listed(cloudwatch: Any, narrow: Mapping[str, Any]) -> Iterator[Listed]:
    with asked(_LIST):
        for page in cloudwatch.get_paginator("list_metrics").paginate(Namespace=NAMESPACE, **narrow):
            if "Metrics" not in page:
                raise HalfAnswer(_LIST, "a page without metrics")
            for one in page["Metrics"]:
                dimensions = sorted((each["Name"], each["Value"]) for each in one.get("Dimensions", ()))
                yield Listed(one["MetricName"], tuple(dimensions))


def read_series(cloudwatch: Any, queries: Sequence[Query], window: Window,
                told: Callable[[int], None] = lambda points: None) -> list[Series]:
    """The series of at most 500 queries, in their order; `told` is told how many points each page had.

    What is answered in part is asked for again. Raises HalfAnswer where it stays so, and as `asked` does.
    """
    cloudwatch.meta.events.register(_EVENT, _take_points, unique_id="amply-points")
    found: dict[int, Series] = {}
    left, why = list(range(len(queries))), ""
    for _ in range(_TIMES_ASKED):
        whole, why = _ask(cloudwatch, [queries[number] for number in left], window, told)
        found |= {left[place]: series for place, series in whole.items()}
        left = [number for number in left if number not in found]
        if not left:
            return [found[number] for number in range(len(queries))]
    names = ", ".join(f"{queries[number].column} of {queries[number].node}" for number in left[:_MOST_NAMED])
    more = f" and {len(left) - _MOST_NAMED:,} more" if len(left) > _MOST_NAMED else ""
    raise HalfAnswer(_GET, f"{names}{more}: {why}, {_TIMES_ASKED} times")


def _ask(cloudwatch: Any, queries: Sequence[Query], window: Window,
         told: Callable[[int], None]) -> tuple[dict[int, Series], str]:
    """The series that came whole, by their place, and what was wrong with the others."""
    parts: dict[int, list[Series]] = {place: [] for place in range(len(queries))}
    status = dict.fromkeys(parts, "no answer")
    for page in _pages(cloudwatch, queries, window):
        results = page.get("MetricDataResults")
        if results is None:
            return {}, "a page without results"
        taken = page.get(_POINTS) or [_numbers(one) for one in results]
        for one, (seconds, values) in zip(results, taken, strict=True):
            place = int(one["Id"][1:])
            if len(seconds) != len(values):
                status[place] = f"{len(seconds)} times for {len(values)} values"
            elif not status[place][:1].isdigit():  # else a page before was broken
                status[place] = one.get("StatusCode", "Complete")
            parts[place].append(Series(seconds.astype(np.int64), values))
        told(sum(len(values) for _, values in taken))
    forbidden = [queries[place].column for place, code in status.items() if code == "Forbidden"]
    if forbidden:
        raise AmplyError(f"AWS does not allow {_GET} for {forbidden[0]}", got="Forbidden",
                         do=f"have {_GET} allowed in the account that owns the metric")
    whole = {place: _joined(parts[place]) for place, code in status.items() if code == "Complete"}
    bad = sorted({code for code in status.values() if code != "Complete"})
    return whole, ", ".join(bad)


def _pages(cloudwatch: Any, queries: Sequence[Query], window: Window) -> Iterator[Mapping[str, Any]]:
    asked_for = [{"Id": f"q{place}", "MetricStat": {
        "Metric": {"Namespace": NAMESPACE, "MetricName": query.metric,
                   "Dimensions": [{"Name": name, "Value": value} for name, value in query.dimensions]},
        "Period": window.period_s, "Stat": query.statistic}} for place, query in enumerate(queries)]
    with asked(_GET):
        yield from cloudwatch.get_paginator("get_metric_data").paginate(
            MetricDataQueries=asked_for, ScanBy="TimestampAscending",
            StartTime=datetime.fromtimestamp(window.start_s, UTC),
            EndTime=datetime.fromtimestamp(window.end_s, UTC))


def _joined(parts: Sequence[Series]) -> Series:
    seconds = np.concatenate([part.seconds for part in parts])
    values = np.concatenate([part.values for part in parts])
    seconds, first = np.unique(seconds, return_index=True)  # and in order, whatever the answer's was
    return Series(seconds, values[first])


def _numbers(result: Mapping[str, Any]) -> tuple[Floats, Floats]:
    """Of a result as boto3 gives it."""
    seconds = [one.timestamp() for one in result.get("Timestamps", ())]
    return np.array(seconds, dtype=np.float64), np.array(result.get("Values", ()), dtype=np.float64)


def _take_points(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """botocore's before-parse: keep the numbers of an answer, and leave it without them."""
    if response_dict["status_code"] >= 300:
        return
    try:
        content = json.loads(response_dict["body"])
        results = content["MetricDataResults"]
        points = [(np.array(one.get("Timestamps") or (), dtype=np.float64),
                   np.array(one.get("Values") or (), dtype=np.float64)) for one in results]
    except (ValueError, KeyError, TypeError, AttributeError):
        return  # in another form than ours, or broken: boto3 is to read it, or to say what is wrong
    slim = [{**one, "Timestamps": [], "Values": []} for one in results]
    response_dict["body"] = json.dumps({**content, "MetricDataResults": slim}).encode()
    customized_response_dict[_POINTS] = points
