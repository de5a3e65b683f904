from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pandas as pd
import pytest
from batches import tables

from amply_capacity.load.client import Connection
from amply_capacity.load.player import Player
from amply_capacity.load.recorder import Recorder
from amply_capacity.load.replies import ReplyError
from amply_capacity.target import cluster as clusters
from amply_capacity.target.cluster import Cluster
from amply_capacity.target.endpoint import Endpoint
from amply_capacity.target.process import free_port
from amply_capacity.traffic.operation import Compute, Operation, Pipeline


def _steps(*steps: Any, outcome: str = "ok", seen: list[Any] | None = None) -> Operation:
    """An operation of given steps; the replies go into `seen`."""

    def operation() -> Generator[Any, Any, str]:
        for step in steps:
            reply = yield step
            if seen is not None:
                seen.append(reply)
        return outcome

    return operation()


@pytest.fixture
def player(redis_cluster: Cluster, redis_client: Any) -> Iterator[Player]:
    connection = Connection(redis_cluster.endpoint, timeout_seconds=1.0)
    yield Player(connection, Recorder())
    connection.close()


def _play(player: Player, operation: Operation, intended: float | None = None) -> str:
    return player.play("sessions", "validate", operation, intended)


def _rows(player: Player) -> pd.DataFrame:
    return tables(player._recorder.drain()).requests


def _serve(answer: bytes) -> tuple[socket.socket, int]:
    """A server that gives its one client one answer, whatever it asks, and hangs up."""
    listening = socket.create_server(("127.0.0.1", 0))

    def once() -> None:
        client, _ = listening.accept()
        with client:
            client.recv(4096)
            client.sendall(answer)

    threading.Thread(target=once, daemon=True).start()
    return listening, listening.getsockname()[1]


def test_keys_and_values_of_bytes_and_numbers_are_recorded_as_what_they_are(player: Player) -> None:
    assert _play(player, _steps(("SETEX", b"k\xff", 60, b"\xff\xfe1"), ("GET", b"gone"), ("INCR", 7),
                                ("SADD", 8, b"\xff", 12))) == "ok"
    accesses = [(one[1], one[2], one[3]) for one in player._recorder.drain().accesses]
    assert accesses == [("setex", "k\\xff", 3), ("get", "gone", None), ("incr", "7", None), ("sadd", "8", 3)]


def test_replies_are_decoded_as_the_applications_pool_decodes_them(player: Player) -> None:
    seen: list[Any] = []
    outcome = _play(
        player,
        _steps(
            ("SET", "k", "né"),
            ("GET", "k"),
            ("GET", "none"),
            ("INCR", "n"),
            ("SADD", "s", "a"),
            ("SMEMBERS", "s"),
            outcome="hit",
            seen=seen,
        ),
    )
    assert outcome == "hit"
    assert seen[1:4] == ["né", None, 1]
    assert set(seen[5]) == {"a"}


def test_each_command_and_the_operation_are_timed(player: Player) -> None:
    _play(player, _steps(("GET", "k"), ("GET", "k"), ("SET", "k", "1"), outcome="miss"))
    rows = _rows(player)
    commands = rows[rows["command"] != ""]
    assert commands.groupby("command")["count"].sum().to_dict() == {"GET": 2, "SET": 1}
    assert set(commands["clock"]) == {"service"}
    own = rows[rows["command"] == ""]
    assert own.set_index("clock")["count"].to_dict() == {"service": 1, "response": 1, "lateness": 1}
    assert set(own["outcome"]) == {"miss"}


def test_an_operation_that_waited_for_its_turn_is_late_by_that(player: Player) -> None:
    _play(player, _steps(("GET", "k")), intended=time.perf_counter() - 0.5)
    times = _rows(player).query("command == ''").set_index("clock")["bucket_us"]
    assert times["lateness"] >= 500_000
    assert times["response"] >= times["lateness"]
    assert times["service"] < times["response"]


def test_a_command_that_is_a_whole_operation_is_timed_as_both_against_a_schedule(player: Player) -> None:
    _play(player, _steps(("GET", "k")), intended=time.perf_counter() - 0.5)
    rows = _rows(player)
    assert rows["count"].tolist() == [1, 1, 1, 1]
    services = rows[rows["clock"] == "service"].set_index("command")["bucket_us"]
    assert services["GET"] == services[""]
    assert rows.loc[rows["clock"] != "service", "command"].tolist() == ["", ""]


def test_a_start_longer_ago_than_a_time_can_show_counts_as_the_longest(player: Player) -> None:
    _play(player, _steps(("GET", "k")), intended=time.perf_counter() - 1e5)
    times = _rows(player).query("command == ''").set_index("clock")
    assert times["count"].tolist() == [1, 1, 1]
    assert times.loc[["lateness", "response"], "bucket_us"].between(4.0e9, 5.0e9).all()


def test_who_starts_before_its_time_is_not_late(player: Player) -> None:
    _play(player, _steps(("GET", "k")), intended=time.perf_counter() + 9.0)
    times = _rows(player).query("command == ''").set_index("clock")
    assert times["count"].tolist() == [1, 1, 1]
    assert times.loc["lateness", "bucket_us"] == 0
    assert times.loc["response", "bucket_us"] == times.loc["service", "bucket_us"]


def test_the_applications_computing_is_in_no_clock(player: Player) -> None:
    began = time.perf_counter()
    _play(player, _steps(("GET", "k"), Compute(0.3), ("GET", "k")))
    assert time.perf_counter() - began >= 0.3
    assert _rows(player)["bucket_us"].max() < 300_000


_WAIT = ("BLPOP", "nothing", "0.05")


@pytest.mark.parametrize("steps", [
    (Compute(0.6), _WAIT), (_WAIT, Compute(0.6)), (_WAIT, Compute(0.6), _WAIT),
    (_WAIT, Compute(0.3), Compute(0.3)),
], ids=["before", "after", "between", "twice after"])
def test_what_is_computed_before_between_or_after_an_operations_commands_is_in_no_clock(
        player: Player, steps: tuple[Any, ...]) -> None:
    _play(player, _steps(*steps), intended=time.perf_counter() - 1.0)
    times = _rows(player).query("command == ''").set_index("clock")["bucket_us"] / 1e6
    assert 0.05 * steps.count(_WAIT) <= times["service"] < 0.5
    assert 1.0 <= times["lateness"] < 1.4
    assert times["response"] == pytest.approx(times["lateness"] + times["service"], rel=0.1)


def test_a_pipeline_is_one_write_with_a_reply_each(player: Player) -> None:
    seen: list[Any] = []
    _play(player, _steps(Pipeline((("SET", "k", "1"), ("GET", "k"))), seen=seen))
    assert seen == [["OK", "1"]]
    rows = _rows(player)
    assert set(rows["command"]) == {"", "SET+GET"}


def test_an_error_reply_is_an_outcome_and_the_connection_goes_on(player: Player, redis_client: Any) -> None:
    redis_client.lpush("k", "1")
    assert _play(player, _steps(("GET", "k"), ("SET", "never", "1"))) == "error"
    assert not redis_client.exists("never")
    batch = tables(player._recorder.drain())
    assert batch.events[0]["name"].startswith("WRONGTYPE")
    assert set(batch.requests["outcome"]) == {"error"}
    assert not player.connection.is_closed
    assert _play(player, _steps(("GET", "other"))) == "ok"


def test_an_error_inside_a_transaction_of_a_pipeline_is_one(player: Player, redis_client: Any) -> None:
    redis_client.set("text", "x")
    transaction = Pipeline((("MULTI",), ("INCR", "text"), ("EXEC",)))
    assert _play(player, _steps(transaction)) == "error"
    assert _play(player, _steps(("GET", "text"))) == "ok"  # replies and commands are still in step


def test_a_value_that_the_application_cannot_read_is_an_error_and_no_traceback(player: Player) -> None:
    def operation() -> Operation:
        yield ("GET", "k")
        int("no number")
        return "ok"

    assert _play(player, operation()) == "error"
    assert tables(player._recorder.drain()).events[0]["name"].startswith("unreadable value")


def test_an_operation_that_raises_is_the_callers_and_the_next_one_begins_anew(player: Player) -> None:
    def broken() -> Operation:
        yield ("GET", "k")
        raise KeyError("a bug")

    def broken_at_once() -> Operation:
        raise KeyError("at once")
        yield ()

    for operation in (broken, broken_at_once, broken):
        with pytest.raises(KeyError):
            _play(player, operation())
        assert _play(player, _steps(("SET", "k", "v"), ("GET", "k"))) == "ok"
    assert _rows(player).query("command == 'SET'")["count"].sum() == 3


def test_an_operation_left_in_its_middle_is_closed_and_leaves_nothing_to_the_next(player: Player) -> None:
    closed: list[str] = []

    def left() -> Operation:
        try:
            yield ("GET", "k")
            yield Compute(0.0)
            yield ("GET", "k")
        finally:
            closed.append("closed")
        return "ok"

    held: list[Any] = []
    assert _play(player, _steps(("SET", "k", "v"))) == "ok"  # connected
    labels = player._recorder.labels("sessions", "left")
    assert player.begin(labels, left(), None, held) == ("GET", "k")
    assert type(player.replied(player.connection.call(("GET", "k")))) is Compute
    assert _play(player, _steps(("GET", "k"))) == "ok"
    assert closed == ["closed"]
    assert held == []
    whole = _rows(player).query("operation == 'validate' and command == '' and clock == 'response'")
    assert whole["count"].sum() == 2


def test_nothing_there_is_unreachable_and_counts_as_one_operation() -> None:
    player = Player(Connection(Endpoint("127.0.0.1", free_port())), Recorder())
    assert _play(player, _steps(("GET", "k"))) == "unreachable"
    rows = _rows(player)
    assert rows.query("clock == 'response'")["count"].tolist() == [1]
    assert set(rows["command"]) == {""}


def test_a_wrong_password_is_unreachable_with_the_servers_words() -> None:
    with clusters.throw_away(with_password=True) as cluster:
        player = Player(Connection(Endpoint(cluster.host, cluster.port, password="wrong")), Recorder())
        assert _play(player, _steps(("GET", "k"))) == "unreachable"
        assert "WRONGPASS" in tables(player._recorder.drain()).events[0]["name"]
        right = Player(Connection(cluster.endpoint), Recorder())
        assert _play(right, _steps(("GET", "k"))) == "ok"
        right.connection.close()


def test_a_server_that_dies_is_disconnected_then_unreachable_and_comes_back_by_itself() -> None:
    with clusters.throw_away() as cluster:
        player = Player(Connection(cluster.endpoint), Recorder())
        assert _play(player, _steps(("GET", "k"))) == "ok"
        os.kill(cluster.pid, signal.SIGKILL)
        os.waitpid(cluster.pid, 0)
        assert _play(player, _steps(("GET", "k"))) == "disconnected"
        assert player.connection.is_closed
        assert _play(player, _steps(("GET", "k"))) == "unreachable"
        port = cluster.port
    with clusters.throw_away(port=port):
        assert _play(player, _steps(("GET", "k"))) == "ok"
        player.connection.close()


def test_a_server_that_hangs_is_a_timeout_and_its_late_reply_is_not_mistaken(
    redis_cluster: Cluster, redis_client: Any
) -> None:
    redis_client.mset({"a": "1", "b": "2"})
    player = Player(Connection(redis_cluster.endpoint, timeout_seconds=0.2), Recorder())
    assert _play(player, _steps(("GET", "a"))) == "ok"
    os.kill(redis_cluster.pid, signal.SIGSTOP)
    try:
        assert _play(player, _steps(("GET", "a"))) == "timeout"
    finally:
        os.kill(redis_cluster.pid, signal.SIGCONT)
    seen: list[Any] = []
    assert _play(player, _steps(("GET", "b"), seen=seen)) == "ok"
    assert seen == ["2"]
    player.connection.close()


def test_what_is_no_redis_protocol_is_disconnected() -> None:
    listening, port = _serve(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with listening:
        player = Player(Connection(Endpoint("127.0.0.1", port)), Recorder())
        assert _play(player, _steps(("GET", "k"))) == "disconnected"
        player.connection.close()


def test_the_database_of_the_endpoint_is_selected(redis_cluster: Cluster, redis_client: Any) -> None:
    connection = Connection(Endpoint(redis_cluster.host, redis_cluster.port, database=3))
    connection.call(("SET", "there", "1"))
    connection.close()
    assert redis_client.dbsize() == 0


def test_a_database_that_does_not_exist_is_an_error_reply(redis_cluster: Cluster) -> None:
    connection = Connection(Endpoint(redis_cluster.host, redis_cluster.port, database=99))
    with pytest.raises(ReplyError, match="out of range"):
        connection.call(("GET", "k"))
    assert connection.is_closed


@pytest.mark.parametrize(
    ("command", "op", "value_bytes", "ttl_s"),
    [
        (("GET", "text"), "get", 3, None),
        (("GET", "none"), "get", None, None),
        (("SETEX", "k", 300, "12345"), "setex", 5, 300.0),
        (("EXPIRE", "text", 60), "expire", None, 60.0),
        (("SADD", "s", "ab", "cd"), "sadd", 4, None),
        (("SREM", "s", "ab"), "srem", 2, None),
        (("SMEMBERS", "set"), "smembers", 4, None),
        (("INCR", "n"), "incr", None, None),
        (("DEL", "text"), "del", None, None),
    ],
)
def test_an_access_is_traced_with_what_it_read_or_wrote(
    command: tuple[Any, ...],
    op: str,
    value_bytes: int | None,
    ttl_s: float | None,
    player: Player,
    redis_client: Any,
) -> None:
    redis_client.set("text", "né")
    redis_client.sadd("set", "ab", "cd")
    _play(player, _steps(command))
    (access,) = tables(player._recorder.drain()).accesses
    assert (access["op"], access["value_bytes"], access["ttl_s"]) == (op, value_bytes, ttl_s)


def test_commands_without_a_key_of_the_keyspace_are_not_traced(player: Player) -> None:
    _play(player, _steps(("PUBLISH", "channel", "x"), ("TTL", "k"), ("DEL", "a", "b")))
    assert [access["op"] for access in tables(player._recorder.drain()).accesses] == ["del", "del"]


def test_only_keys_below_the_sampling_bound_are_traced(player: Player) -> None:
    player._recorder.access_below = 0
    _play(player, _steps(("GET", "k")))
    assert tables(player._recorder.drain()).accesses == []


def test_playing_does_not_need_the_cluster_to_be_ours(plain_redis: Callable[..., int]) -> None:
    player = Player(Connection(Endpoint("127.0.0.1", plain_redis())), Recorder())
    assert _play(player, _steps(("SET", "k", "1"))) == "ok"
    player.connection.close()
