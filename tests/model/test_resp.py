"""RESP arithmetic against hiredis, and against what a real server counts."""

from __future__ import annotations

import socket

import hiredis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.model.resp import (
    NULL_BYTES,
    OK_BYTES,
    QUEUED_BYTES,
    array_bytes,
    bulk_bytes,
    bulks_bytes,
    command_bytes,
    digits,
    integer_bytes,
    request_bytes,
)
from amply_capacity.target.cluster import Cluster
from amply_capacity.traffic.celery_results import store_result
from amply_capacity.traffic.operation import Command, play

words = st.lists(st.one_of(st.text(max_size=1_200), st.binary(max_size=40), st.integers(-9, 10**7)),
                 min_size=1, max_size=12)


@given(words)
def test_a_command_has_as_many_bytes_as_hiredis_packs(parts: list[str | bytes | int]) -> None:
    try:
        packed = hiredis.pack_command(tuple(parts))
    except UnicodeEncodeError:
        return  # a lone surrogate is no text
    assert command_bytes(parts) == len(packed)


@given(st.lists(st.integers(0, 10**7), min_size=1))
def test_many_lengths_at_once_are_each_alone(lengths: list[int]) -> None:
    assert bulks_bytes(np.array(lengths, dtype=float)).tolist() == [bulk_bytes(one) for one in lengths]


def test_lengths_at_the_edges_of_a_power_of_ten_count_their_digits() -> None:
    edges = [9, 10, 99, 100, 999, 1_000, 9_999, 10_000, 99_999, 100_000, 999_999, 1_000_000]
    assert bulks_bytes(np.array(edges, dtype=float)).tolist() == [bulk_bytes(one) for one in edges]
    assert [digits(number) for number in (0, 9, 10, -2)] == [1, 1, 2, 2]


def test_the_commonest_command_is_as_the_protocol_says() -> None:
    key = "session:ses_~~0123456789abcdef012345"
    assert command_bytes(("GET", key)) == request_bytes([3, 36]) == len(
        b"*2\r\n$3\r\nGET\r\n$36\r\n" + key.encode() + b"\r\n") == 56
    known = {b"$-1\r\n": NULL_BYTES, b"+OK\r\n": OK_BYTES, b"+QUEUED\r\n": QUEUED_BYTES}
    assert all(len(reply) == length for reply, length in known.items())


def ask(connection: hiredis.Reader, commands: tuple[Command, ...], port: int) -> tuple[int, int]:
    """What the server counts for them: bytes in and out."""
    with socket.create_connection(("127.0.0.1", port)) as wire:

        def call(sent: tuple[Command, ...]) -> list[object]:
            wire.sendall(b"".join(hiredis.pack_command(one) for one in sent))
            replies: list[object] = []
            while len(replies) < len(sent):
                connection.feed(wire.recv(1 << 20))
                while (reply := connection.gets()) is not False:
                    replies.append(reply)
            return replies

        def counted() -> tuple[int, int, int]:
            text = call((("INFO", "stats"),))[0]
            assert isinstance(text, bytes)
            pairs = dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)
            return (int(pairs["total_net_input_bytes"]), int(pairs["total_net_output_bytes"]),
                    bulk_bytes(len(text)))

        first = counted()
        call(commands)
        last = counted()
    return last[0] - first[0] - command_bytes(("INFO", "stats")), last[1] - first[1] - first[2]


@pytest.mark.usefixtures("redis_client")
def test_a_real_server_counts_the_same_bytes(redis_cluster: Cluster) -> None:
    value, ids = "v" * 491, [f"ses_~~{number:022x}" for number in range(13)]
    commands: tuple[Command, ...] = (
        ("SETEX", "session:one", 604_800, value), ("GET", "session:one"), ("GET", "session:none"),
        ("TTL", "session:one"), ("INCR", "rate:api:k"), ("EXPIRE", "rate:api:k", 60),
        ("SADD", "user_sessions:u", *ids), ("SMEMBERS", "user_sessions:u"),
        ("SREM", "user_sessions:u", ids[0]), ("DEL", "session:one", "user_sessions:u", "rate:api:k"),
    )
    replies = [OK_BYTES, bulk_bytes(491), NULL_BYTES, integer_bytes(604_800), integer_bytes(1),
               integer_bytes(1), integer_bytes(13), array_bytes([28] * 13), integer_bytes(1),
               integer_bytes(3)]
    counted = ask(hiredis.Reader(), commands, redis_cluster.port)
    assert counted == (sum(map(command_bytes, commands)), sum(replies))


@pytest.mark.usefixtures("redis_client")
def test_a_transaction_is_answered_by_queued_for_each_of_its_commands(redis_cluster: Cluster) -> None:
    _, steps = play(store_result("task", {"sent": 1}, 1_793_491_200.0), lambda command: None)
    commands = (steps[0], *steps[1].commands)  # type: ignore[union-attr]
    counted = ask(hiredis.Reader(), commands, redis_cluster.port)  # type: ignore[arg-type]
    replies = NULL_BYTES + OK_BYTES + 2 * QUEUED_BYTES + 4 + OK_BYTES + integer_bytes(0)
    assert counted == (sum(map(command_bytes, commands)), replies)  # type: ignore[arg-type]
