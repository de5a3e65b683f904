"""The stream that a primary sends to each of its replicas for the application's commands.

Redis 7.0 rewrites what depends on the moment: SETEX becomes SET … PXAT, EXPIRE becomes PEXPIREAT, each with
a Unix time in milliseconds of 13 digits (t_string.c, setGenericCommand; expire.c, expireGenericCommand);
what changed nothing is not sent. Before 7.0 they travel as SET … PX and PEXPIREAT; that is not modelled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from amply_capacity.interval import Interval
from amply_capacity.model.network import NetworkCosts, mix_bytes
from amply_capacity.model.resp import bulk_bytes, command_bytes, digits
from amply_capacity.traffic.operation import Command
from amply_capacity.traffic.rate_limit import WINDOW_SECONDS

__all__ = ["ACK_PER_SECOND", "PING_BYTES", "PING_SECONDS", "Replication", "ack_bytes", "replicated_bytes",
           "replication_of"]

PING_BYTES = command_bytes(("PING",))
PING_SECONDS = 10.0
"""`repl-ping-replica-period`."""
ACK_PER_SECOND = 1.0
"""REPLCONF ACK of each replica to the primary (replication.c, replicationCron)."""
_MILLISECONDS = bulk_bytes(13)
_WRITES = frozenset({"INCR", "SADD", "SREM", "DEL", "DEL all"})
_TTL_BYTES: Mapping[str, float] = MappingProxyType(
    {"session": 12.0, "cache": float(bulk_bytes(3)), "celery-task-meta": float(bulk_bytes(4))})
"""A TTL as an argument; a session's has five or six digits."""


@dataclass(frozen=True, slots=True)
class Replication:
    """Bytes a second between a primary and its replicas, as RESP; packets come on top."""

    stream: Interval
    """From the primary to one replica."""
    replicas: int
    acknowledgements: float
    """From all replicas to the primary."""

    @property
    def out(self) -> Interval:
        """What the primary sends: a stream to each replica."""
        return self.stream.scaled(float(self.replicas))


def replicated_bytes(command: Command) -> int:
    """Bytes of the stream for one command that changed something; 0 for one that only reads."""
    match command[0]:
        case "SETEX":
            return command_bytes(("SET", command[1], command[3], "PXAT")) + _MILLISECONDS
        case "EXPIRE":
            return command_bytes(("PEXPIREAT", command[1])) + _MILLISECONDS
        case "INCR" | "SADD" | "SREM" | "DEL" | "MULTI" | "EXEC" | "PUBLISH":
            return command_bytes(command)
        case _:
            return 0


def ack_bytes(offset: int) -> int:
    """One REPLCONF ACK at that replication offset."""
    return command_bytes(("REPLCONF", "ACK", offset))


def replication_of(costs: NetworkCosts, operations_per_second: Mapping[str, float], *, replicas: int,
                   removed_per_second: float = 0.0, removed_key_bytes: int = 36) -> Replication:
    """The stream of a mix; `removed_per_second` keys expire or are evicted, each a DEL in the stream.

    All of the application's DEL and SREM are taken to find what they remove.
    """
    mix_bytes(costs, operations_per_second)  # refuses what the run does not tell
    rates: dict[str, float] = {}
    for operation, rate in operations_per_second.items():
        if rate:
            for name, count in costs.operations[operation].uses.items():
                more = _more_bytes(name)
                if more is not None:
                    rates[name] = rates.get(name, 0.0) + rate * count
    mean, variance = costs.requests.of(rates)
    rewritten = sum(rate * (_more_bytes(name) or 0.0) for name, rate in rates.items())
    removed = removed_per_second * command_bytes(("DEL", "x" * removed_key_bytes))
    mid = mean + rewritten + removed + PING_BYTES / PING_SECONDS
    error = 1.645 * variance**0.5
    offset = 10**9  # of a stream that has run for a while: ten digits
    return Replication(Interval(max(mid - error, 0.0), mid, mid + error), replicas,
                       replicas * ACK_PER_SECOND * ack_bytes(offset))


def _more_bytes(name: str) -> float | None:
    """What a class of commands has in the stream beyond its request; None for those that only read."""
    command, _, key_class = name.rpartition(" ")
    if "SETEX" in command:
        renamed = command_bytes(("SET",)) - command_bytes(("SETEX",))
        return renamed + bulk_bytes(4) + _MILLISECONDS - _TTL_BYTES.get(key_class, 10.0)
    if command == "EXPIRE":
        renamed = command_bytes(("PEXPIREAT",)) - command_bytes(("EXPIRE",))
        return renamed + _MILLISECONDS - bulk_bytes(digits(WINDOW_SECONDS))
    return 0.0 if command in _WRITES else None
