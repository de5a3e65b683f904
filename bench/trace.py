"""A made-up trace of an application's traffic, as `amply-capacity import trace` reads it.

What the specification's traffic has, in proportions that fill a few MB within a minute: cached reads of Zipf
popularity, sessions that are created, read, written again and deleted, counters that expire, and an index of
sessions that has no TTL and so is never evicted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

__all__ = ["Shape", "Trace", "trace_of", "write_csv"]

Trace = pd.DataFrame
"""Columns `time_s`, `op`, `key`, `key_bytes`, `value_bytes`, `ttl_s`; sorted by time."""

_SESSION_TTL_S, _COUNTER_TTL_S = 604_800.0, 60.0
_MEMBER_BYTES = 28


@dataclass(frozen=True, slots=True)
class Shape:
    """How much of what."""

    seed: int
    seconds: float = 40.0
    per_second: float = 6000.0
    objects: int = 60_000
    """Cached objects that may be asked for."""
    zipf: float = 0.9
    mean_bytes: float = 450.0
    """Of their values, log-normal."""
    object_ttl_s: float = 300.0
    share_cached: float = 0.62
    share_updated: float = 0.03
    """Of accesses: a cached object is written anew."""
    share_deleted: float = 0.02
    share_sessions: float = 0.21
    """Reads, and one in eight creates one, in which its user's index gains a member."""
    users: int = 4000
    counters: int = 3000
    """The rest of accesses."""


def trace_of(shape: Shape) -> Trace:
    """The trace; the same for the same shape."""
    random = np.random.default_rng((shape.seed, 20))
    count = round(shape.seconds * shape.per_second)
    times = np.sort(random.uniform(0.0, shape.seconds, count))
    kinds = random.choice(5, size=count, p=_shares(shape))
    parts = [_objects(shape, random, times[kinds == 0], "get"), _objects(shape, random, times[kinds == 1],
                                                                         "setex"),
             _objects(shape, random, times[kinds == 2], "del"), _sessions(shape, random, times[kinds == 3]),
             _counters(shape, random, times[kinds == 4])]
    whole = pd.concat(parts, ignore_index=True).sort_values("time_s", kind="stable", ignore_index=True)
    whole["time_s"] = whole["time_s"].round(6)
    whole.insert(3, "key_bytes", whole["key"].str.len())
    return whole


def write_csv(trace: Trace, path: Path) -> None:
    """The trace as a file to import."""
    named = trace.assign(ttl_s=trace["ttl_s"].map(lambda ttl: "" if np.isnan(ttl) else "none" if np.isinf(ttl)
                                                  else f"{ttl:g}"))
    pa.csv.write_csv(pa.Table.from_pandas(named, preserve_index=False), path,
                     pa.csv.WriteOptions(quoting_style="none"))


def _shares(shape: Shape) -> list[float]:
    told = [shape.share_cached, shape.share_updated, shape.share_deleted, shape.share_sessions]
    return [*told, 1.0 - sum(told)]


def _zipf(random: np.random.Generator, size: int, exponent: float, count: int) -> NDArray[Any]:
    weights = np.arange(1, size + 1, dtype=np.float64) ** -exponent
    return random.choice(size, size=count, p=weights / weights.sum())


def _rows(times: NDArray[Any], op: Any, key: Any, value_bytes: Any, ttl_s: Any) -> Trace:
    values = value_bytes if isinstance(value_bytes, pd.Series) else pd.Series(value_bytes, dtype="Int64",
                                                                             index=range(len(times)))
    return pd.DataFrame({"time_s": times, "op": op, "key": key, "value_bytes": values,
                         "ttl_s": np.full(len(times), np.nan) if ttl_s is None else ttl_s})


def _objects(shape: Shape, random: np.random.Generator, times: NDArray[Any], op: str) -> Trace:
    places = _zipf(random, shape.objects, shape.zipf, len(times))
    each = np.random.default_rng((shape.seed, 21)).lognormal(np.log(shape.mean_bytes) - 0.32, 0.8,
                                                             shape.objects)
    sizes = np.clip(each, 20, 20_000).astype(np.int64)[places]
    keys = pd.Series(places).map("cache:org:stats:org_{:08x}".format)
    if op == "del":
        return _rows(times, op, keys, pd.Series(pd.NA, index=range(len(times)), dtype="Int64"), None)
    return _rows(times, op, keys, pd.Series(sizes, dtype="Int64"), shape.object_ttl_s)


def _sessions(shape: Shape, random: np.random.Generator, times: NDArray[Any]) -> Trace:
    """Every eighth creates one; the others read one of those created, the recent ones more often."""
    creates = np.arange(len(times)) % 8 == 0
    born = np.cumsum(creates) - 1
    back = (random.exponential(0.25, len(times)) * (born + 1)).astype(np.int64) % (born + 1)
    session = np.where(creates, born, born - back)
    users = np.random.default_rng((shape.seed, 22)).integers(0, shape.users, int(creates.sum()))
    keys = pd.Series(session).map("session:ses_{:024x}".format)
    sizes = 360 + session % 80
    rewrites = ~creates & (np.arange(len(times)) % 5 == 0)  # last activity: the whole value again
    written = creates | rewrites
    own = _rows(times, np.where(written, "setex", "get"), keys,
                pd.Series(np.where(written, sizes, 0), dtype="Int64").mask(~written),
                np.where(written, _SESSION_TTL_S, np.nan))
    index = _rows(times[creates], "sadd", pd.Series(users).map("user_sessions:usr_{:08x}".format),
                  _MEMBER_BYTES, None)
    gone = (~creates) & (np.arange(len(times)) % 29 == 0)
    out = _rows(times[gone], "del", keys[gone].reset_index(drop=True),
                pd.Series(pd.NA, index=range(int(gone.sum())), dtype="Int64"), None)
    return pd.concat([own, index, out], ignore_index=True)


def _counters(shape: Shape, random: np.random.Generator, times: NDArray[Any]) -> Trace:
    keys = pd.Series(_zipf(random, shape.counters, 0.6, len(times))).map("rate:api:key_{:024x}".format)
    return _rows(times, "incr", keys, pd.Series(pd.NA, index=range(len(times)), dtype="Int64"),
                 _COUNTER_TTL_S)
