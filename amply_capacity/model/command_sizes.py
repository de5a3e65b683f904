"""Bytes of a command and its reply, by class of commands, from the lengths of a run's keys and values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from amply_capacity.model.command_uses import DEL_ALL, MEMBERS, TRANSACTION, key_class_of
from amply_capacity.model.resp import (
    NULL_BYTES,
    OK_BYTES,
    QUEUED_BYTES,
    bulk_bytes,
    bulks_bytes,
    command_bytes,
    header_bytes,
    integer_bytes,
)
from amply_capacity.run.reader import Run
from amply_capacity.traffic.cache import CACHE_TTL_SECONDS

__all__ = ["Mean", "Size", "size_of"]

_Array = NDArray[np.float64]
_ONE = integer_bytes(1)
_OF_ONE_KEY = 0.25
"""Relative error of a mean that a single key tells."""
_CACHED = "cache"
_SESSION_PREFIX_BYTES = len("session:")


@dataclass(frozen=True, slots=True)
class Mean:
    """Mean bytes, with the variances of that mean."""

    mid: float
    sampled: float = 0.0
    """Since only a sample of the keys is known; 0 where all are."""
    alone: float = 0.0
    """Of one command, not of the mean."""
    elsewhere: float = 0.0
    """Of another population of keys of the same kind."""


@dataclass(frozen=True, slots=True)
class Size:
    """A class of commands: mean bytes of its request and of its reply."""

    request: Mean
    reply: Mean


def size_of(name: str, run: Run) -> Size | None:
    """The size of that class of commands; None where the run's key accesses do not tell."""
    command, key_class = name.rpartition(" ")[0], key_class_of(name)
    rows = run.accesses[run.accesses["key_class"] == key_class]
    maker = _MAKERS.get(command)
    if maker is None or rows.empty:
        return None
    return maker(rows, run)


def _get(rows: pd.DataFrame, run: Run) -> Size | None:
    """Hits and misses alike, as the accesses show them."""
    gets = rows[rows["op"] == "get"]
    if gets.empty:
        return None
    replies = np.where(gets["value_bytes"].isna(), NULL_BYTES, _bulks(gets["value_bytes"].fillna(0.0)))
    return Size(_keyed(("GET",), gets), _mean(replies, gets))


def _hit(rows: pd.DataFrame, run: Run) -> Size | None:
    found = rows[(rows["op"] == "get") & (rows["value_bytes"] > 0)]
    if found.empty:  # what was written would be read
        found = rows[(rows["op"] == "setex") & (rows["value_bytes"] > 0)]
    return None if found.empty else Size(_keyed(("GET",), found), _mean(_bulks(found["value_bytes"]), found))


def _miss(rows: pd.DataFrame, run: Run) -> Size | None:
    return Size(_keyed(("GET",), rows), Mean(NULL_BYTES))


def _setex(rows: pd.DataFrame, run: Run) -> Size | None:
    written = _written(rows)
    return None if written.empty else Size(_mean(_setex_bytes(written), written), Mean(OK_BYTES))



def _transaction(rows: pd.DataFrame, run: Run) -> Size | None:
    """MULTI, SETEX, PUBLISH of the same value to nobody, EXEC: one write and five replies."""
    written = _written(rows)
    if written.empty:
        return None
    around = command_bytes(("MULTI",)) + command_bytes(("EXEC",)) + header_bytes(3) + bulk_bytes(7)
    published = _bulks(written["key_bytes"]) + _bulks(written["value_bytes"])
    reply = OK_BYTES + 2 * QUEUED_BYTES + header_bytes(2) + OK_BYTES + integer_bytes(0)
    return Size(_mean(_setex_bytes(written) + published + around, written), Mean(reply))


def _ttl(rows: pd.DataFrame, run: Run) -> Size | None:
    """The TTL that is read is the one that is written next."""
    written = _written(rows)
    if written.empty:
        return None
    return Size(_keyed(("TTL",), rows), _mean(1.0 + _digits(written["ttl_s"]) + 2.0, written))


def _incr(rows: pd.DataFrame, run: Run) -> Size | None:
    """The reply is the count: how many came since the EXPIRE, which follows the first of a window.

    Of windows that were open before the run the first count is not known; it is taken as 1.
    """
    events = rows[rows["op"].isin(["incr", "expire"])].sort_values("time_s", kind="stable")
    if not (events["op"] == "incr").any():
        return None
    is_first = events["op"].eq("expire").groupby(events["key_hash"]).shift(-1, fill_value=False)
    window = is_first.groupby(events["key_hash"]).cumsum()
    counted = events[events["op"] == "incr"]
    place = counted.groupby([counted["key_hash"], window[counted.index]]).cumcount() + 1.0
    place += (window[counted.index] == 0).astype(float)
    return Size(_keyed(("INCR",), counted), _mean(1.0 + _digits(place) + 2.0, counted))


def _expire(rows: pd.DataFrame, run: Run) -> Size | None:
    expires = rows[rows["op"] == "expire"]
    if expires.empty:
        return None
    bytes_each = command_bytes(("EXPIRE",)) + _bulks(expires["key_bytes"]) + _bulks(_digits(expires["ttl_s"]))
    return Size(_mean(bytes_each, expires), Mean(_ONE))


def _del(rows: pd.DataFrame, run: Run) -> Size | None:
    return Size(_keyed(("DEL",), rows), Mean(_ONE))


def _del_all(rows: pd.DataFrame, run: Run) -> Size | None:
    lists, member_bytes = _lists(run)
    if member_bytes is None or lists.empty:
        return None
    members = (lists["value_bytes"] / member_bytes).to_numpy(dtype=float)
    has_some = members > 0.5
    if not has_some.any():
        return None
    some = lists[has_some]
    requests = (_headers(1.0 + members[has_some]) + bulk_bytes(3)
                + members[has_some] * bulk_bytes(round(member_bytes) + _SESSION_PREFIX_BYTES))
    return Size(_mean(requests, some), Mean(_ONE, sampled=0.1))  # more than nine were there, at times


def _member(command: str) -> Callable[[pd.DataFrame, Run], Size | None]:
    def maker(rows: pd.DataFrame, run: Run) -> Size | None:
        member_bytes = _member_bytes(run)
        if member_bytes is None:
            return None
        request = _keyed((command, "x" * round(member_bytes)), rows)
        return Size(request, Mean(_ONE))

    return maker


def _smembers(rows: pd.DataFrame, run: Run) -> Size | None:
    lists, member_bytes = _lists(run)
    if member_bytes is None or lists.empty:
        return None
    members = (lists["value_bytes"] / member_bytes).to_numpy(dtype=float)
    replies = _headers(members) + members * bulk_bytes(round(member_bytes))
    return Size(_keyed(("SMEMBERS",), lists), _mean(replies, lists))


_MAKERS: Mapping[str, Callable[[pd.DataFrame, Run], Size | None]] = {
    "GET": _get, "GET hit": _hit, "GET miss": _miss, "SETEX": _setex, TRANSACTION: _transaction, "TTL": _ttl,
    "INCR": _incr, "EXPIRE": _expire, "DEL": _del, DEL_ALL.rpartition(" ")[0]: _del_all,
    "SADD": _member("SADD"), "SREM": _member("SREM"), "SMEMBERS": _smembers,
}


def _written(rows: pd.DataFrame) -> pd.DataFrame:
    """Values as they are written."""
    if rows["key_class"].iloc[0] == _CACHED:
        return _filled(rows)
    return rows[(rows["op"] == "setex") & rows["value_bytes"].notna() & rows["ttl_s"].notna()]


def _filled(rows: pd.DataFrame) -> pd.DataFrame:
    """Cached values, each key's once: a key is filled once a TTL, however often it is read."""
    known = rows[rows["op"].isin(["get", "setex"]) & (rows["value_bytes"] > 0)]
    return known.drop_duplicates("key_hash", keep="last").assign(ttl_s=float(CACHE_TTL_SECONDS))


def _lists(run: Run) -> tuple[pd.DataFrame, float | None]:
    accesses = run.accesses
    lists = accesses[(accesses["key_class"] == MEMBERS) & (accesses["op"] == "smembers")]
    return lists.dropna(subset=["value_bytes"]), _member_bytes(run)


def _member_bytes(run: Run) -> float | None:
    """Of a session id: as it was added or removed, else as it stands in a session's key."""
    accesses = run.accesses
    added = accesses[(accesses["key_class"] == MEMBERS) & accesses["op"].isin(["sadd", "srem"])]
    lengths = added["value_bytes"].dropna()
    if len(lengths):
        return float(lengths.mean())
    keys = accesses.loc[accesses["key_class"] == "session", "key_bytes"]
    return float(keys.mean()) - _SESSION_PREFIX_BYTES if len(keys) else None


def _setex_bytes(rows: pd.DataFrame) -> _Array:
    return (command_bytes(("SETEX",)) + _bulks(rows["key_bytes"]) + _bulks(_digits(rows["ttl_s"]))
            + _bulks(rows["value_bytes"]))


def _keyed(words: tuple[str, ...], rows: pd.DataFrame) -> Mean:
    """A request of these words and the key."""
    return _mean(command_bytes(words) + _bulks(rows["key_bytes"]), rows)


def _bulks(lengths: pd.Series[float] | _Array) -> _Array:
    return bulks_bytes(np.asarray(lengths, dtype=np.float64))


def _digits(numbers: pd.Series[float]) -> _Array:
    return np.floor(np.log10(np.maximum(np.asarray(numbers, dtype=np.float64), 1.0) + 1e-9)) + 1.0


def _headers(elements: _Array) -> _Array:
    return 1.0 + np.where(elements >= 100, 3.0, np.where(elements >= 10, 2.0, 1.0)) + 2.0


def _mean(values: _Array, rows: pd.DataFrame) -> Mean:
    """The mean of one value a row, whose keys are a sample by hash: a key's accesses come or stay together.

    Each key is a cluster (Cochran, Sampling Techniques, ch. 9: the ratio estimator).
    """
    count, mid = len(values), float(values.mean())
    if float(np.ptp(values)) == 0.0 and count > 1:
        return Mean(mid)
    clusters = pd.Series(values - mid).groupby(rows["key_hash"].to_numpy()).sum().to_numpy()
    if len(clusters) < 2:
        guess = (_OF_ONE_KEY * mid) ** 2
        return Mean(mid, guess, guess, guess)
    share = float(rows["sampling_rate"].min())
    by_key = float((clusters**2).sum()) / count**2 * len(clusters) / (len(clusters) - 1)
    alone = float(values.var(ddof=1))
    by_key = max(by_key, alone / count)
    return Mean(mid, (1.0 - share) * by_key, alone, share * by_key)
