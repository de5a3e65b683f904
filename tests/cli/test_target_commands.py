"""`amply-capacity target`: exit 1 for a server that may not be loaded, 2 for one that cannot be reached."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
import redis
from seeded import MARK, seeded

from amply_capacity.target import guard, loading
from amply_capacity.target.process import free_port

OWNER = ("--owner", "you@example.com")


@pytest.fixture
def url(plain_redis: Callable[..., int]) -> str:
    return f"redis://127.0.0.1:{plain_redis()}/0"


def test_a_server_may_be_loaded_from_its_mark_on_until_it_is_unmarked(amply: Callable, url: str) -> None:
    refused = amply("target", "check", url, "--json")
    assert refused.code == 1
    assert refused.json["allowed"] is False
    assert "not marked" in refused.json["reason"]
    assert "target mark" in refused.json["do"]

    marked = amply("target", "mark", url, *OWNER, "--json")
    week = (date.today() + timedelta(days=7)).isoformat()
    assert (marked.code, marked.json) == (0, {
        "url": url, "owner": "you@example.com", "until": week, "allow_shared_keys": False,
        "allow_replicas": False, "allow_eviction": False, "allow_drills": False, "servers": 1})
    allowed = amply("target", "check", url, "--json")
    assert (allowed.code, allowed.json) == (0, {"allowed": True})

    assert amply("target", "unmark", url, "--json").json == {"removed": True}
    assert amply("target", "unmark", url, "--json").json == {"removed": False}
    assert amply("target", "check", url).code == 1


def test_a_server_with_keys_of_others_is_neither_marked_nor_touched(amply: Callable, url: str) -> None:
    with redis.Redis.from_url(url, decode_responses=True) as client:
        client.set("theirs", "1")
        amply("target", "mark", url, *OWNER).assert_refused("theirs")
        assert client.keys() == ["theirs"]


def test_keys_of_others_may_be_there_where_the_owner_allows_it(amply: Callable, url: str) -> None:
    with redis.Redis.from_url(url, decode_responses=True) as client:
        client.set("theirs", "1")
        marked = amply("target", "mark", url, *OWNER, "--allow-shared-keys", "--json")
        assert (marked.code, marked.json["allow_shared_keys"]) == (0, True)
        assert amply("target", "check", url, "--json").json == {"allowed": True}
        client.config_set("maxmemory", "100mb")
        client.config_set("maxmemory-policy", "allkeys-lru")
        refused = amply("target", "check", url, "--json")
        assert refused.code == 1
        assert "allkeys-lru" in refused.json["reason"]
        assert "--allow-eviction" in refused.json["do"]
        amply("target", "mark", url, *OWNER, "--allow-shared-keys").assert_refused("allkeys-lru")
        evictable = amply("target", "mark", url, *OWNER, "--allow-shared-keys", "--allow-eviction",
                          "--allow-replicas", "--json")
        assert (evictable.json["allow_eviction"], evictable.json["allow_replicas"]) == (True, True)
        assert amply("target", "check", url).code == 0
        assert amply("target", "unmark", url).code == 0
        assert client.keys() == ["theirs"]


def test_a_server_that_is_being_loaded_is_a_no_with_who_and_since_when(amply: Callable, url: str) -> None:
    amply("target", "mark", url, *OWNER)
    load = loading.begin_load(guard.resolve(url))
    refused = amply("target", "check", url)
    assert refused.code == 1
    assert f"process {os.getpid()}, since 2" in refused.out
    assert "Do: wait until that run ends" in refused.out
    amply("target", "unmark", url).assert_refused("being loaded")
    loading.end_load(load)
    assert amply("target", "check", url).code == 0


def test_a_server_on_the_deny_list_is_a_no_and_a_broken_list_is_bad_input(
        amply: Callable, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    amply("target", "mark", url, *OWNER)
    deny = tmp_path / "targets.toml"
    monkeypatch.setenv("AMPLY_TARGETS", str(deny))
    deny.write_text('deny = ["127.0.0.*"]')
    refused = amply("target", "check", url, "--json")
    assert refused.code == 1
    assert f"'127.0.0.*' in {deny}" in refused.json["reason"]
    deny.write_text("deny = 127")
    for command in (("check", url), ("mark", url, *OWNER), ("unmark", url)):
        amply("target", *command).assert_refused("no list named deny", str(deny), "nothing is loaded")


def test_a_day_that_is_none_or_has_passed_is_refused(amply: Callable, url: str) -> None:
    amply("target", "mark", url, *OWNER, "--until", "tomorrow").assert_refused("'tomorrow'", "YYYY-MM-DD")
    amply("target", "mark", url, *OWNER, "--until", "2020-01-01").assert_refused("2020-01-01")


def test_nothing_listening_and_no_url_are_bad_input_not_a_no(amply: Callable) -> None:
    amply("target", "check", f"redis://127.0.0.1:{free_port()}").assert_refused("nothing answers at")
    amply("target", "check", "http://127.0.0.1:1").assert_refused("'http'", "redis://")
    amply("target", "check", "no-such-cluster").assert_refused("'no-such-cluster'")


def test_a_password_that_is_missing_is_asked_for_by_environment(
        amply: Callable, plain_redis: Callable[..., int]) -> None:
    url = f"redis://127.0.0.1:{plain_redis(password=seeded('word'))}/0"
    answer = amply("target", "check", url)
    answer.assert_refused("wants a password", "AMPLY_REDIS_PASSWORD")
    assert MARK not in answer.err


def test_a_password_in_the_url_is_refused_and_not_repeated(amply: Callable) -> None:
    answer = amply("target", "check", "redis://:hunter2@127.0.0.1:6379/0")
    answer.assert_refused("password inside the URL")
    assert "hunter2" not in answer.err
