"""Does a load test look like production? Figure by figure, each with its interval and a verdict in words.

A test's rate is chosen, so it need not be production's: what has to be alike is what a plan takes from a
test per command, per key and per user. Production's interval is that in which nine of ten hours lie; the
test's is that of its figure. They are alike where the two overlap, or nearly. CPU is compared at production's
own rate, by the test's curve, carried from the recording host to the node's family.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from amply_capacity.catalog.nodes import node_types
from amply_capacity.errors import BadRun
from amply_capacity.interval import Interval
from amply_capacity.model.cpu import commands_per_second as test_commands_per_second
from amply_capacity.model.cpu_curve import curve_of
from amply_capacity.model.likeness_figure import ABOVE, BELOW, UNKNOWN, LikenessFigure
from amply_capacity.model.node_speed import cpu_factors
from amply_capacity.model.production import commands_per_second, hourly, primaries, range_of
from amply_capacity.run.reader import Run

__all__ = ["Likeness", "PerUser", "likeness_of"]

_READS = frozenset({
    "exists", "get", "getrange", "hget", "hgetall", "hlen", "hmget", "lindex", "llen", "lrange", "mget",
    "pttl", "scard", "sismember", "smembers", "smismember", "strlen", "ttl", "type", "zcard", "zrange",
    "zscore",
})
_WRITES = frozenset({
    "decr", "decrby", "del", "expire", "expireat", "getset", "hdel", "hincrby", "hset", "incr", "incrby",
    "lpop", "lpush", "ltrim", "mset", "persist", "pexpire", "psetex", "rpop", "rpush", "sadd", "set", "setex",
    "setnx", "spop", "srem", "unlink", "zadd", "zincrby", "zrem",
})
"""By the flags readonly and write of Redis' command table; GetTypeCmds and SetTypeCmds go by them."""
_SMALL_PACKET_BYTES = 66.0
"""Ethernet, IP and TCP with time stamps (RFC 7323); a command has a share of a packet, or up to two."""
_STARTUP_BYTES = Interval(0.8e6, 2.0e6, 5.0e6)
"""Of an empty server, which ElastiCache does not tell: redis 7 with up to 65,000 clients."""
_HOUR_S = 3_600.0


@dataclass(frozen=True, slots=True)
class PerUser:
    """What the demand says: how many users there are, and what one is taken to ask for."""

    users: Interval
    commands_per_hour: Interval
    """Of one registered user, by the demand's rates and the test's commands per operation."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """The comparison of one load test with one production run."""

    test: str
    production: str
    figures: tuple[LikenessFigure, ...]

    @property
    def unlike(self) -> tuple[str, ...]:
        """Names of the figures in which they differ."""
        return tuple(one.name for one in self.figures if one.verdict in {ABOVE, BELOW})

    @property
    def conclusion(self) -> str:
        known = [one for one in self.figures if one.verdict != UNKNOWN]
        if not known:
            return "Nothing can be compared: production publishes none of the figures."
        alike = len(known) - len(self.unlike)
        first = f"The load test is like production in {alike} of {len(known)} figures that both tell"
        return f"{first}; it differs in {', '.join(self.unlike)}." if self.unlike else f"{first}."

    def as_json(self) -> dict[str, Any]:
        return {"test": self.test, "production": self.production, "is_alike": not self.unlike,
                "conclusion": self.conclusion, "figures": [one.as_json() for one in self.figures]}


def likeness_of(test: Run, production: Run, per_user: PerUser | None = None) -> Likeness:
    """Compare them. Raises BadRun for a test without load, or a production run that is none."""
    rows = primaries(production)
    test.need_load()
    return Likeness(test.name, production.name, tuple(_figures(test, production, rows, per_user)))


def _figures(test: Run, production: Run, rows: pd.DataFrame,
             per_user: PerUser | None) -> Iterator[LikenessFigure]:
    commands = commands_per_second(rows)
    server = test.in_sound_samples(test.server)
    no_commands = "production does not publish its commands"
    if per_user is not None:
        told = None if commands is None else _per_user(commands, per_user.users)
        yield LikenessFigure("commands per user", "an hour", told, per_user.commands_per_hour, no_commands,
                             "the test's: the demand's rates at the test's commands per operation")
    yield LikenessFigure("reads among commands", "%", _ratio(rows, "GetTypeCmds", "SetTypeCmds"),
                         _reads(test), "production does not publish GetTypeCmds and SetTypeCmds")
    yield LikenessFigure("hit rate", "%", _ratio(rows, "CacheHits", "CacheMisses"),
                         _ratio(server, "CacheHits", "CacheMisses", by_hour=False),
                         "there were no look-ups", "as INFO counts it")
    yield _cpu(test, production, rows, commands)
    yield LikenessFigure("bytes per key", "", _bytes_per_key(rows), _test_bytes_per_key(server),
                         "one of them does not tell memory and keys", "used memory over all keys")
    yield LikenessFigure("keys with a TTL", "%", _share(rows, "CurrVolatileItems", "CurrItems"),
                         _share(server, "CurrVolatileItems", "CurrItems"), "one of them does not tell")
    for direction in ("In", "Out"):
        metric = f"NetworkBytes{direction}"
        yield LikenessFigure(
            f"bytes {direction.lower()} per command", "", _over(rows.get(metric), commands),
            _test_bytes(test, server, metric), no_commands, "with packet headers, as the host counts")


def _cpu(test: Run, production: Run, rows: pd.DataFrame, commands: pd.Series[float] | None) -> LikenessFigure:
    """Engine CPU per command at production's usual rate; the test's carried to the node."""
    name, unit = "CPU per command", "µs"
    families = {one.name: one.family for one in node_types()}
    family = families.get(str(production.manifest["target"]["node_type"]))
    told = None if commands is None else _over(rows.get("EngineCPUUtilization"), commands, 1e4)
    if told is None or commands is None:
        return LikenessFigure(name, unit, None, None, "production does not publish its commands or CPU")
    factor = cpu_factors().get(family or "")
    if factor is None:
        return LikenessFigure(name, unit, told, None, "nothing is known of the speed of the node's family")
    rate = range_of(hourly(commands))
    try:
        curve = curve_of([test])
    except BadRun:
        return LikenessFigure(name, unit, told, None, "the test does not tell its server's CPU")
    if rate is None or rate.mid <= 0.0:
        return LikenessFigure(name, unit, told, None, "production sends no commands")
    each = sum(curve.commands_per_round.values())
    ends = [curve.us_per_command(max(one, 1.0) / each, of_a_run=True)
            for one in (rate.high, rate.mid, rate.low)]
    here = Interval(min(ends[0].low, ends[1].low), ends[1].mid, max(ends[1].high, ends[2].high))
    there = Interval(here.low * factor.low, here.mid * factor.mid, here.high * factor.high)
    return LikenessFigure(name, unit, told, there, note=f"at {rate.mid:,.0f} commands a second, on {family}")


def _per_user(commands: pd.Series[float], users: Interval) -> Interval | None:
    """Of whole days, so that it is a mean as the demand's rates are."""
    by_hour = hourly(commands)
    days = by_hour.groupby(by_hour.index.to_numpy() // 86_400)
    means = range_of([float(rows.mean()) for _, rows in days if len(rows) == 24] or [float(by_hour.mean())])
    if means is None or users.low <= 0.0:
        return None
    return Interval(_HOUR_S * means.low / users.high, _HOUR_S * means.mid / users.mid,
                    _HOUR_S * means.high / users.low)


def _ratio(rows: pd.DataFrame, part: str, rest: str, *, by_hour: bool = True) -> Interval | None:
    """`part` in percent of both together: hour by hour, or of all seconds together."""
    if not {part, rest} <= set(rows):
        return None
    if by_hour:
        first, second = hourly(rows[part]), hourly(rows[rest])
        return range_of(100.0 * first / (first + second))
    counts = rows[[part, rest]].dropna()
    total = float(counts.to_numpy().sum())
    if total <= 0.0:
        return None
    share = float(counts[part].sum()) / total
    error = 1.645 * float(np.sqrt(share * (1.0 - share) / total))
    return Interval(100.0 * max(share - error, 0.0), 100.0 * share, 100.0 * min(share + error, 1.0))


def _reads(test: Run) -> Interval | None:
    calls = test.commands.groupby("command")["calls"].sum()
    # commandstats names a subcommand with its command: config|get.
    reads = float(calls[calls.index.isin(_READS)].sum())
    writes = float(calls[calls.index.isin(_WRITES)].sum())
    return Interval.exact(100.0 * reads / (reads + writes)) if reads + writes > 0.0 else None


def _bytes_per_key(rows: pd.DataFrame) -> Interval | None:
    if not {"BytesUsedForCache", "CurrItems"} <= set(rows):
        return None
    used, keys = hourly(rows["BytesUsedForCache"]), hourly(rows["CurrItems"])
    ends = [range_of((used - base) / keys[keys > 0.0])
            for base in (_STARTUP_BYTES.high, _STARTUP_BYTES.mid, _STARTUP_BYTES.low)]
    low, mid, high = ends
    return None if low is None or mid is None or high is None else Interval(low.low, mid.mid, high.high)


def _test_bytes_per_key(server: pd.DataFrame) -> Interval | None:
    known = server.dropna(subset=["info_used_memory", "info_used_memory_startup", "CurrItems"])
    known = known[known["CurrItems"] > 0.0]
    each = (known["info_used_memory"] - known["info_used_memory_startup"]) / known["CurrItems"]
    return range_of(each)


def _share(rows: pd.DataFrame, part: str, whole: str) -> Interval | None:
    if not {part, whole} <= set(rows):
        return None
    known = rows[[part, whole]].dropna()
    known = known[known[whole] > 0.0]
    return range_of(100.0 * known[part] / known[whole])


def _over(metric: pd.Series[float] | None, commands: pd.Series[float] | None,
          scale: float = 1.0) -> Interval | None:
    """A rate over that of the commands, hour by hour."""
    if metric is None or commands is None:
        return None
    rate = hourly(commands)
    return range_of(scale * hourly(metric) / rate[rate > 0.0])


def _test_bytes(test: Run, server: pd.DataFrame, metric: str) -> Interval | None:
    """RESP bytes of a command, with no, one and two packets' headers."""
    known = server[metric].dropna() if metric in server else pd.Series(dtype=float)
    commands = test_commands_per_second(test)
    if known.empty or commands <= 0.0:
        return None
    each = float(known.groupby(server.loc[known.index, "node"]).mean().sum()) / commands
    return Interval(each, each + _SMALL_PACKET_BYTES, each + 2.0 * _SMALL_PACKET_BYTES)
