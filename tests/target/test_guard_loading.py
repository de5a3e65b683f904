"""One run at a time, and exactly our own keys removed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amply_capacity.errors import Refused, TargetError
from amply_capacity.target import guard, lease, loading
from amply_capacity.target.cluster import Cluster
from amply_capacity.target.endpoint import connect
from amply_capacity.target.mark import LEASE_KEY, MARK_KEY

OWN = ("session:ses_~~0123456789abcdef012345", "session:ses_{usr_~0123456}~~0123456789abcdef012345",
       "user_sessions:usr_~0123456", "user_sessions:{usr_~0123456}", "rate:api:key_~~0123456789abcdef012345",
       "cache:org:stats:org_~0123456", "celery-task-meta-616d706c-0123-8123-8123-0123456789ab")
FOREIGN = ("session:abc", "session:ses_0123456789abcdef01234567", "session:ses_~~0123456789abcdef012345x",
           "user_sessions:usr_01234567", "rate:api:real", "cache:org:stats:org_01234567", "theirs",
           "celery-task-meta-616d706c-0123-4123-8123-0123456789ab", "amply-capacity:targets", b"\xff\x00\n")


@pytest.fixture
def target(plain_redis: Callable[..., int]) -> guard.Target:
    """A server that its owner shares with us."""
    url = f"redis://127.0.0.1:{plain_redis()}/0"
    guard.mark(url, "you@example.com", date.today(), today=date.today(), allow_shared_keys=True)
    return guard.resolve(url)


@pytest.fixture
def client(target: guard.Target) -> Iterator[Any]:
    with redis.Redis(port=target.endpoint.port) as connected:
        yield connected


def contents(client: Any) -> dict[bytes, tuple[bytes, int]]:
    """Every key but the guard's, byte for byte, with the moment at which it expires (Unix ms; -1 never)."""
    return {key: (client.dump(key), client.execute_command("PEXPIRETIME", key))
            for key in client.scan_iter() if key not in {MARK_KEY.encode(), LEASE_KEY.encode()}}


def test_a_run_removes_its_own_keys_and_leaves_those_of_others_byte_for_byte(
        target: guard.Target, client: Any) -> None:
    for number, key in enumerate(FOREIGN):
        client.set(key, os.urandom(20), ex=1000 if number % 2 else None)
    before = contents(client)
    load = loading.begin_load(target)
    for key in OWN:
        client.set(key, "1", ex=100)
    client.mset({f"session:ses_~~{number:022x}": "1" for number in range(2_500)})  # more than two batches
    assert loading.end_load(load) == len(OWN) + 2_500
    assert contents(client) == before
    assert set(client.keys("amply-capacity:*")) == {b"amply-capacity:target", b"amply-capacity:targets"}


KINDS = {
    "string": lambda client, key: client.set(key, b"\x00value\xff"),
    "hash": lambda client, key: client.hset(key, "field", "1"),
    "set": lambda client, key: client.sadd(key, "ses_~~0123456789abcdef012345", "2"),
    "list": lambda client, key: client.rpush(key, "1", "2"),
    "zset": lambda client, key: client.zadd(key, {"member": 1.5}),
}


EXACT = [key.encode() for key in OWN]
FOREIGN_KEYS = st.one_of(
    st.binary(min_size=1, max_size=12),
    st.sampled_from([key if isinstance(key, bytes) else key.encode() for key in FOREIGN]),
    st.builds(bytes.__add__, st.sampled_from(EXACT), st.binary(min_size=1, max_size=2)),
    st.builds(lambda key, cut: key[:cut], st.sampled_from(EXACT), st.integers(1, 20)),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    theirs=st.dictionaries(
        FOREIGN_KEYS, st.tuples(st.sampled_from(sorted(KINDS)), st.none() | st.integers(1_000, 10**6)),
        max_size=12),
    ours=st.sets(st.sampled_from(OWN)))
def test_whatever_others_keep_there_stays_as_it_is(
    theirs: dict[bytes, tuple[str, int | None]], ours: set[str], target: guard.Target, client: Any
) -> None:
    client.flushall()
    guard.mark(target.endpoint.url, "x", date.today(), today=date.today(), allow_shared_keys=True)
    for key, (kind, seconds) in theirs.items():
        KINDS[kind](client, key)
        if seconds is not None:
            client.expire(key, seconds)
    before = contents(client)
    for key in ours:
        client.set(key, "left by a killed run")
    load = loading.begin_load(target)
    assert contents(client) == before
    for key in ours:
        client.set(key, "1")
    assert loading.end_load(load) == len(ours)
    assert contents(client) == before


def test_a_second_run_is_refused_with_who_loads_since_when_and_may_load_afterwards(
        target: guard.Target) -> None:
    load = loading.begin_load(target)
    holder = rf"being loaded by .+@.+, process {os.getpid()}, since \d{{4}}-\d\d-\d\d \d\d:\d\d"
    for attempt in (guard.admit, loading.begin_load, lambda again: guard.unmark(again.endpoint.url)):
        with pytest.raises(Refused, match=holder):
            attempt(target)
    loading.end_load(load)
    guard.admit(target).close()
    loading.end_load(loading.begin_load(target))


def test_a_run_that_is_refused_leaves_the_lease_of_the_other(target: guard.Target, client: Any) -> None:
    load = loading.begin_load(target)
    client.set(OWN[0], "1")
    with pytest.raises(Refused):
        loading.begin_load(target)
    loading.renew(load)
    assert client.exists(OWN[0], LEASE_KEY) == 2
    assert loading.end_load(load) == 1


def test_a_lease_ends_by_itself_within_ten_seconds_unless_it_is_renewed(
        target: guard.Target, client: Any) -> None:
    load = loading.begin_load(target)
    assert 0 < client.pttl(LEASE_KEY) <= 10_000
    client.pexpire(LEASE_KEY, 500)
    loading.renew(load)
    assert client.pttl(LEASE_KEY) > 5_000
    loading.end_load(load)


def test_of_two_that_ask_at_once_one_gets_the_lease(target: guard.Target) -> None:
    with connect(target.endpoint) as client:
        held = lease.take_lease(client)
        with pytest.raises(lease.LeaseTaken, match=f"process {os.getpid()}, since"):
            lease.take_lease(client)  # both were admitted before either had it
        assert client.get(LEASE_KEY) == held
        lease.drop_lease(client, "another's")
        assert client.get(LEASE_KEY) == held


def test_a_lease_that_was_evicted_is_taken_again(target: guard.Target, client: Any) -> None:
    load = loading.begin_load(target)
    client.delete(LEASE_KEY)
    loading.renew(load)
    with pytest.raises(Refused, match="being loaded by"):
        guard.admit(target)
    loading.end_load(load)


def test_a_full_server_still_renews_the_lease(target: guard.Target, client: Any) -> None:
    load = loading.begin_load(target)
    client.config_set("maxmemory", 1)
    client.pexpire(LEASE_KEY, 500)
    loading.renew(load)
    assert client.pttl(LEASE_KEY) > 5_000
    loading.end_load(load)


def test_a_run_that_was_silent_too_long_learns_who_took_over_and_touches_nothing_of_it(
        target: guard.Target, client: Any) -> None:
    silent = loading.begin_load(target)
    client.delete(LEASE_KEY)  # as after ten seconds
    other = loading.begin_load(target)
    client.set(OWN[0], "the other's")
    for _ in range(2):
        with pytest.raises(Refused, match="being loaded by"):
            loading.renew(silent)
    assert loading.end_load(silent) == 0
    assert client.get(OWN[0]) == b"the other's"
    loading.renew(other)
    assert loading.end_load(other) == 1


def test_a_server_that_is_away_is_asked_again_later_and_named_at_the_end(
        plain_redis: Callable[..., int]) -> None:
    url = f"redis://127.0.0.1:{plain_redis()}/0"
    guard.mark(url, "x", date.today(), today=date.today())
    load = loading.begin_load(guard.resolve(url))
    load.primaries[0].client.shutdown(nosave=True)
    loading.renew(load)
    with pytest.raises(TargetError):
        loading.end_load(load)


KILLED = """
import sys
from amply_capacity.target import guard, loading
load = loading.begin_load(guard.resolve(sys.argv[1]))
load.primaries[0].client.set(sys.argv[2], "left")
print("loading", flush=True)
sys.stdin.read()
"""


def killed_while_loading(url: str) -> None:
    """A run of ours that writes a key and is killed."""
    run = subprocess.Popen([sys.executable, "-c", KILLED, url, OWN[0]], stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE, env={**os.environ})
    with run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"loading\n"
        with pytest.raises(Refused, match=f"process {run.pid}, since"):
            guard.admit(guard.resolve(url))
        run.kill()


def test_a_killed_run_frees_a_marked_server_and_its_keys_go_with_the_next(
        target: guard.Target, client: Any) -> None:
    killed_while_loading(target.endpoint.url)
    assert client.exists(OWN[0])
    assert 0 < client.pttl(LEASE_KEY) <= lease.LEASE_MS <= 10_000
    client.pexpire(LEASE_KEY, 1)
    deadline = time.monotonic() + 5.0
    while client.exists(LEASE_KEY):
        assert time.monotonic() < deadline
    load = loading.begin_load(target)
    assert not client.exists(OWN[0])
    loading.end_load(load)


def test_unmarking_takes_along_what_a_killed_run_left_and_nothing_else(
        target: guard.Target, client: Any) -> None:
    client.mset({OWN[0]: "left", "theirs": "1"})
    assert guard.unmark(target.endpoint.url) is True
    assert client.keys() == [b"theirs"]
    client.set(OWN[0], "1")
    assert guard.unmark(target.endpoint.url) is False
    assert client.exists(OWN[0])  # an unmarked server is not touched


def test_a_killed_run_frees_a_cluster_of_ours_at_once(redis_cluster: Cluster, redis_client: Any) -> None:
    killed_while_loading(redis_cluster.endpoint.url)
    assert redis_client.exists(OWN[0])
    redis_client.set("theirs", "1")
    load = loading.begin_load(guard.resolve(redis_cluster.name))
    assert redis_client.keys() == ["theirs"]  # neither a lease nor a mark in what is measured
    with pytest.raises(Refused, match=f"process {os.getpid()}"):
        loading.begin_load(guard.resolve(redis_cluster.name))
    loading.renew(load)
    loading.end_load(load)
    guard.admit(guard.resolve(redis_cluster.name)).close()


def test_a_lease_that_cannot_be_read_still_holds(target: guard.Target, client: Any) -> None:
    for content in ("?", json.dumps([1])):
        client.set(LEASE_KEY, content, ex=5)
        with pytest.raises(Refused, match="being loaded by somebody"):
            loading.begin_load(target)
        assert client.get(LEASE_KEY) == content.encode()
