"""The application's connection pool, which raises when all its connections are taken.

The specification's `redis.asyncio.ConnectionPool(max_connections=20)` is not the blocking one: a command that
finds no connection free raises `ConnectionError: Too many connections` (redis-py, asyncio/connection.py,
ConnectionPool.get_connection). A connection is held from the command to its reply. So a worker is a loss
system: Erlang's B formula, which holds for any distribution of the holding time (Sevastyanov, 1957).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, lgamma, log
from typing import Any

from amply_capacity.errors import BadInput
from amply_capacity.interval import Interval

__all__ = ["SPEC_POOL", "PoolLoad", "PoolLosses", "erlang_b", "pool_losses", "stall_failures"]

SPEC_POOL = 20
"""Connections of a worker's pool in the specification."""


@dataclass(frozen=True, slots=True)
class PoolLoad:
    """One worker's commands, and how long each holds a connection.

    The holding time is the response time as the application sees it: network, queue and server; 90 %
    intervals. Commands of one operation run one after the other, so each is a draw of its own.
    """

    commands_per_second: Interval
    holding_s: Interval
    """Mean."""
    commands_per_operation: float = 1.0

    def __post_init__(self) -> None:
        faults = [f"{name} is below 0" for name, value in (
            ("commands_per_second", self.commands_per_second.low), ("holding_s", self.holding_s.low),
            ("commands_per_operation", self.commands_per_operation)) if value < 0.0]
        if faults:
            raise BadInput("; ".join(faults), got=f"{self}", do="give rates and times from 0")


@dataclass(frozen=True, slots=True)
class PoolLosses:
    """What fails at a steady load, shares from 0 to 1."""

    commands: Interval
    operations: Interval
    """At least one command of the operation fails; it then ends."""
    busy_connections: Interval
    """Mean number of connections taken."""

    def as_json(self) -> dict[str, Any]:
        return {name: {"low": value.low, "mid": value.mid, "high": value.high} for name, value in (
            ("failed_commands_share", self.commands), ("failed_operations_share", self.operations),
            ("busy_connections", self.busy_connections))}


def erlang_b(offered: float, servers: int) -> float:
    """Share of arrivals that find all `servers` taken at `offered` erlangs (rate times mean holding time).

    By the recursion over the servers, which is exact to rounding: B(n) = a B(n-1) / (n + a B(n-1)).
    """
    if offered < 0.0 or servers < 0:
        raise BadInput("Erlang's formula needs a load and a number of servers from 0",
                       got=f"{offered:g} erlangs, {servers}", do="give numbers from 0")
    blocked = 1.0
    for number in range(1, servers + 1):
        blocked = offered * blocked / (number + offered * blocked)
    return blocked


def pool_losses(load: PoolLoad, connections: int = SPEC_POOL) -> PoolLosses:
    """Failures at Poisson arrivals of commands; the bounds are those of rate and holding time together.

    Requests of people are such arrivals; a burst from one page that asks many things at once fails more.
    """
    rate, holding = load.commands_per_second, load.holding_s
    low, mid, high = (erlang_b(one * each, connections) for one, each in (
        (rate.low, holding.low), (rate.mid, holding.mid), (rate.high, holding.high)))
    commands = Interval(low, mid, high)
    per_operation = load.commands_per_operation
    operations = Interval(*(1.0 - (1.0 - share) ** per_operation for share in (low, mid, high)))
    busy = Interval(rate.low * holding.low * (1.0 - low), rate.mid * holding.mid * (1.0 - mid),
                    rate.high * holding.high * (1.0 - high))
    return PoolLosses(commands, operations, busy)


def stall_failures(commands_per_second: float, stall_s: float, *, connections: int = SPEC_POOL,
                   busy: float = 0.0) -> Interval:
    """Commands that fail while the server answers nobody for `stall_s`, 90 % interval.

    All connections are taken after the first `connections` less `busy` commands; every further one raises at
    once, for the application does not wait: max(0, rate · seconds − free), whose mean over a Poisson number
    of arrivals is given. A failover is such a stall, and so is a slow command or a snapshot's fork. A client
    that gives up on its command (`socket_timeout`) frees its connection earlier, and fails too.
    """
    if commands_per_second < 0.0 or stall_s < 0.0 or not 0.0 <= busy <= connections:
        raise BadInput("a stall needs a rate, a time and taken connections from 0",
                       got=f"{commands_per_second:g}/s, {stall_s:g} s, {busy:g} of {connections} taken",
                       do="give numbers from 0, and no more taken than there are")
    free, arrivals = connections - busy, commands_per_second * stall_s
    mean = _excess(arrivals, free)
    error = 1.645 * arrivals**0.5
    return Interval(min(max(arrivals - error - free, 0.0), mean), mean, max(arrivals + error - free, mean))


def _excess(mean: float, free: float) -> float:
    """Mean of max(0, N - free) for a Poisson number N."""
    if mean == 0.0:
        return 0.0
    whole = int(free)
    below = sum((free - count) * exp(count * log(mean) - mean - lgamma(count + 1.0))
                for count in range(whole + 1))
    return max(mean - free + below, 0.0)
