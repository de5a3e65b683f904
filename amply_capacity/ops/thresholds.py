"""What a configuration watches: its alarms, and the thresholds that a document's table promises."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from amply_capacity.errors import BadInput
from amply_capacity.ops.alarm import Alarm
from amply_capacity.ops.configuration import Configuration, Place, Resource, Table
from amply_capacity.ops.setting import Setting
from amply_capacity.ops.suggestion import advised

__all__ = ["Threshold", "alarm_metrics", "are_alarms_known", "faults_of_alarm", "metrics_of",
           "table_thresholds", "thresholds_on", "watched_metrics"]

_METRIC = re.compile(r"[A-Z][A-Za-z]+")
_VALUE = re.compile(r"([<>≤≥])\s*=?\s*([\d.,]*\d)\s*(%|[KMG]i?B)?")
_UNITS = {"KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
_MATH_KEYS = {"MetricName", "metric_name"}


@dataclass(frozen=True, slots=True)
class Threshold:
    """One metric and the value beyond which somebody is to be told, in CloudWatch's unit of the metric."""

    alarm: Alarm
    """What its source leaves open taken as AWS advises."""
    text: str
    """As it is written."""
    place: Place

    @property
    def metric(self) -> str:
        return self.alarm.metric

    @property
    def value(self) -> float:
        return self.alarm.threshold

    @property
    def is_below(self) -> bool:
        return not self.alarm.is_above


def thresholds_on(configuration: Configuration, metric: str) -> list[Threshold]:
    """The alarms' on that metric; where none has one, the table's."""
    found = [one for alarm in configuration.alarms for one in _of_alarm(alarm) if one.metric == metric]
    return found or [one for one in table_thresholds(configuration) if one.metric == metric]


def table_thresholds(configuration: Configuration) -> list[Threshold]:
    """Of tables with a column of metrics and one of thresholds, alerts or alarms."""
    return [one for table in configuration.tables for one in _of_table(table)]


def alarm_metrics(configuration: Configuration) -> set[str]:
    """Metrics of the alarms with a fixed threshold on one metric."""
    return {one.metric for alarm in configuration.alarms for one in _of_alarm(alarm)}


def metrics_of(alarm: Resource) -> set[str]:
    """The metrics that the alarm looks at, those of its metric math included."""
    return {name for key, setting in alarm.settings.items() for name in _names(key, setting)}


def watched_metrics(configuration: Configuration) -> set[str]:
    return {metric for alarm in configuration.alarms for metric in metrics_of(alarm)}


def are_alarms_known(configuration: Configuration) -> bool:
    """Whether what no alarm watches is unwatched: not where some were not collected, or a metric is open."""
    return "alarm" not in configuration.not_collected and all(map(metrics_of, configuration.alarms))


def faults_of_alarm(alarm: Resource) -> str | None:
    """What CloudWatch refuses of what the alarm says; what it does not say is no fault here."""
    try:
        _alarm(alarm)
    except BadInput as error:
        return error.got
    return None


def _names(key: str, setting: Setting) -> Iterator[str]:
    if key in _MATH_KEYS and setting.text is not None:
        yield setting.text
    for name, inner in setting.entries.items():
        yield from _names(name, inner)
    for item in setting.value if isinstance(setting.value, tuple) else ():
        yield from _names("", item)


def _of_alarm(alarm: Resource) -> Iterator[Threshold]:
    try:
        found = _alarm(alarm)
    except BadInput:
        return
    if found is not None:
        side = "above" if found.is_above else "below"
        yield Threshold(found, f"{side} {found.threshold:,.10g}", alarm.place("Threshold"))


def _alarm(resource: Resource) -> Alarm | None:
    """None where it has no fixed threshold on one metric. Raises BadInput as Alarm does."""
    metric, threshold = resource.text("MetricName"), resource.number("Threshold")
    if metric is None or threshold is None:
        return None
    base = advised(metric, threshold)
    periods = _whole(resource, "EvaluationPeriods", base.evaluation_periods)
    to_alarm = _whole(resource, "DatapointsToAlarm", periods)
    statistic = resource.text("Statistic") or resource.text("ExtendedStatistic") or base.statistic
    return replace(
        base, name=resource.name, statistic=statistic, period_s=_whole(resource, "Period", base.period_s),
        comparison=resource.text("ComparisonOperator") or base.comparison, evaluation_periods=periods,
        datapoints_to_alarm=to_alarm, missing=resource.text("TreatMissingData") or base.missing)


def _whole(resource: Resource, key: str, otherwise: int) -> int:
    number = resource.number(key)
    return otherwise if number is None else int(number)


def _of_table(table: Table) -> Iterator[Threshold]:
    metrics = _column(table, "metric")
    thresholds = _column(table, "threshold", "alert", "alarm")
    if metrics is None or thresholds is None:
        return
    for row in table.rows:
        metric, value = row.cells[metrics], _VALUE.search(row.cells[thresholds])
        if _METRIC.fullmatch(metric) and value is not None:
            number = float(value[2].replace(",", "")) * _UNITS.get(value[3] or "", 1.0)
            yield Threshold(advised(metric, number, is_below=value[1] in "<≤"), row.cells[thresholds],
                            Place(row.line, metric))


def _column(table: Table, *words: str) -> int | None:
    return next((number for number, title in enumerate(table.header)
                 if any(word in title.lower() for word in words)), None)
