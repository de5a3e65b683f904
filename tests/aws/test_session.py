"""What AWS refuses is said in one paragraph, with the permission that is missing and no secret."""

from __future__ import annotations

import logging

import pytest
from botocore import exceptions as botocore
from botocore.stub import Stubber
from price_pages import set_environment
from seeded import MARK, seeded

from amply_capacity.aws.secret_value import read_secret, signed_token
from amply_capacity.aws.session import client, explained, regions_of
from amply_capacity.errors import AmplyError
from bench.aws_server import AwsServer, Region

ACTION = "pricing:GetProducts"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)


def refusal(code: str, message: str = "as AWS says it") -> str:
    """What is said where AWS answers GetProducts with this error."""
    pricing = client("pricing", "us-east-1")
    with Stubber(pricing) as stubber:
        stubber.add_client_error("get_products", code, message)
        with pytest.raises(AmplyError) as caught, explained(ACTION):
            pricing.get_products(ServiceCode="AmazonElastiCache")
    assert caught.value.exit_code == 2
    assert caught.value.got
    assert caught.value.do
    return str(caught.value)


def said_of(error: Exception) -> str:
    with pytest.raises(AmplyError) as caught, explained(ACTION):
        raise error
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_busy_aws_is_asked_again_in_the_standard_retry_mode() -> None:
    made = client("pricing", "us-east-1")
    assert made.meta.region_name == "us-east-1"
    assert made.meta.config.retries == {"mode": "standard", "total_max_attempts": 6}


@pytest.mark.parametrize(("code", "words"), [
    ("AccessDeniedException", ("does not allow pricing:GetProducts", "have pricing:GetProducts allowed")),
    ("ExpiredTokenException", ("have expired", "log in again")),
    ("UnrecognizedClientException", ("does not accept the credentials", "clock")),
    ("ThrottlingException", ("fewer requests", "after 6 attempts")),
    ("InternalErrorException", ("could not answer pricing:GetProducts", "InternalErrorException")),
])
def test_each_refusal_says_what_can_be_done(code: str, words: tuple[str, ...]) -> None:
    text = refusal(code)
    for word in words:
        assert word in text


def test_a_signature_that_fails_is_not_repeated() -> None:
    text = refusal("InvalidSignatureException", "The canonical string should have been: Bearer made-up-token")
    assert "InvalidSignatureException" in text
    assert "made-up-token" not in text


def test_a_long_message_is_one_line_of_some_length() -> None:
    text = refusal("ValidationException", "long\n" * 500)
    assert "\n" not in text
    assert len(text) < 600


def test_without_credentials_the_permission_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, "http://127.0.0.1:9", keys=False)  # nothing is sent without them
    with (
        pytest.raises(AmplyError, match=r"no AWS credentials are found.*aws configure.*pricing:GetProducts"),
        explained(ACTION),
    ):
        client("pricing", "us-east-1").get_products(ServiceCode="AmazonElastiCache")


def test_half_of_the_credentials_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(AmplyError, match=r"incomplete.*secret"), explained(ACTION):
        client("pricing", "us-east-1").get_products(ServiceCode="AmazonElastiCache")


def test_a_profile_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(AmplyError, match=r"profile cannot be used.*nobody.*AWS_PROFILE"):
        client("pricing", "us-east-1")


def test_an_endpoint_that_is_no_url_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, "nonsense")
    with pytest.raises(AmplyError, match=r"cannot be asked.*nonsense"):
        client("pricing", "us-east-1")


@pytest.mark.parametrize(("error", "words"), [
    (botocore.EndpointConnectionError(endpoint_url="https://api"),
     ("not reached", "https://api", "HTTPS_PROXY")),
    (botocore.ReadTimeoutError(endpoint_url="https://api"), ("not reached", "Read timeout")),
    (botocore.UnauthorizedSSOTokenError(), ("cannot be renewed", "aws sso login")),
    (botocore.CredentialRetrievalError(provider="role", error_msg="gone"), ("cannot be renewed", "gone")),
    (botocore.PaginationError(message="The same next token"), ("in part", "next token")),
    (botocore.InvalidRegionError(region_name="?"), ("cannot be asked", "?")),
])
def test_what_fails_on_the_way_is_told(error: Exception, words: tuple[str, ...]) -> None:
    text = said_of(error)
    for word in words:
        assert word in text


def test_what_is_no_matter_of_aws_passes() -> None:
    with pytest.raises(KeyError), explained(ACTION):
        raise KeyError("ours")


def test_regions_are_those_of_aws_without_china_and_without_special_endpoints() -> None:
    known = regions_of("elasticache")
    assert {"us-east-1", "eu-west-1", "us-gov-west-1"} <= set(known)
    assert list(known) == sorted(known)
    assert not [region for region in known if region.startswith("cn-") or "fips" in region]


def test_whatever_is_logged_no_secret_is(
        server: AwsServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore writes whole answers and session tokens down, where it may, as with `locust -L DEBUG`."""
    arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:amply/redis-AbCdEf"
    server.regions = Region(secrets={arn: seeded("stored")})
    monkeypatch.setenv("AWS_SESSION_TOKEN", seeded("session"))
    words = logging.getLogger("botocore")
    words.setLevel(logging.NOTSET)
    caplog.set_level(logging.DEBUG)
    assert read_secret(arn) == (None, seeded("stored"))
    token = signed_token("shop", "app", "us-east-1").rpartition("=")[2]
    assert "urllib3" in {record.name.partition(".")[0] for record in caplog.records}, "all else is logged"
    assert MARK not in caplog.text
    assert token not in caplog.text
    caplog.set_level(logging.WARNING)
    words.setLevel(logging.NOTSET)
    with explained(ACTION):
        assert words.level == logging.NOTSET, "where nobody asked for details, nothing changes"
