from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
import redis

from amply_capacity.errors import BadInput, Refused, TargetError, UnknownName
from amply_capacity.files import ROOT
from amply_capacity.target import guard
from amply_capacity.target.cluster import Cluster
from amply_capacity.target.deny_list import production_word
from amply_capacity.target.endpoint import Endpoint

_TODAY = date.today()
def _url(port: int) -> str:
    return f"redis://127.0.0.1:{port}/0"


def _mark(port: int, days: int = 1, **allowed: bool) -> dict[str, Any]:
    until = _TODAY + timedelta(days=days)
    return guard.mark(_url(port), "you@example.com", until, today=_TODAY, **allowed)


def _admit(port: int) -> Any:
    return guard.admit(guard.resolve(_url(port)))


@pytest.fixture
def foreign(plain_redis: Callable[..., int]) -> int:
    return plain_redis()


def _client(port: int, database: int = 0) -> Any:
    return redis.Redis(port=port, db=database, decode_responses=True)


def test_a_cluster_of_ours_may_be_loaded_by_name_and_by_url(redis_cluster: Cluster) -> None:
    for name in (redis_cluster.name, redis_cluster.endpoint.url, f"redis://localhost:{redis_cluster.port}"):
        target = guard.resolve(name)
        assert target.cluster == redis_cluster
        guard.admit(target).close()


def test_the_database_of_a_clusters_url_is_kept(redis_cluster: Cluster) -> None:
    assert guard.resolve(f"redis://127.0.0.1:{redis_cluster.port}/3").endpoint.database == 3


def test_another_server_on_a_clusters_port_is_refused(redis_cluster: Cluster) -> None:
    others = tuple(replace(node, run_id="0" * 40) for node in redis_cluster.nodes)
    target = guard.Target(redis_cluster.endpoint, replace(redis_cluster, nodes=others))
    with pytest.raises(Refused, match="another server answers"):
        guard.admit(target)


def test_a_name_that_is_no_cluster_is_refused_and_an_address_without_scheme_is_explained() -> None:
    with pytest.raises(UnknownName):
        guard.resolve("tset")
    with pytest.raises(BadInput, match="instead of redis://"):
        guard.resolve("localhost:6379")


def test_an_unmarked_server_is_refused_and_left_as_it_was(foreign: int) -> None:
    with _client(foreign) as client:
        client.set("theirs", "1")
        with pytest.raises(Refused, match="not marked as a test target") as refusal:
            _admit(foreign)
        assert "amply-capacity target mark" in str(refusal.value)
        assert client.keys() == ["theirs"]


def test_a_marked_server_is_admitted_until_it_is_unmarked(foreign: int) -> None:
    content = _mark(foreign)
    assert content["until"] == (_TODAY + timedelta(days=1)).isoformat()
    _admit(foreign).close()
    with _client(foreign) as client:
        assert client.ttl(guard.MARK_KEY) == -1  # volatile-lru evicts no key without a TTL
    assert guard.unmark(_url(foreign)) is True
    assert guard.unmark(_url(foreign)) is False
    with pytest.raises(Refused):
        _admit(foreign)


def test_the_last_day_of_a_mark_counts_and_the_day_after_does_not(foreign: int) -> None:
    _mark(foreign, days=0)
    _admit(foreign).close()
    with _client(foreign) as client:
        client.set(
            guard.MARK_KEY, json.dumps({"owner": "x", "until": (_TODAY - timedelta(days=1)).isoformat()})
        )
    with pytest.raises(Refused, match="its mark ended on"):
        _admit(foreign)


def test_a_mark_for_a_day_that_has_passed_is_refused(foreign: int) -> None:
    with pytest.raises(BadInput, match="has passed"):
        _mark(foreign, days=-1)
    with _client(foreign) as client:
        assert client.dbsize() == 0


@pytest.mark.parametrize("content", ["yes", "{}", '{"until": 3}', '{"until": "soon"}', "[]", None])
def test_a_mark_that_cannot_be_read_is_no_mark(content: str | None, foreign: int) -> None:
    with _client(foreign) as client:
        if content is None:
            client.lpush(guard.MARK_KEY, "x")
        else:
            client.set(guard.MARK_KEY, content)
    with pytest.raises(Refused, match="cannot be read"):
        _admit(foreign)


def test_a_server_with_foreign_keys_cannot_be_marked_not_even_if_they_look_like_ours(foreign: int) -> None:
    with _client(foreign) as client:
        for key in ("theirs", "session:ses_1", f"session:ses_{'0' * 24}", "rate:api:key_1"):
            client.set(key, "1")
            with pytest.raises(Refused, match="holds keys that are not ours") as refusal:
                _mark(foreign)
            assert "--allow-shared-keys" in str(refusal.value)
            assert client.keys() == [key]
            client.delete(key)


def test_a_marked_server_that_is_used_after_all_is_refused_and_its_keys_stay(foreign: int) -> None:
    _mark(foreign)
    with _client(foreign) as client:
        client.set("session:ses_of_production", "1")
        with pytest.raises(Refused, match="holds keys that are not ours"):
            _admit(foreign)
        assert client.exists("session:ses_of_production")


def test_a_mark_may_allow_keys_of_others_and_marking_again_without_takes_it_back(foreign: int) -> None:
    with _client(foreign) as client, _client(foreign, database=5) as other:
        client.set("theirs", "1")
        other.set("theirs", "1", ex=100)
        assert _mark(foreign, allow_shared_keys=True)["allow_shared_keys"] is True
        _admit(foreign).close()
        with pytest.raises(Refused, match="theirs"):
            _mark(foreign)
        _admit(foreign).close()  # a mark that is refused leaves the one before


def test_our_own_keys_are_no_reason_to_refuse(foreign: int) -> None:
    with _client(foreign) as client:
        client.set("session:ses_~~0123456789abcdef012345", "1", ex=100)
        _mark(foreign)
        _admit(foreign).close()
        assert client.exists("session:ses_~~0123456789abcdef012345")


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-lru", "volatile-ttl", "noeviction"])
@pytest.mark.parametrize("theirs", ["none", "without TTL", "with TTL", "with TTL in another database"])
def test_a_load_that_could_evict_keys_of_others_is_refused_unless_allowed(
        policy: str, theirs: str, foreign: int) -> None:
    with _client(foreign) as client, _client(foreign, database=3) as other:
        client.config_set("maxmemory", "100mb")
        client.config_set("maxmemory-policy", policy)
        client.set("session:ses_~~0123456789abcdef012345", "1", ex=100)  # ours may go
        if theirs != "none":
            (other if "another" in theirs else client).set(
                "theirs", "1", ex=100 if "with TTL" in theirs else None)
        in_danger = ((policy.startswith("allkeys") and theirs != "none")
                     or (policy.startswith("volatile") and "with TTL" in theirs))
        if in_danger:
            with pytest.raises(Refused, match=f"maxmemory-policy is {policy}") as refusal:
                _mark(foreign, allow_shared_keys=True)
            assert "--allow-eviction" in str(refusal.value)
        else:
            _mark(foreign, allow_shared_keys=True)
            _admit(foreign).close()
        _mark(foreign, allow_shared_keys=True, allow_eviction=True)
        _admit(foreign).close()
        client.config_set("maxmemory", 0)  # never full, so that nothing is evicted
        _mark(foreign, allow_shared_keys=True)
        _admit(foreign).close()


def test_a_policy_that_changes_after_the_mark_is_seen(foreign: int) -> None:
    with _client(foreign) as client:
        client.config_set("maxmemory", "100mb")
        client.set("theirs", "1")
        _mark(foreign, allow_shared_keys=True)
        client.config_set("maxmemory-policy", "allkeys-lru")
        with pytest.raises(Refused, match="allkeys-lru"):
            _admit(foreign)


def test_keys_of_another_database_count_since_eviction_would_take_them(foreign: int) -> None:
    _mark(foreign)
    with _client(foreign, database=5) as client:
        client.set("theirs", "1", ex=100)
    with pytest.raises(Refused, match="db5"):
        _admit(foreign)


def test_keys_that_are_no_text_are_foreign_and_no_traceback(foreign: int) -> None:
    with _client(foreign) as client:
        client.set(b"\xff\xfe\x00", "1")
    with pytest.raises(Refused, match=r"\\udcff") as refusal:
        _mark(foreign)
    str(refusal.value).encode()


def test_marking_again_moves_the_last_day(foreign: int) -> None:
    _mark(foreign)
    _mark(foreign, days=9)
    with _client(foreign) as client:
        assert json.loads(client.get(guard.MARK_KEY))["until"] == (_TODAY + timedelta(days=9)).isoformat()


def test_a_primary_that_replicates_is_refused_unless_allowed_and_a_replica_always(
        plain_redis: Callable[..., int]) -> None:
    primary = plain_redis()
    _mark(primary)
    replica = plain_redis("--replicaof", f"127.0.0.1 {primary}", "--repl-diskless-sync-delay", "0")
    with _client(primary) as client:
        client.wait(1, 20_000)
        assert client.info("replication")["connected_slaves"] == 1
    with pytest.raises(Refused, match="it replicates to other servers"):
        _admit(primary)
    with pytest.raises(Refused, match="--allow-replicas"):
        _mark(primary)
    _mark(primary, allow_replicas=True)
    _admit(primary).close()
    for allowed in (False, True):
        with pytest.raises(Refused, match="it is a replica"):
            _mark(replica, allow_replicas=allowed)
    with pytest.raises(Refused, match="it is a replica"):
        _admit(replica)


def test_a_full_server_that_refuses_the_mark_is_explained(plain_redis: Callable[..., int]) -> None:
    port = plain_redis("--maxmemory", "1", "--maxmemory-policy", "noeviction")
    with pytest.raises(TargetError, match="refuses a command"):
        _mark(port)


def test_a_user_who_may_not_is_explained(plain_redis: Callable[..., int]) -> None:
    port = plain_redis("--user", "app", "on", "nopass", "+ping")
    with pytest.raises(TargetError, match="refuses a command"):
        guard.admit(guard.Target(Endpoint("127.0.0.1", port, username="app", password="x"), None))


@pytest.mark.parametrize(("host", "word"), [
    ("amply-prod.abc123.use1.cache.amazonaws.com", "prod"), ("PRODUCTION.example.com", "production"),
    ("cache.live.example.com", "live"), ("prod2-cache", "prod2"), ("products.example.com", None),
    ("alive.example.com", None), ("127.0.0.1", None)])
def test_a_name_looks_like_production_by_its_words(host: str, word: str | None) -> None:
    assert production_word(host) == word


def test_an_unmarked_server_with_a_production_like_name_is_told_so(
        foreign: int, monkeypatch: pytest.MonkeyPatch) -> None:
    resolved = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: resolved(
        "127.0.0.1" if host == "amply-prod.internal" else host, *rest, **more))
    url = f"redis://amply-prod.internal:{foreign}/0"
    with pytest.raises(Refused, match="not marked as a test target, and 'prod' in its name") as refusal:
        guard.admit(guard.resolve(url))
    assert f"target mark {url}" in str(refusal.value)
    _mark(foreign)
    guard.admit(guard.resolve(url)).close()


def test_nothing_in_the_package_empties_a_server() -> None:
    for path in (ROOT / "amply_capacity").rglob("*.py"):
        assert not re.search(r"flush_?(all|db)", path.read_text(), re.IGNORECASE), path
