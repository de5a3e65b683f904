"""Production to runs: whole, resumed after an interruption, and every bad input in a sentence."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pandas as pd
import pytest
from aws_here import REGION, clients, imported, request_of
from botocore.config import Config
from price_pages import set_environment
from seeded import leaks
from test_elasticache import group

from amply_capacity.aws import production_import, regions
from amply_capacity.aws.cloudwatch import Series
from amply_capacity.aws.import_request import Clients, Request
from amply_capacity.aws.resume import Checkpoint
from amply_capacity.errors import AmplyError, BadInput, BadRun, UnknownName
from amply_capacity.files import RUNS_DIR
from amply_capacity.run.reader import all_runs, read_run
from bench.aws_server import METRICS, AwsServer, Fault, Region, cluster, composed, fleet

IMPORTS = RUNS_DIR.parent / "imports"


def refusal(request: Request) -> str:
    with pytest.raises(AmplyError) as caught:
        imported(request)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_cache_becomes_a_run_like_any_other(server: AwsServer, tmp_path: Path) -> None:
    before = {path.name for path in IMPORTS.glob("*")}
    (made,) = imported(request_of(tmp_path / "run")).runs
    run = read_run(made.directory)
    assert made.directory == tmp_path / "run"
    assert run.is_production
    assert run.manifest["imported"] == made.summary
    rows = pd.read_parquet(made.directory / "server.parquet")
    assert len(rows) == 288
    assert set(rows["node"]) == {"amply-000"}
    assert set(rows["role"]) == {"master"}
    assert np.diff(rows["second"]).tolist() == [300] * 287
    seconds = rows["second"].to_numpy()
    assert np.allclose(rows["CacheHits"], composed("amply-000", "CacheHits", "Sum", seconds, 300) / 300)
    assert np.allclose(rows["FreeableMemory.Minimum"],
                       composed("amply-000", "FreeableMemory", "Minimum", seconds, 300))
    assert rows["info_used_memory"].isna().all(), "what CloudWatch does not tell is absent"
    assert rows["CurrItems"].notna().all()
    assert {path.name for path in IMPORTS.glob("*")} == before, "nothing is left behind"


def test_the_manifest_says_what_it_is_of_and_no_secret(server: AwsServer, tmp_path: Path) -> None:
    (made,) = imported(request_of(tmp_path / "run")).runs
    manifest = json.loads((made.directory / "run.json").read_text())
    assert manifest["target"]["node_type"] == "cache.t3.micro"
    assert manifest["server"] == {"engine": "redis", "version": "7.1.0", "allocator": None,
                                  "config": {"maxmemory-policy": "volatile-lru"}}
    assert manifest["elasticache"]["settings"]["SnapshotRetentionLimit"] == 7
    assert manifest["elasticache"]["engine_versions"] == ["6.2", "7.0", "7.1"]
    assert manifest["verdict"] == "complete"
    assert len(made.summary["metrics"]) > len(METRICS)
    assert (made.summary["gap_count"], made.summary["not_collected"]) == (0, {})
    assert leaks([made.directory]) == [], "the keys are nowhere"


def test_every_cache_of_a_region_gets_a_run_and_memcached_none(server: AwsServer, tmp_path: Path) -> None:
    server.regions = fleet(3)
    server.regions.clusters.append(cluster("pages", Engine="memcached"))
    outcome = imported(request_of(tmp_path / "all", None))
    assert [one.cache for one in outcome.runs] == ["amply-000", "amply-001", "amply-002"]
    assert [one.directory for one in outcome.runs] == [tmp_path / "all" / one.cache for one in outcome.runs]
    assert outcome.left_out == {"pages": "it is Memcached"}
    assert "Memcached" in refusal(request_of(None, "pages"))


def test_without_a_folder_the_run_lies_among_the_others(server: AwsServer) -> None:
    (made,) = imported(request_of(None)).runs
    assert made.directory.parent == RUNS_DIR
    assert "-production-" in made.directory.name
    assert made.directory in [run.directory for run in all_runs()]


def test_the_nodes_of_a_group_are_one_run_and_a_failover_shows(server: AwsServer, tmp_path: Path) -> None:
    def failing_over(node: str, metric: str, statistic: str, seconds: Any, period_s: int) -> Any:
        if metric != "IsMaster":
            return composed(node, metric, statistic, seconds, period_s)
        is_late = seconds >= seconds[len(seconds) // 2]
        return np.where(is_late == (node == "shop-001"), 0.0, 1.0)

    members = [cluster(f"shop-00{number}", ReplicationGroupId="shop") for number in (1, 2)]
    server.regions = Region(clusters=members,
                            groups=[group("shop", "shop-001", "shop-002")], values=failing_over)
    (made,) = imported(request_of(tmp_path / "run", "shop")).runs
    rows = pd.read_parquet(made.directory / "server.parquet")
    roles = rows.pivot_table(index="second", columns="node", values="role", aggfunc="first")
    assert roles.iloc[0].to_dict() == {"shop-001": "master", "shop-002": "slave"}
    assert roles.iloc[-1].to_dict() == {"shop-001": "slave", "shop-002": "master"}


def test_gaps_are_kept_as_gaps_and_told(server: AwsServer, tmp_path: Path) -> None:
    def with_gaps(node: str, metric: str, statistic: str, seconds: Any, period_s: int) -> Any:
        values = composed(node, metric, statistic, seconds, period_s)
        hour = (seconds - seconds[0]) // 3_600
        return np.where((hour == 3) | ((hour == 7) & (metric == "CurrItems")), np.nan, values)

    assert not isinstance(server.regions, dict)
    server.regions.values = with_gaps
    (made,) = imported(request_of(tmp_path / "run")).runs
    run = read_run(made.directory)
    assert len(run.server) == 288 - 12, "a period without any value is no row"
    (gap,) = made.summary["gaps"]
    assert (gap["node"], gap["seconds"]) == ("amply-000", 3_600)
    assert run.server["CurrItems"].isna().sum() == 12
    missing = {row["metric"]: row["missing"] for row in made.summary["metrics"]}
    assert (missing["CurrItems"], missing["CacheHits"]) == (12, 0)
    (event,) = run.events.to_dict("records")
    assert event["detail"] == {"node": "amply-000", "seconds": 3_600}


def interrupted(request: Request, server: AwsServer, after_calls: int) -> None:
    """The import, broken off as by Ctrl-C when CloudWatch has been asked so often."""
    calls = iter(range(10_000))

    def stop(points: int) -> None:
        if next(calls) >= after_calls:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        imported(request, advance=stop)


def test_an_interrupted_import_goes_on_where_it_was(
        server: AwsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(production_import, "_MOST_POINTS_A_PART", 60 * 288)
    request = request_of(tmp_path / "all", None)
    interrupted(request, server, 5)
    there = sorted(path.name for path in (tmp_path / "all").iterdir())
    assert 0 < len(there) < 4
    first_time = {name: (tmp_path / "all" / name / "run.json").read_text() for name in there}
    asked, told = len(server.asked), []
    outcome = imported(request, told)
    assert [one.cache for one in outcome.runs] == [f"amply-{number:03}" for number in range(4)]
    assert "going on with the import that was interrupted" in told[0]
    assert f"{len(there)} of 4 runs are there" in told[0]
    for name, text in first_time.items():
        assert (tmp_path / "all" / name / "run.json").read_text() == text, "what was whole is not made again"
    again = server.asked[asked:]
    assert "ListMetrics" not in again
    assert again.count("GetMetricData") < server.asked[:asked].count("GetMetricData") + 3
    spans = {(one.summary["from"], one.summary["to"]) for one in outcome.runs}
    assert len(spans) == 1, "all runs are of the same time"
    assert not list(IMPORTS.glob("*/plan.json"))


def a_day_goes_by(request: Request) -> None:
    """For that import, which was interrupted."""
    plan = Checkpoint(request.as_json()).directory / "plan.json"
    kept = json.loads(plan.read_text())
    old = kept | {"window": {name: value - 90_000 if name.endswith("_s") and name != "period_s" else value
                             for name, value in kept["window"].items()}}
    plan.write_text(json.dumps(old))


def test_an_import_of_yesterday_or_of_another_fleet_begins_anew(server: AwsServer, tmp_path: Path) -> None:
    request = request_of(tmp_path / "run")
    interrupted(request, server, 0)
    a_day_goes_by(request)
    told: list[str] = []
    (made,) = imported(request, told).runs
    assert told == []
    end = datetime.fromisoformat(made.summary["to"])
    assert datetime.now(UTC) - end < timedelta(minutes=6)
    other = request_of(tmp_path / "other")
    interrupted(other, server, 0)
    assert not isinstance(server.regions, dict)
    server.regions.clusters[0]["CacheClusterCreateTime"] = datetime(2026, 11, 1, tzinfo=UTC)
    assert len(imported(other, told).runs) == 1
    assert told == [], "the same name, another cache"


def test_the_runs_of_yesterdays_import_are_in_the_way_before_aws_is_asked_for_data(
        server: AwsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(production_import, "_MOST_POINTS_A_PART", 60 * 288)
    request = request_of(tmp_path / "all", None)
    interrupted(request, server, 5)
    a_day_goes_by(request)
    assert (tmp_path / "all" / "amply-000" / "run.json").exists()
    asked = len(server.asked)
    assert "not empty" in refusal(request)
    assert not {"GetMetricData", "ListMetrics"} & set(server.asked[asked:])
    shutil.rmtree(tmp_path / "all")
    assert len(imported(request).runs) == 4


def test_an_import_whose_run_was_removed_meanwhile_makes_it_again(
        server: AwsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(production_import, "_MOST_POINTS_A_PART", 60 * 288)
    request = request_of(tmp_path / "all", None)
    interrupted(request, server, 5)
    for path in (tmp_path / "all" / "amply-000").iterdir():
        path.unlink()
    assert len(imported(request).runs) == 4


def test_the_same_import_twice_at_once_is_refused(server: AwsServer, tmp_path: Path) -> None:
    request = request_of(tmp_path / "run")
    code = ("import json, sys; from amply_capacity.aws.resume import Checkpoint\n"
            f"with Checkpoint(json.loads({json.dumps(request.as_json())!r})):\n"
            "    print('held', flush=True); sys.stdin.read()")
    holder = [sys.executable, "-c", code]
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(BadInput, match="the same import is running"):
            imported(request)
        other.communicate(timeout=30)
    assert len(imported(request).runs) == 1


def test_a_folder_that_holds_something_is_refused_before_aws_is_asked_for_data(
        server: AwsServer, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert "not empty" in refusal(request_of(tmp_path))
    assert "GetMetricData" not in server.asked


def test_a_name_that_is_in_another_region_is_told_with_the_region(
        server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    few = (REGION, "eu-west-1", "eu-central-1", "us-gov-west-1")
    monkeypatch.setattr(regions, "regions_of", lambda service: few)
    server.regions = {REGION: fleet(2), "eu-west-1": Region([cluster("amply-redis-prod")]),
                      "eu-central-1": Region(groups=[group("shop", "shop-001")])}
    text = refusal(request_of(None, "amply-redis-prod"))
    assert "amply-redis-prod is not in us-east-1. Got: it is in eu-west-1. Do: give --region eu" in text
    assert "it is in eu-central-1" in refusal(request_of(None, "shop"))
    with pytest.raises(UnknownName, match=r"in no other region.*'amply-00'.*amply-000"):
        imported(request_of(None, "amply-00"))
    server.regions = {"eu-west-1": fleet(1)}
    assert "there is no cache in us-east-1" in refusal(request_of(None, "nobody"))
    assert "no Redis or Valkey cache in us-east-1" in refusal(request_of(None, None))


def test_no_data_in_the_period_is_told_and_not_remembered(server: AwsServer, tmp_path: Path) -> None:
    assert not isinstance(server.regions, dict)
    server.regions.values = lambda node, metric, statistic, seconds, period_s: np.full(len(seconds), np.nan)
    text = refusal(request_of(tmp_path / "run"))
    assert "CloudWatch has no data in that period. Got: amply-000: it has no data in the last 1 days" in text
    server.regions.values = None
    server.forget()
    assert len(imported(request_of(tmp_path / "run")).runs) == 1
    server.regions.metrics = ()
    text = refusal(request_of(tmp_path / "two"))
    assert "no metric of amply-000 was published in the last two weeks" in text


def test_a_cache_without_data_does_not_stop_the_others(server: AwsServer, tmp_path: Path) -> None:
    assert not isinstance(server.regions, dict)
    server.regions.values = lambda node, *question: (
        np.full(len(question[2]), np.nan) if node == "amply-001" else composed(node, *question))
    outcome = imported(request_of(tmp_path / "all", None))
    assert len(outcome.runs) == 3
    assert outcome.left_out == {"amply-001": "it has no data in the last 1 days"}


def test_no_credentials_expired_ones_and_missing_permissions_are_told_apart(
        server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.faults.append(Fault("DescribeReplicationGroups", "ExpiredToken"))
    assert "the AWS credentials have expired" in refusal(request_of(None))
    for action in ("elasticache:DescribeReplicationGroups", "elasticache:DescribeCacheClusters",
                   "cloudwatch:ListMetrics", "cloudwatch:GetMetricData"):
        server.denied = {action}
        text = refusal(request_of(None))
        assert f"AWS does not allow {action}" in text
        assert f'add {{"Effect": "Allow", "Action": "{action}", "Resource": "*"}} to the policy' in text
    set_environment(monkeypatch, keys=False)
    assert "no AWS credentials are found" in refusal(request_of(None))


def test_throttling_that_lasts_is_waited_for_and_told(
        server: AwsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient = Config(retries={"mode": "standard", "total_max_attempts": 1})
    cloudwatch = boto3.Session().client("cloudwatch", region_name=REGION, config=impatient)
    server.faults.append(Fault("GetMetricData", "ThrottlingException", times=2))
    told: list[str] = []
    slept: list[float] = []
    outcome = imported(request_of(tmp_path / "run"), told, slept,
                       clients=Clients(cloudwatch, clients().elasticache))
    assert len(outcome.runs) == 1
    assert slept == [15.0, 30.0]
    assert told == ["AWS asks for fewer requests: waiting 15 s", "AWS asks for fewer requests: waiting 30 s"]


def test_a_clock_that_is_off_is_told_and_the_period_ends_by_aws_clock(
        server: AwsServer, tmp_path: Path) -> None:
    server.clock_ahead_s = 3_600.0
    told: list[str] = []
    (made,) = imported(request_of(tmp_path / "run"), told).runs
    assert "ahead of AWS': the period ends by AWS' clock" in told[0]
    assert made.summary["assumptions"] == told
    assert datetime.now(UTC) - datetime.fromisoformat(made.summary["to"]) > timedelta(minutes=55)


def test_a_period_that_is_not_kept_is_refused_before_anything_is_asked(server: AwsServer) -> None:
    assert "15 days" in refusal(request_of(None, days=20, period_s=60))
    assert server.asked == []


def test_an_import_of_production_plans_nothing_and_says_what_it_lacks(
        server: AwsServer, tmp_path: Path) -> None:
    (made,) = imported(request_of(tmp_path / "run")).runs
    with pytest.raises(BadRun, match=r"no operations.*import of amply-000.*production compare"):
        read_run(made.directory).need_load()


def test_what_an_import_got_is_kept_whole(tmp_path: Path) -> None:
    with Checkpoint({"name": str(tmp_path)}) as kept:
        assert kept.plan is None
        kept.begin({"signature": []})
        series = [Series(np.arange(5), np.arange(5.0)), Series(np.arange(0), np.arange(0.0))]
        kept.keep(3, series)
        assert (kept.has(3), kept.has(2)) == (True, False)
        for one, same in zip(kept.load(3), series, strict=True):
            assert np.array_equal(one.seconds, same.seconds)
            assert np.array_equal(one.values, same.values)
        (kept.directory / "plan.json").write_text("{")
        assert kept.plan is None
        kept.drop()
    assert not kept.directory.exists()
