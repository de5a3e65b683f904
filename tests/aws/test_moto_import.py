"""An import from moto, a stand-in for AWS that others wrote, as a real HTTP endpoint.

What it does not do (parameters, reserved nodes, versions) it answers with an error: that is noted, and the
import goes on. The pauses between boto3's attempts are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from aws_here import REGION, imported, point_at, request_of
from moto.server import ThreadedMotoServer
from seeded import AWS_SECRET_KEY, MARK, seeded

from amply_capacity.aws.secret_value import read_secret
from amply_capacity.errors import AmplyError, BadInput
from amply_capacity.run.reader import read_run

NAME = "amply-redis-prod"
LATENCY = "SuccessfulReadRequestLatency"
BEGIN = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=6)


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def at_moto(moto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    point_at(monkeypatch, moto)
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)


@pytest.fixture(scope="module")
def production(moto: str) -> None:
    """A cluster with six hours of a metric that counts and one that is a state, a value a minute."""
    keys = {"region_name": REGION, "endpoint_url": moto, "aws_access_key_id": "AKIDEXAMPLE",
            "aws_secret_access_key": AWS_SECRET_KEY}
    boto3.client("elasticache", **keys).create_cache_cluster(
        CacheClusterId=NAME, Engine="redis", CacheNodeType="cache.t3.micro", NumCacheNodes=1)
    boto3.client("elasticache", **keys).create_replication_group(
        ReplicationGroupId="shop", ReplicationGroupDescription="shop", Engine="redis", NumNodeGroups=1,
        ReplicasPerNodeGroup=1, CacheNodeType="cache.r6g.large")
    cloudwatch = boto3.client("cloudwatch", **keys)
    dimensions = [{"Name": "CacheClusterId", "Value": NAME}, {"Name": "CacheNodeId", "Value": "0001"}]
    points: list[dict[str, Any]] = []
    for minute in range(360):
        at = BEGIN + timedelta(minutes=minute)
        if minute % 60 == 0:
            points.append({"MetricName": LATENCY, "Timestamp": at, "Value": 300.0})
        points += [{"MetricName": "CacheHits", "Timestamp": at, "Value": 600.0 + minute},
                   {"MetricName": "CurrItems", "Timestamp": at, "Value": 1_000.0 + minute}]
    whole = [{**point, "Dimensions": dimensions} for point in points]
    for first in range(0, len(whole), 500):
        cloudwatch.put_metric_data(Namespace="AWS/ElastiCache", MetricData=whole[first:first + 500])


@pytest.mark.usefixtures("production")
def test_a_cluster_of_moto_is_imported_with_its_counts_and_states(tmp_path: Path) -> None:
    (made,) = imported(request_of(tmp_path / "run", NAME)).runs
    rows = read_run(made.directory).server.set_index("second")
    begin = int(BEGIN.timestamp())
    assert rows.index.min() == begin
    hits, items = rows["CacheHits"].to_numpy(), rows["CurrItems"].to_numpy()
    whole = np.arange(len(rows) - 1)  # the last period may not have ended
    assert np.allclose(hits[whole] * 300, 5 * (602.0 + 5 * whole))
    assert np.allclose(items[whole], 1_002.0 + 5 * whole)
    assert set(rows["node"]) == {NAME}


@pytest.mark.usefixtures("production")
def test_what_moto_does_not_do_is_noted_and_stops_nothing(tmp_path: Path) -> None:
    (made,) = imported(request_of(tmp_path / "run", NAME)).runs
    assert set(made.summary["not_collected"]) == {"reserved nodes", "versions of redis", "percentiles"}
    rows = read_run(made.directory).server
    assert rows[LATENCY].count() == 6, "its mean is there all the same"
    assert f"{LATENCY}.p99" not in rows


@pytest.mark.usefixtures("production")
def test_a_replication_group_without_metrics_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no data in that period.*no metric of shop"):
        imported(request_of(tmp_path / "run", "shop"))
    outcome = imported(request_of(tmp_path / "all", None))
    assert [one.cache for one in outcome.runs] == [NAME]
    assert "shop" in outcome.left_out


def test_a_secret_is_read_by_its_arn(moto: str) -> None:
    keys = {"region_name": "eu-west-1", "endpoint_url": moto, "aws_access_key_id": "A",
            "aws_secret_access_key": AWS_SECRET_KEY}
    store = boto3.client("secretsmanager", **keys)
    plain = store.create_secret(Name="amply/plain", SecretString=seeded("sesame"))["ARN"]
    both = json.dumps({"username": "app", "password": seeded("p")})
    named = store.create_secret(Name="amply/named", SecretString=both)["ARN"]
    exported = store.create_secret(Name="amply/token", SecretString=json.dumps({"token": seeded("t")}))["ARN"]
    digits = store.create_secret(Name="amply/digits", SecretString="12345678")["ARN"]
    other = store.create_secret(Name="amply/other", SecretString=json.dumps({"key": seeded("k")}))["ARN"]
    assert read_secret(plain) == (None, seeded("sesame"))
    assert read_secret(named) == ("app", seeded("p"))
    assert read_secret(exported) == (None, seeded("t"))
    assert read_secret(digits) == (None, "12345678")
    with pytest.raises(BadInput, match="the secret holds no password") as caught:
        read_secret(other)
    assert MARK not in str(caught.value)
    binary = store.create_secret(Name="amply/binary", SecretBinary=seeded("b").encode())["ARN"]
    with pytest.raises(BadInput, match="the secret holds no text"):
        read_secret(binary)
    with pytest.raises(AmplyError, match="could not answer secretsmanager:GetSecretValue"):
        read_secret(plain.replace("plain", "none"))
