"""The alarms that a fix writes out: AWS' advice, at thresholds from the node where they depend on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from amply_capacity.aws.metrics import CREDITS, CREDITS_EVERY_S
from amply_capacity.catalog.nodes import NodeType
from amply_capacity.ops.alarm import NAMESPACE, Alarm
from amply_capacity.ops.alarm_sets import aws_alarms

__all__ = ["REQUIRED", "advised", "advised_lines", "alarm_lines", "settings_of"]

REQUIRED = ("Namespace", "MetricName", "Dimensions", "Statistic", "Period", "EvaluationPeriods", "Threshold",
            "ComparisonOperator")
"""Without these an alarm on one metric of one cluster is none."""
_DIMENSIONS = "[{Name: CacheClusterId, Value: …}, {Name: CacheNodeId, Value: \"0001\"}]"
_ABOVE, _BELOW = "GreaterThanThreshold", "LessThanThreshold"
_FALLING = {"FreeableMemory", "CacheHitRate", *CREDITS}
_PERIODS = {"CurrConnections": 10}
_USUAL_PERIODS = 5


def advised(metric: str, threshold: float | None = None, *, is_below: bool | None = None,
            node: NodeType | None = None) -> Alarm:
    """AWS' alarm on the metric, at another threshold and in another direction where they are given.

    Where AWS says "depends", periods and statistic are those of CloudWatch's recommended alarms, and the
    threshold is 0 unless it is given.
    """
    known = [one for one in aws_alarms(node, 1) if one.metric == metric and one.less_metric is None]
    found = known[0] if known else _usual(metric)
    comparison = found.comparison if is_below is None else _BELOW if is_below else _ABOVE
    return replace(found, comparison=comparison,
                   threshold=found.threshold if threshold is None else threshold)


def _usual(metric: str) -> Alarm:
    periods = 1 if metric in CREDITS else _PERIODS.get(metric, _USUAL_PERIODS)
    return Alarm(name=metric, metric=metric, statistic="Minimum" if metric in CREDITS else "Average",
                 period_s=CREDITS_EVERY_S if metric in CREDITS else 60, threshold=0.0,
                 comparison=_BELOW if metric in _FALLING else _ABOVE, evaluation_periods=periods,
                 datapoints_to_alarm=periods, why="depends on the application",
                 source="CloudWatch User Guide, Recommended alarms (ElastiCache), 2026")


def settings_of(alarm: Alarm) -> dict[str, str]:
    """All that it has to say, under the API's names; `…` is what only its owner knows."""
    what = {"Namespace": NAMESPACE, "MetricName": alarm.metric, "Dimensions": _DIMENSIONS,
            "Statistic": alarm.statistic, "Period": str(alarm.period_s)}
    if alarm.less_metric is not None:
        parts = [f"{{Id: m{place}, ReturnData: false, MetricStat: {{Metric: {{Namespace: {NAMESPACE}, "
                 f"MetricName: {metric}, Dimensions: {_DIMENSIONS}}}, Period: {alarm.period_s}, Stat: "
                 f"{alarm.statistic}}}}}"
                 for place, metric in enumerate((alarm.metric, alarm.less_metric), 1)]
        what = {"Metrics": f"[{{Id: e1, Expression: m1 - m2}}, {', '.join(parts)}]"}
    return what | {
        "EvaluationPeriods": str(alarm.evaluation_periods),
        "DatapointsToAlarm": str(alarm.datapoints_to_alarm), "Threshold": f"{alarm.threshold:.12g}",
        "ComparisonOperator": alarm.comparison, "TreatMissingData": alarm.missing,
    }


def alarm_lines(settings: Mapping[str, str]) -> str:
    """As a fix writes them."""
    return ", ".join(f"`{key}: {value}`" for key, value in settings.items())


def advised_lines(metric: str, threshold: float | None = None) -> str:
    """AWS' alarm on the metric as a fix writes it."""
    return alarm_lines(settings_of(advised(metric, threshold)))
