"""Alarms that AWS refuses, that tell nobody, or that no table's reader would miss."""

from __future__ import annotations

from collections.abc import Iterator

from amply_capacity.ops import sources
from amply_capacity.ops.circumstances import Circumstances
from amply_capacity.ops.configuration import Configuration
from amply_capacity.ops.finding import Hit, Rule
from amply_capacity.ops.nodes import nodes_of
from amply_capacity.ops.suggestion import REQUIRED, advised, advised_lines, alarm_lines, settings_of
from amply_capacity.ops.thresholds import are_alarms_known, faults_of_alarm, table_thresholds, watched_metrics

__all__ = ["RULES"]

_LARGE_VCPU = 4


def _incomplete(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    nodes = nodes_of(configuration)
    for alarm in configuration.alarms:
        missing = [key for key in REQUIRED if not alarm.has(key)
                   and not (key == "Statistic" and alarm.has("ExtendedStatistic"))]
        if not missing or alarm.has("Metrics"):
            continue
        metric = alarm.text("MetricName") or "…"
        wanted = settings_of(advised(metric, node=nodes[0][1] if nodes else None))
        follows = ("it watches no cluster" if missing == ["Dimensions"] else
                   "CloudWatch refuses it, and two readers make two alarms of it")
        yield Hit(f"the alarm {alarm.name} says no {', '.join(missing)}: {follows}",
                  f"write {alarm_lines({key: wanted[key] for key in missing})}", alarm.place(),
                  "warning" if missing == ["Dimensions"] else None)


def _invalid(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    for alarm in configuration.alarms:
        if faults := faults_of_alarm(alarm):
            yield Hit(f"CloudWatch refuses the alarm {alarm.name}: {faults}",
                      "correct these values; " + advised_lines(alarm.text("MetricName") or "…")
                      + " is what AWS advises", alarm.place())


def _silent(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    silent = [alarm for alarm in configuration.alarms
              if not alarm.get("AlarmActions").items or alarm.flag("ActionsEnabled") is False]
    if silent:
        yield Hit(f"{len(silent)} alarm{'s' * (len(silent) != 1)} tell{'s' * (len(silent) == 1)} nobody: "
                  + ", ".join(alarm.name for alarm in silent),
                  "write `AlarmActions: [<ARN of the SNS topic of whoever is on call>]` in each",
                  silent[0].place())


def _without_alarm(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    watched = watched_metrics(configuration)
    for threshold in table_thresholds(configuration) if are_alarms_known(configuration) else ():
        if threshold.metric not in watched:
            wanted = advised(threshold.metric, threshold.value, is_below=threshold.is_below)
            yield Hit(f"the table has a threshold for {threshold.metric}, {threshold.text}, and no alarm "
                      "watches it",
                      f"write an alarm: {alarm_lines(settings_of(wanted))}", threshold.place)


def _large_node(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    watched = watched_metrics(configuration)
    if not are_alarms_known(configuration) or "EngineCPUUtilization" in watched:
        return
    for cache, node in nodes_of(configuration):
        if "CPUUtilization" in watched and node.vcpu is not None and node.vcpu >= _LARGE_VCPU:
            yield Hit(f"{node.name} has {node.vcpu} vCPUs, and the engine's thread runs on one: "
                      "CPUUtilization stays low while that one is full",
                      "write an alarm: " + advised_lines("EngineCPUUtilization"),
                      cache.place("CacheNodeType"))


RULES = (
    Rule("alarm-incomplete", "error", sources.PUT_ALARM, _incomplete),
    Rule("alarm-invalid", "error", sources.PUT_ALARM, _invalid),
    Rule("alarm-without-action", "warning", sources.PUT_ALARM, _silent),
    Rule("threshold-without-alarm", "warning", sources.PUT_ALARM, _without_alarm),
    Rule("cpu-alarm-on-large-node", "advice", sources.WHAT_TO_MONITOR, _large_node),
)
