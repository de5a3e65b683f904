"""Every rule: silent on a sound document, and alone in speaking when its one fault is put in."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path

import pytest

from amply_capacity.ops.audit import RULES, Audit, audit_of
from amply_capacity.ops.circumstances import circumstances_of
from amply_capacity.ops.document import read_configuration
from amply_capacity.ops.finding import SEVERITIES

SOUND = Path(__file__).parent / "documents" / "sound.md"
TODAY = date(2026, 11, 28)
Edit = tuple[str, str]

LAG_ALARM = "- {<<: *usual, AlarmName: shop-cache-lag, MetricName: ReplicationLag, Threshold: 1}\n"
HIT_RATE_ALARM = """- <<: *usual
  AlarmName: shop-cache-hit-rate
  MetricName: CacheHitRate
  ComparisonOperator: LessThanThreshold
  Threshold: 80
"""
CREDIT_ALARM = """- <<: *usual
  AlarmName: shop-cache-credits
  MetricName: CPUCreditBalance
  Statistic: Minimum
  Period: 300
  EvaluationPeriods: 1
  ComparisonOperator: LessThanThreshold
  Threshold: 50
"""
ACTIONS = "  AlarmActions: [\"arn:aws:sns:eu-west-1:111122223333:on-call\"]\n"
FREE_ALARM = """- <<: *usual
  AlarmName: shop-cache-free
  MetricName: FreeableMemory
  ComparisonOperator: LessThanThreshold
  Threshold: 100000000
"""
ONE_NODE: tuple[Edit, ...] = (("NumCacheClusters: 2", "NumCacheClusters: 1"), (LAG_ALARM, ""))
NO_FAILOVER: tuple[Edit, ...] = (("AutomaticFailoverEnabled: true\nMultiAZEnabled: true\n", ""),)
PLAIN_CLUSTER: tuple[Edit, ...] = (
    ("ReplicationGroupId: shop-cache\nReplicationGroupDescription: baskets, limits, pages, job results\n",
     "CacheClusterId: shop-cache\n"), ("NumCacheClusters: 2", "NumCacheNodes: 1"), (LAG_ALARM, ""))
REDIS: tuple[Edit, ...] = (
    ("Engine: valkey\nEngineVersion: \"8.0\"", "Engine: redis\nEngineVersion: \"7.1\""),
    ("Family: valkey8", "Family: redis7"))

FAULTS: dict[str, tuple[tuple[Edit, ...], set[str]]] = {
    "append-only-unsupported": (
        (("  maxmemory-policy", "  appendonly: yes\n  appendfsync: everysec\n  maxmemory-policy"),), set()),
    "sessions-on-one-node": ((*ONE_NODE, *NO_FAILOVER), set()),
    "no-data-loss-promised": ((("A failover may lose the writes of the last moments.",
                                "- Automatic failover\n- No data loss"),), set()),
    "snapshot-retention": ((("SnapshotRetentionLimit: 3", "SnapshotRetentionLimit: 0"),), set()),
    "failover-without-multi-az": ((("MultiAZEnabled: true\n", ""),), set()),
    "failover-without-replica": (ONE_NODE, {"sessions-on-one-node"}),
    "replication-group-incomplete": ((("CacheNodeType: cache.t4g.small\n", ""),), set()),
    "settings-need-replication-group": ((*PLAIN_CLUSTER, ("AtRestEncryptionEnabled: true\n", "")),
                                        {"sessions-on-one-node"}),
    "encryption-needs-replication-group": (
        (*PLAIN_CLUSTER, *NO_FAILOVER, ("UserGroupIds: [shop-users]\n", "AuthToken: !Ref Token\n")),
        {"sessions-on-one-node"}),
    "not-encrypted": ((("TransitEncryptionEnabled: true", "TransitEncryptionEnabled: off"),), set()),
    "auth-needs-tls": ((("TransitEncryptionEnabled: true\nUserGroupIds: [shop-users]",
                         "AuthToken: '{{resolve:secretsmanager:shop/cache}}'"),), {"not-encrypted"}),
    "no-authentication": ((("UserGroupIds: [shop-users]\n", ""),), set()),
    "token-in-configuration": (
        (("UserGroupIds: [shop-users]", "AuthToken: Plain-Token-Of-The-Shop"),), set()),
    "token-in-url": ((("rediss://cache.shop", "rediss://:Plain-Token-Of-The-Shop@cache.shop"),), set()),
    "open-security-group": ((("SourceSecurityGroupId: sg-0f0e0d0c0b0a09080", "CidrIp: 0.0.0.0/0"),), set()),
    "security-group-not-an-id": ((("sg-0a1b2c3d4e5f60718", "sg-cache"),), set()),
    "default-parameter-group": (
        (("CacheParameterGroupName: shop-valkey8\nSnapshot",
          "CacheParameterGroupName: default.valkey8\nSnapshot"),), {"reserved-memory"}),
    "parameter-family-mismatch": ((("Family: valkey8", "Family: redis7"),), set()),
    "fixed-parameter": ((("  maxmemory-policy", "  maxclients: 100\n  maxmemory-policy"),), set()),
    "reserved-memory": ((("reserved-memory-percent: 30", "reserved-memory-percent: 25"),), set()),
    "engine-end-of-support": ((*REDIS, ("\"7.1\"", "\"6.2\""), ("redis7", "redis6.x")),
                              {"valkey-costs-less", "cost-table-wrong"}),
    "unknown-node-type": ((("CacheNodeType: cache.t4g.small", "CacheNodeType: cache.t4g.smal"),), set()),
    "node-type-without-engine": ((("EngineVersion: \"8.0\"", "EngineVersion: \"7.0\""),
                                  ("Family: valkey8", "Family: valkey7")), set()),
    "window-invalid": ((("SnapshotWindow: 02:00-03:00", "SnapshotWindow: 2 am"),), set()),
    "windows-overlap": ((("sun:03:30-sun:04:30", "sun:02:30-sun:03:30"),), set()),
    "window-in-peak": ((("SnapshotWindow: 02:00-03:00", "SnapshotWindow: 13:30-14:30"),), set()),
    "alarm-incomplete": ((("  Period: 60\n  EvaluationPeriods: 5\n", ""),), set()),
    "alarm-invalid": ((("  Period: 60\n  EvaluationPeriods: 5\n",
                        "  Period: 45\n  EvaluationPeriods: 5\n"),), set()),
    "alarm-without-action": (((f"  Threshold: 0\n{ACTIONS}", "  Threshold: 0\n"),), set()),
    "threshold-without-alarm": (((HIT_RATE_ALARM, ""),), set()),
    "cpu-alarm-on-large-node": ((("cache.t4g.small\nNum", "cache.r7g.xlarge\nNum"),), {"alarm-cannot-fire"}),
    "connections-alarm-below-pools": ((("MetricName: CurrConnections, Threshold: 500",
                                        "MetricName: CurrConnections, Threshold: 90"),), set()),
    "freeable-memory-alarm-too-late": (((HIT_RATE_ALARM, HIT_RATE_ALARM + FREE_ALARM),), set()),
    "cpu-alarm-cannot-fire": ((("  Threshold: 45", "  Threshold: 80"),), set()),
    "alarm-cannot-fire": ((("  Threshold: 50", "  Threshold: 0"),), set()),
    "no-credit-alarm": (((CREDIT_ALARM, ""),), set()),
    "no-memory-alarm": ((("MetricName: DatabaseMemoryUsagePercentage", "MetricName: Evictions"),), set()),
    "no-swap-alarm": ((("MetricName: SwapUsage", "MetricName: BytesUsedForCache"),), set()),
    "no-replication-lag-alarm": (((LAG_ALARM, ""),), set()),
    "no-new-connections-alarm": ((("MetricName: NewConnections", "MetricName: Evictions"),), set()),
    "keys-without-ttl": ((("    await cache.expire(f\"{BASKETS_OF}{owner}\", BASKET_TTL)\n", ""),), set()),
    "incr-then-expire": ((("""    async with cache.pipeline(transaction=True) as pipe:
        pipe.set(key, 0, ex=window, nx=True)
        pipe.incr(key)
        _, asked = await pipe.execute()
""", """    asked = await cache.incr(key)
    if asked == 1:
        await cache.expire(key, window)
"""),), set()),
    "dead-ttl-written": ((
        ("    await cache.set(f\"{BASKET}{basket_id}\", json.dumps(content), xx=True, keepttl=True)",
         "    left = await cache.ttl(f\"{BASKET}{basket_id}\")\n"
         "    await cache.setex(f\"{BASKET}{basket_id}\", left, json.dumps(content))"),), set()),
    "multi-key-command": ((
        ("            pipe.delete(f\"{BASKET}{basket}\")\n        await pipe.execute()",
         "            print(basket)\n"
         "    await cache.delete(*[f\"{BASKET}{basket}\" for basket in baskets])"),), set()),
    "replies-not-decoded": (((", decode_responses=True", ""),), set()),
    "client-beside-the-pool": ((("redis.Redis(connection_pool=pool)",
                                 "redis.from_url(settings.cache_url, decode_responses=True)"),), set()),
    "pool-raises": ((("BlockingConnectionPool", "ConnectionPool"), (", timeout=1", "")), set()),
    "celery-tls-requirements": ((("f\"{redis_url}?ssl_cert_reqs=required\"", "settings.redis_url"),), set()),
    "celery-on-shards": (
        (("NumCacheClusters: 2", "NumNodeGroups: 2\nReplicasPerNodeGroup: 1"),), set()),
    "unformatted-cache-key": ((("template.format(**named)", "template"),), set()),
    "async-decorator": ((("def remembered(", "async def remembered("),), set()),
    "valkey-costs-less": (REDIS, {"cost-table-wrong"}),
    "cost-table-wrong": ((("$37.38", "~$39"),), set()),
}
"""The edits that put a rule's fault into the sound document, and what else that makes true."""

SIXTEEN = ("append-only-unsupported", "encryption-needs-replication-group", "sessions-on-one-node",
           "no-data-loss-promised", "connections-alarm-below-pools", "freeable-memory-alarm-too-late",
           "no-credit-alarm", "no-memory-alarm", "no-swap-alarm", "alarm-incomplete", "keys-without-ttl",
           "incr-then-expire", "dead-ttl-written", "multi-key-command", "replies-not-decoded",
           "unformatted-cache-key")


def edited(edits: Iterable[Edit]) -> str:
    text = SOUND.read_text()
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def audited(text: str, directory: Path) -> Audit:
    path = directory / "document.md"
    path.write_text(text)
    return audit_of(read_configuration(path), circumstances_of(today=TODAY))


def rules_of(audit: Audit) -> set[str]:
    return {finding.rule for finding in audit.findings}


def test_the_sound_document_has_no_finding() -> None:
    audit = audit_of(read_configuration(SOUND), circumstances_of(today=TODAY))
    assert (audit.findings, audit.not_audited) == ((), ())


def test_every_rule_has_a_name_of_its_own_and_a_faulty_twin_of_the_sound_document() -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    assert set(names) == set(FAULTS)


@pytest.mark.parametrize("rule", FAULTS)
def test_one_fault_is_found_by_its_rule_and_by_no_other(rule: str, tmp_path: Path) -> None:
    edits, others = FAULTS[rule]
    text = edited(edits)
    audit = audited(text, tmp_path)
    assert rules_of(audit) == {rule} | others
    changed = {number for number, (line, before) in enumerate(
        zip(text.splitlines(), SOUND.read_text().splitlines(), strict=False), 1) if line != before}
    for finding in audit.findings:
        assert finding.severity in SEVERITIES
        assert finding.what
        assert finding.fix
        assert "http" in finding.source or "price" in finding.source.lower()
        assert finding.place.line is not None
        assert 1 <= finding.place.line <= len(text.splitlines())
    assert changed


def test_the_sixteen_are_found_together(tmp_path: Path) -> None:
    text = SOUND.read_text()
    for rule in SIXTEEN:
        for old, new in FAULTS[rule][0]:
            text = text.replace(old, new, 1)
    found = rules_of(audited(text, tmp_path))
    assert found >= set(SIXTEEN)


def test_no_finding_repeats_a_token(tmp_path: Path) -> None:
    for rule in ("token-in-configuration", "token-in-url"):
        audit = audited(edited(FAULTS[rule][0]), tmp_path)
        assert audit.findings
        assert "Plain-Token" not in str(audit.as_json())


def test_errors_come_first_and_then_lines(tmp_path: Path) -> None:
    audit = audited(edited([*FAULTS["keys-without-ttl"][0], *FAULTS["no-authentication"][0],
                            *FAULTS["pool-raises"][0], *FAULTS["incr-then-expire"][0]]), tmp_path)
    assert [finding.severity for finding in audit.findings] == ["error", "error", "warning", "advice"]
    assert audit.counts == {"error": 2, "warning": 1, "advice": 1}
    assert audit.findings[0].place.line < audit.findings[1].place.line  # type: ignore[operator]
