"""The leak: indexes of sessions have no TTL, so no volatile policy evicts them, and they only grow.

`user_sessions:*` keeps one set for every user who ever logged in, and in it the id of every session that
expired until that user lists or ends all sessions. When only such keys are left, Redis has nothing to evict,
and refuses what would need memory: SETEX, SADD and INCR fail. A rate key whose EXPIRE was lost is of the same
kind.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from amply_capacity.interval import Interval
from amply_capacity.model.layout import Layout
from amply_capacity.model.members import IndexShape, IndexSizes, poisson

__all__ = ["SESSION_DAYS", "IndexRates", "LogIn", "log_ins_until_refused", "stale_members"]

Floats = NDArray[np.float64]
SESSION_DAYS = 7.0
"""A session's TTL, and the one that the fix gives its user's index at every SADD."""
_STEP_SHARE = 1 / 500
_LEAST_LOSS = 1e-12
_MOMENT_SHARE = 0.005
"""What the moment decides: tables that are being moved, buffers, which users were drawn."""


@dataclass(frozen=True, slots=True)
class IndexRates:
    """What happens to a registered user's index in a day, mean; numbers or arrays of one shape."""

    log_ins: Floats
    expiries: Floats
    """Sessions that end by their TTL, and leave their ids behind."""
    clearings: Floats
    """Lists of active sessions, and log-outs everywhere: after one no stale id is left."""

    @property
    def alive_with_ttl(self) -> Floats:
        """Share of users whose index is there when every SADD gives it a TTL of seven days."""
        return -np.expm1(-self.log_ins * SESSION_DAYS)

    @property
    def deaths_with_ttl(self) -> Floats:
        """How often in a day such an index ends: after a time without log-in, at the end of a busy period of
        M/D/∞ (whose mean is (exp(a·T) − 1) / a for log-ins at rate a)."""
        busy = np.expm1(np.minimum(self.log_ins * SESSION_DAYS, 700.0))
        return np.where(busy > 0.0, self.log_ins / np.where(busy > 0.0, busy, 1.0), 1.0 / SESSION_DAYS)


def stale_members(days: Floats, today: Floats, rates: IndexRates, growth_per_day: Floats, *,
                  has_ttl: bool = False) -> Floats:
    """Stale ids a registered user after so many days, mean; of the shape that the arguments make together.

    ds/dt = expiries − (clearings + growth) · s: new users come without any. Without clearings it grows for
    ever. `has_ttl`: an index without log-ins for seven days goes, and its stale ids with it.
    """
    loss = rates.clearings + np.maximum(growth_per_day, 0.0) + (rates.deaths_with_ttl if has_ttl else 0.0)
    # 1 − exp(−loss·t) over loss, which is t where nothing is lost.
    is_lossy = loss * days > _LEAST_LOSS
    gathered = np.where(is_lossy, -np.expm1(-loss * days) / np.where(is_lossy, loss, 1.0), days)
    result: Floats = today * np.exp(-loss * days) + rates.expiries * gathered
    return result


@dataclass(frozen=True, slots=True)
class LogIn:
    """What one log-in writes: a session with a TTL, and its id into the index of one of `users`.

    Each user is as likely as another; None: every log-in is another user's.
    """

    session_bytes: float
    """Key and value, mean."""
    index: IndexShape
    users: int | None = None

    def indexes(self, layout: Layout) -> Callable[[float], tuple[float, float]]:
        """A function of the number of log-ins: how many indexes there are then, and their bytes."""
        sizes = IndexSizes(layout, self.index)
        alone = sizes.of(np.array([0.0, 1.0]))
        users = self.users

        def after(log_ins: float) -> tuple[float, float]:
            if users is None:
                return log_ins, log_ins * alone
            law = poisson(log_ins / users)
            return users * float(law[1:].sum()), users * sizes.of(law)

        return after


def log_ins_until_refused(limit_bytes: float, fixed_bytes: Interval, layout: Layout,
                          log_in: LogIn) -> Interval:
    """How many log-ins until SETEX fails with OOM under a volatile policy, if no session expires before.

    `fixed_bytes` is all that is not the keyspace's. Sessions are evicted first, and fail last. The table of
    the keys grows while there is room, later only when it is overfull; that of the TTLs shrinks with them,
    which the server's cron does up to ten times a second: faster leaks end a little earlier.
    """
    rooms = [limit_bytes - fixed for fixed in (fixed_bytes.high, fixed_bytes.mid, fixed_bytes.low)]
    (low, _), (mid, largest), (high, _) = (_until(room, layout, log_in) for room in rooms)
    # A table that is made smaller is there beside the new one until it has been moved.
    low = min(low, _until(rooms[1] - largest, layout, log_in)[0])
    spread = _MOMENT_SHARE * mid
    return Interval(mid - math.hypot(mid - low, spread), mid, mid + math.hypot(high - mid, spread))


def _until(room_bytes: float, layout: Layout, log_in: LogIn) -> tuple[float, float]:
    """Log-ins that fit, and the largest table that the TTLs had by then."""
    indexes = log_in.indexes(layout)
    step = max(room_bytes / log_in.session_bytes * _STEP_SHARE, 1.0)
    keys = ttls = _Table(layout)
    log_ins, before, largest = 0.0, (0.0, -room_bytes), 0.0
    while True:
        lasting, lasting_bytes = indexes(log_ins)
        sessions = max(min(log_ins, keys.entries - lasting), 0.0)
        excess = lasting_bytes + keys.with_entries(lasting + sessions).bytes - room_bytes
        if excess > 0.0 and (sessions == 0.0 or log_ins == 0.0):
            earlier, lacking = before
            return earlier + (log_ins - earlier) * -lacking / (excess - lacking), largest
        sessions = min(log_ins, max(-excess - ttls.bytes, 0.0) / log_in.session_bytes)
        free = -excess - ttls.bytes - sessions * log_in.session_bytes
        is_full = sessions < log_ins
        keys = keys.holding(lasting + sessions, is_full, free)
        ttls = ttls.holding(sessions, is_full, free)
        largest = max(largest, ttls.bytes)
        before = (log_ins, lasting_bytes + keys.bytes - room_bytes)
        log_ins += max(step, _STEP_SHARE * log_ins)


@dataclass(frozen=True, slots=True)
class _Table:
    """A hash table of the keyspace: how much it holds, and for how many entries it was made."""

    layout: Layout
    entries: float = 0.0
    room: int = 0

    @property
    def bytes(self) -> float:
        return self.layout.filled_table(self.entries, self.room)

    def with_entries(self, entries: float) -> _Table:
        return replace(self, entries=entries)

    def holding(self, entries: float, is_full: bool, free_bytes: float) -> _Table:
        """As it is once it has so many entries, when memory is full or has so many bytes free."""
        wanted = self.layout.table_room(math.ceil(entries)) or 0
        room = self.room
        if wanted > room:
            is_refused = is_full or self.layout.filled_table(entries, wanted) > free_bytes
            room = room if is_refused and entries <= self.layout.refused_load * room else wanted
        elif entries < self.layout.shrink_below * room:
            room = wanted
        return _Table(self.layout, entries, room)
