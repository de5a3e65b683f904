"""What AWS refuses: the missing line of the policy, a clock that is wrong, and when to wait."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from aws_here import clients

from amply_capacity.aws.asking import asked, clock_skew_s, code_of, patiently
from amply_capacity.aws.secret_value import read_secret
from amply_capacity.errors import AmplyError
from bench.aws_server import AwsServer, Fault


def refusal() -> str:
    with pytest.raises(AmplyError) as caught, asked("elasticache:DescribeCacheClusters"):
        clients().elasticache.describe_cache_clusters()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_missing_permission_is_named_with_the_line_of_the_policy(server: AwsServer) -> None:
    server.denied.add("elasticache:DescribeCacheClusters")
    text = refusal()
    assert "does not allow elasticache:DescribeCacheClusters" in text
    line = text[text.index("{"):text.index("}") + 1]
    assert json.loads(line) == {"Effect": "Allow", "Action": "elasticache:DescribeCacheClusters",
                                "Resource": "*"}
    assert "amply-capacity aws policy" in text


@pytest.mark.parametrize("message", [
    "Access to KMS is not allowed", "User: u is not authorized to perform: kms:Decrypt on this resource"])
def test_a_key_that_may_not_be_used_is_told_apart_from_the_secret(server: AwsServer, message: str) -> None:
    server.faults.append(Fault("GetSecretValue", "AccessDeniedException", message=message))
    with pytest.raises(AmplyError) as caught:
        read_secret("arn:aws:secretsmanager:us-east-1:123456789012:secret:amply/redis-AbCdEf")
    assert caught.value.what == "AWS does not allow kms:Decrypt"
    assert caught.value.do is not None
    line, _ = json.JSONDecoder().raw_decode(caught.value.do, caught.value.do.index("{"))
    assert line == {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*", "Condition": {
        "StringLike": {"kms:ViaService": "secretsmanager.*.amazonaws.com"}}}


@pytest.mark.parametrize(("ahead_s", "words"), [(900.0, "ahead of"), (-600.0, "behind")])
def test_a_clock_that_is_wrong_is_told_with_how_far(server: AwsServer, ahead_s: float, words: str) -> None:
    server.clock_ahead_s = ahead_s
    server.faults.append(Fault("DescribeCacheClusters", "SignatureDoesNotMatch", message=(
        "Signature expired: 20261128T100000Z is now earlier than 20261128T101000Z (- 5 min.)")))
    text = refusal()
    assert "this machine's clock is wrong" in text
    found = re.search(r"it is (\d+) s (ahead of|behind) AWS' clock", text)
    assert found is not None
    assert abs(int(found[1]) - abs(ahead_s)) <= 3
    assert found[2] == words
    assert "NTP" in text


def test_a_skew_that_the_answer_does_not_show_is_told_by_aws_words(server: AwsServer) -> None:
    server.faults.append(Fault("DescribeCacheClusters", "RequestTimeTooSkewed"))
    assert "more than 5 minutes off" in refusal()


def test_a_wrong_key_is_no_wrong_clock(server: AwsServer) -> None:
    server.faults.append(Fault("DescribeCacheClusters", "SignatureDoesNotMatch", message="no match"))
    assert "does not accept the credentials" in refusal()


def test_the_time_of_an_answer_tells_the_skew() -> None:
    answer = {"ResponseMetadata": {"HTTPHeaders": {"date": "Sat, 28 Nov 2026 10:00:00 GMT"}}}
    now = datetime(2026, 11, 28, 10, 1, 30, tzinfo=UTC)
    assert clock_skew_s(answer, now) == 90.0
    assert clock_skew_s({}, now) is None
    assert clock_skew_s({"ResponseMetadata": {"HTTPHeaders": {"date": "noon"}}}, now) is None


def throttled() -> AmplyError:
    from botocore.exceptions import ClientError

    error = AmplyError("AWS asks for fewer requests")
    error.__cause__ = ClientError({"Error": {"Code": "ThrottlingException"}}, "GetMetricData")
    return error


def test_a_busy_aws_is_waited_for_longer_each_time_and_not_for_ever() -> None:
    left, said, slept = [throttled(), throttled()], [], []

    def ask() -> str:
        if left:
            raise left.pop()
        return "there"

    assert patiently(ask, said.append, slept.append) == "there"
    assert slept == [15.0, 30.0]
    assert said[0] == "AWS asks for fewer requests: waiting 15 s"
    left += [throttled() for _ in range(4)]
    slept.clear()
    with pytest.raises(AmplyError, match="fewer requests"):
        patiently(ask, said.append, slept.append)
    assert slept == [15.0, 30.0, 60.0]


def test_another_failure_is_not_waited_for() -> None:
    def ask() -> str:
        raise AmplyError("no")

    with pytest.raises(AmplyError, match="no"):
        patiently(ask, lambda text: None, lambda seconds: pytest.fail("it slept"))
    assert code_of(None) is None
