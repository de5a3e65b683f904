from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
import redis

from amply_capacity.errors import BadInput, Refused, TargetError, UnknownName
from amply_capacity.target import guard
from amply_capacity.target.cluster import Cluster
from amply_capacity.target.endpoint import Endpoint

_TODAY = date.today()
_OURS = (
    "session:ses_1",
    "user_sessions:usr_1",
    "rate:api:key_1",
    "cache:org:stats:org_1",
    "celery-task-meta-1",
)


def _url(port: int) -> str:
    return f"redis://127.0.0.1:{port}/0"


def _mark(port: int, days: int = 1) -> dict[str, Any]:
    return guard.mark(_url(port), "you@example.com", _TODAY + timedelta(days=days), today=_TODAY)


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
    target = guard.Target(redis_cluster.endpoint, replace(redis_cluster, run_id="0" * 40))
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


def test_a_server_with_keys_cannot_be_marked_not_even_with_keys_named_like_ours(foreign: int) -> None:
    with _client(foreign) as client:
        for key in ("theirs", *_OURS):
            client.set(key, "1")
            with pytest.raises(Refused, match="holds keys that are not ours"):
                _mark(foreign)
            assert client.keys() == [key]
            client.delete(key)


def test_a_marked_server_that_is_used_after_all_is_refused_and_its_keys_stay(foreign: int) -> None:
    _mark(foreign)
    with _client(foreign) as client:
        client.set("session:ses_of_production", "1")
        with pytest.raises(Refused, match="holds keys that are not ours"):
            _admit(foreign)
        assert client.exists("session:ses_of_production")


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


def test_what_a_killed_run_left_is_cleaned_and_nothing_else(foreign: int) -> None:
    _mark(foreign)
    with _admit(foreign) as control, _client(foreign) as client:
        guard.begin_load(control)
        for key in _OURS:
            client.set(key, "1")
        _admit(foreign).close()  # the mark notes the run that was killed here
        guard.begin_load(control)
        assert client.keys() == [guard.MARK_KEY]
        client.set("theirs", "1")
        with pytest.raises(Refused, match="theirs"):
            _admit(foreign)
        client.set("session:ses_1", "1")
        assert guard.end_load(control) == 1
        assert sorted(client.keys()) == [guard.MARK_KEY, "theirs"]
        client.delete("theirs")
    _admit(foreign).close()


def test_unmarking_takes_along_what_a_killed_run_left(foreign: int) -> None:
    _mark(foreign)
    with _admit(foreign) as control:
        guard.begin_load(control)
        control.set("session:ses_1", "1")
        control.set("theirs", "1")
        assert guard.unmark(_url(foreign)) is True
        assert control.keys() == ["theirs"]


def test_marking_again_moves_the_last_day(foreign: int) -> None:
    _mark(foreign)
    _mark(foreign, days=9)
    with _client(foreign) as client:
        assert json.loads(client.get(guard.MARK_KEY))["until"] == (_TODAY + timedelta(days=9)).isoformat()


def test_cleaning_removes_our_keys_in_batches_and_leaves_the_foreign_ones(redis_client: Any) -> None:
    theirs = {"theirs", "sessions", "session:abc", "rate:web:1", "celery", "cache:org:1"}
    for key in theirs:
        redis_client.set(key, "1")
    redis_client.mset({f"{prefix}{number}": "1" for prefix in _OURS for number in range(500)})
    assert guard.clean(redis_client) == 2500
    assert set(redis_client.keys()) == theirs


def test_a_replica_and_a_primary_that_replicates_are_refused(plain_redis: Callable[..., int]) -> None:
    primary = plain_redis()
    _mark(primary)
    replica = plain_redis("--replicaof", f"127.0.0.1 {primary}", "--repl-diskless-sync-delay", "0")
    with _client(primary) as client:
        client.wait(1, 20_000)
        assert client.info("replication")["connected_slaves"] == 1
    with pytest.raises(Refused, match="it replicates to other servers"):
        _admit(primary)
    with pytest.raises(Refused, match="it is a replica"):
        _admit(replica)
    with pytest.raises(Refused, match="it is a replica"):
        _mark(replica)


def test_a_full_server_that_refuses_the_mark_is_explained(plain_redis: Callable[..., int]) -> None:
    port = plain_redis("--maxmemory", "1", "--maxmemory-policy", "noeviction")
    with pytest.raises(TargetError, match="refuses a command"):
        _mark(port)


def test_a_user_who_may_not_is_explained(plain_redis: Callable[..., int]) -> None:
    port = plain_redis("--user", "app", "on", "nopass", "+ping")
    with pytest.raises(TargetError, match="refuses a command"):
        guard.admit(guard.Target(Endpoint("127.0.0.1", port, username="app", password="x"), None))
