"""The alarms that exist already: the specification's three, and those that AWS recommends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amply_capacity.catalog.nodes import NodeType
from amply_capacity.model.connections import ADVISED_NEW_PER_MINUTE
from amply_capacity.model.throttling import ADVISED_CPU_ALARM_PERCENT, SPEC_CPU_ALARM_PERCENT
from amply_capacity.ops.alarm import Alarm

__all__ = ["AWS_HIT_RATE_PERCENT", "DERIVED_METRICS", "SPEC_TABLE", "aws_alarms", "cpu_alarm",
           "missing_metrics", "spec_alarms", "swap_alarm"]

ABOVE, BELOW = "GreaterThanThreshold", "LessThanThreshold"
_SPEC = "elasticache-redis.md, Alarms"
_GUIDE = "ElastiCache User Guide, Which Metrics Should I Monitor?, 2026"
_CLASSIC = "CloudWatch User Guide, Recommended alarms (ElastiCache), 2026"
_PACK = "AWS agent toolkit, alarm-packs, 2026-08"
_ENGINE_PERCENT, AWS_HIT_RATE_PERCENT = 90.0, 80.0

SPEC_TABLE: Mapping[str, str] = {
    "CPUUtilization": "> 80%", "FreeableMemory": "< 100 MB", "CurrConnections": "> 100",
    "Evictions": "> 100/min", "CacheHitRate": "< 90%",
}
"""The specification's table of metrics with its alert thresholds; three of them have alarms."""
DERIVED_METRICS = ("CPUCreditBalance", "DatabaseMemoryUsagePercentage", "ReplicationLag", "SwapUsage",
                   "NewConnections")
"""What the specification neither lists nor watches."""


def spec_alarms() -> tuple[Alarm, ...]:
    """The specification's, with what they leave open taken so that they fire as easily as its words allow."""
    return (
        _spec("redis-amply-high-cpu", "CPUUtilization", SPEC_CPU_ALARM_PERCENT, periods=3, assumed=(
            "statistic: Average", "period: 60 s", "comparison: above, as in its table", "3 of 3 periods")),
        _spec("redis-amply-low-memory", "FreeableMemory", 100_000_000.0, comparison=BELOW, assumed=(
            "statistic: Average", "period: 60 s", "1 of 1 periods")),
        _spec("redis-amply-high-evictions", "Evictions", 100.0, statistic="Sum", assumed=(
            "statistic: Sum, as its table says a minute", "comparison: above, as in its table",
            "1 of 1 periods")),
    )


def _spec(name: str, metric: str, threshold: float, *, periods: int = 1, **changes: Any) -> Alarm:
    return _alarm(name, metric, changes.pop("comparison", ABOVE), threshold, periods, periods,
                  **{"why": f"its table: {metric} {SPEC_TABLE[metric]}", "source": _SPEC} | changes)


def _alarm(name: str, metric: str, comparison: str, threshold: float, to_alarm: int, periods: int,
           **changes: Any) -> Alarm:
    values: dict[str, Any] = {
        "name": name, "metric": metric, "comparison": comparison, "threshold": threshold,
        "datapoints_to_alarm": to_alarm, "evaluation_periods": periods, "statistic": "Average",
        "period_s": 60}
    return Alarm(**values | changes)


def aws_alarms(node: NodeType | None, replicas: int) -> tuple[Alarm, ...]:
    """Those for which AWS gives a threshold; where it says "depends", only a plan can tell one.

    `node` tells the vCPUs, and None that they are not known: then CPUUtilization has no threshold either.
    """
    pack: dict[str, Any] = {"source": _PACK, "missing": "notBreaching"}
    found = [
        _alarm("aws-engine-cpu", "EngineCPUUtilization", ABOVE, _ENGINE_PERCENT, 5, 5, source=_CLASSIC,
               why="AWS: 90 % of the engine's thread"),
        _alarm("aws-memory-warning", "DatabaseMemoryUsagePercentage", ABOVE, 80.0, 3, 5, statistic="Maximum",
               why="AWS: 80 % is a warning", **pack),
        _alarm("aws-memory-critical", "DatabaseMemoryUsagePercentage", ABOVE, 90.0, 3, 5, statistic="Maximum",
               why="AWS: 90 % is critical", **pack),
        _alarm("aws-free-memory", "FreeableMemory", BELOW, 100_000_000.0, 1, 1, source=_GUIDE,
               why="AWS: below 100 MB the node is under memory pressure",
               assumed=("1 of 1 periods of 60 s",)),
        swap_alarm("aws-swapping"),
        _alarm("aws-evictions", "Evictions", ABOVE, 100.0, 2, 3, statistic="Sum", period_s=300,
               why="AWS: 100 in five minutes", **pack),
        _alarm("aws-new-connections", "NewConnections", ABOVE, float(ADVISED_NEW_PER_MINUTE), 2, 3,
               statistic="Sum", why="AWS: 1,000 a minute", **pack),
        *(_alarm(f"aws-{what.lower()}-latency", f"Successful{what}RequestLatency", ABOVE, 5_000.0, 3, 5,
                 why="AWS: 5 ms", **pack) for what in ("Read", "Write")),
        _alarm("aws-hit-rate", "CacheHitRate", BELOW, AWS_HIT_RATE_PERCENT, 4, 6, period_s=300,
               why="AWS: below 80 %", **pack),
    ]
    if node is not None and node.vcpu:
        found.insert(0, cpu_alarm("aws-cpu", node.vcpu))
    if replicas:
        found.append(_alarm("aws-replication-lag", "ReplicationLag", ABOVE, 1.0, 3, 5, statistic="Maximum",
                            why="AWS: 1 s behind the primary", **pack))
    return tuple(found)


def cpu_alarm(name: str, vcpu: int) -> Alarm:
    """AWS' advice for nodes of up to two vCPUs: 90 % of one of them."""
    return _alarm(name, "CPUUtilization", ABOVE, ADVISED_CPU_ALARM_PERCENT / vcpu, 5, 5, source=_GUIDE,
                  why=f"one thread runs the commands: 90 % of one of {vcpu} vCPUs",
                  assumed=("5 of 5 periods of 60 s, as CloudWatch's recommended alarms",))


def swap_alarm(name: str) -> Alarm:
    """More swapped than free."""
    return _alarm(name, "SwapUsage", ABOVE, 0.0, 3, 3, less_metric="FreeableMemory", source=_GUIDE,
                  why="AWS: more swapped than free is memory pressure", assumed=("3 of 3 periods of 60 s",))


def missing_metrics(alarms: tuple[Alarm, ...]) -> tuple[str, ...]:
    """Metrics of the specification's table, and of those that a node needs watched, without an alarm."""
    watched = {alarm.metric for alarm in alarms}
    return tuple(name for name in (*SPEC_TABLE, *DERIVED_METRICS) if name not in watched)
