"""What a drill will show: writes lost by the loss law, a failover by Sentinel's own clock."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from amply_capacity.interval import Interval

__all__ = ["failover_seconds", "lost_writes", "scored"]

_RETRY_SECONDS = 0.2
"""Who finds no connection tries again after so long (load.user)."""
_FEWEST, _SHARE = 3.0, 0.03
_NINE_OF_TEN = 1.645
"""Standard deviations to either side."""
_TURN_SECONDS = Interval(1 / 19, 1 / 14.5, 1 / 10)
"""Of a Sentinel: it runs 10 to 19 times a second, another number after each (sentinel.c, sentinelTimer)."""
_AGREED_TURNS, _PROMOTED_TURNS, _TOLD_TURNS = 2.5, 3.5, 1.5
"""From the crash, without what Sentinels wait, to their agreement; from there to the replica's promotion; and
from the answer that shows it until the last Sentinel gives the new address out."""
_INFO_SECONDS, _USUAL_INFO_SECONDS = 1.0, 10.0
"""How often it asks a replica while its primary is down, and else (sentinelSendPeriodicCommands)."""
_SOONER_SECONDS, _LATER_TURNS = 0.8, 3.0


def lost_writes(per_second: float, seconds: float, *, is_even: bool = True) -> Interval:
    """Acknowledged writes that go with a primary whose replica, or snapshot, is so far behind.

    Each is answered when it is done here, and is there once it has arrived: what was answered within the time
    that it takes is lost. The bounds are three writes, or 3 %; where they do not come evenly, as those of a
    mix do not, nor what arrives at random, those of a Poisson number of them too.
    """
    mid = per_second * seconds
    slack = max(_FEWEST, _SHARE * mid, 0.0 if is_even else _NINE_OF_TEN * math.sqrt(mid))
    return Interval(max(mid - slack, 0.0), mid, mid + slack)


def failover_seconds(down_after_seconds: float, users: int, info_ages_s: Sequence[float] = ()) -> Interval:
    """How long clients see no primary after a crash under three Sentinels, by Sentinel's own clock.

    In turns of a Sentinel, half of one on average until anything is noticed. Half until the lost link is seen
    and a PING is tried; half, after `down-after-milliseconds` without an answer, until that is noticed; one
    and a half until the second Sentinel agrees; three and a half until the replica is promoted. That only its
    INFO shows, which is asked once a second from the agreement on, or from when one shows its broken link.
    One turn more until the new address is given out, and half until the last Sentinel has it. The first of
    the clients that try again every 0.2 s finds it.

    `info_ages_s`: how long before the crash each Sentinel last had the replica's INFO. Else nobody knows in
    which part of a second it asks again, and it is over up to 0.8 s sooner where it asked while it waited.
    The bounds hold that, and what turns differ by; developed on twelve crashes at one to three seconds.
    """
    turn = _TURN_SECONDS.mid
    agreed_s = down_after_seconds + _AGREED_TURNS * turn
    shown_s = sorted(_shown_seconds(agreed_s, age_s) for age_s in info_ages_s) or [
        agreed_s + _INFO_SECONDS + turn]
    rest_s = _TOLD_TURNS * turn + _RETRY_SECONDS / max(users, 1)
    sooner_s = _SOONER_SECONDS if not info_ages_s else 3.0 * (turn - _TURN_SECONDS.low)
    later_s = _LATER_TURNS * _TURN_SECONDS.high
    return Interval(shown_s[0] + rest_s - sooner_s, shown_s[len(shown_s) // 2] + rest_s,
                    shown_s[-1] + rest_s + later_s)


def _shown_seconds(agreed_s: float, age_s: float) -> float:
    """When a Sentinel that leads sees the promotion, after the crash; `age_s` is of its last INFO then."""
    turn = _TURN_SECONDS.mid
    usual_s, quick_s = _USUAL_INFO_SECONDS + turn / 2.0, _INFO_SECONDS + turn / 2.0
    promoted_s = agreed_s + _PROMOTED_TURNS * turn
    asked_s = usual_s - age_s
    if asked_s >= agreed_s:  # else that one shows a broken link, and it asks every second from then on
        asked_s = max(agreed_s + turn / 2.0, quick_s - age_s)
    while asked_s < promoted_s:
        asked_s += quick_s
    return asked_s


def scored(predicted: Interval, measured: float | None) -> Mapping[str, Any]:
    """A prediction beside what was measured, as JSON shows it."""
    return {**predicted.rounded(3), "measured": None if measured is None else round(measured, 3)}
