"""What nobody watches."""

from __future__ import annotations

import math
from collections.abc import Iterator

from amply_capacity.model.credits import ENGINE_CORES, HOST_CORES, credit_rules
from amply_capacity.ops import sources
from amply_capacity.ops.alarm_derived import CREDIT_LEAD_MINUTES
from amply_capacity.ops.alarm_sets import swap_alarm
from amply_capacity.ops.circumstances import Circumstances
from amply_capacity.ops.configuration import Configuration, Resource
from amply_capacity.ops.finding import Hit, Rule
from amply_capacity.ops.nodes import nodes_of
from amply_capacity.ops.suggestion import advised_lines, alarm_lines, settings_of
from amply_capacity.ops.thresholds import are_alarms_known, watched_metrics

__all__ = ["RULES"]

_MEMORY = {"DatabaseMemoryUsagePercentage", "DatabaseMemoryUsageCountedForEvictPercentage",
           "DatabaseCapacityUsagePercentage", "DatabaseCapacityUsageCountedForEvictPercentage"}


def _credits(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    if not _lacks(configuration, {"CPUCreditBalance"}):
        return
    for cache, node in nodes_of(configuration):
        if not node.is_burstable or node.vcpu is None or node.cpu_credits_max is None:
            continue
        rules = credit_rules(node)
        drain = min(ENGINE_CORES + HOST_CORES, rules.vcpu) - float(rules.baseline_cores)
        yield Hit(f"{node.name} is throttled to {100.0 * float(rules.baseline_cores):.0f} % of a core "
                  f"({float(rules.baseline_percent):g} % CPUUtilization) when its CPU credits, "
                  f"{float(rules.most):g} at most, are spent; no alarm looks at them, and CPUUtilization "
                  "falls when it happens",
                  f"write an alarm that comes {CREDIT_LEAD_MINUTES:g} minutes before, at a full core: "
                  + advised_lines("CPUCreditBalance", math.ceil(CREDIT_LEAD_MINUTES * drain)),
                  cache.place("CacheNodeType"))


def _memory(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    cache = _first(configuration)
    if cache and _lacks(configuration, _MEMORY):
        is_evicting = _policy(configuration, cache) != "noeviction"
        follows = "evictions, and on refused writes after them" if is_evicting else "refused writes"
        yield Hit(f"no alarm watches the share of maxmemory in use, which is what decides on {follows}",
                  "write an alarm: " + advised_lines("DatabaseMemoryUsagePercentage"), cache.place())


def _swap(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    cache = _first(configuration)
    if cache and _lacks(configuration, {"SwapUsage"}):
        yield Hit("no alarm watches SwapUsage: a node that swaps answers in milliseconds what took "
                  "microseconds, and neither CPU nor evictions show it",
                  "write an alarm: " + alarm_lines(settings_of(swap_alarm("swap"))), cache.place())


def _lag(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    group = next((cache for cache in configuration.caches if cache.replicas), None)
    if group and _lacks(configuration, {"ReplicationLag"}):
        yield Hit(f"{group.name} has a replica, and no alarm watches ReplicationLag: what the replica lacks "
                  "at a failover is "
                  "lost", f"write an alarm: {advised_lines('ReplicationLag')}", group.place())


def _new_connections(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    cache = _first(configuration)
    if cache and _lacks(configuration, {"NewConnections"}):
        yield Hit("no alarm watches NewConnections: clients that connect for every command, or all again "
                  "after a failure, cost the engine's thread more than their commands",
                  "write an alarm: " + advised_lines("NewConnections"), cache.place())


def _policy(configuration: Configuration, cache: Resource) -> str | None:
    group = configuration.parameter_group_of(cache)
    said = group.get("Parameters").entries.get("maxmemory-policy") if group else None
    return said.text if said else None


def _first(configuration: Configuration) -> Resource | None:
    return next((cache for cache in configuration.caches if not cache.is_sketch), None)


def _lacks(configuration: Configuration, metrics: set[str]) -> bool:
    return are_alarms_known(configuration) and not watched_metrics(configuration) & metrics


RULES = (
    Rule("no-credit-alarm", "warning", sources.NODES, _credits),
    Rule("no-memory-alarm", "warning", sources.WHAT_TO_MONITOR, _memory),
    Rule("no-swap-alarm", "warning", sources.WHAT_TO_MONITOR, _swap),
    Rule("no-replication-lag-alarm", "warning", sources.ALARM_PACK, _lag),
    Rule("no-new-connections-alarm", "advice", sources.ALARM_PACK, _new_connections),
)
