"""Which alarms can fire where: the specification's on the nodes that it is about, and others."""

from __future__ import annotations

from typing import Any

import pytest

from amply_capacity.catalog.nodes import node_type
from amply_capacity.ops.alarm import Alarm
from amply_capacity.ops.alarm_reach import (
    ALWAYS,
    CAN_FIRE,
    FULL_ONLY,
    NEVER,
    NORMALLY,
    UNKNOWN,
    Installation,
    reach_of,
)
from amply_capacity.ops.alarm_sets import spec_alarms, swap_alarm

CPU, MEMORY, EVICTIONS = spec_alarms()


def at(name: str, reserved: float = 25.0, replicas: int | None = None,
       pooled: int | None = None) -> Installation:
    return Installation(node_type(name), reserved, replicas, pooled)


def other(metric: str, threshold: float, comparison: str = "GreaterThanThreshold", **changes: Any) -> Alarm:
    values: dict[str, Any] = {
        "name": "test", "metric": metric, "statistic": "Average", "period_s": 300, "threshold": threshold,
        "comparison": comparison, "evaluation_periods": 1, "datapoints_to_alarm": 1, "why": "a test",
        "source": "a test"}
    return Alarm(**values | changes)


def test_cpu_above_80_percent_never_fires_on_two_vcpus() -> None:
    found = reach_of(CPU, at("cache.t3.micro"))
    assert found.verdict == NEVER
    assert "51 %" in found.why
    assert found.is_useless
    assert reach_of(CPU.at(45.0), at("cache.t3.micro")).verdict == CAN_FIRE
    assert reach_of(CPU, at("cache.m7g.xlarge")).verdict == CAN_FIRE


def test_free_memory_below_100_mb_fires_on_a_micro_only_when_it_is_full_and_never_on_larger_nodes() -> None:
    found = reach_of(MEMORY, at("cache.t3.micro"))
    assert found.verdict == FULL_ONLY
    assert "94 to 102 MB" in found.why
    assert reach_of(MEMORY, at("cache.t3.micro", reserved=50.0)).verdict == NEVER
    for name in ("cache.t3.small", "cache.m7g.large", "cache.r7g.xlarge"):
        assert reach_of(MEMORY, at(name)).verdict == NEVER, name
    assert reach_of(MEMORY.at(600e6), at("cache.t3.micro")).verdict == ALWAYS


def test_evictions_can_always_happen() -> None:
    assert reach_of(EVICTIONS, at("cache.t3.micro")).verdict == CAN_FIRE


@pytest.mark.parametrize(("alarm", "where", "verdict"), [
    (other("CPUCreditBalance", 50.0, "LessThanThreshold"), at("cache.t3.micro"), CAN_FIRE),
    (other("CPUCreditBalance", 289.0, "LessThanThreshold"), at("cache.t3.micro"), ALWAYS),
    (other("CPUCreditBalance", 0.0, "LessThanThreshold"), at("cache.t3.micro"), NEVER),
    (other("CPUCreditBalance", 50.0, "LessThanThreshold"), at("cache.m7g.large"), NEVER),
    (other("CPUCreditBalance", 50.0, "LessThanThreshold", missing="breaching"), at("cache.m7g.large"),
     UNKNOWN),
    (other("ReplicationLag", 1.0), at("cache.t3.micro", replicas=0), NEVER),
    (other("ReplicationLag", 1.0), at("cache.t3.micro", replicas=1), CAN_FIRE),
    (other("CurrConnections", 100.0), at("cache.t3.micro", pooled=120), NORMALLY),
    (other("CurrConnections", 100.0), at("cache.t3.micro", pooled=90), CAN_FIRE),
    (other("CurrConnections", 20_000.0), at("cache.t3.micro"), NEVER),
    (other("CacheHitRate", 100.0), at("cache.t3.micro"), NEVER),
    (other("Evictions", -1.0), at("cache.t3.micro"), ALWAYS),
    (other("NoSuchMetric", 1.0), at("cache.t3.micro"), UNKNOWN),
    (other("FreeableMemory", 1.0), at("cache.t3.micro"), UNKNOWN),
    (other("CPUUtilization", 80.0), at("cache.m8g.large"), UNKNOWN),
    (swap_alarm("swap"), at("cache.t3.micro"), UNKNOWN),
], ids=lambda value: str(getattr(value, "words", getattr(value, "node", value)))[:60])
def test_the_verdict_on(alarm: Alarm, where: Installation, verdict: str) -> None:
    found = reach_of(alarm, where)
    assert found.verdict == verdict
    assert found.as_json() == {"verdict": verdict, "why": found.why}


def test_credits_looked_at_by_the_minute_are_mostly_missing() -> None:
    alarm = other("CPUCreditBalance", 50.0, "LessThanThreshold", period_s=60)
    assert "published every 300 s" in reach_of(alarm, at("cache.t3.micro")).why
