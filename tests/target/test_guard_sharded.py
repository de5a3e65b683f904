"""A Redis Cluster as a target: every primary is marked, checked, leased and cleaned."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.crc import key_slot
from sharded_servers import sharded_servers

from amply_capacity.errors import Refused
from amply_capacity.target import cluster as clusters
from amply_capacity.target import guard, loading
from amply_capacity.target.mark import LEASE_KEY, MARK_KEY, mark_key

Servers = tuple[Any, ...]


def url_of(client: Any) -> str:
    return f"redis://127.0.0.1:{client.connection_pool.connection_kwargs['port']}/0"


def mark(client: Any, **allowed: bool) -> dict[str, Any]:
    return guard.mark(url_of(client), "you@example.com", date.today(), today=date.today(), **allowed)


def owner_of(servers: Servers, key: str) -> Any:
    """The client of the server that serves the key."""
    return servers[0 if key_slot(key.encode()) <= 5_460 else 1 if key_slot(key.encode()) <= 10_922 else 2]


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with sharded_servers(tmp_path_factory.mktemp("sharded")) as ports:
        clients = tuple(redis.Redis(port=port, decode_responses=True) for port in ports)
        yield clients
        for client in clients:
            client.close()


@pytest.fixture
def servers(started: Servers) -> Servers:
    """Three primaries, emptied."""
    for client in started:
        client.flushall()
    return started


@pytest.mark.parametrize("slots", [((0, 5_460),), ((5_461, 10_922),), ((16_383, 16_383),), ((7, 7), (9, 12))])
def test_a_marks_key_lies_in_the_slots_of_its_server(slots: tuple[tuple[int, int], ...]) -> None:
    slot = key_slot(mark_key(slots).encode())
    assert any(first <= slot <= last for first, last in slots)
    assert mark_key(None) == MARK_KEY


def test_marking_one_marks_every_primary_and_unmarking_another_unmarks_all(servers: Servers) -> None:
    with pytest.raises(Refused, match="not marked"):
        guard.admit(guard.resolve(url_of(servers[1])))
    assert mark(servers[0])["servers"] == 3
    for client in servers:
        assert [key.startswith(f"{MARK_KEY}:{{") for key in client.scan_iter()] == [True]
        guard.admit(guard.resolve(url_of(client))).close()
    assert guard.unmark(url_of(servers[2])) is True
    assert [client.dbsize() for client in servers] == [0, 0, 0]
    assert guard.unmark(url_of(servers[2])) is False


def test_one_primary_without_a_mark_is_named_and_refuses_the_whole(servers: Servers) -> None:
    mark(servers[0])
    servers[2].delete(*servers[2].keys())
    with pytest.raises(Refused, match="not marked") as refusal:
        guard.admit(guard.resolve(url_of(servers[0])))
    assert str(refusal.value).startswith(url_of(servers[2]))


def test_keys_of_others_on_any_primary_refuse_the_whole_unless_they_may_be_there(servers: Servers) -> None:
    owner_of(servers, "theirs").set("theirs", "1")
    with pytest.raises(Refused, match="theirs"):
        mark(servers[0])
    assert sum(client.dbsize() for client in servers) == 1
    mark(servers[0], allow_shared_keys=True)
    guard.admit(guard.resolve(url_of(servers[0]))).close()


def test_a_run_holds_the_whole_cluster_and_cleans_every_primary(servers: Servers) -> None:
    owner_of(servers, "theirs").set("theirs", "1")
    mark(servers[0], allow_shared_keys=True)
    load = loading.begin_load(guard.resolve(url_of(servers[0])))
    assert sum(client.exists(LEASE_KEY) for client in [owner_of(servers, LEASE_KEY)]) == 1
    for client in servers:
        with pytest.raises(Refused, match="being loaded by"):
            loading.begin_load(guard.resolve(url_of(client)))
    loading.renew(load)
    ours = [f"session:ses_~~{number:022x}" for number in range(300)]
    for key in ours:
        owner_of(servers, key).set(key, "1")
    assert all(client.dbsize() > 50 for client in servers)
    assert loading.end_load(load) == 300
    left = [key for client in servers for key in client.scan_iter() if MARK_KEY not in key]
    assert left == ["theirs"]
    guard.admit(guard.resolve(url_of(servers[1]))).close()


def test_a_cluster_with_slots_that_nobody_serves_is_refused(servers: Servers) -> None:
    mark(servers[0])
    servers[1].execute_command("CLUSTER", "DELSLOTS", 10_922)
    try:
        with pytest.raises(Refused, match="slots that no server serves"):
            guard.admit(guard.resolve(url_of(servers[1])))
    finally:
        servers[1].execute_command("CLUSTER", "ADDSLOTS", 10_922)


def test_a_sharded_cluster_of_ours_needs_no_mark_and_is_cleaned_on_every_shard(tmp_path: Path) -> None:
    with clusters.throw_away(topology="sharded", with_password=True) as ours:
        for target in (guard.resolve(ours.name), *(guard.resolve(node.url) for node in ours.data_nodes)):
            assert target.cluster == ours  # also by the URL of a replica
            guard.admit(target).close()
        load = loading.begin_load(guard.resolve(ours.name))
        assert len(load.primaries) == 3
        for number in range(90):
            key = f"session:ses_~~{number:022x}"
            next(one for one in load.primaries if one.serves(key)).client.set(key, "1")
        with pytest.raises(Refused, match="being loaded by"):
            loading.begin_load(guard.resolve(ours.name))
        assert loading.end_load(load) == 90


def test_a_replicated_cluster_of_ours_is_loaded_at_its_primary_only() -> None:
    with clusters.throw_away(topology="replicated") as ours:
        for name in (ours.name, ours.sentinels[0].url):
            load = loading.begin_load(guard.resolve(name))
            assert [primary.endpoint.port for primary in load.primaries] == [ours.endpoint.port]
            loading.end_load(load)
        replica = next(node for node in ours.data_nodes if node.port != ours.endpoint.port)
        with pytest.raises(Refused, match="it is a replica"):
            guard.admit(guard.resolve(replica.url))
