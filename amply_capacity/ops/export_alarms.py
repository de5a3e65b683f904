"""Alarms as CloudFormation resources, and a template of them alone, for a cluster that is there already."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from amply_capacity.ops.alarm import NAMESPACE, Alarm
from amply_capacity.ops.export_blueprint import Blueprint

__all__ = ["Dimensions", "PlacedAlarm", "alarm_resource", "alarms_template", "cluster_parameter",
           "description", "number", "of_node", "parts_of", "placed", "statistic_of", "template",
           "topic_parameter"]

NODE_ID = "0001"
"""CacheNodeId of a Redis node: it is its cluster's only one."""
Dimensions = Mapping[str, Any]
"""Of a metric, by name."""
_MOST_ALARM_METRICS = 10
"""An alarm's metric math takes no more (CloudWatch quotas)."""
_HIT_RATE = "CacheHitRate"
_MOST_DESCRIPTION = 1_024
_ASCII = str.maketrans({"×": "x", "≥": ">=", "≤": "<=", "–": "-"})
"""CloudFormation writes a question mark for what is not ASCII."""


@dataclass(frozen=True, slots=True)
class PlacedAlarm:
    """An alarm on members of a group: one of them, or a shard's for its hit rate."""

    alarm: Alarm
    members: tuple[str, ...]
    place: str
    """What sets its name apart: the member or, for a shard's, the shard; empty for the only shard's."""

    @property
    def name(self) -> str:
        """After the cluster's id: `high-cpu-001`."""
        short = self.alarm.name.removeprefix("redis-amply-")
        return f"{short}-{self.place}" if self.place else short

    @property
    def key(self) -> str:
        """Letters and digits: `HighCpu001`."""
        return "".join(word.capitalize() for word in self.name.split("-"))


def placed(made: Blueprint) -> tuple[PlacedAlarm, ...]:
    """Each alarm on each node. A shard's hit rate is told of all its nodes together, for reads may go to any,
    and a replica that nobody reads has none."""
    return tuple(_placed(made))


def _placed(made: Blueprint) -> Iterator[PlacedAlarm]:
    shards: dict[str, list[str]] = {}
    for member in made.members:
        shards.setdefault(made.shard_of(member), []).append(member)
    for alarm in made.alarms:
        if alarm.metric != _HIT_RATE:
            yield from (PlacedAlarm(alarm, (member,), member) for member in made.members)
        elif 2 * (1 + made.replicas) <= _MOST_ALARM_METRICS:
            yield from (PlacedAlarm(alarm, tuple(members), shard) for shard, members in shards.items())
        # With five replicas no alarm can hold the metrics of a shard; the dashboard shows each node's.


def alarm_resource(one: PlacedAlarm, dimensions: Mapping[str, Dimensions]) -> dict[str, Any]:
    """An `AWS::CloudWatch::Alarm` in a template with the parameters ClusterId and AlarmTopicArn.

    `dimensions` are those of each member's metrics.
    """
    alarm = one.alarm
    topic = {"Ref": "AlarmTopicArn"}
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmName": {"Fn::Sub": f"${{ClusterId}}-{one.name}"},
            "AlarmDescription": description(alarm),
            **_watched(one, dimensions),
            "EvaluationPeriods": alarm.evaluation_periods,
            "DatapointsToAlarm": alarm.datapoints_to_alarm,
            "Threshold": number(alarm.threshold),
            "ComparisonOperator": alarm.comparison,
            "TreatMissingData": alarm.missing,
            "AlarmActions": [topic],
            "OKActions": [topic],
        },
    }


def description(alarm: Alarm) -> str:
    """Why the threshold is what it is, in ASCII and at the length that CloudWatch takes."""
    text = f"{alarm.words}: {alarm.why} ({alarm.source})".translate(_ASCII)
    return text if len(text) <= _MOST_DESCRIPTION else text[:_MOST_DESCRIPTION - 3] + "..."


def number(value: float) -> int | float:
    """A whole number without its point."""
    return int(value) if value.is_integer() else value


def _watched(one: PlacedAlarm, dimensions: Mapping[str, Dimensions]) -> dict[str, Any]:
    alarm = one.alarm
    parts, expression = parts_of(one)
    if expression is None:
        (metric, member), = parts.values()
        return {"Namespace": NAMESPACE, "MetricName": metric, "Dimensions": _listed(dimensions[member]),
                "Statistic": alarm.statistic, "Period": alarm.period_s}
    queries: list[dict[str, Any]] = [{"Id": "e1", "Label": alarm.what, "Expression": expression,
                                      "ReturnData": True}]
    queries += [{
        "Id": query_id, "ReturnData": False,
        "MetricStat": {"Metric": {"Namespace": NAMESPACE, "MetricName": metric,
                                  "Dimensions": _listed(dimensions[member])},
                       "Period": alarm.period_s, "Stat": statistic_of(alarm, metric)},
    } for query_id, (metric, member) in parts.items()]
    return {"Metrics": queries}


def parts_of(one: PlacedAlarm) -> tuple[dict[str, tuple[str, str]], str | None]:
    """The metrics of which members the alarm is made of, by the id of their query, and the metric math."""
    alarm = one.alarm
    if alarm.less_metric is not None:
        member, = one.members
        return {"m1": (alarm.metric, member), "m2": (alarm.less_metric, member)}, "m1 - m2"
    if len(one.members) == 1:
        return {"m1": (alarm.metric, one.members[0])}, None
    hits = {f"h{place}": ("CacheHits", member) for place, member in enumerate(one.members, 1)}
    misses = {f"m{place}": ("CacheMisses", member) for place, member in enumerate(one.members, 1)}
    both = " + ".join([*hits, *misses])
    return hits | misses, f"100 * ({' + '.join(hits)}) / ({both})"


def statistic_of(alarm: Alarm, metric: str) -> str:
    """Of a part: counts that make up a rate are summed."""
    return "Sum" if metric != alarm.metric and metric != alarm.less_metric else alarm.statistic


def of_node(node_id: Any) -> Dimensions:
    """The dimensions of a node's metrics; the id may be a reference."""
    return {"CacheClusterId": node_id, "CacheNodeId": NODE_ID}


def _listed(dimensions: Dimensions) -> list[dict[str, Any]]:
    return [{"Name": name, "Value": value} for name, value in dimensions.items()]


def cluster_parameter(cluster_id: str, what: str, most_characters: int = 40) -> dict[str, Any]:
    """What everything is named after."""
    return {"Type": "String", "Default": cluster_id, "AllowedPattern": "[a-z](-?[a-z0-9])*",
            "MaxLength": most_characters, "Description": what}


def topic_parameter() -> dict[str, Any]:
    """Who is told."""
    return {"Type": "String", "Description": "ARN of the SNS topic that alarms are sent to",
            "AllowedPattern": "arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]+"}


def alarms_template(made: Blueprint) -> dict[str, Any]:
    """The alarms alone; the id of each node is a parameter, since a plain cluster's has no suffix."""
    keys = {member: f"NodeId{re.sub(r'[^0-9]', '', member)}" for member in made.members}
    parameters: dict[str, Any] = {
        "ClusterId": cluster_parameter(made.cluster_id, "What the alarms' names begin with"),
        "AlarmTopicArn": topic_parameter(),
    }
    for member, key in keys.items():
        parameters[key] = {"Type": "String", "Default": f"{made.cluster_id}-{member}", "MinLength": 1,
                           "Description": f"CacheClusterId of node {member}; of a plain cluster its own id"}
    dimensions = {member: of_node({"Ref": key}) for member, key in keys.items()}
    return template(f"Alarms of {made.words}", made.provenance, parameters, {
        f"Alarm{one.key}": alarm_resource(one, dimensions) for one in placed(made)})


def template(what: str, provenance: Mapping[str, str], parameters: Mapping[str, Any],
             resources: Mapping[str, Any], outputs: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A whole CloudFormation template, with the plan that it was made from."""
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"{what}; made by amply-capacity export",
        "Metadata": {"AmplyCapacity": dict(provenance)},
        "Parameters": dict(parameters),
        "Resources": dict(resources),
        **({"Outputs": dict(outputs)} if outputs else {}),
    }
