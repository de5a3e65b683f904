"""ElastiCache Processing Units: what commands take of a serverless cache, and what that costs in many worlds.

A simple read or write takes one ECPU for each kilobyte that it transfers, and one at least. A command that
needs more vCPU time than a simple GET or SET takes as many as it needs times theirs, where that is more; the
two are not added. AUTH, MULTI, EXEC and others are not metered. Sources: rates.csv, `serverless_ecpu_rule`;
AWS, "How ElastiCache works", Pricing dimensions (copy of 2026). AWS publishes no exact formula. Kilobytes and
gigabytes are taken as 2^10 and 2^30 bytes, as in AWS' own estimator (aws-samples/amazon-elasticache-samples)
and where its price page writes GiB.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from amply_capacity.catalog.serverless import Serverless, amount
from amply_capacity.plan.bill import HOURS_PER_MONTH
from amply_capacity.plan.serverless_bill import SECONDS_PER_MONTH

__all__ = ["SIMPLE", "UNMETERED", "CommandUse", "ecpus_of", "ecpus_per_second", "serverless_usd_per_month",
           "stored_gb", "vcpu_multiples"]

_Array = NDArray[np.float64]

UNMETERED = frozenset({"AUTH", "MULTI", "EXEC", "CONFIG", "INFO", "PUBLISH", "SUBSCRIBE"})
SIMPLE = frozenset({
    "APPEND", "DECR", "DECRBY", "DEL", "EXISTS", "EXPIRE", "EXPIREAT", "GET", "GETDEL", "GETEX", "HDEL",
    "HEXISTS", "HGET", "HLEN", "HSET", "INCR", "INCRBY", "LLEN", "LPOP", "LPUSH", "PERSIST", "PEXPIRE",
    "PING", "PSETEX", "PTTL", "RPOP", "RPUSH", "SADD", "SCARD", "SET", "SETEX", "SETNX", "SISMEMBER", "SREM",
    "STRLEN", "TTL", "TYPE", "UNLINK", "ZSCORE"})
"""Reads and writes of one element: by the rule one ECPU a kilobyte, whatever their time on a server was."""

_KILOBYTE = 2.0**10
_GIGABYTE = 2.0**30


@dataclass(frozen=True, slots=True)
class CommandUse:
    """One kind of command: how often it is sent, and what one of it carries.

    All may be numbers or arrays of shapes that broadcast, e.g. a rate of (worlds, months) and bytes of one
    number. Bytes are a mean: where a command's sizes lie on both sides of a kilobyte, that says too little,
    and it is to be given as several uses, one for each size.
    """

    command: str
    """In capitals, e.g. `GET`."""
    per_second: ArrayLike
    request_bytes: ArrayLike
    reply_bytes: ArrayLike
    vcpu_multiple: ArrayLike = 1.0
    """vCPU time over that of a simple GET or SET."""


def ecpus_of(request_bytes: ArrayLike, reply_bytes: ArrayLike, vcpu_multiple: ArrayLike = 1.0) -> _Array:
    """ECPUs of one command that transfers so many bytes in both directions.

    Example: 3.2 kB at 3 times the vCPU time are 3.2 ECPUs, 2 kB are 3.
    """
    kilobytes = (np.asarray(request_bytes, dtype=np.float64) + np.asarray(reply_bytes)) / _KILOBYTE
    metered: _Array = np.maximum(np.maximum(kilobytes, np.asarray(vcpu_multiple, dtype=np.float64)), 1.0)
    return metered


def ecpus_per_second(uses: Iterable[CommandUse]) -> _Array:
    """ECPUs a second of all of them together, in the shape that they broadcast to; 0 where there are none."""
    total: _Array = np.zeros(())
    for use in uses:
        rate = np.asarray(use.per_second, dtype=np.float64)
        each = ecpus_of(use.request_bytes, use.reply_bytes, use.vcpu_multiple)
        total = total + (np.zeros_like(rate * each) if use.command in UNMETERED else rate * each)
    return total


def vcpu_multiples(execution_us: Mapping[str, float]) -> dict[str, float]:
    """By command its vCPU time over that of a simple GET or SET, from mean µs inside each (commandstats).

    Simple commands have 1 by the rule. Others need a GET, SET or SETEX measured beside them, and are left out
    without: it is not known then what they take.
    """
    simple = [execution_us[name] for name in ("GET", "SET", "SETEX") if execution_us.get(name, 0.0) > 0.0]
    found = {}
    for command, microseconds in execution_us.items():
        if command in SIMPLE:
            found[command] = 1.0
        elif simple:
            found[command] = max(microseconds * len(simple) / sum(simple), 1.0)
    return found


def stored_gb(data_bytes: ArrayLike) -> _Array:
    """What is metered as stored, of bytes of keys and values with their structures, without connections."""
    gigabytes: _Array = np.asarray(data_bytes, dtype=np.float64) / _GIGABYTE
    return gigabytes


def serverless_usd_per_month(found: Serverless, gb: ArrayLike, ecpus: ArrayLike) -> _Array:
    """A month's bill without extras, of data held and ECPUs a second, e.g. of the shape (worlds, months).

    `serverless_bill` gives the same for one pair, in lines. Not a number where either is not.
    """
    held = np.maximum(np.asarray(gb, dtype=np.float64), float(amount(found.minimum_storage)))
    storage = float(amount(found.storage)) * HOURS_PER_MONTH
    per_ecpu = float(amount(found.ecpus)) * SECONDS_PER_MONTH / 1e6
    usd: _Array = storage * held + per_ecpu * np.asarray(ecpus, dtype=np.float64)
    return usd
