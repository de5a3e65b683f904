"""Passwords that are not given themselves: of a file, of AWS, signed by IAM; followed when rotated."""

from __future__ import annotations

import hashlib
import hmac
import json
import pickle
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
import redis
from aws_here import point_at
from locust_process import seconds_recorded, start_locust, wait_until
from price_pages import set_environment
from seeded import AWS_SECRET_KEY, keep, seeded

from amply_capacity.errors import AmplyError, AuthRequired, BadInput
from amply_capacity.load.client import Connection
from amply_capacity.load.replies import ReplyError
from amply_capacity.run.reader import read_run
from amply_capacity.target import guard
from amply_capacity.target import secret as secrets
from amply_capacity.target.cluster import throw_away
from amply_capacity.target.endpoint import Endpoint, connect, parse_endpoint
from amply_capacity.target.secret import FileSecret, SignedToken, StoredSecret
from bench.aws_server import AwsServer, Region

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:amply/redis-AbCdEf"
OWNERS, OLD, NEW, OPEN = (seeded(name) for name in ("owners", "of-yesterday", "of-today", "open"))


@pytest.fixture
def server(plain_redis: Callable[..., int]) -> Iterator[tuple[int, redis.Redis]]:
    """The port of a server with a user called app, and a client of its owner's."""
    port = plain_redis(password=OWNERS)
    with redis.Redis(port=port, password=OWNERS, decode_responses=True) as owner:
        owner.execute_command("ACL", "SETUSER", "app", "on", f">{OLD}", "~*", "&*", "+@all")
        yield port, owner


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsServer]:
    with AwsServer(Region(secrets={ARN: json.dumps({"username": "app", "password": OLD})})) as made:
        point_at(monkeypatch, made)
        yield made


def written(path: Path, password: str) -> Path:
    return keep(path, f"{password}\n")


def rotate(owner: redis.Redis, password: str = NEW) -> None:
    owner.execute_command("ACL", "SETUSER", "app", "resetpass", f">{password}")


def test_an_acl_user_of_the_environment_is_used(
        server: tuple[int, redis.Redis], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMPLY_REDIS_USERNAME", "app")
    monkeypatch.setenv("AMPLY_REDIS_PASSWORD", OLD)
    endpoint = parse_endpoint(f"redis://127.0.0.1:{server[0]}")
    with connect(endpoint) as client:
        assert client.execute_command("ACL", "WHOAMI") == "app"
    connection = Connection(endpoint)
    assert connection.call(("ACL", "WHOAMI")) == "app"
    connection.close()


def test_a_ca_bundle_user_and_file_work_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with throw_away(maxmemory_bytes=32 * 1024**2, tls=True, with_password=True) as cluster:
        file = written(tmp_path / "password", str(cluster.endpoint.password))
        monkeypatch.setenv("AMPLY_CA_BUNDLE", str(cluster.ca_bundle))
        monkeypatch.setenv("AMPLY_REDIS_PASSWORD_FILE", str(file))
        with connect(parse_endpoint(f"rediss://127.0.0.1:{cluster.port}")) as client:
            assert client.ping() is True
        connection = Connection(parse_endpoint(f"rediss://127.0.0.1:{cluster.port}/2"))
        assert connection.call(("PING",)) == "PONG"
        connection.close()


def test_a_secret_by_its_arn_gives_user_and_password(
        server: tuple[int, redis.Redis], aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMPLY_REDIS_SECRET_ARN", ARN)
    endpoint = parse_endpoint(f"redis://127.0.0.1:{server[0]}")
    with connect(endpoint) as client:
        assert client.execute_command("ACL", "WHOAMI") == "app"
    assert aws.asked == ["GetSecretValue"]
    connection = Connection(endpoint)
    assert connection.call(("ACL", "WHOAMI")) == "app"
    assert aws.asked == ["GetSecretValue"], "it is asked once, not by each connection"
    connection.close()


def test_a_source_shows_no_secret_however_it_is_looked_at(
        server: tuple[int, redis.Redis], aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMPLY_REDIS_SECRET_ARN", ARN)
    endpoint = parse_endpoint(f"redis://127.0.0.1:{server[0]}")
    assert endpoint.credentials() == ("app", OLD)
    copied = pickle.loads(pickle.dumps(endpoint))
    for text in (repr(endpoint), endpoint.url, json.dumps(asdict(endpoint)), str(pickle.dumps(endpoint))):
        assert OLD not in text
    assert copied == endpoint
    aws.asked.clear()
    assert copied.credentials() == ("app", OLD), "another process reads it for itself"
    assert aws.asked == ["GetSecretValue"]


def test_a_password_that_is_rotated_is_read_anew_when_the_old_one_is_refused(
        server: tuple[int, redis.Redis], aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    port, owner = server
    monkeypatch.setenv("AMPLY_REDIS_SECRET_ARN", ARN)
    endpoint = parse_endpoint(f"redis://127.0.0.1:{port}")
    control = connect(endpoint)
    first, second = Connection(endpoint), Connection(endpoint)
    first.connect()
    rotate(owner)
    assert first.call(("ACL", "WHOAMI")) == "app", "who is in stays in"
    with pytest.raises(ReplyError, match="WRONGPASS"):
        second.connect()
    assert isinstance(aws.regions, Region)
    aws.regions.secrets[ARN] = json.dumps({"username": "app", "password": NEW})
    aws.asked.clear()
    second.connect()
    assert second.call(("ACL", "WHOAMI")) == "app"
    third = Connection(endpoint)
    third.connect()
    assert aws.asked == ["GetSecretValue"], "the first that is refused reads, the others follow"
    owner.execute_command("CLIENT", "KILL", "USER", "app")
    assert control.execute_command("ACL", "WHOAMI") == "app", "the control connection follows as well"
    for connection in (first, second, third):
        connection.close()
    control.close()


def test_a_password_that_stays_wrong_is_told_with_what_to_correct(
        server: tuple[int, redis.Redis], tmp_path: Path) -> None:
    wrong = written(tmp_path / "password", OPEN)
    endpoint = Endpoint("127.0.0.1", server[0], username="app", secret=FileSecret(str(wrong)))
    words = r"does not accept the password given.*what the secret holds"
    with pytest.raises(AuthRequired, match=words) as caught:
        connect(endpoint)
    assert OPEN not in str(caught.value)
    written(wrong, OLD)
    with connect(endpoint) as client:
        assert client.ping() is True


def test_a_secret_that_cannot_be_had_is_told_and_under_load_counts_as_unreachable(
        server: tuple[int, redis.Redis], aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMPLY_REDIS_SECRET_ARN", ARN)
    aws.denied.add("secretsmanager:GetSecretValue")
    endpoint = parse_endpoint(f"redis://127.0.0.1:{server[0]}")
    with pytest.raises(AmplyError, match=r"does not allow secretsmanager:GetSecretValue.*secret:amply/\*"):
        connect(endpoint)
    with pytest.raises(ConnectionError, match="no password could be had: AWS does not allow"):
        Connection(endpoint).connect()


def test_a_file_that_others_may_read_or_that_is_none_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path / "password", OLD)
    assert FileSecret(str(file)).credentials() == (None, OLD)
    file.chmod(0o644)
    with pytest.raises(BadInput, match=r"others may read.*mode 644.*chmod 600") as caught:
        FileSecret(str(file)).credentials()
    assert OLD not in str(caught.value)
    with pytest.raises(BadInput, match="cannot be read"):
        FileSecret(str(tmp_path / "none")).credentials()
    with pytest.raises(BadInput, match="is empty"):
        FileSecret(str(written(tmp_path / "empty", ""))).credentials()


def test_sources_that_contradict_or_lack_something_are_refused_all_at_once(
        monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)
    monkeypatch.setenv("AMPLY_REDIS_IAM_CACHE", "shop")
    with pytest.raises(BadInput) as caught:
        parse_endpoint("redis://host")
    for words in ("without a user", "without TLS (rediss://)", "without AWS_REGION"):
        assert words in str(caught.value)
    monkeypatch.setenv("AMPLY_REDIS_PASSWORD", OPEN)
    with pytest.raises(BadInput, match="several passwords, in AMPLY_REDIS_PASSWORD and AMPLY_REDIS_IAM"):
        parse_endpoint("rediss://app@host")
    monkeypatch.delenv("AMPLY_REDIS_PASSWORD")
    monkeypatch.delenv("AMPLY_REDIS_IAM_CACHE")
    for arn in ("amply/redis", ARN.replace("secretsmanager", "s3"), ARN.replace("eu-west-1", "")):
        monkeypatch.setenv("AMPLY_REDIS_SECRET_ARN", arn)
        with pytest.raises(BadInput, match="AMPLY_REDIS_SECRET_ARN is no ARN"):
            parse_endpoint("rediss://host")
    monkeypatch.setenv("AMPLY_REDIS_SECRET_ARN", ARN)
    assert parse_endpoint("rediss://host").secret == StoredSecret(ARN)


def signature_of(token: str, secret_key: str) -> str:
    """AWS' Signature Version 4 of a signed address, computed from its own description."""
    parts = urlsplit(f"https://{token}")
    question = dict(parse_qsl(parts.query, keep_blank_values=True))
    question.pop("X-Amz-Signature")
    canonical = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
                         for name, value in sorted(question.items()))
    request = "\n".join(["GET", "/", canonical, f"host:{parts.netloc}", "", "host",
                         hashlib.sha256(b"").hexdigest()])
    scope = question["X-Amz-Credential"].partition("/")[2]
    to_sign = "\n".join(["AWS4-HMAC-SHA256", question["X-Amz-Date"], scope,
                         hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize(("name", "kind"), [("Shop", None), ("serverless:shop", "ServerlessCache")])
def test_an_iam_token_is_a_signed_request_to_connect(
        monkeypatch: pytest.MonkeyPatch, name: str, kind: str | None) -> None:
    set_environment(monkeypatch)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AMPLY_REDIS_USERNAME", "app")
    monkeypatch.setenv("AMPLY_REDIS_IAM_CACHE", name)
    found = parse_endpoint("rediss://shop.example:6379").credentials()
    assert found is not None
    user, token = found
    assert user == "app"
    assert token.startswith("shop/?"), "in lower case, and without https://"
    question = dict(parse_qsl(urlsplit(f"https://{token}").query))
    assert (question["Action"], question["User"], question["X-Amz-Expires"]) == ("connect", "app", "900")
    assert question.get("ResourceType") == kind
    assert question["X-Amz-Credential"].split("/")[2:] == ["eu-west-1", "elasticache", "aws4_request"]
    assert question["X-Amz-Signature"] == signature_of(token, AWS_SECRET_KEY)
    assert AWS_SECRET_KEY not in token


def test_an_iam_token_is_signed_anew_before_it_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)
    tokens = iter(["t1", "t2"])
    monkeypatch.setattr(secrets, "signed_token", lambda *names, is_serverless: next(tokens))
    source = SignedToken("shop", "app", "eu-west-1")
    now = time.monotonic()
    monkeypatch.setattr(secrets.time, "monotonic", lambda: now)
    assert [source.credentials() for _ in range(3)] == [("app", "t1")] * 3
    now += 599.0
    assert source.credentials() == ("app", "t1")
    now += 2.0
    assert source.credentials() == ("app", "t2")


def test_without_aws_keys_no_token_can_be_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, keys=False)
    with pytest.raises(AmplyError, match=r"no AWS credentials are found.*elasticache:Connect"):
        SignedToken("shop", "app", "eu-west-1").credentials()


def test_a_signed_token_opens_a_connection_as_its_user(
        server: tuple[int, redis.Redis], monkeypatch: pytest.MonkeyPatch) -> None:
    """ElastiCache checks the token; a Redis is told it as the user's password."""
    set_environment(monkeypatch)
    port, owner = server
    source = SignedToken("shop", "app", "eu-west-1")
    rotate(owner, source.credentials()[1])
    endpoint = Endpoint("127.0.0.1", port, username="app", secret=source)
    with connect(endpoint) as client:
        assert client.execute_command("ACL", "WHOAMI") == "app"


def test_a_run_survives_that_its_password_is_rotated(
        server: tuple[int, redis.Redis], tmp_path: Path) -> None:
    """A load test whose user gets a new password in the middle, and whose connections are then all closed."""
    port, owner = server
    password = written(tmp_path / "password", OLD)
    owner.set(guard.MARK_KEY, json.dumps({"until": (date.today() + timedelta(days=1)).isoformat()}))
    log, directory = tmp_path / "log", tmp_path / "run"
    options = ("-u", "4", "-r", "4", "-t", "60s", "--population", "60", "--think-time-ms", "5")
    with start_locust("cache", *options, "--target", f"redis://app@127.0.0.1:{port}", "--run-dir",
                      str(directory), log=log, AMPLY_REDIS_PASSWORD_FILE=str(password)) as process:
        try:
            wait_until(lambda: directory.exists() and seconds_recorded(directory) >= 2, "some load")
            rotate(owner)
            written(password, NEW)
            owner.execute_command("CLIENT", "KILL", "USER", "app")
            rotated_s = int(time.time())
            seconds = seconds_recorded(directory)
            wait_until(lambda: seconds_recorded(directory) >= seconds + 3, "more load")
            process.send_signal(signal.SIGINT)
            process.wait(60)
        finally:
            process.kill()
    run = read_run(directory)
    own = run.requests.query("command == '' and clock == 'service'")
    after = own[own["second"] > rotated_s + 1]
    assert after.groupby("outcome")["count"].sum().keys().isin(["hit", "miss"]).all(), "all is well again"
    assert after["count"].sum() > 0
    lost = own[own["outcome"].isin(["disconnected", "unreachable", "error"])]["count"].sum()
    assert lost <= 8, "each connection was lost once"
    assert run.server["second"].max() > rotated_s + 1, "the server is sampled again too"
    for path in (log, *directory.iterdir()):
        assert OLD.encode() not in path.read_bytes()
        assert NEW.encode() not in path.read_bytes()
