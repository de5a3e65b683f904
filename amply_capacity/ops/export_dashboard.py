"""A CloudWatch dashboard of a cluster: each watched metric with its alarms' thresholds, node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amply_capacity.ops.alarm import NAMESPACE, Alarm

__all__ = ["dashboard_body"]

_WIDTH, _HEIGHT, _COLUMNS = 8, 6, 3
_MOST_NODES = 30
"""Lines of a widget that can still be told apart."""


def dashboard_body(dimensions: Sequence[Mapping[str, str]], region: str,
                   alarms: Sequence[Alarm]) -> dict[str, Any]:
    """The body as CloudWatch's dashboards have it, a line for each node by its metrics' dimensions.

    They may hold references of the template's language.
    """
    by_metric: dict[str, list[Alarm]] = {}
    for alarm in alarms:
        by_metric.setdefault(alarm.metric, []).append(alarm)
    widgets = [{
        "type": "metric", "width": _WIDTH, "height": _HEIGHT,
        "x": _WIDTH * (place % _COLUMNS), "y": _HEIGHT * (place // _COLUMNS),
        "properties": {
            "title": metric, "region": region, "view": "timeSeries", "stat": members[0].statistic,
            "period": members[0].period_s,
            "metrics": [[NAMESPACE, name, *(text for pair in one.items() for text in pair)]
                        for name in dict.fromkeys([metric, *filter(None, [members[0].less_metric])])
                        for one in dimensions[:_MOST_NODES]],
            **_annotations(members),
        },
    } for place, (metric, members) in enumerate(by_metric.items())]
    return {"widgets": widgets}


def _annotations(members: Sequence[Alarm]) -> dict[str, Any]:
    lines = [{"label": alarm.name, "value": alarm.threshold}
             for alarm in members if alarm.less_metric is None]
    return {"annotations": {"horizontal": lines}} if lines else {}
