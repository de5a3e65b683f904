"""The specification's alarms, AWS', and those that a plan's own premises make."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from plan_json import plan_of

from amply_capacity.catalog.nodes import NodeType, node_type, node_types
from amply_capacity.errors import BadInput
from amply_capacity.ops.alarm import Alarm
from amply_capacity.ops.alarm_derived import CREDIT_LEAD_MINUTES, MEMORY_LEAD_DAYS, derived_alarms
from amply_capacity.ops.alarm_reach import Installation, reach_of
from amply_capacity.ops.alarm_sets import (
    DERIVED_METRICS,
    SPEC_TABLE,
    aws_alarms,
    missing_metrics,
    spec_alarms,
)


def by_name(alarms: tuple[Alarm, ...]) -> dict[str, Alarm]:
    return {alarm.name.removeprefix("redis-amply-"): alarm for alarm in alarms}


def test_the_specifications_alarms_are_as_it_writes_them() -> None:
    cpu, memory, evictions = spec_alarms()
    assert (cpu.metric, cpu.threshold, cpu.evaluation_periods) == ("CPUUtilization", 80.0, 3)
    assert (memory.metric, memory.threshold, memory.comparison) == (
        "FreeableMemory", 100_000_000.0, "LessThanThreshold")
    assert (evictions.metric, evictions.threshold, evictions.period_s) == ("Evictions", 100.0, 60)
    assert all(alarm.assumed for alarm in spec_alarms())  # none of them says its statistic


def test_what_the_specification_does_not_watch_is_named() -> None:
    missing = missing_metrics(spec_alarms())
    assert set(DERIVED_METRICS) <= set(missing)
    assert {"CurrConnections", "CacheHitRate"} == set(missing) & set(SPEC_TABLE)


def test_aws_advises_45_percent_on_two_vcpus_and_nothing_where_they_are_not_known() -> None:
    cpu = aws_alarms(node_type("cache.t3.micro"), 0)[0]
    assert (cpu.metric, cpu.threshold) == ("CPUUtilization", 45.0)
    for node in (None, node_type("cache.m8g.large")):
        assert "CPUUtilization" not in {alarm.metric for alarm in aws_alarms(node, 0)}


def test_aws_lag_is_watched_where_there_is_a_replica() -> None:
    for replicas in (0, 1):
        metrics = {alarm.metric for alarm in aws_alarms(None, replicas)}
        assert ("ReplicationLag" in metrics) == bool(replicas)


def test_a_plan_watches_all_that_the_specification_misses_each_with_its_derivation(tmp_path: Path) -> None:
    alarms = derived_alarms(plan_of(tmp_path))
    assert {alarm.metric for alarm in alarms} >= set(DERIVED_METRICS) | {"CurrConnections", "CacheHitRate"}
    assert all(len(alarm.why) > 20 and alarm.source for alarm in alarms)
    assert len({alarm.name for alarm in alarms}) == len(alarms)


@pytest.mark.parametrize(("name", "threshold"), [
    ("cache.t3.micro", 50), ("cache.t3.small", 38), ("cache.t4g.medium", 38)])
def test_credits_last_an_hour_from_their_threshold_at_any_load(
        tmp_path: Path, name: str, threshold: int) -> None:
    alarm = by_name(derived_alarms(plan_of(tmp_path, {"chosen.node_type": name})))["low-cpu-credits"]
    node = node_type(name)
    assert node.cpu_credits_per_hour is not None
    drain_per_minute = 1.02 - node.cpu_credits_per_hour / 60
    assert alarm.threshold == threshold == math.ceil(drain_per_minute * CREDIT_LEAD_MINUTES)
    assert (alarm.period_s, alarm.statistic, alarm.comparison) == (300, "Minimum", "LessThanThreshold")


def test_nodes_without_credits_or_with_many_cores_have_no_such_alarms(tmp_path: Path) -> None:
    names = by_name(derived_alarms(plan_of(tmp_path, {"chosen.node_type": "cache.m7g.xlarge"})))
    assert "low-cpu-credits" not in names
    assert "high-cpu" not in names
    assert "high-engine-cpu" in names


def test_memory_fires_where_the_plan_keeps_free_and_again_two_weeks_before_it_is_full(tmp_path: Path) -> None:
    names = by_name(derived_alarms(plan_of(tmp_path)))
    assert names["high-memory"].threshold == 75.0
    critical = names["critical-memory"].threshold
    days = math.log(100.0 / critical) / math.log(1.12) * 365.25 / 12
    assert days == pytest.approx(MEMORY_LEAD_DAYS, abs=0.5)  # at 12 % a month, the demand's fastest


def test_without_growth_memory_has_one_alarm_and_promises_no_time(tmp_path: Path) -> None:
    names = by_name(derived_alarms(plan_of(tmp_path, {"demand.users.growth_percent_per_month": 0})))
    assert "critical-memory" not in names
    assert "days" not in names["high-memory"].why


def test_a_critical_alarm_below_the_warning_would_say_nothing_new(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {"demand.slo.free_memory_percent": 2})
    assert "critical-memory" not in by_name(derived_alarms(plan))


def test_connections_fire_above_full_pools_with_the_growth_until_the_next_plan(tmp_path: Path) -> None:
    names = by_name(derived_alarms(plan_of(tmp_path)))
    tasks = math.ceil(3 * 1.12**3)
    assert names["many-connections"].threshold == tasks * 2 * 20 + 6
    assert names["new-connections"].threshold == 2 * tasks * 2 * 20
    still = by_name(derived_alarms(plan_of(tmp_path, {"demand.connections.grow_with_users": False})))
    assert still["many-connections"].threshold == 3 * 2 * 20 + 6


def test_connections_are_held_below_what_the_node_takes(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {"demand.connections.tasks": 5_000, "chosen.node_type": "cache.t3.micro"})
    alarm = by_name(derived_alarms(plan))["many-connections"]
    assert alarm.threshold == 18_000
    assert "maxclients" in alarm.why


def test_the_hit_rate_of_all_look_ups_is_not_held_to_that_of_cached_reads(tmp_path: Path) -> None:
    assert by_name(derived_alarms(plan_of(tmp_path)))["low-hit-rate"].threshold == 80.0  # the demand's is 90
    lower = plan_of(tmp_path, {"demand.slo.hit_rate_percent": 60})
    assert by_name(derived_alarms(lower))["low-hit-rate"].threshold == 60.0


def test_lag_is_watched_where_the_plan_has_a_replica(tmp_path: Path) -> None:
    assert by_name(derived_alarms(plan_of(tmp_path)))["replication-lag"].threshold == 1.0
    alone = plan_of(tmp_path, {"chosen.replicas": 0})
    assert "replication-lag" not in by_name(derived_alarms(alone))


@pytest.mark.parametrize("node", [node for node in node_types() if node.new_clusters],
                         ids=lambda node: node.name)
def test_no_derived_alarm_is_useless_on_any_node_type(tmp_path: Path, node: NodeType) -> None:
    plan = plan_of(tmp_path, {"chosen.node_type": node.name})
    assert plan.node is not None
    where = Installation(plan.node, plan.reserved_memory_percent, plan.replicas, 120)
    for alarm in derived_alarms(plan):
        assert not reach_of(alarm, where).is_useless, alarm.words


def test_serverless_has_other_metrics(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="for nodes"):
        derived_alarms(plan_of(tmp_path, {"chosen.kind": "serverless", "chosen.node_type": None}))
