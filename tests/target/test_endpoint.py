from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from seeded import seeded

from amply_capacity.errors import AuthRequired, BadInput, NotRedis, TargetError, Unreachable
from amply_capacity.target.cluster import Cluster
from amply_capacity.target.endpoint import Endpoint, connect, explained, parse_endpoint
from amply_capacity.target.process import free_port

SESAME = seeded("sesame")


@pytest.fixture
def http_port() -> Iterator[int]:
    class Quiet(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def silent_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port whose queue of connections is full: what comes is dropped, as a security group drops it."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(server.getsockname())
        yield server.getsockname()[1]
        for one in waiting:
            one.close()


def test_a_url_is_read_part_by_part() -> None:
    assert parse_endpoint("redis://host") == Endpoint("host", 6379)
    assert parse_endpoint("rediss://app@host:6380/3") == Endpoint("host", 6380, True, "app", None, 3)
    assert parse_endpoint("redis://[::1]:7000/1").url == "redis://[::1]:7000/1"


def test_the_password_comes_from_the_environment_and_shows_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMPLY_REDIS_PASSWORD", SESAME)
    monkeypatch.setenv("AMPLY_REDIS_USERNAME", "app")
    endpoint = parse_endpoint("rediss://host:6380")
    assert (endpoint.username, endpoint.password) == ("app", SESAME)
    assert SESAME not in repr(endpoint) + endpoint.url


def test_all_faults_of_a_url_are_told_at_once_and_its_password_is_not() -> None:
    with pytest.raises(BadInput) as failure:
        parse_endpoint(f"http://user:{SESAME}@:99999/abc?db=1")
    text = str(failure.value)
    for fault in (
        "scheme 'http'",
        "no host",
        "the port is no number",
        "the database is no number",
        "options after the address",
        "a password inside the URL",
    ):
        assert fault in text
    assert SESAME not in text
    assert "AMPLY_REDIS_PASSWORD" in text


@pytest.mark.parametrize(
    "url",
    [
        "redis://host:0",
        "redis://host:65536",
        "redis://host:port",
        "redis://",
        "host:6379",
        "redis://[::1",
        "redis://host/-1",
        f"redis://user:{SESAME}@host",
        f"redis://host?password={SESAME}",
        f"user:{SESAME}@host:6379",
        f"redis:///{SESAME}@host",
    ],
)
def test_a_bad_url_is_refused_without_its_secret(url: str) -> None:
    with pytest.raises(BadInput) as failure:
        parse_endpoint(url)
    assert SESAME not in str(failure.value)


@pytest.mark.parametrize("host", ["a..b", ".internal", f"{'x' * 64}.internal", "%ff"])
def test_a_host_that_no_system_looks_up_is_a_fault_of_the_url(host: str) -> None:
    with pytest.raises(BadInput, match=r"a host with an empty part.*Do: give redis://host:6379/0"):
        parse_endpoint(f"redis://{host}:6379")


@pytest.mark.parametrize("host", [f"{'x' * 63}.internal", "host.", "b\u00fccher.example", "127.0.0.1",
                                  "[fe80::1]"])
def test_a_host_that_systems_look_up_is_none(host: str) -> None:
    assert parse_endpoint(f"redis://{host}:6379").port == 6379


def test_a_server_that_answers_is_connected(redis_cluster: Cluster) -> None:
    with connect(redis_cluster.endpoint) as client:
        assert client.ping() is True


def test_where_nothing_listens_it_is_unreachable() -> None:
    with pytest.raises(Unreachable, match=r"nothing answers at redis://127\.0\.0\.1:"):
        connect(Endpoint("127.0.0.1", free_port()))


def test_where_packets_are_dropped_it_is_unreachable(full_port: int) -> None:
    with pytest.raises(Unreachable, match="nothing answers"):
        connect(Endpoint("127.0.0.1", full_port), timeout_seconds=0.3)


def test_a_name_that_is_not_known_is_unreachable() -> None:
    with pytest.raises(Unreachable, match="nothing answers"):
        connect(Endpoint("no-such-host.invalid", 6379))


def test_a_web_server_is_not_redis(http_port: int) -> None:
    with pytest.raises(NotRedis, match="answers, but not as a Redis server"):
        connect(Endpoint("127.0.0.1", http_port), timeout_seconds=2.0)


def test_a_server_that_stays_silent_is_not_redis(silent_port: int) -> None:
    with pytest.raises(NotRedis, match="does not answer PING"):
        connect(Endpoint("127.0.0.1", silent_port), timeout_seconds=0.3)


def test_tls_to_a_server_without_tls_is_not_redis(redis_cluster: Cluster) -> None:
    with pytest.raises(NotRedis, match="TLS"):
        connect(Endpoint(redis_cluster.host, redis_cluster.port, tls=True), timeout_seconds=2.0)


def test_a_missing_and_a_wrong_password_are_told_apart(plain_redis: Callable[..., int]) -> None:
    port = plain_redis(password=SESAME)
    with pytest.raises(AuthRequired, match="wants a password"):
        connect(Endpoint("127.0.0.1", port))
    with pytest.raises(AuthRequired, match="does not accept the password given") as failure:
        connect(Endpoint("127.0.0.1", port, password=seeded("wrong")))
    assert "AMPLY_REDIS_PASSWORD" in str(failure.value)
    with connect(Endpoint("127.0.0.1", port, password=SESAME)) as client:
        assert client.ping() is True


def test_a_refused_command_is_explained_and_not_a_traceback(redis_client: object) -> None:
    endpoint = Endpoint("127.0.0.1", 1)
    with pytest.raises(TargetError, match="refuses a command"), explained(endpoint):
        redis_client.execute_command("NO-SUCH-COMMAND")  # type: ignore[attr-defined]
