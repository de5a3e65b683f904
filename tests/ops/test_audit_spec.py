"""The audit of the specification: at least its sixteen findings, each silent in a corrected twin."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from amply_capacity.ops.audit import Audit, audit_of
from amply_capacity.ops.circumstances import circumstances_of
from amply_capacity.ops.document import read_configuration

SPEC = Path(__file__).resolve().parents[3] / "shared" / "spec" / "elasticache-redis.md"
TODAY = date(2026, 11, 28)
Edit = tuple[str, str]

pytestmark = pytest.mark.skipif(not SPEC.exists(), reason=f"{SPEC.name} is not beside the checkout")

SIXTEEN: dict[int, tuple[str, ...]] = {
    1: ("append-only-unsupported",), 2: ("encryption-needs-replication-group",), 3: ("sessions-on-one-node",),
    4: ("failover-without-multi-az",), 5: ("no-data-loss-promised",), 6: ("connections-alarm-below-pools",),
    7: ("freeable-memory-alarm-too-late",), 8: ("no-credit-alarm",),
    9: ("no-memory-alarm", "no-swap-alarm", "no-replication-lag-alarm"), 10: ("alarm-incomplete",),
    11: ("keys-without-ttl",), 12: ("incr-then-expire",), 13: ("dead-ttl-written",),
    14: ("multi-key-command",),
    15: ("replies-not-decoded",), 16: ("unformatted-cache-key",),
}
"""By their numbers in the issue that asked for them."""

GROUP: Edit = ("CacheClusterId: amply-redis-prod",
               "ReplicationGroupId: amply-redis-prod\nReplicationGroupDescription: sessions")
ALARM_ANCHOR = "- AlarmName: redis-amply-low-memory"


def alarm(metric: str, threshold: float, operator: str = "GreaterThanThreshold", **settings: object) -> Edit:
    """A whole alarm more."""
    said = {"Namespace": "AWS/ElastiCache", "MetricName": metric, "Statistic": "Average", "Period": 60,
            "EvaluationPeriods": 5, "ComparisonOperator": operator, "Threshold": threshold,
            "Dimensions": "[{Name: CacheClusterId, Value: amply-redis-prod}]",
            "AlarmActions": "[topic]"} | settings
    lines = "".join(f"  {key}: {value}\n" for key, value in said.items())
    return ALARM_ANCHOR, f"- AlarmName: more-{metric}\n{lines}\n{ALARM_ANCHOR}"


WHOLE = ("  Namespace: AWS/ElastiCache\n  Dimensions: [{Name: CacheClusterId, Value: amply-redis-prod}]\n"
         "  Statistic: Average\n")
CORRECTED: dict[str, tuple[Edit, ...]] = {
    "append-only-unsupported": (("  appendonly: yes\n  appendfsync: everysec\n", ""),),
    "encryption-needs-replication-group": (GROUP, ("NumCacheNodes: 1 ", "NumCacheClusters: 1 ")),
    "sessions-on-one-node": (GROUP, ("NumCacheNodes: 1 ", "NumCacheClusters: 2 ")),
    "failover-without-multi-az": (
        ("AutomaticFailoverEnabled: true", "AutomaticFailoverEnabled: true\nMultiAZEnabled: true"),),
    "no-data-loss-promised": (("- No data loss", "- The last moments' writes may be lost"),),
    "connections-alarm-below-pools": (("| > 100 |", "| > 400 |"),),
    "freeable-memory-alarm-too-late": (("  Threshold: 100000000 ", "  Threshold: 160000000 "),),
    "no-credit-alarm": (alarm("CPUCreditBalance", 50, "LessThanThreshold", Period=300),),
    "no-memory-alarm": (alarm("DatabaseMemoryUsagePercentage", 80),),
    "no-swap-alarm": (alarm("SwapUsage", 5e7),),
    "no-replication-lag-alarm": (alarm("ReplicationLag", 1),),
    "no-new-connections-alarm": (alarm("NewConnections", 1000),),
    "threshold-without-alarm": (alarm("CurrConnections", 400),
                                alarm("CacheHitRate", 80, "LessThanThreshold")),
    "alarm-incomplete": (
        ("  Threshold: 80\n",
         f"  Threshold: 80\n{WHOLE}  Period: 60\n  ComparisonOperator: GreaterThanThreshold\n"),
        ("  ComparisonOperator: LessThanThreshold\n",
         f"  ComparisonOperator: LessThanThreshold\n{WHOLE}  Period: 60\n  EvaluationPeriods: 3\n"),
        ("  Period: 60\n```", f"  Period: 60\n{WHOLE}  EvaluationPeriods: 3\n"
                              "  ComparisonOperator: GreaterThanThreshold\n```")),
    "alarm-without-action": (
        ("  MetricName: CPUUtilization\n", "  MetricName: CPUUtilization\n  AlarmActions: [topic]\n"),
        ("  MetricName: FreeableMemory\n", "  MetricName: FreeableMemory\n  AlarmActions: [topic]\n"),
        ("  MetricName: Evictions\n", "  MetricName: Evictions\n  AlarmActions: [topic]\n")),
    "cpu-alarm-cannot-fire": (("  Threshold: 80\n", "  Threshold: 45\n"),),
    "keys-without-ttl": (("    return session_id\n\n",
                          "    await redis_client.expire(f\"{USER_SESSIONS_PREFIX}{user_id}\", SESSION_TTL)\n"
                          "    return session_id\n\n"),),
    "incr-then-expire": (("    if current == 1:\n        await redis_client.expire(redis_key, window)",
                          "    await redis_client.expire(redis_key, window, nx=True)"),),
    "dead-ttl-written": (
        ("        await redis_client.setex(\n            f\"{SESSION_PREFIX}{session_id}\",\n"
         "            ttl,\n",
         "        if ttl > 0: await redis_client.setex(\n            f\"{SESSION_PREFIX}{session_id}\",\n"
         "            ttl,\n"),),
    "multi-key-command": (("        await redis_client.delete(\n"
                           "            *[f\"{SESSION_PREFIX}{sid}\" for sid in session_ids]\n        )\n",
                           "        for sid in session_ids:\n"
                           "            await redis_client.delete(f\"{SESSION_PREFIX}{sid}\")\n"),),
    "replies-not-decoded": (("redis_client = redis.from_url(settings.redis_url)",
                             "redis_client = redis.from_url(settings.redis_url, decode_responses=True)"),),
    "client-beside-the-pool": (("redis_client = redis.from_url(settings.redis_url)",
                                "redis_client = redis.Redis(connection_pool=pool)"),),
    "pool-raises": (("redis.ConnectionPool.from_url", "redis.BlockingConnectionPool.from_url"),),
    "celery-tls-requirements": (("result_backend=settings.redis_url",
                                 "result_backend=f\"{settings.redis_url}?ssl_cert_reqs=required\""),),
    "unformatted-cache-key": (("f\"{CACHE_PREFIX}{key}\"", "CACHE_PREFIX + key.format(**kwargs)"),),
    "async-decorator": (("async def cached(", "def cached("),),
    "token-in-url": ((":auth_token@", ""),),
    "no-authentication": (("# Encryption\n", "UserGroupIds: [amply]\n"),),
    "security-group-not-an-id": (("  - sg-redis", "  - sg-0a1b2c3d4e5f60718"),),
    "replication-group-incomplete": (("ReplicationGroupDescription: amply-redis-cluster",
                                      "ReplicationGroupDescription: amply-redis-cluster\n"
                                      "CacheNodeType: cache.t3.micro"),),
    "reserved-memory": (("  # Connections\n", "  reserved-memory-percent: 50\n"),),
    "cost-table-wrong": (("~$13 |", "$12.41 |"), ("~$26 |", "$24.82 |")),
    "valkey-costs-less": (("Engine: redis\n", "Engine: valkey\n"),),
}


def audited(path: Path) -> Audit:
    return audit_of(read_configuration(path), circumstances_of(today=TODAY))


@pytest.fixture(scope="module")
def spec_rules() -> set[str]:
    return {finding.rule for finding in audited(SPEC).findings}


@pytest.mark.parametrize("number", SIXTEEN)
def test_the_sixteen_are_found_each_under_its_own_rule(number: int, spec_rules: set[str]) -> None:
    assert spec_rules >= set(SIXTEEN[number])
    assert not any(set(SIXTEEN[number]) & set(rules) for other, rules in SIXTEEN.items() if other != number)


def test_every_rule_that_speaks_of_the_specification_has_a_corrected_twin(spec_rules: set[str]) -> None:
    assert spec_rules == set(CORRECTED)


@pytest.mark.parametrize("rule", CORRECTED)
def test_a_rule_is_silent_on_the_corrected_twin(rule: str, spec_rules: set[str], tmp_path: Path) -> None:
    text = SPEC.read_text("utf-8")
    for old, new in CORRECTED[rule]:
        assert old in text, old
        text = text.replace(old, new, 1)
    twin = tmp_path / SPEC.name
    twin.write_text(text)
    found = {finding.rule for finding in audited(twin).findings}
    assert rule not in found
    # The correction of one fault hides no more than what goes with it.
    assert len(spec_rules - found) <= 4


def test_findings_stand_at_the_lines_that_they_are_about(tmp_path: Path) -> None:
    lines = SPEC.read_text("utf-8").splitlines()
    at = {finding.rule: lines[(finding.place.line or 0) - 1] for finding in audited(SPEC).findings}
    assert "appendonly" in at["append-only-unsupported"]
    assert "AtRestEncryptionEnabled" in at["encryption-needs-replication-group"]
    assert "NumCacheNodes" in at["sessions-on-one-node"]
    assert "No data loss" in at["no-data-loss-promised"]
    assert "CurrConnections" in at["connections-alarm-below-pools"]
    assert "100000000" in at["freeable-memory-alarm-too-late"]
    assert "sadd" in at["keys-without-ttl"]
    assert ".expire(" in at["incr-then-expire"]
    assert "setex" in at["dead-ttl-written"]
    assert "delete(" in at["multi-key-command"]
    assert "from_url" in at["replies-not-decoded"]
    assert "@cached(" in at["unformatted-cache-key"]
    assert "auth_token" in at["token-in-url"]


def test_figures_are_those_of_the_catalog_and_the_models() -> None:
    said = {finding.rule: finding.what + finding.fix for finding in audited(SPEC).findings}
    assert "3 tasks × 2 workers × 20 = 120" in said["connections-alarm-below-pools"]
    assert "403 MB" in said["freeable-memory-alarm-too-late"]
    assert "288" in said["no-credit-alarm"]
    assert "20 % of a core" in said["no-credit-alarm"]
    assert "51 %" in said["cpu-alarm-cannot-fire"]
    assert "$12.41" in said["valkey-costs-less"]
    assert "$9.93" in said["valkey-costs-less"]
    assert "auth_token" not in said["token-in-url"]
