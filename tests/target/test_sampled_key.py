"""Single keys as a real server describes them, and what asking does to the server."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import redis

from amply_capacity.target.endpoint import connect, parse_endpoint
from amply_capacity.target.pace import Pace
from amply_capacity.target.sampled_key import KeyReader, SampledKey


@pytest.fixture
def client(plain_redis: Callable[..., int]) -> Any:
    with connect(parse_endpoint(f"redis://127.0.0.1:{plain_redis()}/0")) as client:
        yield client


def _reader(client: Any) -> KeyReader:
    return KeyReader(client, parse_endpoint("redis://127.0.0.1"), Pace(1e6))


def _sizes(key: SampledKey) -> tuple[object, ...]:
    return key.type, key.length, key.member_bytes, key.value_bytes


def test_keys_of_every_type_have_their_sizes(client: Any) -> None:
    client.set("short", "x" * 30)
    client.set("long", "ä" * 500, px=60_000)
    client.set("counter", 12)
    client.sadd("set", "one", "three")
    client.sadd("integers", 5, 70_000)
    client.hset("hash", mapping={"name": "x" * 10, "city": "y" * 20})
    client.rpush("list", "a" * 7, "b" * 9)
    client.zadd("zset", {"a": 1, "bbb": 1000})
    client.zadd("scores", {"a": 0.25})
    client.xadd("stream", {"f": "v" * 6, "g": "w" * 4})
    keys = {key.name: key for key in _reader(client).read(client.keys())}
    assert {name: _sizes(key) for name, key in keys.items()} == {
        "short": ("string", 30, None, 30), "long": ("string", 1000, None, 1000),
        "counter": ("int", 2, None, None), "set": ("set", 2, 4.0, None),
        "integers": ("set", 2, None, 4.0), "hash": ("hash", 2, 4.0, 15.0), "list": ("list", 2, 8.0, None),
        "zset": ("zset", 2, 2.0, 1.5), "scores": ("zset", 1, 1.0, 5.0), "stream": ("stream", 1, 12.0, None)}
    for name, key in keys.items():
        assert key.usage_bytes == client.memory_usage(name, samples=0)
        assert key.encoding == client.object("encoding", name)
        assert key.is_volatile == (name == "long")
    assert 50_000 < keys["long"].ttl_ms <= 60_000


def test_large_members_are_not_transferred_but_told_from_the_memory_they_take(client: Any) -> None:
    client.rpush("list", *("x" * 300_000 for _ in range(4)))
    client.hset("hash", "field", "x" * 300_000)
    before = client.info("stats")["total_net_output_bytes"]
    keys = {key.name: key for key in _reader(client).read(["list", "hash"])}
    assert client.info("stats")["total_net_output_bytes"] - before < 50_000
    assert keys["list"].member_bytes == pytest.approx(300_000, rel=0.2)
    assert keys["hash"].value_bytes == 300_000


def test_names_that_are_no_text_are_read_as_they_are(client: Any) -> None:
    with redis.Redis(**{name: client.connection_pool.connection_kwargs[name]
                        for name in ("host", "port")}) as raw:
        raw.set(b"k\xff\x00:1", b"\xfe" * 60)
        raw.sadd(b"s\xff", b"\xff\xfe")
    keys = {key.name: key for key in _reader(client).read(list(client.scan_iter()))}
    assert {key.name_bytes for key in keys.values()} == {5, 2}
    assert keys["k\udcff\x00:1"].value_bytes == 60
    assert keys["s\udcff"].member_bytes == 2.0


def test_keys_that_are_gone_are_counted(client: Any) -> None:
    client.set("there", "1")
    reader = _reader(client)
    assert [key.name for key in reader.read(["gone", "there", "gone too"])] == ["there"]
    assert reader.vanished == 2


ASKED = {"string": [("STRLEN", "string")], "set": [("SCARD", "set"), ("SRANDMEMBER", "set", 5)],
         "hash": [("HLEN", "hash"), ("HRANDFIELD", "hash", 5), ("HSTRLEN", "hash", "f")],
         "list": [("LLEN", "list"), ("LRANGE", "list", 0, 4)],
         "zset": [("ZCARD", "zset"), ("ZRANDMEMBER", "zset", 5, "WITHSCORES")],
         "stream": [("XLEN", "stream"), ("XRANGE", "stream", "-", "+", "COUNT", 5)]}


def test_which_questions_renew_a_key_and_which_count_as_hits_is_as_documented(client: Any) -> None:
    for _ in range(2):  # a second time after all that renews
        client.flushall()
        client.set("string", "x" * 100)
        client.sadd("set", "a", "b")
        client.hset("hash", "f", "v")
        client.rpush("list", "a")
        client.zadd("zset", {"a": 1})
        client.xadd("stream", {"f": "v"})

    def hits(*command: object) -> int:
        before = client.info("stats")["keyspace_hits"]
        client.execute_command(*command)
        return int(client.info("stats")["keyspace_hits"]) - before

    time.sleep(2.1)  # idle times have whole seconds
    for name in ASKED:
        assert hits("MEMORY", "USAGE", name, "SAMPLES", 0) == 0
        assert [hits("TYPE", name), hits("OBJECT", "ENCODING", name), hits("PTTL", name)] == [1, 1, 1]
    assert hits("SCAN", 0, "COUNT", 100) == 0
    assert all(client.object("idletime", name) >= 2 for name in ASKED)
    for name, commands in ASKED.items():
        for command in commands:
            assert hits(*command) == 1, command
        assert client.object("idletime", name) < 2
