"""`amply-capacity audit`: findings with exit 1, none with exit 0, and bad input with exit 2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from price_pages import set_environment

from amply_capacity.files import ROOT

SOUND = ROOT / "tests" / "ops" / "documents" / "sound.md"


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    """The sound document with four faults."""
    text = SOUND.read_text()
    for old, new in (("  maxmemory-policy", "  appendonly: yes\n  maxmemory-policy"), ("$37.38", "$39"),
                     ("UserGroupIds: [shop-users]\n", ""), ("BlockingConnectionPool", "ConnectionPool")):
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "faulty.md"
    path.write_text(text)
    return path


def test_findings_are_one_json_object_and_exit_1(amply_process: Callable, faulty: Path) -> None:
    answer = amply_process("audit", faulty, "--json")
    assert (answer.code, answer.err) == (1, "")
    findings = answer.json["findings"]
    assert [one["rule"] for one in findings] == [
        "append-only-unsupported", "no-authentication", "cost-table-wrong", "pool-raises"]
    for finding in findings:
        assert set(finding) == {"rule", "severity", "what", "fix", "source", "where"}
        assert all(finding.values())
    lines = faulty.read_text().splitlines()
    assert lines[findings[0]["where"]["line"] - 1].strip() == "appendonly: yes"
    assert answer.json["counts"] == {"error": 1, "warning": 2, "advice": 1}


def test_a_person_reads_the_rule_the_place_the_fix_and_the_source(amply: Callable, faulty: Path) -> None:
    answer = amply("audit", faulty)
    assert answer.code == 1
    assert "error    append-only-unsupported  (line 32, shop-valkey8.Parameters.appendonly)" in answer.out
    assert "  fix: delete `appendonly: yes`" in answer.out
    assert "  source: AWS, ElastiCache User Guide" in answer.out
    assert f"{faulty}: 1 error, 2 warnings, 1 advice" in answer.out
    assert "assumed: 3 tasks × 2 workers × 20 connections: demand.example.toml" in answer.out


def test_a_sound_document_exits_0(amply: Callable) -> None:
    answer = amply("audit", SOUND)
    assert (answer.code, answer.err) == (0, "")
    assert f"{SOUND}: no findings" in answer.out
    assert amply("audit", SOUND, "--json").json["findings"] == []


def test_region_demand_and_busiest_hour_change_what_is_found(amply: Callable, demand: Path,
                                                             tmp_path: Path) -> None:
    elsewhere = amply("audit", SOUND, "--region", "eu-west-1", "--json").json["findings"]
    assert [one["rule"] for one in elsewhere] == ["cost-table-wrong"]
    assert "in eu-west-1 (--region)" in elsewhere[0]["what"]
    night = amply("audit", SOUND, "--busiest-hour-utc", "3", "--json").json["findings"]
    assert {one["rule"] for one in night} == {"window-in-peak"}
    more = tmp_path / "more.toml"
    more.write_text(demand.read_text().replace("tasks = 3 ", "tasks = 30 "))
    many = amply("audit", SOUND, "--demand", more, "--json").json["findings"]
    assert [one["rule"] for one in many] == ["connections-alarm-below-pools"]
    assert "30 tasks × 2 workers × 16 = 960 (more.toml)" in many[0]["what"]


def test_bad_files_are_refused_with_every_line(
        amply: Callable, amply_process: Callable, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("CacheClusterId: a\nEngnie: redis\nCacheClusterId: b\n")
    amply_process("audit", path).assert_refused("line 2: unknown key Engnie",
                                                "line 3: CacheClusterId stands twice")
    amply("audit", path, "--json").assert_refused("2 faults")


def test_one_configuration_has_to_be_named(amply: Callable) -> None:
    amply("audit").assert_refused("neither a file nor --live")
    amply("audit", SOUND, "--live", "x").assert_refused("a file and --live")
    amply("audit", "none.md").assert_refused("No such file")
    amply("audit", SOUND, "--region", "eu-wast-1").assert_refused("'eu-wast-1'", "eu-west-1")


def test_a_live_cluster_in_a_region_that_is_none_is_refused_and_not_looked_for(
        amply: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)
    refused = amply("audit", "--live", "shop", "--region", "us-est-1")
    refused.assert_refused("unknown region", "'us-est-1'", "us-east-1")


def test_a_live_cluster_without_credentials_is_refused(
        amply: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    refused = amply("audit", "--live", "shop")
    refused.assert_refused("no AWS credentials", "elasticache:DescribeReplicationGroups")
