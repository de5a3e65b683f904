"""Alarms derived from a plan: a threshold is where one of its premises no longer holds, or a lead time."""

from __future__ import annotations

import math
from typing import Any

from amply_capacity.aws.metrics import CREDITS_EVERY_S
from amply_capacity.catalog.nodes import NodeType
from amply_capacity.errors import BadInput
from amply_capacity.model.connections import ELASTICACHE_CONNECTIONS
from amply_capacity.model.credits import ENGINE_CORES, HOST_CORES, CreditRules, credit_rules
from amply_capacity.ops.alarm import Alarm
from amply_capacity.ops.alarm_sets import AWS_HIT_RATE_PERCENT, cpu_alarm, swap_alarm
from amply_capacity.ops.export_plan import NODES, PlanFile

__all__ = ["CREDIT_LEAD_MINUTES", "MEMORY_LEAD_DAYS", "derived_alarms", "serverless_alarms"]

CREDIT_LEAD_MINUTES = 60.0
"""Time to act before the CPU credits are spent, at the heaviest load that there can be."""
MEMORY_LEAD_DAYS = 14.0
"""Time to act before memory is full, at the fastest growth of the plan."""
_DAYS_PER_MONTH = 365.25 / 12.0
_ENGINE_PERCENT = 90.0
_MAXCLIENTS_SHARE = 0.9
_MOST_MEMORY_PERCENT = 98.0
_SMALL_VCPU = 2


def serverless_alarms(plan: PlanFile) -> tuple[Alarm, ...]:
    """Those of a serverless cache, which has neither memory nor CPU of its own to watch."""
    pack: dict[str, Any] = {"missing": "notBreaching", "source": "AWS agent toolkit, alarm-packs, 2026-08"}
    return (
        _alarm("throttled", "ThrottledCmds", 0.0, (2, 3), "the load grows faster than the cache scales, or "
               "stands at its limit", statistic="Sum", missing="notBreaching",
               source="ElastiCache User Guide, Metrics for serverless caches, 2026"),
        *(_alarm(f"slow-{what.lower()}s", f"Successful{what}RequestLatency", 5_000.0, (3, 5), "AWS: 5 ms",
                 **pack) for what in ("Read", "Write")),
        *_connections(plan, None), *_service(plan),
    )


def derived_alarms(plan: PlanFile) -> tuple[Alarm, ...]:
    """Those of the chosen nodes. Raises BadInput for Serverless, whose metrics are others."""
    node = plan.node
    if plan.kind != NODES or node is None:
        raise BadInput("these alarms are for nodes", got=f"a plan of kind {plan.kind}",
                       do="give a plan that chose nodes")
    return (*_cpu(node), *_credits(node), *_memory(plan), swap_alarm("redis-amply-swapping"),
            *_connections(plan, node), *_service(plan), *_replication(plan))


def _alarm(name: str, metric: str, threshold: float, of: tuple[int, int], why: str, **changes: Any) -> Alarm:
    values: dict[str, Any] = {
        "name": f"redis-amply-{name}", "metric": metric, "comparison": "GreaterThanThreshold",
        "threshold": threshold, "datapoints_to_alarm": of[0], "evaluation_periods": of[1],
        "statistic": "Average", "period_s": 60, "why": why, "source": "the plan"}
    return Alarm(**values | changes)


def _cpu(node: NodeType) -> list[Alarm]:
    found = [_alarm("high-engine-cpu", "EngineCPUUtilization", _ENGINE_PERCENT, (5, 5),
                    "the plan fills the engine's core to 90 % at the peak; beyond it commands queue")]
    if node.vcpu is not None and node.vcpu <= _SMALL_VCPU:
        found.append(cpu_alarm("redis-amply-high-cpu", node.vcpu))
    return found


def _credits(node: NodeType) -> list[Alarm]:
    if not node.is_burstable or node.vcpu is None or node.cpu_credits_max is None:
        return []
    rules = credit_rules(node)
    threshold = min(math.ceil(_fastest_drain(rules) * CREDIT_LEAD_MINUTES), int(rules.most) - 1)
    drain, hours = _fastest_drain(rules), threshold / float(rules.per_hour)
    why = (f"at most {ENGINE_CORES:g} core for the engine and {HOST_CORES:g} for the host against "
           f"{float(rules.baseline_cores):g} earned take {drain:.2f} credits a minute, so that {threshold} "
           f"last {threshold / drain:.0f} minutes at any load; then the node falls to "
           f"{float(rules.baseline_percent):g} % of its vCPUs. A new node begins at 0 and needs {hours:.1f} "
           "idle hours to leave this alarm")
    return [_alarm("low-cpu-credits", "CPUCreditBalance", float(threshold), (1, 1), why, statistic="Minimum",
                   comparison="LessThanThreshold", period_s=CREDITS_EVERY_S)]


def _fastest_drain(rules: CreditRules) -> float:
    """Credits a minute, the engine's core being full."""
    cores = min(ENGINE_CORES + HOST_CORES, float(rules.vcpu))
    return cores - float(rules.baseline_cores)


def _memory(plan: PlanFile) -> list[Alarm]:
    kept_free = plan.free_memory_percent.mid
    growth = plan.growth_percent_per_month
    reserve = f"of maxmemory as INFO tells it, the {plan.reserved_memory_percent:g} % reserve taken off"
    found = [_alarm("high-memory", "DatabaseMemoryUsagePercentage", round(100.0 - kept_free, 2), (5, 5),
                    f"the plan keeps {kept_free:g} % free {reserve}: from here its next upgrade is due"
                    f"{_time_left(100.0 - kept_free, growth.mid)}", statistic="Maximum")]
    if growth.high > 0.0:
        percent = 100.0 * (1.0 + growth.high / 100.0) ** (-MEMORY_LEAD_DAYS / _DAYS_PER_MONTH)
        critical = round(min(percent, _MOST_MEMORY_PERCENT), 1)
        if critical > 100.0 - kept_free:
            why = (f"memory is full within {_days(critical, growth.high):.0f} days at {growth.high:g} % "
                   "growth a month, the fastest of the plan")
            found.append(_alarm("critical-memory", "DatabaseMemoryUsagePercentage", critical, (5, 5), why,
                                statistic="Maximum"))
    return found


def _days(percent: float, growth_percent: float) -> float:
    """Until what grows so fast is at 100 %."""
    return math.log(100.0 / percent) / math.log1p(growth_percent / 100.0) * _DAYS_PER_MONTH


def _time_left(percent: float, growth_percent: float) -> str:
    if growth_percent <= 0.0:
        return ""
    days = _days(percent, growth_percent)
    return f", about {days:.0f} days before memory is full at {growth_percent:g} % growth a month"


def _connections(plan: PlanFile, node: NodeType | None) -> list[Alarm]:
    growth = (1.0 + max(plan.growth_percent_per_month.high, 0.0) / 100.0) ** plan.review_months
    tasks = math.ceil(plan.tasks.high * (growth if plan.tasks_grow else 1.0) - 1e-9)
    pools = math.ceil(tasks * plan.workers_per_task.high * plan.pool_size.high - 1e-9)
    threshold, capped = pools + ELASTICACHE_CONNECTIONS, ""
    if node is not None and threshold >= _MAXCLIENTS_SHARE * node.maxclients:
        threshold = math.floor(_MAXCLIENTS_SHARE * node.maxclients)
        capped = f"; held to 90 % of maxclients {node.maxclients:,}"
    made_of = (f"{tasks} tasks ({plan.review_months} months of growth on) × {plan.workers_per_task.high:g} "
               f"workers × {plan.pool_size.high:g} of a full pool")
    return [
        _alarm("many-connections", "CurrConnections", float(threshold), (10, 10),
               f"{made_of}, and {ELASTICACHE_CONNECTIONS} of ElastiCache's own: more are leaked or unplanned"
               f"{capped}", statistic="Maximum"),
        _alarm("new-connections", "NewConnections", float(max(2 * pools, 1)), (2, 3),
               f"twice {made_of}: a deployment opens each pool once beside the old ones; more, in two "
               "minutes of three, are connections that no pool keeps, each with a TLS handshake",
               statistic="Sum", missing="notBreaching"),
    ]


def _service(plan: PlanFile) -> list[Alarm]:
    return [
        _alarm("high-evictions", "Evictions", plan.evictions_per_minute.mid, (1, 1),
               f"the demand allows {plan.evictions_per_minute.mid:g} a minute", statistic="Sum",
               missing="notBreaching", source="slo.evictions_per_minute"),
        _alarm("low-hit-rate", "CacheHitRate", min(plan.hit_rate_percent.mid, AWS_HIT_RATE_PERCENT), (4, 6),
               f"AWS' {AWS_HIT_RATE_PERCENT:g} %, or the demand's where that is less. The demand's "
               f"{plan.hit_rate_percent.mid:g} % is of cached reads; CacheHitRate counts every look-up, of "
               "ended sessions too, and stays below it when all is well",
               comparison="LessThanThreshold", period_s=300, missing="notBreaching",
               source="AWS agent toolkit, alarm-packs, 2026-08; slo.hit_rate_percent"),
    ]


def _replication(plan: PlanFile) -> list[Alarm]:
    if not plan.replicas:
        return []
    lag = plan.replication_lag_s.high
    return [_alarm("replication-lag", "ReplicationLag", lag, (3, 5),
                   f"the plan's most: writes of {lag:g} s are lost when the replica takes over",
                   statistic="Maximum", missing="notBreaching", source="failures.replication_lag_seconds")]
