"""Whether an alarm can fire on a node type at all: its threshold against what the metric can be there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from amply_capacity.aws.metrics import CREDITS, CREDITS_EVERY_S
from amply_capacity.catalog.nodes import DEFAULT_RESERVED_MEMORY_PERCENT, NodeType
from amply_capacity.interval import Interval
from amply_capacity.model.credits import ENGINE_CORES, HOST_CORES
from amply_capacity.ops.alarm import Alarm

__all__ = ["ALWAYS", "CAN_FIRE", "FULL_ONLY", "NEVER", "NORMALLY", "UNKNOWN", "Installation", "Reach",
           "reach_of"]

CAN_FIRE, NEVER, ALWAYS, UNKNOWN = "can fire", "never fires", "always fires", "unknown"
FULL_ONLY, NORMALLY = "fires only when memory is full", "fires in normal use"
RSS_PER_USED = Interval(1.08, 1.09, 1.10)
"""Resident over used memory of a fresh heap, redis 7.0.15; after long churn it is more."""
_SMALL_VCPU = 2
_EMPTY_BYTES = 10_000_000
"""About what an empty server is resident with."""


@dataclass(frozen=True, slots=True)
class Installation:
    """Where the alarm is to stand."""

    node: NodeType
    reserved_memory_percent: float = DEFAULT_RESERVED_MEMORY_PERCENT
    replicas: int | None = None
    """None where it is not known."""
    pooled_connections: int | None = None
    """At least so many when every pool is full; None where it is not known."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The verdict, and why."""

    verdict: str
    why: str

    @property
    def is_useless(self) -> bool:
        """Whether it tells nothing: it never fires, or always."""
        return self.verdict in {NEVER, ALWAYS}

    def as_json(self) -> dict[str, Any]:
        return {"verdict": self.verdict, "why": self.why}


@dataclass(frozen=True, slots=True)
class _Range:
    low: float
    high: float
    why: str


def reach_of(alarm: Alarm, at: Installation) -> Reach:
    """Whether the metric can cross the threshold there. A difference of two metrics is unknown."""
    if alarm.less_metric is not None:
        return Reach(UNKNOWN, f"what {alarm.what} can be is not known")
    if (unpublished := _unpublished(alarm, at)) is not None:
        return Reach(NEVER, unpublished)
    if alarm.metric == "FreeableMemory" and not alarm.is_above:
        return _free_memory(alarm, at)
    range_of = _RANGES.get(alarm.metric)
    of = None if range_of is None else range_of(at)
    if of is None:
        return Reach(UNKNOWN, f"what {alarm.metric} can be on {at.node.name} is not known")
    fires = [_breaches(alarm, end) for end in (of.low, of.high)]
    if not any(fires):
        return Reach(NEVER, f"{of.why}; the threshold is {alarm.threshold:,.10g}")
    if all(fires):
        return Reach(ALWAYS, f"{of.why}; the threshold is {alarm.threshold:,.10g}")
    pooled = at.pooled_connections
    if alarm.metric == "CurrConnections" and pooled is not None and _breaches(alarm, pooled):
        return Reach(NORMALLY, f"the application's full pools alone hold {pooled:,} connections")
    if alarm.metric in CREDITS and alarm.period_s < CREDITS_EVERY_S:
        return Reach(CAN_FIRE, f"{of.why}; it is published every {CREDITS_EVERY_S} s, so that most periods "
                               f"of {alarm.period_s} s lack it")
    return Reach(CAN_FIRE, of.why)


def _breaches(alarm: Alarm, value: float) -> bool:
    return bool(alarm.breaches(np.array([value]))[0])


def _mb(value_bytes: float) -> str:
    return f"{value_bytes / 1e6:,.0f}"


def _unpublished(alarm: Alarm, at: Installation) -> str | None:
    """Why the metric has no data there, without which only an alarm fires that takes missing as breaching."""
    if alarm.missing == "breaching":
        return None
    if alarm.metric in CREDITS and not at.node.is_burstable:
        return f"{at.node.name} has no CPU credits"
    if alarm.metric == "ReplicationLag" and at.replicas == 0:
        return "there is no replica"
    return None


def _free_memory(alarm: Alarm, at: Installation) -> Reach:
    """Of the type's memory less the server's resident set: AWS does not say what the host itself takes."""
    memory, usable = at.node.memory_bytes, at.node.usable_bytes(at.reserved_memory_percent)
    least, most = (memory - usable * RSS_PER_USED.high, memory - usable * RSS_PER_USED.low)
    reserved = f"{at.reserved_memory_percent:g} % reserved"
    full = (f"of {_mb(memory)} MB, {_mb(usable)} MB of data ({reserved}) leave {_mb(max(least, 0.0))} to "
            f"{_mb(max(most, 0.0))} MB free when they are full")
    if _breaches(alarm, memory - _EMPTY_BYTES):
        return Reach(ALWAYS, f"{full}, and an empty server leaves less than {_mb(alarm.threshold)} MB too")
    if not _breaches(alarm, least):
        return Reach(NEVER, f"{full}, so that keys are evicted long before it falls below "
                            f"{_mb(alarm.threshold)} MB")
    return Reach(FULL_ONLY, f"{full}: it fires when keys are evicted already, and then for ever, "
                            "for an evicting cache stays full")


def _cpu(at: Installation) -> _Range | None:
    vcpu = at.node.vcpu
    if vcpu is None:
        return None
    if vcpu > _SMALL_VCPU:
        return _Range(0.0, 100.0, f"{vcpu} vCPUs run the engine, its I/O threads and the host")
    most = 100.0 * min(ENGINE_CORES + HOST_CORES, vcpu) / vcpu
    return _Range(0.0, most, f"one thread runs the commands, so that {vcpu} vCPUs never show more than "
                             f"{most:.0f} %, but for the process of a running backup")


def _credits(at: Installation) -> _Range | None:
    most = at.node.cpu_credits_max
    return None if most is None else _Range(0.0, float(most), f"the balance lies between 0 and {most}")


def _connections(at: Installation) -> _Range:
    most = at.node.maxclients
    return _Range(0.0, float(most), f"the node takes {most:,} connections at most")


def _percent(at: Installation) -> _Range:
    return _Range(0.0, 100.0, "it lies between 0 and 100 %")


def _count(at: Installation) -> _Range:
    return _Range(0.0, float("inf"), "it counts from 0")


_RANGES: dict[str, Callable[[Installation], _Range | None]] = {
    "CPUUtilization": _cpu, "EngineCPUUtilization": _percent, "CPUCreditBalance": _credits,
    "CurrConnections": _connections, "NewConnections": _count, "Evictions": _count, "CacheHitRate": _percent,
    "DatabaseMemoryUsagePercentage": _percent, "DatabaseMemoryUsageCountedForEvictPercentage": _percent,
    "ReplicationLag": _count, "SwapUsage": _count, "SuccessfulReadRequestLatency": _count,
    "SuccessfulWriteRequestLatency": _count,
}
