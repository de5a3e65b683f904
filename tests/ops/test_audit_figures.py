"""Findings with figures: cost tables, engines, snapshots, and what is not known."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from amply_capacity.ops.audit import audit_of
from amply_capacity.ops.circumstances import circumstances_of
from amply_capacity.ops.document import read_configuration
from amply_capacity.ops.finding import Finding

CLUSTER = "CacheClusterId: a\nEngine: %s\nEngineVersion: '%s'\nCacheNodeType: %s\n"


def found_in(directory: Path, text: str, today: date = date(2026, 11, 28)) -> dict[str, Finding]:
    path = directory / "document.md"
    path.write_text(text)
    audit = audit_of(read_configuration(path), circumstances_of(today=today))
    return {finding.rule: finding for finding in audit.findings}


def yaml(text: str) -> str:
    return f"```yaml\n{text}\n```\n"


@pytest.mark.parametrize(("row", "true"), [
    ("cache.t3.micro (1 node) | ~$13", "$12.41"), ("cache.t3.micro (1 node) | $12", None),
    ("cache.t3.micro | $12.41", None), ("cache.t3.micro | $12.40", "$12.41"),
    ("2 x cache.t3.micro, 2 nodes | $24", "$24.82"), ("cache.t3.micro (1 + 2) | $37", None),
    ("cache.t3.micro | cheap", None), ("a spare | $12", None), ("cache.x9.huge | $12", None),
    ("cache.r7g.large | $1,000", "$159.87"),
])
def test_a_cost_table_is_right_to_its_last_digit(tmp_path: Path, row: str, true: str | None) -> None:
    text = yaml("CacheClusterId: a") + f"\n| Nodes | Cost a month |\n|---|---|\n| {row} |\n"
    found = found_in(tmp_path, text).get("cost-table-wrong")
    assert (found is None) is (true is None)
    assert found is None or f"write `{true}`" in found.fix


def test_a_table_without_money_is_left_alone(tmp_path: Path) -> None:
    text = yaml("CacheClusterId: a") + "\n| Nodes | Count |\n|---|---|\n| cache.t3.micro | $1 |\n"
    assert "cost-table-wrong" not in found_in(tmp_path, text)


@pytest.mark.parametrize(("version", "today", "severity"), [
    ("6.2", date(2026, 1, 30), None), ("6.2", date(2026, 11, 28), "warning"),
    ("6.x", date(2027, 2, 1), "error"),
    ("5.0.6", date(2026, 11, 28), "error"), ("7.0", date(2027, 2, 1), None), ("soon", date(2027, 2, 1), None),
])
def test_the_end_of_support_is_told_a_year_before(tmp_path: Path, version: str, today: date,
                                                  severity: str | None) -> None:
    found = found_in(tmp_path, yaml(CLUSTER % ("redis", version, "cache.m6g.large")), today)
    support = found.get("engine-end-of-support")
    assert (support and support.severity) == severity
    assert support is None or "80 %" in support.what


@pytest.mark.parametrize(("engine", "version", "node", "words"), [
    ("redis", "7.1", "cache.m8g.large", "not offered for redis, only for valkey"),
    ("valkey", "8.0", "cache.t2.small", "previous generation"),
    ("redis", "5.0.6", "cache.m7g.large", "needs redis 6.2 or newer"),
    ("redis", "6.x", "cache.m7g.large", None),
    ("redis", "7.1", "cache.m7g.large", None),
])
def test_node_type_and_engine_have_to_go_together(tmp_path: Path, engine: str, version: str, node: str,
                                                  words: str | None) -> None:
    found = found_in(tmp_path, yaml(CLUSTER % (engine, version, node))).get("node-type-without-engine")
    assert (found is None) is (words is None)
    assert found is None or (words or "") in found.what


@pytest.mark.parametrize(("setting", "severity"), [
    ("SnapshotRetentionLimit: 0", "warning"), ("", "warning"), ("SnapshotRetentionLimit: 36", "error"),
    ("SnapshotRetentionLimit: 35", None), ("SnapshotRetentionLimit: !Ref Days", None),
])
def test_snapshots_are_kept_for_1_to_35_days(tmp_path: Path, setting: str, severity: str | None) -> None:
    found = found_in(tmp_path, yaml(CLUSTER % ("redis", "7.1", "cache.m7g.large") + setting))
    snapshots = found.get("snapshot-retention")
    assert (snapshots and snapshots.severity) == severity


@pytest.mark.parametrize(("command", "is_found"), [
    ("r.setex('basket', 2 * 86400, 'v')", True), ("r.psetex('basket', 2 * 86400 * 1000, 'v')", True),
    ("r.set('basket', 'v', px=2 * 86400 * 1000)", True), ("r.set('basket', 'v', px=2 * 86400)", False),
    ("r.setex('basket', 3600, 'v')", False), ("r.setex('basket', ttl, 'v')", False),
])
def test_only_what_outlives_a_daily_snapshot_is_lost_with_a_node(tmp_path: Path, command: str,
                                                                 is_found: bool) -> None:
    text = f"```python\nr = redis.Redis(decode_responses=True)\n{command}\n```\n\n"
    found = found_in(tmp_path, text + yaml(CLUSTER % ("redis", "7.1", "cache.m7g.large")))
    assert ("sessions-on-one-node" in found) is is_found
    if is_found:
        assert "basket lives 2 days" in found["sessions-on-one-node"].what
        assert "there are no snapshots" in found["sessions-on-one-node"].what


def test_a_group_whose_writes_are_durable_may_promise_no_loss(tmp_path: Path) -> None:
    text = "There is zero data loss.\n\n"
    group = "ReplicationGroupId: a\nReplicationGroupDescription: b"
    assert "no-data-loss-promised" in found_in(tmp_path, text + yaml(group))
    assert "no-data-loss-promised" not in found_in(tmp_path, text + yaml(f"{group}\nDurability: sync"))


@pytest.mark.parametrize(("threshold", "is_found"), [
    (100_000_000, True), (90_000_000, True), (160_000_000, False), (530_000_000, True)])
def test_an_alarm_on_free_memory_has_to_come_before_memory_is_full(tmp_path: Path, threshold: int,
                                                                   is_found: bool) -> None:
    alarm = (f"- AlarmName: m\n  MetricName: FreeableMemory\n  Threshold: {threshold}\n"
             "  ComparisonOperator: LessThanThreshold")
    found = found_in(tmp_path, yaml(CLUSTER % ("redis", "7.1", "cache.t3.micro")) + yaml(alarm))
    assert ("freeable-memory-alarm-too-late" in found) is is_found


def test_a_parameter_group_that_is_elsewhere_may_reserve_anything(tmp_path: Path) -> None:
    cluster = CLUSTER % ("redis", "7.1", "cache.t3.micro")
    assert "reserved-memory" in found_in(tmp_path, yaml(cluster))
    assert "reserved-memory" not in found_in(tmp_path, yaml(f"{cluster}CacheParameterGroupName: elsewhere"))
    assert "reserved-memory" not in found_in(tmp_path, yaml(f"{cluster}CacheParameterGroupName: !Ref Any"))
