"""Thresholds that the metric never crosses on the node type, always has, or crosses in normal use."""

from __future__ import annotations

from collections.abc import Iterator

from amply_capacity.model.connections import ELASTICACHE_CONNECTIONS, tasks_at_alarm
from amply_capacity.model.credits import credit_rules
from amply_capacity.model.throttling import ADVISED_CPU_ALARM_PERCENT
from amply_capacity.ops import sources
from amply_capacity.ops.alarm_reach import NEVER, RSS_PER_USED, Installation, reach_of
from amply_capacity.ops.circumstances import Circumstances
from amply_capacity.ops.configuration import Configuration
from amply_capacity.ops.finding import Hit, Rule
from amply_capacity.ops.nodes import nodes_of, reserved_percent
from amply_capacity.ops.suggestion import advised_lines
from amply_capacity.ops.thresholds import alarm_metrics, thresholds_on

__all__ = ["RULES"]

_HEADROOM = 2
"""A deployment runs the old tasks beside the new ones."""
_OWN_RULES = {"CPUUtilization", "FreeableMemory", "CurrConnections"}


def _cpu(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    for _cache, node in nodes_of(configuration):
        for threshold in thresholds_on(configuration, "CPUUtilization"):
            reach = reach_of(threshold.alarm, Installation(node))
            if not reach.is_useless or not node.vcpu:
                continue
            is_credited = node.is_burstable and node.cpu_credits_max is not None
            throttled = (f", and a throttled node shows {float(credit_rules(node).baseline_percent):g} %"
                         if is_credited else "")
            yield Hit(f"CPUUtilization {threshold.text} {reach.verdict} on a {node.name}: "
                      f"{reach.why}{throttled}",
                      f"write `Threshold: {ADVISED_CPU_ALARM_PERCENT / node.vcpu:g}`, AWS' "
                      f"{ADVISED_CPU_ALARM_PERCENT:g} % over the vCPUs", threshold.place)


def _memory(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    for cache, node in nodes_of(configuration):
        reserve = reserved_percent(configuration, cache)
        if reserve is None:
            continue
        most_free_when_full = node.memory_bytes - node.usable_bytes(reserve) * RSS_PER_USED.low
        for threshold in thresholds_on(configuration, "FreeableMemory"):
            reach = reach_of(threshold.alarm, Installation(node, reserve))
            # Above that it fires while there still is room, which is what it is for.
            if threshold.alarm.is_above or (most_free_when_full < threshold.value and not reach.is_useless):
                continue
            yield Hit(f"FreeableMemory {threshold.text} {reach.verdict} on a {node.name}: {reach.why}",
                      "write instead " + advised_lines("DatabaseMemoryUsagePercentage"),
                      threshold.place)


def _connections(configuration: Configuration, circumstances: Circumstances) -> Iterator[Hit]:
    pools = [size for client in configuration.code.clients.values()
             if (size := configuration.code.number(client.keyword("max_connections"))) is not None]
    application = circumstances.with_pool(round(max(pools)) if pools else None)
    most, a_task = application.most, application.workers_per_task * application.pool
    limits = [node.maxclients - ELASTICACHE_CONNECTIONS for _, node in nodes_of(configuration)]
    for threshold in thresholds_on(configuration, "CurrConnections"):
        if not threshold.alarm.is_above or threshold.value >= most or a_task <= 0:
            continue
        tasks = tasks_at_alarm(application.workers_per_task, application.pool, int(threshold.value))
        yield Hit(f"CurrConnections {threshold.text} is below what the application opens by design: "
                  f"{application.tasks} tasks × {application.workers_per_task} workers × {application.pool} "
                  f"= {most} ({circumstances.origin}); from {tasks} tasks on full pools set it off, and it "
                  "then stays on",
                  f"write `Threshold: {min([_HEADROOM * most, *limits])}`, twice all pools full, since a "
                  "deployment runs old and new tasks beside each other", threshold.place)


def _others(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    replicas = [cache.replicas for cache in configuration.caches]
    most_replicas = None if None in replicas else max((one or 0 for one in replicas), default=None)
    for metric in sorted(alarm_metrics(configuration) - _OWN_RULES):
        for threshold in thresholds_on(configuration, metric):
            nodes = nodes_of(configuration)
            reaches = [reach_of(threshold.alarm, Installation(node, replicas=most_replicas))
                       for _, node in nodes]
            if reaches and all(reach.is_useless for reach in reaches):
                does = "delete it" if reaches[0].verdict == NEVER else "write another threshold, or delete it"
                yield Hit(f"the alarm on {metric} {threshold.text} {reaches[0].verdict} on a "
                          f"{nodes[0][1].name}: {reaches[0].why}", does, threshold.place)


RULES = (
    Rule("connections-alarm-below-pools", "warning", sources.METRICS, _connections),
    Rule("freeable-memory-alarm-too-late", "warning", sources.WHAT_TO_MONITOR, _memory),
    Rule("cpu-alarm-cannot-fire", "error", sources.WHAT_TO_MONITOR, _cpu),
    Rule("alarm-cannot-fire", "warning", sources.METRICS, _others),
)
