"""From bytes of RESP to packets and bytes on the wire: headers, TLS records, and acknowledgements.

A request leaves as one write, its reply as another; each is cut into segments of at most MSS bytes. The
server's acknowledgement travels with its reply. The client's travels with its next request if that comes
within the delayed acknowledgement's 40 ms (Linux, TCP_DELACK_MIN; measured: none at gaps up to 30 ms, one a
round trip from 50 ms on), else alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil, exp
from typing import Any

from amply_capacity.errors import BadInput
from amply_capacity.interval import Interval
from amply_capacity.model.network import NetworkCosts, mix_bytes

__all__ = ["INTERNET", "JUMBO", "TLS_12", "TLS_13", "RoundTrips", "Transport", "WireLoad",
           "acknowledged_alone", "encrypted", "message_packets", "round_trips", "wire_load"]

TLS_12, TLS_13 = 29, 22
"""Bytes that a record adds with AES-GCM: a header of 5, a nonce of 8 (1.2 alone; RFC 5288), a content type of
1 (1.3 alone; RFC 8446, 5.2), a tag of 16."""
_RECORD_BYTES = 16_384
_DELAYED_S = 0.040


@dataclass(frozen=True, slots=True)
class Transport:
    """What one packet carries beside its payload.

    The header is 20 bytes of IPv4, 20 of TCP and 12 of TCP's timestamps, which Linux uses by default. The
    link's 14 are Ethernet's: Linux counts them at its interfaces, and ElastiCache's NetworkBytesIn and -Out
    are the host's ("bytes the host has read from the network"). AWS does not say whether they are among them:
    an assumption, at most 14 in 66.
    """

    mss_bytes: int
    header_bytes: int = 52
    link_bytes: int = 14
    record_bytes: int = 0
    """That TLS adds to each of its records; 0 without."""

    def __post_init__(self) -> None:
        if self.mss_bytes < 1 or min(self.header_bytes, self.link_bytes, self.record_bytes) < 0:
            raise BadInput("a transport needs an MSS from 1 and headers from 0", got=f"{self}",
                           do="give numbers of bytes")


JUMBO = Transport(8_949)
"""Inside of a VPC: MTU 9001 (EC2 User Guide, "Network MTU"), less the header."""
INTERNET = Transport(1_448)
"""Through a gateway, a VPN or another Region: MTU 1500."""


@dataclass(frozen=True, slots=True)
class RoundTrips:
    """Requests of one kind a second, and their RESP bytes each way."""

    per_second: float
    request_bytes: float
    reply_bytes: float


@dataclass(frozen=True, slots=True)
class WireLoad:
    """Packets and bytes a second each way, all headers included, from the server's side."""

    packets_in: Interval
    packets_out: Interval
    bytes_in: Interval
    bytes_out: Interval

    def as_json(self) -> dict[str, Any]:
        return {f"{name}_per_second": {bound: round(getattr(getattr(self, name), bound), 1)
                                       for bound in ("low", "mid", "high")}
                for name in ("packets_in", "packets_out", "bytes_in", "bytes_out")}


def encrypted(transport: Transport, record_bytes: int = TLS_13) -> Transport:
    """The same transport with TLS. Redis with OpenSSL and redis-py agree on 1.3."""
    return Transport(transport.mss_bytes, transport.header_bytes, transport.link_bytes, record_bytes)


def message_packets(message_bytes: float, transport: Transport) -> tuple[int, float]:
    """Segments of one write, and its bytes with TLS but without packet headers."""
    records = max(ceil(message_bytes / _RECORD_BYTES), 1) if transport.record_bytes else 0
    payload = message_bytes + records * transport.record_bytes
    return max(ceil(payload / transport.mss_bytes), 1), payload


def acknowledged_alone(round_trips_per_connection_s: float, delayed_s: float = _DELAYED_S) -> float:
    """Share of replies whose acknowledgement no request carries, at Poisson requests on a connection.

    The rate is that of one connection that is used: a pool that takes the last one released first has few.
    """
    return exp(-round_trips_per_connection_s * delayed_s)


def round_trips(costs: NetworkCosts, operations_per_second: Mapping[str, float]) -> tuple[RoundTrips, ...]:
    """What a mix sends, class by class of commands, each at its mean size; a pipeline is one round trip."""
    counts: dict[str, float] = {}
    for operation, rate in operations_per_second.items():
        if rate:
            mix_bytes(costs, {operation: rate})  # refuses what the run does not tell
            for name, count in costs.operations[operation].uses.items():
                counts[name] = counts.get(name, 0.0) + rate * count
    requests = dict(zip(costs.requests.names, costs.requests.means, strict=True))
    replies = dict(zip(costs.replies.names, costs.replies.means, strict=True))
    return tuple(RoundTrips(count, float(requests[name]), float(replies[name]))
                 for name, count in counts.items() if count > 0.0)


def wire_load(trips: Iterable[RoundTrips], transport: Transport, *, connections: float,
              costs_error: tuple[Interval, Interval] | None = None) -> WireLoad:
    """What these round trips are on the wire, shared out evenly among the `connections` that are used.

    The bounds are those of the acknowledgements, from none alone to twice the share that Poisson requests
    give (a client that is sometimes quick to acknowledge), of the link's header (counted or not), and of
    `costs_error`, RESP bytes each way as `mix_bytes` gives them. Raises BadInput without connections.
    """
    chosen = tuple(trips)
    total = sum(one.per_second for one in chosen)
    if connections <= 0.0:
        raise BadInput("round trips need connections to travel on", got=f"{connections:g}",
                       do="give those that are used, at least 1")
    alone = acknowledged_alone(total / connections)
    return WireLoad(*(
        Interval(low, min(max(mid, low), high), high) for low, mid, high in zip(
            _way(chosen, transport, 0.0, 0, _part(costs_error, "low")),
            _way(chosen, transport, alone, transport.link_bytes, _part(costs_error, "mid")),
            _way(chosen, transport, min(2.0 * alone, 1.0), transport.link_bytes, _part(costs_error, "high")),
            strict=True)))


def _way(trips: Iterable[RoundTrips], transport: Transport, alone: float, link_bytes: int,
         resp: tuple[float, float] | None) -> tuple[float, float, float, float]:
    """Packets in and out, bytes in and out."""
    header = transport.header_bytes + link_bytes
    packets_in = packets_out = bytes_in = bytes_out = resp_in = resp_out = 0.0
    for one in trips:
        sent, request = message_packets(one.request_bytes, transport)
        got, reply = message_packets(one.reply_bytes, transport)
        # Of a long message every second segment is acknowledged at once (RFC 5681, 4.2).
        acks_in, acks_out = max((got - 1) // 2, 0) + alone, max((sent - 1) // 2, 0)
        packets_in += one.per_second * (sent + acks_in)
        packets_out += one.per_second * (got + acks_out)
        bytes_in += one.per_second * request
        bytes_out += one.per_second * reply
        resp_in += one.per_second * one.request_bytes
        resp_out += one.per_second * one.reply_bytes
    if resp is not None:
        bytes_in, bytes_out = bytes_in + resp[0] - resp_in, bytes_out + resp[1] - resp_out
    return packets_in, packets_out, bytes_in + packets_in * header, bytes_out + packets_out * header


def _part(error: tuple[Interval, Interval] | None, bound: str) -> tuple[float, float] | None:
    return None if error is None else (getattr(error[0], bound), getattr(error[1], bound))
