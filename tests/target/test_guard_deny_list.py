"""`targets.toml`: what stands there is refused before anything is connected to."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from amply_capacity.errors import BadInput, Refused
from amply_capacity.files import CLUSTERS_DIR, DATA_DIR
from amply_capacity.target import guard, loading
from amply_capacity.target.cluster import Cluster
from amply_capacity.target.deny_list import DenyList, read_deny_list
from amply_capacity.target.endpoint import Endpoint

STATE_FILE = CLUSTERS_DIR.parent / "targets.toml"


@pytest.fixture
def deny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Writes the list that $AMPLY_TARGETS names."""

    def write(text: str) -> Path:
        path = tmp_path / "targets.toml"
        path.write_text(text)
        monkeypatch.setenv("AMPLY_TARGETS", str(path))
        return path

    return write


@pytest.fixture
def state_file() -> Iterator[Path]:
    STATE_FILE.parent.mkdir(parents=True, exist_ok=True)
    yield STATE_FILE
    STATE_FILE.unlink(missing_ok=True)


@pytest.fixture
def silent_port() -> Iterator[tuple[int, socket.socket]]:
    """A port whose connections nobody answers, but counts."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server.getsockname()[1], server


HOST = Endpoint("Prod-Cache.abc.use1.cache.amazonaws.com", 6379)


@pytest.mark.parametrize(("pattern", "endpoint", "is_denied"), [
    ("prod-*", HOST, True),
    ("PROD-*", HOST, True),
    ("*.cache.amazonaws.com:6379", HOST, True),
    ("*.cache.amazonaws.com:6380", HOST, False),
    ("redis://*", HOST, True),
    ("rediss://prod-cache.*:6379", HOST, True),
    ("prod-cache.abc.use1.cache.amazonaws.co?", HOST, True),
    ("prod", HOST, False),
    ("cache", HOST, False),
    ("prod-*", Endpoint("test-prod-1", 6379), False),
    ("prod-1", Endpoint("prod-1.", 6379), True),
    ("10.0.0.1", Endpoint("10.1", 6379), True),
    ("10.0.0.1:6379", Endpoint("0x0a000001", 6379), True),
    ("::1", Endpoint("::1", 6379), True),
    ("[::1]:6379", Endpoint("::1", 6379), True),
    ("redis://db:6379/3", Endpoint("db", 6379, database=3), True),
    ("redis://db:6379/3", Endpoint("db", 6379), False),
    ("d[ab]", Endpoint("db", 6379), False),
])
def test_a_pattern_is_of_the_host_its_port_or_the_url(
        pattern: str, endpoint: Endpoint, is_denied: bool) -> None:
    found = DenyList(((pattern, Path("targets.toml")),)).match(endpoint)
    assert found == ((pattern, Path("targets.toml")) if is_denied else None)


def test_a_listed_server_is_refused_before_it_is_connected_to(
        deny: Callable[[str], Path], silent_port: tuple[int, socket.socket]) -> None:
    port, server = silent_port
    path = deny(f'deny = ["other", "127.0.0.1:{port}"]')
    url = f"redis://127.0.0.1:{port}"
    for attempt in (
        lambda: guard.admit(guard.resolve(url)), lambda: loading.begin_load(guard.resolve(url)),
        lambda: guard.mark(url, "x", date.today(), today=date.today()), lambda: guard.unmark(url),
    ):
        with pytest.raises(Refused, match="on the deny list") as refusal:
            attempt()
        assert str(path) in str(refusal.value)
    with pytest.raises(BlockingIOError):
        server.accept()


def test_a_mark_does_not_help_against_the_list(
        deny: Callable[[str], Path], plain_redis: Callable[..., int]) -> None:
    url = f"redis://127.0.0.1:{plain_redis()}/0"
    guard.mark(url, "x", date.today(), today=date.today())
    guard.admit(guard.resolve(url)).close()
    deny(f'deny = ["{url}"]')
    with pytest.raises(Refused, match="a mark does not help"):
        guard.admit(guard.resolve(url))


def test_the_lists_of_the_state_directory_and_of_the_environment_add_up(
        deny: Callable[[str], Path], state_file: Path) -> None:
    assert read_deny_list() == DenyList()
    state_file.write_text('deny = ["one"]')
    assert [pattern for pattern, _ in read_deny_list().patterns] == ["one"]
    deny('deny = ["two"]')
    assert [pattern for pattern, _ in read_deny_list().patterns] == ["one", "two"]


@pytest.mark.parametrize(("text", "fault"), [
    ("deny = [", "end of document"), ("", "no list named deny"), ('deny = "prod"', "no list named deny"),
    ('deny = ["a", 3, ""]', "pattern 2 is no text: 3"), ('deny = ["a", 3, " "]', "pattern 3 is no text: ' '"),
    ('deny = []\nallow = ["x"]', "unknown entry 'allow'"), ("deny = ['\udcff']", "utf-8"),
])
def test_a_list_that_cannot_be_read_refuses_everything(
        text: str, fault: str, deny: Callable[[str], Path], redis_cluster: Cluster) -> None:
    path = deny("")
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    for name in (redis_cluster.name, "redis://127.0.0.1:1"):
        with pytest.raises(BadInput, match="nothing is loaded") as caught:
            guard.admit(guard.resolve(name))
        assert fault in str(caught.value)
        assert str(path) in str(caught.value)


def test_a_list_that_is_named_and_missing_refuses_everything(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_cluster: Cluster) -> None:
    monkeypatch.setenv("AMPLY_TARGETS", str(tmp_path / "none.toml"))
    with pytest.raises(BadInput, match="No such file"):
        guard.admit(guard.resolve(redis_cluster.name))


def test_the_example_that_ships_is_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMPLY_TARGETS", str(DATA_DIR / "targets.example.toml"))
    denied = read_deny_list()
    assert denied.match(Endpoint("prod-sessions.internal", 6379))
    assert denied.match(Endpoint("amply-prod.abc123.0001.use1.cache.amazonaws.com", 6379))
    assert not denied.match(Endpoint("127.0.0.1", 6379))
