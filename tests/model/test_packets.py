"""Packets and bytes on the wire: TCP's own counts on a client's socket, and a real replica's offset."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import hiredis
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.errors import BadInput
from amply_capacity.interval import Interval
from amply_capacity.model.network import network_costs
from amply_capacity.model.packets import (
    INTERNET,
    JUMBO,
    TLS_12,
    TLS_13,
    RoundTrips,
    Transport,
    acknowledged_alone,
    encrypted,
    message_packets,
    round_trips,
    wire_load,
)
from amply_capacity.model.replication_stream import (
    PING_BYTES,
    ack_bytes,
    replicated_bytes,
    replication_of,
)
from amply_capacity.model.resp import bulk_bytes, command_bytes
from amply_capacity.run.reader import read_run
from amply_capacity.target.cluster import Cluster
from amply_capacity.traffic.operation import Command

KEY, VALUE_BYTES = "session:one", 3_000
GET: Command = ("GET", KEY)


@dataclass(frozen=True)
class Counted:
    """linux/tcp.h, struct tcp_info: what this end of a connection sent and received."""

    bytes_out: int
    bytes_in: int
    packets_out: int
    packets_in: int

    @classmethod
    def of(cls, wire: socket.socket) -> Counted:
        told = wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        acked, received, sent, got = struct.unpack_from("=QQII", told, 8 + 24 * 4 + 16)
        return cls(acked, received, sent, got)

    def since(self, before: Counted) -> Counted:
        return Counted(self.bytes_out - before.bytes_out, self.bytes_in - before.bytes_in,
                       self.packets_out - before.packets_out, self.packets_in - before.packets_in)


@contextmanager
def opened(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port)) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield wire


def asked(wire: socket.socket, count: int, gap_s: float) -> Counted:
    """So many GETs with a pause before each; what TCP counted for them, from the first reply on."""
    reply = bulk_bytes(VALUE_BYTES)

    def ask() -> None:
        wire.sendall(hiredis.pack_command(GET))
        left = reply
        while left:
            left -= len(wire.recv(left))

    ask()
    before = Counted.of(wire)
    for _ in range(count):
        time.sleep(gap_s)
        ask()
    return Counted.of(wire).since(before)


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="only Linux tells")
@pytest.mark.parametrize(("gap_s", "alone"), [(0.0, 0.0), (0.08, 1.0)])
def test_tcp_counts_the_packets_and_bytes_that_are_computed(
        redis_cluster: Cluster, redis_client: redis.Redis, gap_s: float, alone: float) -> None:
    redis_client.set(KEY, "x" * VALUE_BYTES)
    loopback = Transport(65_483)
    count = 20
    with opened(redis_cluster.port) as wire:
        found = asked(wire, count, gap_s)
    request, reply = command_bytes(GET), bulk_bytes(VALUE_BYTES)
    assert (found.bytes_out, found.bytes_in) == (count * request, count * reply)
    packets_in, packets_out = (message_packets(size, loopback)[0] for size in (request, reply))
    assert found.packets_in == pytest.approx(count * packets_out, abs=2), "the server's carry its acks"
    assert found.packets_out == pytest.approx(count * (packets_in + alone), abs=3), "the client's do not"


def test_acknowledgements_travel_alone_where_connections_are_seldom_used() -> None:
    assert acknowledged_alone(0.1) == pytest.approx(0.996, abs=0.001)
    assert acknowledged_alone(1_000.0) < 1e-15


def test_a_session_read_in_a_vpc() -> None:
    trips = [RoundTrips(1_000.0, 56.0, 499.0)]
    busy = wire_load(trips, JUMBO, connections=4.0)
    assert busy.packets_in.mid == pytest.approx(1_000.0, rel=0.001)
    assert busy.bytes_out.mid == 1_000.0 * (499.0 + 66.0)
    assert busy.bytes_out.low == 1_000.0 * (499.0 + 52.0), "where Ethernet's header does not count"
    idle = wire_load(trips, JUMBO, connections=4_000.0)
    assert idle.packets_in.mid > 1.98 * busy.packets_in.mid, "each reply is acknowledged alone"
    assert idle.packets_out.mid == busy.packets_out.mid
    assert set(idle.as_json()) == {"packets_in_per_second", "packets_out_per_second", "bytes_in_per_second",
                                   "bytes_out_per_second"}


@pytest.mark.parametrize("record_bytes", [TLS_12, TLS_13])
def test_tls_adds_a_record_to_each_write_and_to_every_16_kb(record_bytes: int) -> None:
    transport = encrypted(INTERNET, record_bytes)
    assert message_packets(500.0, transport) == (1, 500.0 + record_bytes)
    assert message_packets(16_384.0, transport) == (12, 16_384.0 + record_bytes)
    assert message_packets(16_385.0, transport) == (12, 16_385.0 + 2 * record_bytes)
    assert message_packets(1_440.0, INTERNET)[0] == 1 < message_packets(1_440.0, transport)[0] == 2


@given(st.floats(1.0, 1e6), st.sampled_from([JUMBO, INTERNET, encrypted(INTERNET)]))
def test_a_longer_message_never_takes_fewer_packets(size: float, transport: Transport) -> None:
    packets, payload = message_packets(size, transport)
    more, longer = message_packets(size + 1_000.0, transport)
    assert more >= packets >= 1
    assert longer > payload >= size
    assert packets * transport.mss_bytes >= payload > (packets - 1) * transport.mss_bytes


def test_long_replies_are_acknowledged_every_other_segment() -> None:
    load = wire_load([RoundTrips(10.0, 50.0, 10 * 1_448.0)], INTERNET, connections=0.001)
    assert load.packets_out.mid == pytest.approx(100.0)
    assert load.packets_in.mid == pytest.approx(10.0 + 40.0)


def test_the_error_of_the_bytes_is_kept() -> None:
    trips = [RoundTrips(10.0, 50.0, 100.0)]
    errors = Interval(450.0, 500.0, 550.0), Interval(900.0, 1_000.0, 1_100.0)
    plain, wide = (wire_load(trips, JUMBO, connections=1.0, costs_error=one) for one in (None, errors))
    assert wide.bytes_out.high - plain.bytes_out.high == pytest.approx(100.0)
    assert plain.bytes_in.low - wide.bytes_in.low == pytest.approx(50.0)


def test_nonsense_is_refused() -> None:
    with pytest.raises(BadInput, match="connections"):
        wire_load([RoundTrips(1.0, 1.0, 1.0)], JUMBO, connections=0.0)
    with pytest.raises(BadInput, match="MSS"):
        Transport(0)


def test_the_round_trips_of_a_recording_are_its_commands_and_its_bytes(recorded_run: object) -> None:
    costs = network_costs(read_run(recorded_run))  # type: ignore[arg-type]
    trips = round_trips(costs, {"touch": 10.0, "store_result": 5.0})
    commands = 10.0 * costs.operations["touch"].commands
    assert sum(one.per_second for one in trips) == pytest.approx(commands + 5.0 * 2.0), "a pipeline is one"
    touch_in, touch_out = costs.bytes_of("touch")
    alone = round_trips(costs, {"touch": 1.0})
    assert sum(one.per_second * one.request_bytes for one in alone) == pytest.approx(touch_in.mid)
    assert sum(one.per_second * one.reply_bytes for one in alone) == pytest.approx(touch_out.mid)


WRITES: tuple[Command, ...] = (
    ("SETEX", KEY, 604_800, "v" * 490), ("SETEX", "cache:org:stats:o", 300, "w" * 900),
    ("INCR", "rate:api:k"), ("EXPIRE", "rate:api:k", 60), ("SADD", "user_sessions:u", "ses_1"),
    ("GET", KEY), ("TTL", KEY), ("SMEMBERS", "user_sessions:u"), ("SREM", "user_sessions:u", "ses_1"),
    ("DEL", KEY),
)
TRANSACTION: tuple[Command, ...] = (
    ("MULTI",), ("SETEX", "celery-task-meta-1", 3_600, "r" * 200), 
    ("PUBLISH", "celery-task-meta-1", "r" * 200), ("EXEC",))


def test_a_real_primary_streams_the_bytes_that_are_computed(plain_redis: Callable[..., int]) -> None:
    primary = plain_redis("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "3600")
    replica = plain_redis("--replicaof", "127.0.0.1", str(primary))
    with redis.Redis(port=primary) as client, redis.Redis(port=replica) as second:
        deadline = time.monotonic() + 10.0
        while second.info("replication")["master_link_status"] != "up":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        client.set("first", "1")  # with it goes SELECT, once
        before = client.info("replication")["master_repl_offset"]
        with opened(primary) as wire:
            for command in (*WRITES, *TRANSACTION):
                wire.sendall(hiredis.pack_command(command))
                wire.recv(4_096)
        streamed = client.info("replication")["master_repl_offset"] - before
    assert streamed == sum(map(replicated_bytes, (*WRITES, *TRANSACTION)))


def test_the_stream_of_a_mix_holds_its_writes_rewritten(recorded_run: object) -> None:
    costs = network_costs(read_run(recorded_run))  # type: ignore[arg-type]
    quiet = replication_of(costs, {"validate": 1_000.0, "get_result": 10.0}, replicas=2)
    assert quiet.stream.mid == pytest.approx(PING_BYTES / 10.0), "reads are not replicated"
    assert quiet.acknowledgements == 2 * ack_bytes(10**9)
    busy = replication_of(costs, {"create": 10.0, "check": 100.0}, replicas=2)
    create_in, check_in = costs.bytes_of("create")[0].mid, costs.bytes_of("check")[0].mid
    assert busy.stream.mid == pytest.approx(10.0 * (create_in + 16.0) + 100.0 * check_in, rel=0.03)
    assert busy.out.mid == 2.0 * busy.stream.mid
    evicting = replication_of(costs, {"create": 10.0, "check": 100.0}, replicas=2, removed_per_second=50.0)
    assert evicting.stream.mid - busy.stream.mid == pytest.approx(50.0 * command_bytes(("DEL", "x" * 36)))
