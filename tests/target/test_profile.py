"""A live server's profile: what it predicts, what it leaves alone, and what it says of the rest."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from sharded_servers import sharded_servers

from amply_capacity.errors import BadInput, TargetError
from amply_capacity.interval import Interval
from amply_capacity.model.allocator import BUNDLED, DEBIAN
from amply_capacity.model.layout import Layout
from amply_capacity.model.memory import Server, bill_of
from amply_capacity.target import cluster as clusters
from amply_capacity.target.cluster import Cluster
from amply_capacity.target.endpoint import connect, parse_endpoint
from amply_capacity.target.extent import Extent
from amply_capacity.target.name_sample import NameSample
from amply_capacity.target.process import free_port
from amply_capacity.target.profile import Profile, take_profile
from amply_capacity.target.program import find_server
from amply_capacity.traffic.population import Population, PopulationShape
from amply_capacity.traffic.prefill import prefill_plan

ALLOCATORS = {"bundled": BUNDLED, "debian": DEBIAN}
NOW_S = 1_772_366_400.0
FAST = 1e6
OF_THE_APPLICATION = {
    "session:": ("string", 604_800.0), "user_sessions:": ("set", None), "rate:api:": ("int", 3600.0),
    "cache:org:stats:": ("string", 14_400.0), "celery-task-meta-": ("string", 7200.0)}
LONGER = {"counters": 60, "cached": 48, "results": 2}
"""How many times the application's own TTLs they are given, so that none expires while the tests run."""

pytestmark = pytest.mark.xdist_group("profile")


@pytest.fixture(scope="module")
def filled() -> Iterator[tuple[Cluster, dict[str, int]]]:
    """A server with the application's keyspace, all five kinds, and how many keys there are of each."""
    with clusters.throw_away(maxmemory_bytes=256 * 1024**2) as cluster, connect(cluster.endpoint) as client:
        yield cluster, _fill(client, 24_000)


def _fill(client: Any, users: int) -> dict[str, int]:
    population = Population(PopulationShape(users, organisations=users // 10, api_keys=users // 3))
    counts = {}
    for part, prefix in zip(prefill_plan(population, 1.0, NOW_S, counters=users // 3, results=users // 4),
                            OF_THE_APPLICATION, strict=True):
        pipeline = client.pipeline(transaction=False)
        for number, (command, key, *rest) in enumerate(part.commands()):
            if rest and isinstance(rest[0], int):
                rest[0] *= LONGER.get(part.name, 1)
            pipeline.execute_command(command, key, *rest)
            if number % 2000 == 0:
                pipeline.execute()
        pipeline.execute()
        counts[prefix] = part.count
    return counts


def _predicted(found: Profile) -> float:
    """`used_memory` as the model has it, of the keys that the profile describes."""
    info = found.server.info
    layout = Layout(ALLOCATORS[found.server.allocator or ""])
    return bill_of(found.shapes(), layout, Server(
        startup=Interval.exact(info["used_memory_startup"] + info["mem_clients_normal"]),
        tracked_commands=Interval.exact(found.server.latency_histograms))).used.mid


def test_a_fiftieth_of_the_keys_predicts_what_all_take(filled: tuple[Cluster, dict[str, int]]) -> None:
    cluster, counts = filled
    errors = []
    for seed in range(6):
        found = take_profile(cluster.endpoint, Extent(0.02, commands_per_second=FAST, seed=seed))
        assert found.is_whole
        assert found.sampled == pytest.approx(0.02 * sum(counts.values()), rel=0.2)
        assert {group.prefix: group.count.mid for group in found.groups} == pytest.approx(counts, rel=0.002)
        assert {group.prefix: (group.type, group.ttl_s) for group in found.groups} == OF_THE_APPLICATION
        errors.append(_predicted(found) / found.server.info["used_memory"] - 1.0)
    print("errors in percent:", ", ".join(f"{100.0 * error:+.2f}" for error in errors))
    assert max(map(abs, errors)) < 0.02


def test_the_bytes_of_a_key_are_what_it_takes(redis_cluster: Cluster, redis_client: Any) -> None:
    _fill(redis_client, 3000)
    found = take_profile(redis_cluster.endpoint, Extent(1.0, commands_per_second=FAST))
    layout = Layout(ALLOCATORS[found.server.allocator or ""])
    info, server = found.server.info, found.server
    beside = (info["used_memory_startup"] + info["mem_clients_normal"] + layout.tables(
        found.keys, server.databases["db0"]["expires"]) + server.latency_histograms * layout.histogram_bytes)
    took = info["used_memory"] - beside
    assert sum(group.bytes for group in found.groups) == pytest.approx(took, rel=0.005)
    assert all(group.bytes_bounds is not None and group.bytes_bounds.is_exact for group in found.groups)


def test_names_read_in_part_tell_all_counts_within_their_intervals(
        filled: tuple[Cluster, dict[str, int]]) -> None:
    cluster, counts = filled
    found = take_profile(cluster.endpoint, Extent(0.02, names=20_000, commands_per_second=FAST))
    assert not found.is_whole
    assert 20_000 <= found.scanned < 25_000
    for group in found.groups:
        half = (group.count.high - group.count.low) / 2.0
        assert 0.0 < half < 0.2 * counts[group.prefix]
        assert group.count.mid == pytest.approx(counts[group.prefix], abs=2.5 * half)  # four deviations
    assert _predicted(found) == pytest.approx(found.server.info["used_memory"], rel=0.04)


def test_about_as_many_keys_are_looked_at_as_were_asked_for(filled: tuple[Cluster, dict[str, int]]) -> None:
    cluster, _ = filled
    few = take_profile(cluster.endpoint, Extent(keys=3000, commands_per_second=FAST))
    assert few.sampled == pytest.approx(3000, rel=0.1)
    least = take_profile(cluster.endpoint, Extent(keys=1, commands_per_second=FAST))
    assert {group.prefix: len(group.keys) for group in least.groups} == dict.fromkeys(OF_THE_APPLICATION, 100)


def test_only_reading_commands_are_sent_and_no_key_is_changed(plain_redis: Callable[..., int]) -> None:
    port = plain_redis("--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru")
    with redis.Redis(port=port) as client:
        _fill_with_everything(client)
        before = _contents(client)
        client.config_resetstat()
        found = take_profile(_endpoint(port), Extent(1.0, commands_per_second=FAST))
        called = {name.removeprefix("cmdstat_") for name in client.info("commandstats")}
        assert _contents(client) == before
    assert found.sampled == len(before)
    assert called - {"config|resetstat", "client|setinfo", "memory|malloc-stats"} == {
        "ping", "info", "dbsize", "scan", "type", "object|encoding", "pttl", "memory|usage", "strlen",
        "scard", "hlen", "llen", "zcard", "xlen", "srandmember", "hrandfield", "hstrlen", "zrandmember",
        "lrange", "xrange"}
    assert [finding.kind for finding in found.findings] == ["renewed"]


def test_a_replica_tells_what_its_primary_holds(plain_redis: Callable[..., int]) -> None:
    primary_port = plain_redis("--repl-diskless-sync-delay", "0")
    with redis.Redis(port=primary_port) as primary:
        _fill_with_everything(primary)
    port = plain_redis("--replicaof", f"127.0.0.1 {primary_port}")
    with redis.Redis(port=port) as replica:
        _wait_until(lambda: replica.info("replication")["master_link_status"] == "up")
        _wait_until(lambda: replica.dbsize() > 0)
    of_primary, of_replica = (take_profile(_endpoint(one), Extent(1.0, commands_per_second=FAST))
                              for one in (primary_port, port))
    assert of_replica.server.role == "replica"
    assert of_replica.server.as_json()["master_link_status"] == "up"
    assert [(group.prefix, group.type, group.count.mid) for group in of_replica.groups] == [
        (group.prefix, group.type, group.count.mid) for group in of_primary.groups]
    assert of_primary.server.as_json()["connected_slaves"] == 1
    assert of_replica.findings == ()


def test_keys_that_expired_on_a_replica_are_told_and_not_profiled(plain_redis: Callable[..., int]) -> None:
    primary_port = plain_redis("--repl-diskless-sync-delay", "0")
    port = plain_redis("--replicaof", f"127.0.0.1 {primary_port}")
    with redis.Redis(port=primary_port) as primary, redis.Redis(port=port) as replica:
        _wait_until(lambda: replica.info("replication")["master_link_status"] == "up")
        pipeline = primary.pipeline(transaction=False)
        for number in range(2000):
            pipeline.set(f"short:{number}", "x", px=1500)
            pipeline.set(f"long:{number}", "x", ex=600)
        pipeline.execute()
        _wait_until(lambda: replica.dbsize() == 4000)
        primary.execute_command("CLIENT PAUSE", 20_000, "WRITE")  # the primary reclaims nothing meanwhile
        time.sleep(1.6)
        found = take_profile(_endpoint(port), Extent(commands_per_second=FAST))
    assert [(group.prefix, group.count.mid) for group in found.groups] == [("long:", 2000.0)]
    assert [finding.kind for finding in found.findings] == ["expired"]
    assert "about 2,000 keys" in found.findings[0].what


def test_rate_keys_whose_expire_was_lost_are_found_with_their_cost(plain_redis: Callable[..., int]) -> None:
    port = plain_redis()
    with redis.Redis(port=port) as client:
        pipeline = client.pipeline(transaction=False)
        for number in range(6000):
            pipeline.set(f"rate:api:key_{number:022}", 7, ex=None if number % 100 == 0 else 600)
        pipeline.execute()
    found = take_profile(_endpoint(port), Extent(0.5, commands_per_second=FAST))
    finding, = found.findings
    assert finding.kind == "lost-ttl"
    assert finding.group is not None
    assert finding.group.count.low <= 60 <= finding.group.count.high
    assert finding.group.count.high - finding.group.count.low < 40
    assert {group.is_volatile: group.ttl_s for group in found.groups} == {True: 600.0, False: None}


def test_keys_that_vanish_while_they_are_read_are_counted(
        plain_redis: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> None:
    port = plain_redis()
    stays, goes = ([f"{name}:{number}" for number in range(400)] for name in ("stays", "goes"))
    with redis.Redis(port=port) as client:
        client.mset(dict.fromkeys([*stays, *goes], "x" * 100))
        add = NameSample.add

        def add_once_they_are_gone(sample: NameSample, names: list[str]) -> None:
            client.delete(*goes)
            add(sample, names)

        monkeypatch.setattr(NameSample, "add", add_once_they_are_gone)
        found = take_profile(_endpoint(port), Extent(1.0, commands_per_second=FAST))
    group, = found.groups
    assert (group.prefix, group.count.mid, len(group.keys)) == ("stays:", 400.0, 400)
    assert 0 < found.vanished == found.scanned - 400
    finding, = found.findings
    assert finding.kind == "unread"
    assert f"{found.vanished} keys of goes:*" in finding.what


def test_other_databases_and_shards_are_named(plain_redis: Callable[..., int], tmp_path: Path) -> None:
    port = plain_redis()
    for database, keys in ((0, 5), (3, 50)):
        with redis.Redis(port=port, db=database) as client:
            client.mset({f"config:{number}": "x" for number in range(keys)})
    found = take_profile(parse_endpoint(f"redis://127.0.0.1:{port}/3"))
    assert found.scanned == 50
    assert ["5 in db0" in finding.what for finding in found.findings] == [True]
    with sharded_servers(tmp_path) as ports, redis.RedisCluster(port=ports[0], host="127.0.0.1") as cluster:
        for number in range(300):
            cluster.set(f"session:{number}", "x" * 60)
        found = take_profile(_endpoint(ports[0]), Extent(commands_per_second=FAST))
    assert found.server.is_cluster
    assert 50 < found.scanned < 150
    assert [finding.kind for finding in found.findings] == ["one-shard"]


def test_an_empty_database_is_refused_with_where_the_keys_are(plain_redis: Callable[..., int]) -> None:
    port = plain_redis()
    with pytest.raises(BadInput, match=r"holds no keys.*none in db0\..*name a server"):
        take_profile(_endpoint(port))
    with redis.Redis(port=port, db=2) as client:
        client.set("a", 1)
    with pytest.raises(BadInput, match=r"none in db0, but 1 in db2.*end of the URL"):
        take_profile(_endpoint(port))


def test_a_server_that_loads_its_data_is_refused(tmp_path: Path, plain_redis: Callable[..., int]) -> None:
    port = plain_redis()
    with redis.Redis(port=port) as client:
        client.mset({f"key:{number}": "x" for number in range(20_000)})
        client.save()
    loading = free_port()
    server = subprocess.Popen(
        [str(find_server().path), "--port", str(loading), "--bind", "127.0.0.1", "--save", "", "--dir",
         str(tmp_path / f"redis-{port}"), "--key-load-delay", "500",  # µs
         "--loading-process-events-interval-bytes", "1024"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until(lambda: "loading the dataset" in _refusal(loading))
        with pytest.raises(TargetError, match=r"is loading the dataset.*wait until it has loaded"):
            take_profile(_endpoint(loading))
    finally:
        server.kill()
        server.wait()


def test_the_allocator_is_told_as_the_server_was_built_with(
        filled: tuple[Cluster, dict[str, int]]) -> None:
    cluster, _ = filled
    found = take_profile(cluster.endpoint, Extent(keys=1, commands_per_second=FAST)).server
    expected = {"jemalloc-5.3": "debian", "jemalloc-5.2": "bundled"}.get(cluster.allocator[:12])
    assert found.allocator == expected
    assert found.quantum_bytes == {"debian": 16, "bundled": 8}.get(expected or "")


def _fill_with_everything(client: redis.Redis) -> None:
    pipeline = client.pipeline(transaction=False)
    for number in range(40):
        pipeline.set(f"string:{number}", "x" * (20 + number))
        pipeline.set(f"volatile:{number}", "x" * 200, ex=5000)
        pipeline.set(f"int:{number}", number)
        pipeline.sadd(f"set:{number}", "a", "b", f"c{number}")
        pipeline.sadd(f"intset:{number}", 1, number)
        pipeline.hset(f"hash:{number}", "field", "v" * 90)
        pipeline.rpush(f"list:{number}", "a", "bc")
        pipeline.zadd(f"zset:{number}", {"a": 1.5, "b": 2})
        pipeline.xadd(f"stream:{number}", {"f": "v"})
        pipeline.set(b"\xff\x00:%d" % number, b"\xfe")
    pipeline.execute()


def _contents(client: redis.Redis) -> dict[bytes, tuple[bytes | None, bool]]:
    """What each key holds, and whether it expires."""
    return {key: (client.dump(key), client.pttl(key) > 0) for key in client.scan_iter(count=1000)}


def _endpoint(port: int) -> Any:
    return parse_endpoint(f"redis://127.0.0.1:{port}/0")


def _refusal(port: int) -> str:
    try:
        connect(_endpoint(port)).close()
    except TargetError as refusal:
        return str(refusal)
    return ""


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20.0
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
