"""`import cloudwatch`, `production` and `aws policy` as they are called, against a local stand-in for AWS."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from aws_here import REGION, point_at
from price_pages import set_environment
from seeded import leaks

from amply_capacity.aws import regions
from amply_capacity.aws.example import DIRECTORY, make_example
from amply_capacity.aws.policy import policy
from amply_capacity.files import EXAMPLE_RUN, RUNS_DIR
from amply_capacity.run.reader import newest_or_example, read_run
from bench.aws_server import AwsServer, Fault, Region, cluster, composed, fleet


@pytest.fixture(scope="module")
def aws_server() -> Iterator[AwsServer]:
    with AwsServer(fleet(2)) as made:
        yield made


@pytest.fixture(autouse=True)
def server(aws_server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsServer]:
    aws_server.reset(fleet(2))
    point_at(monkeypatch, aws_server)
    yield aws_server
    shutil.rmtree(RUNS_DIR.parent / "imports", ignore_errors=True)  # those that would go on


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("example") / "production"
    make_example(directory)
    return directory


def test_a_cluster_is_imported_and_reviewed(amply: Callable, tmp_path: Path) -> None:
    answer = amply("import", "cloudwatch", "amply-001", "--days", "2", "--region", REGION, "--run-dir",
                   tmp_path / "run", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["run"] == str(tmp_path / "run")
    assert answer.json["cache"] == "amply-001"
    names = {one["name"] for one in answer.json["review"]["figures"]}
    assert {"commands", "hit rate", "engine CPU", "memory used", "connections"} <= names
    assert "reading CloudWatch, points" in answer.err
    shown = amply("runs", "show", tmp_path / "run")
    assert "amply-001, 1 node" in shown.out
    assert "CPUUtilization.Maximum" in shown.out
    assert amply("runs", "show", tmp_path / "run", "--json").json["run"]["imported"]["kind"] == "cloudwatch"


def test_all_clusters_are_imported_into_runs_of_their_own(
        amply: Callable, server: AwsServer, tmp_path: Path) -> None:
    assert isinstance(server.regions, Region)
    server.regions.clusters.append(cluster("pages", Engine="memcached"))
    answer = amply("import", "cloudwatch", "--all", "--days", "1", "--region", REGION, "--run-dir",
                   tmp_path / "all", "--json")
    assert [run["cache"] for run in answer.json["runs"]] == ["amply-000", "amply-001"]
    assert answer.json["left_out"] == {"pages": "it is Memcached"}
    text = amply("import", "cloudwatch", "--all", "--days", "1", "--region", REGION).out
    assert "left out: pages, it is Memcached" in text
    before = newest_or_example()
    assert not before.is_imported, "an import is nobody's newest recording"
    assert [row for row in amply("runs", "list", "--json").json["runs"] if "-production-" in row["directory"]]


def test_what_to_import_has_to_be_said_and_once(amply: Callable) -> None:
    amply("import", "cloudwatch").assert_refused("which cache to import", "--all")
    amply("import", "cloudwatch", "a", "--all").assert_refused("a and --all")


def test_a_region_is_needed_and_has_to_exist(amply: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    amply("import", "cloudwatch", "a").assert_refused("no AWS region is given", "--region eu-west-1")
    amply("import", "cloudwatch", "a", "--region", "eu-wast-1").assert_refused("unknown region", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    assert amply("import", "cloudwatch", "amply-000", "--days", "1", "--json").code == 0


Arrange = Callable[[AwsServer, pytest.MonkeyPatch], object]
NEEDED = ("elasticache:DescribeReplicationGroups", "elasticache:DescribeCacheClusters",
          "cloudwatch:ListMetrics", "cloudwatch:GetMetricData")
BAD: dict[str, tuple[Arrange, tuple[str, ...]]] = {
    "no credentials": (lambda server, patch: set_environment(patch, keys=False),
                       ("no AWS credentials are found", "aws configure", NEEDED[0])),
    "expired ones": (
        lambda server, patch: server.faults.append(Fault("DescribeCacheClusters", "ExpiredToken")),
        ("the AWS credentials have expired", "log in again")),
    **{f"without {action}": (
        lambda server, patch, action=action: server.denied.add(action),
        (f"AWS does not allow {action}",
         f'add {{"Effect": "Allow", "Action": "{action}", "Resource": "*"}} to the policy',
         "`amply-capacity aws policy` prints all that is needed")) for action in NEEDED},
    "no metrics": (lambda server, patch: server.reset(Region([cluster("amply-000")], metrics=())),
                   ("CloudWatch has no data in that period", "no metric of amply-000 was published")),
    "no values": (lambda server, patch: server.reset(Region([cluster("amply-000")], values=(
        lambda node, metric, statistic, seconds, period_s: np.full(len(seconds), np.nan)))),
        ("CloudWatch has no data in that period", "amply-000: it has no data in the last 1 days")),
    "a wrong clock": (lambda server, patch: server.faults.append(Fault(
        "DescribeReplicationGroups", "SignatureDoesNotMatch",
        message="Signature expired: 20261128T100000Z is now earlier than 20261128T101000Z (- 5 min.)")),
        ("this machine's clock is wrong", "NTP")),
    "throttling that lasts": (
        lambda server, patch: server.faults.append(Fault("GetMetricData", "ThrottlingException", times=99)),
        ("AWS asks for fewer requests", "after 6 attempts", "try again in some minutes")),
    "a half-answered page": (
        lambda server, patch: server.faults.append(Fault("GetMetricData", "no results", times=9)),
        ("AWS answered cloudwatch:GetMetricData in part", "without results, 3 times", "start the same")),
    "another region": (
        lambda server, patch: server.reset({"eu-west-1": fleet(1), REGION: Region([cluster("other")])}),
        ("amply-000 is not in us-east-1", "it is in eu-west-1", "give --region eu-west-1")),
}
"""What goes wrong, and what is said of it."""


@pytest.mark.parametrize("what", BAD)
def test_what_is_wrong_about_aws_is_told_in_one_paragraph(
        amply: Callable, server: AwsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
        what: str) -> None:
    arrange, words = BAD[what]
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)
    monkeypatch.setattr("amply_capacity.aws.asking._WAITS_S", (0.0,))
    monkeypatch.setattr(regions, "regions_that_have", partial(_among, regions.regions_that_have))
    arrange(server, monkeypatch)
    answer = amply("import", "cloudwatch", "amply-000", "--days", "1", "--region", REGION, "--run-dir",
                   tmp_path / "run")
    *before, paragraph = answer.err.splitlines()
    assert not before or what == "throttling that lasts", "its pauses are told as they come"
    replace(answer, err=paragraph).assert_refused(*words)
    assert not (tmp_path / "run").exists()


def _among(regions_that_have: Callable, name: str, but: str) -> list[str]:
    """Of three regions instead of all."""
    with pytest.MonkeyPatch.context() as few:
        few.setattr(regions, "regions_of", lambda service: (REGION, "eu-west-1", "eu-central-1"))
        return list(regions_that_have(name, but))


def test_a_period_that_cloudwatch_does_not_keep_is_refused_with_a_wider_one(amply: Callable) -> None:
    amply("import", "cloudwatch", "amply-000", "--days", "30", "--period", "60", "--region",
          REGION).assert_refused("15 days", "--period 300")


def test_a_secret_that_may_not_be_read_is_told_with_its_line(
        amply: Callable, server: AwsServer, plain_redis: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    server.denied.add("secretsmanager:GetSecretValue")
    arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:amply/redis-AbCdEf"
    monkeypatch.setenv("AMPLY_REDIS_SECRET_ARN", arn)
    amply("target", "check", f"redis://127.0.0.1:{plain_redis()}").assert_refused(
        "AWS does not allow secretsmanager:GetSecretValue", "secret:amply/*")


def test_gaps_are_no_fault_and_stay_gaps(amply: Callable, server: AwsServer, tmp_path: Path) -> None:
    def with_gap(node: str, metric: str, statistic: str, seconds: np.ndarray, period_s: int) -> np.ndarray:
        return np.where((seconds - seconds[0]) // 3_600 == 5, np.nan, 1.0)

    server.reset(Region([cluster("amply-000")], values=with_gap))
    answer = amply("import", "cloudwatch", "amply-000", "--days", "1", "--region", REGION, "--run-dir",
                   tmp_path / "run", "--json")
    assert (answer.code, answer.json["gap_count"]) == (0, 1)
    (gap,) = answer.json["gaps"]
    assert (gap["node"], gap["seconds"]) == ("amply-000", 3_600)
    assert len(read_run(tmp_path / "run").server) == 288 - 12


def test_a_killed_import_is_resumed_by_the_same_command(server: AwsServer, tmp_path: Path) -> None:
    """A process of its own, ended by SIGTERM while it waits for the part after the first run."""
    assert isinstance(server.regions, Region)
    server.regions.clusters += fleet(12).clusters[2:]
    command = [sys.executable, "-m", "amply_capacity.cli", "import", "cloudwatch", "--all", "--region",
               REGION, "--days", "1", "--run-dir", str(tmp_path / "all"), "--json"]

    ended = threading.Event()

    def held(node: str, *question: object) -> object:
        if any((tmp_path / "all").glob("*/run.json")):
            ended.wait(timeout=30.0)
        return composed(node, *question)  # type: ignore[arg-type]

    server.regions.values = held  # type: ignore[assignment]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60.0
        while not list((tmp_path / "all").glob("*/run.json")):
            assert time.monotonic() < deadline, "no run was made"
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        _, words = process.communicate(timeout=30)
    ended.set()
    assert process.returncode == 128 + signal.SIGTERM, words
    assert b"Traceback" not in words
    there = len(list((tmp_path / "all").glob("*/run.json")))
    assert 0 < there < 12
    assert not list((tmp_path / "all").glob(".*")), "nothing is half-written"
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "going on with the import that was interrupted" in done.stderr
    assert len(json.loads(done.stdout)["runs"]) == 12
    assert leaks([RUNS_DIR.parent / "imports", tmp_path]) == []


def test_a_review_of_a_run_says_what_to_look_at(amply: Callable, example: Path) -> None:
    answer = amply("production", "review", example)
    for words in ("commands", "peak to mean", "made-up data", "CPU credits were left", "1 gap without any"):
        assert words in answer.out
    figures = {one["name"]: one for one in amply("production", "review", example, "--json").json["figures"]}
    assert figures["hit rate"]["low"] <= figures["hit rate"]["mid"] <= figures["hit rate"]["high"]
    amply("production", "review", EXAMPLE_RUN).assert_refused("is no production import")
    amply("runs", "compare", EXAMPLE_RUN, example).assert_refused("no operations", "production compare")


def test_a_load_test_is_held_against_production(amply: Callable, example: Path, demand: Path) -> None:
    answer = amply("production", "compare", EXAMPLE_RUN, example, "--demand", demand, "--json")
    assert answer.code == (0 if answer.json["is_alike"] else 1)
    by_name = {one["name"]: one for one in answer.json["figures"]}
    assert {"commands per user", "hit rate", "CPU per command", "bytes per key"} <= set(by_name)
    assert all(one["verdict"] and one["sentence"] for one in by_name.values())
    text = amply("production", "compare", EXAMPLE_RUN, example).out
    assert text.startswith("The load test is like production in ")
    assert "commands per user" not in text, "without a demand nobody knows the users"
    amply("production", "compare", example, example).assert_refused("no operations")


def test_no_other_command_takes_production_for_a_load(amply: Callable, example: Path, demand: Path) -> None:
    amply("plan", "--run", example, "--demand", demand).assert_refused("no operations", "production compare")
    amply("predict", "hit-rate", example, "--maxmemory", "8mb").assert_refused("no key accesses")


def test_the_policy_is_printed_and_written(amply: Callable, tmp_path: Path) -> None:
    assert json.loads(amply("aws", "policy").out) == policy()
    file = tmp_path / "policy.json"
    answer = amply("aws", "policy", "--secret", "arn:s", "--connect", "arn:u", "--connect", "arn:c",
                   "--drill", "arn:g", "--out", file)
    assert answer.out.strip() == str(file)
    assert json.loads(file.read_text()) == policy("arn:s", ("arn:u", "arn:c"), ("arn:g",))
    amply("aws", "policy", "--out", tmp_path / "none" / "policy.json").assert_refused("cannot be written")


def test_the_example_that_ships_is_the_one_that_is_made_small_and_labelled(example: Path) -> None:
    """Refresh: python -m amply_capacity.aws.example."""
    shipped, made = read_run(DIRECTORY), read_run(example)
    assert shipped.manifest["imported"] == made.manifest["imported"]
    assert shipped.server.equals(made.server)
    assert shipped.manifest["imported"]["synthesised"] is True
    assert sum(path.stat().st_size for path in DIRECTORY.iterdir()) < 1_000_000
