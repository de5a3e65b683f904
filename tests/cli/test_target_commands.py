"""`amply-capacity target`: exit 1 for a server that may not be loaded, 2 for one that cannot be reached."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest
import redis

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
    assert (marked.code, marked.json) == (0, {"url": url, "owner": "you@example.com", "until": week})
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


def test_a_day_that_is_none_or_has_passed_is_refused(amply: Callable, url: str) -> None:
    amply("target", "mark", url, *OWNER, "--until", "tomorrow").assert_refused("'tomorrow'", "YYYY-MM-DD")
    amply("target", "mark", url, *OWNER, "--until", "2020-01-01").assert_refused("2020-01-01")


def test_nothing_listening_and_no_url_are_bad_input_not_a_no(amply: Callable) -> None:
    amply("target", "check", f"redis://127.0.0.1:{free_port()}").assert_refused("nothing answers at")
    amply("target", "check", "http://127.0.0.1:1").assert_refused("'http'", "redis://")
    amply("target", "check", "no-such-cluster").assert_refused("'no-such-cluster'")


def test_a_password_that_is_missing_is_asked_for_by_environment(
        amply: Callable, plain_redis: Callable[..., int]) -> None:
    url = f"redis://127.0.0.1:{plain_redis(password='secret-word')}/0"
    answer = amply("target", "check", url)
    answer.assert_refused("wants a password", "AMPLY_REDIS_PASSWORD")
    assert "secret-word" not in answer.err


def test_a_password_in_the_url_is_refused_and_not_repeated(amply: Callable) -> None:
    answer = amply("target", "check", "redis://:hunter2@127.0.0.1:6379/0")
    answer.assert_refused("password inside the URL")
    assert "hunter2" not in answer.err
