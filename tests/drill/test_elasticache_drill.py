"""A failover on ElastiCache: what is refused before AWS is asked, and what a drill makes of AWS' answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber
from price_pages import set_environment

from amply_capacity.drill import elasticache as aws
from amply_capacity.drill.aws_failover import hold_test_failover
from amply_capacity.drill.conduct import hold_drill
from amply_capacity.drill.request import DrillRequest
from amply_capacity.errors import AmplyError, BadInput, Refused, UnknownName
from amply_capacity.run.reader import read_run
from amply_capacity.target import guard
from amply_capacity.target.cluster import Cluster
from amply_capacity.target.endpoint import connect, parse_endpoint

_GROUP = "amply-test"
_TARGET = parse_endpoint("rediss://master.amply-test.example:6379")


@pytest.fixture
def elasticache() -> Any:
    return boto3.client("elasticache", region_name="us-east-1", aws_access_key_id="none",
                        aws_secret_access_key="none")


@pytest.fixture
def stub(elasticache: Any) -> Iterator[Stubber]:
    with Stubber(elasticache) as stubbed:
        yield stubbed
        stubbed.assert_no_pending_responses()


def _group(status: str = "available", failover: str = "enabled", members: int = 2,
           host: str = _TARGET.host) -> dict[str, Any]:
    roles = ["primary"] + ["replica"] * (members - 1)
    return {"ReplicationGroups": [{
        "ReplicationGroupId": _GROUP, "Status": status, "AutomaticFailover": failover, "NodeGroups": [{
            "NodeGroupId": "0001", "PrimaryEndpoint": {"Address": host, "Port": 6379},
            "ReaderEndpoint": {"Address": "Replica.amply-test.example", "Port": 6379}, "NodeGroupMembers": [
                {"CacheClusterId": f"{_GROUP}-00{number}", "CurrentRole": role,
                 "ReadEndpoint": {"Address": f"{_GROUP}-00{number}.example", "Port": 6379}}
                for number, role in enumerate(roles, 1)]}]}]}


def _event(message: str, seconds_ago: float = 60.0) -> dict[str, Any]:
    return {"SourceIdentifier": _GROUP, "SourceType": "replication-group", "Message": message,
            "Date": datetime.now(UTC) - timedelta(seconds=seconds_ago)}


def _describe(stub: Stubber, group: dict[str, Any], calls: int = 0, pages: int = 1) -> None:
    stub.add_response("describe_replication_groups", group, {"ReplicationGroupId": _GROUP})
    asked: dict[str, Any] = {"SourceType": "replication-group", "Duration": 1440}
    for page in range(pages):
        here = calls // pages + (calls % pages if page == 0 else 0)
        events = [_event("Test Failover API called for node group 0001")] * here
        more = {} if page == pages - 1 else {"Marker": f"page-{page + 1}"}
        stub.add_response("describe_events", {"Events": [*events, _event("Snapshot succeeded")], **more},
                          {**asked, **({"Marker": f"page-{page}"} if page else {})})


def test_a_group_in_good_health_may_be_failed_over_fifteen_times_a_day(
        elasticache: Any, stub: Stubber) -> None:
    _describe(stub, _group(), calls=14, pages=2)
    assert aws.examine(elasticache, _GROUP, "0001", _TARGET) == aws.NodeGroup(
        _GROUP, "0001", f"{_GROUP}-001", 2, 14)


@pytest.mark.parametrize(("group", "calls", "words"), [
    (_group(), 15, r"15 failovers were asked for in the last 24 hours, and AWS allows 15"),
    (_group(status="modifying"), 0, "its status is modifying"),
    (_group(failover="disabled", members=1), 0, "automatic failover is disabled; node group 0001 has 1 node"),
])
def test_what_aws_would_refuse_is_refused_before_it_is_asked(
        elasticache: Any, stub: Stubber, group: dict[str, Any], calls: int, words: str) -> None:
    _describe(stub, group, calls, pages=2)
    with pytest.raises(Refused, match=words):
        aws.examine(elasticache, _GROUP, "0001", _TARGET)


def test_a_shard_that_there_is_not_is_bad_input(elasticache: Any, stub: Stubber) -> None:
    stub.add_response("describe_replication_groups", _group(), {"ReplicationGroupId": _GROUP})
    with pytest.raises(BadInput, match="no node group 0007"):
        aws.examine(elasticache, _GROUP, "0007", _TARGET)


@pytest.mark.parametrize("host", ["MASTER.amply-test.example.", "replica.amply-test.example",
                                  "amply-test-002.example", "clustercfg.amply-test.example"])
def test_every_endpoint_of_the_group_is_the_groups(elasticache: Any, stub: Stubber, host: str) -> None:
    group = _group()
    group["ReplicationGroups"][0]["ConfigurationEndpoint"] = {
        "Address": "clustercfg.amply-test.example", "Port": 6379}
    _describe(stub, group)
    assert aws.examine(elasticache, _GROUP, "0001", parse_endpoint(f"rediss://{host}")).members == 2


@pytest.mark.parametrize("group", [_group(), {"ReplicationGroups": [{
    "ReplicationGroupId": _GROUP, "NodeGroups": [{"NodeGroupId": "0001", "NodeGroupMembers": [{}]}]}]}])
def test_the_mark_of_another_server_does_not_fail_the_group_over(
        elasticache: Any, stub: Stubber, plain_redis: Callable[..., int], tmp_path: Path,
        group: dict[str, Any]) -> None:
    url = f"redis://127.0.0.1:{plain_redis()}/0"
    guard.mark(url, "me", date.today(), today=date.today(), allow_drills=True)
    request = DrillRequest("failover", target=url, replication_group=_GROUP, confirm=_GROUP)
    stub.add_response("describe_replication_groups", group, {"ReplicationGroupId": _GROUP})
    with pytest.raises(BadInput, match=r"no endpoint of amply-test.*Got: 127\.0\.0\.1, while.*Do: name"):
        hold_test_failover(request, tmp_path / "run", elasticache)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("by", ["name", "url"])
def test_a_cluster_of_ours_stands_for_no_replication_group(
        elasticache: Any, stub: Stubber, redis_cluster: Cluster, tmp_path: Path, by: str) -> None:
    named = redis_cluster.name if by == "name" else redis_cluster.endpoint.url
    request = DrillRequest("failover", target=named, replication_group=_GROUP, confirm=_GROUP)
    with pytest.raises(BadInput, match="amply-test would be failed over, and a local cluster be loaded"):
        hold_test_failover(request, tmp_path / "run", elasticache)


def test_a_group_with_an_address_on_the_deny_list_is_refused(
        elasticache: Any, stub: Stubber, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "targets.toml").write_text('deny = ["replica.amply-*"]')
    monkeypatch.setenv("AMPLY_TARGETS", str(tmp_path / "targets.toml"))
    stub.add_response("describe_replication_groups", _group(), {"ReplicationGroupId": _GROUP})
    with pytest.raises(Refused, match=r"Replica\.amply-test\.example:6379.*on the deny list"):
        aws.examine(elasticache, _GROUP, "0001", _TARGET)


def test_aws_own_words_are_passed_on(elasticache: Any, stub: Stubber) -> None:
    stub.add_client_error("test_failover", "TestFailoverNotAvailableFault", "blocked for an event")
    with pytest.raises(AmplyError, match="blocked for an event"):
        aws.ask_for_failover(elasticache, aws.NodeGroup(_GROUP, "0001", "", 2, 0))


def test_it_is_done_when_aws_has_reported_the_promotion(elasticache: Any, stub: Stubber) -> None:
    done = f"Failover from primary node {_GROUP}-001 to replica node {_GROUP}-002 completed"
    asked = {"SourceType": "replication-group", "Duration": 60, "SourceIdentifier": _GROUP}
    stub.add_response("describe_events", {"Events": [_event(done, seconds_ago=500.0)]}, asked)
    stub.add_response("describe_events", {"Events": [_event(done, seconds_ago=0.0)]}, asked)
    since_s = datetime.now(UTC).timestamp() - 30.0
    assert not aws.is_done(aws.failover_moments(elasticache, _GROUP, since_s))
    assert aws.is_done(aws.failover_moments(elasticache, _GROUP, since_s))


def test_without_a_region_nothing_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    request = DrillRequest("failover", target="redis://127.0.0.1:1", replication_group=_GROUP, confirm=_GROUP)
    with pytest.raises(BadInput, match=r"no AWS region is given.*AWS_DEFAULT_REGION"):
        hold_drill(request)
    assert aws.elasticache_client("eu-west-1").meta.region_name == "eu-west-1"
    with pytest.raises(UnknownName, match=r"unknown region.*'eu-wast-1'.*eu-west-1"):
        aws.elasticache_client("eu-wast-1")


def test_a_drill_by_a_profile_that_cannot_be_used_says_so(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    set_environment(monkeypatch)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    request = DrillRequest("failover", target="redis://127.0.0.1:1", replication_group=_GROUP, confirm=_GROUP)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(AmplyError, match=r"profile cannot be used.*nobody"):
        hold_drill(request)
    monkeypatch.delenv("AWS_PROFILE")
    (tmp_path / "config").write_text("this is no section")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with pytest.raises(AmplyError, match=r"profile cannot be used.*config"):
        hold_drill(request)


def test_a_drill_on_elasticache_loads_asks_waits_looks_and_cleans_up(
        elasticache: Any, stub: Stubber, plain_redis: Callable[..., int], tmp_path: Path) -> None:
    url = f"redis://127.0.0.1:{plain_redis()}/0"
    request = DrillRequest("failover", target=url, replication_group=_GROUP, confirm=_GROUP, seconds=5,
                           population=20, prefill=0.0, run_dir=tmp_path / "run")
    with pytest.raises(Refused, match="not marked"):
        hold_test_failover(request, tmp_path / "run", elasticache)
    guard.mark(url, "me", date.today(), today=date.today())
    with pytest.raises(Refused, match="--allow-drills"):
        hold_test_failover(request, tmp_path / "run", elasticache)
    guard.mark(url, "me", date.today(), today=date.today(), allow_drills=True)
    _describe(stub, _group(host="127.0.0.1"))
    stub.add_response("test_failover", {}, {"ReplicationGroupId": _GROUP, "NodeGroupId": "0001"})
    message = "Test Failover API called for node group 0001"
    for _ in range(2):
        stub.add_response("describe_events", {"Events": [_event(message, seconds_ago=-30.0)]},
                          {"SourceType": "replication-group", "Duration": ANY, "SourceIdentifier": _GROUP})
    answer = json.loads(json.dumps(hold_test_failover(
        request, tmp_path / "run", elasticache, look_seconds=60.0).as_json()))
    assert answer["completed"] is False
    assert "AWS has not reported its end" in answer["reason"]
    assert "last it said: Test Failover API called" in answer["reason"]
    assert answer["unavailable_seconds"] < 2.0, "nothing was broken; the host of this test may be busy"
    assert (answer["lost_writes"], answer["lost_sessions"]) == (0, 0)
    assert answer["sessions"]["checked"] > 0
    assert message in set(read_run(tmp_path / "run").events["name"])
    with connect(parse_endpoint(url)) as client:
        assert client.keys() == [guard.MARK_KEY]
