"""Bytes of RESP by operation, and what a mix of operations sends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amply_capacity.errors import BadInput
from amply_capacity.interval import Interval
from amply_capacity.model.monitoring import Monitoring

__all__ = ["Direction", "NetworkCosts", "OperationBytes", "Z", "mix_bytes"]

_Array = NDArray[np.float64]
Z = 1.645
"""Standard errors to each side that hold 90 %."""
_RARE_MISSES = 0.1


@dataclass(frozen=True, slots=True)
class Direction:
    """Bytes of each class of commands, one way: means, and the covariance of their errors."""

    names: tuple[str, ...]
    means: _Array
    covariance: _Array
    elsewhere: _Array
    """Variances that another population of keys adds."""
    alone: _Array
    """Variances of one command."""

    def of(self, uses: Mapping[str, float], *, another_population: bool = False) -> tuple[float, float]:
        """Mean and variance of so many commands of each class a second."""
        weights = self._weights(uses)
        covariance = self.covariance + np.diag(self.elsewhere) if another_population else self.covariance
        return float(weights @ self.means), float(weights @ covariance @ weights)

    def chance(self, uses: Mapping[str, float], seconds: float) -> float:
        """Variance that so many seconds of them have of their own."""
        return float(self._weights(uses) @ self.alone) / seconds

    def renewed(self, before: Mapping[str, float], after: Mapping[str, float]) -> float:
        """Variance of one operation's bytes by commands whose number was restated, taken as Poisson's."""
        return sum(min(after[name], abs(1.0 - after[name])) * float(mean) ** 2
                   for name, mean in zip(self.names, self.means, strict=True)
                   if name in after and after[name] != before.get(name))

    def _weights(self, uses: Mapping[str, float]) -> _Array:
        return np.array([uses.get(name, 0.0) for name in self.names])


@dataclass(frozen=True, slots=True)
class OperationBytes:
    """What one operation sends, mean."""

    operations: float
    """How many the run saw."""
    commands: float
    uses: Mapping[str, float]
    """Commands by class, e.g. `GET hit session`."""
    behaviour_in: float
    """Variance of its mean request bytes, since it sends now more commands, now fewer."""
    behaviour_out: float
    spread: tuple[str, ...]
    """Commands whose bytes the run does not tell: they have the server's mean."""


@dataclass(frozen=True, slots=True)
class NetworkCosts:
    """RESP bytes of a run's operations; `monitoring` is the toolkit's own and in none of them."""

    operations: Mapping[str, OperationBytes]
    requests: Direction
    replies: Direction
    monitoring: Monitoring | None
    is_counted: bool
    """Whether the server's own count corrects them; not where it is not known, or holds others' commands."""

    def bytes_of(self, operation: str) -> tuple[Interval, Interval]:
        """Request and reply bytes of one operation."""
        return mix_bytes(self, {operation: 1.0})

    def restated(self, operation: str, **commands: Interval | float) -> NetworkCosts:
        """The same with other numbers of commands per operation, as at another rate or hit rate.

        A keyword is a command of one kind, `EXPIRE=0.05`, or `miss=0.02` for GETs that find nothing in an
        operation of one GET, whose SETEX, if it fills, follows; an interval says how well the number is
        known. Raises BadInput for what it does not send.
        """
        if operation not in self.operations:
            raise _unknown([operation], self.operations)
        known = self.operations[operation]
        uses, least, most = dict(known.uses), dict(known.uses), dict(known.uses)
        for command, told in commands.items():
            for into, count in zip((uses, least, most), _three(told), strict=True):
                into |= _counted(operation, known.uses, command, count)
        changed = known.commands + sum(uses.values()) - sum(known.uses.values())
        behaviour_in, behaviour_out = (
            way.renewed(known.uses, uses) / known.operations
            + ((way.of(most)[0] - way.of(least)[0]) / 2.0 / Z) ** 2
            for way in (self.requests, self.replies))
        other = replace(known, commands=changed, uses=uses, behaviour_in=behaviour_in,
                        behaviour_out=behaviour_out)
        return replace(self, operations={**self.operations, operation: other})

    def as_json(self) -> dict[str, Any]:
        rows = []
        for name, known in self.operations.items():
            bytes_in, bytes_out = self.bytes_of(name)
            rows.append({"operation": name, "commands": round(known.commands, 4),
                         "bytes_in": bytes_in.rounded(2), "bytes_out": bytes_out.rounded(2),
                         "spread_commands": list(known.spread)})
        watched = self.monitoring
        return {"operations": rows, "counted_by_server": self.is_counted,
                "monitoring": None if watched is None else {
                    "per_second": watched.per_second, "bytes_in": watched.request_bytes,
                    "bytes_out": watched.reply_bytes.rounded(2)}}


def mix_bytes(costs: NetworkCosts, operations_per_second: Mapping[str, float], *,
              another_population: bool = False, seconds: float | None = None) -> tuple[Interval, Interval]:
    """Request and reply bytes a second of that mix, 90 % intervals; the toolkit's sampling is not in them.

    The intervals are of the mean over a long time, or over so many `seconds`; `another_population` allows for
    other keys of the same kind. Raises BadInput for operations that the run does not tell, and for negative
    rates.
    """
    unknown = [name for name, rate in operations_per_second.items() if rate and name not in costs.operations]
    if unknown:
        raise _unknown(unknown, costs.operations)
    negative = [name for name, rate in operations_per_second.items() if rate < 0.0]
    if negative:
        raise BadInput("a rate of operations is negative", got=", ".join(negative), do="give rates from 0")
    uses: dict[str, float] = {}
    behaviour_in = behaviour_out = 0.0
    for name, rate in operations_per_second.items():
        if rate:
            one = costs.operations[name]
            again = 0.0 if seconds is None else one.operations / (rate * seconds)
            behaviour_in += rate**2 * one.behaviour_in * (1.0 + again)
            behaviour_out += rate**2 * one.behaviour_out * (1.0 + again)
            if another_population:
                behaviour_out += (rate * _bytes_missed(one, costs.replies)) ** 2
            for command, count in one.uses.items():
                uses[command] = uses.get(command, 0.0) + rate * count
    found = []
    for way, behaviour in ((costs.requests, behaviour_in), (costs.replies, behaviour_out)):
        mean, error = way.of(uses, another_population=another_population)
        chance = 0.0 if seconds is None else way.chance(uses, seconds)
        found.append(_interval(mean, error + behaviour + chance))
    return found[0], found[1]


def _three(told: Interval | float) -> tuple[float, float, float]:
    return (told.mid, told.low, told.high) if isinstance(told, Interval) else (told, told, told)


def _counted(operation: str, uses: Mapping[str, float], command: str, count: float) -> dict[str, float]:
    """Of an operation's uses those that change, where it sends so many of a command."""
    prefixes = {"miss": ("GET miss", "GET hit", "SETEX")}.get(command, (command,))
    matching = {prefix: name for prefix in prefixes for name in uses if name.rpartition(" ")[0] == prefix}
    if prefixes[0] not in matching:
        raise BadInput(f"operation {operation} sends no {command}", got=", ".join(uses),
                       do="restate one of these")
    if command != "miss":
        return {matching[command]: count}
    gets = uses[matching["GET miss"]] + uses.get(matching.get("GET hit", ""), 0.0)
    shares = {"GET miss": count, "GET hit": 1.0 - count, "SETEX": count}
    return {matching[prefix]: gets * share for prefix, share in shares.items() if prefix in matching}


def _bytes_missed(operation: OperationBytes, replies: Direction) -> float:
    """What an operation's rare misses kept from its replies: elsewhere there may be none, or twice as many.

    A popular user who was logged out, and asks again and again, makes most of them; the seconds of a run do
    not show that chance.
    """
    means = dict(zip(replies.names, replies.means, strict=True))
    missed = 0.0
    for name, count in operation.uses.items():
        if name.startswith("GET miss") and 0.0 < count < _RARE_MISSES:
            missed += count * float(means.get(name.replace("miss", "hit"), 0.0)) / Z
    return missed


def _interval(mean: float, variance: float) -> Interval:
    error = Z * float(np.sqrt(max(variance, 0.0)))
    return Interval(max(mean - error, 0.0), mean, mean + error)


def _unknown(names: list[str], known: Mapping[str, OperationBytes]) -> BadInput:
    return BadInput(f"the run does not tell what {', '.join(names)} costs",
                    got=f"operations {', '.join(known) or 'none'}",
                    do="record a run in which it is played, on a server whose INFO can be read")
