"""How early an alarm warned of a trouble, and at which threshold it would have warned early enough."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from amply_capacity.ops.alarm import Alarm, Floats
from amply_capacity.ops.alarm_evaluation import Evaluation, Points, data_points, evaluate
from amply_capacity.ops.alarm_troubles import Trouble

__all__ = ["BestThreshold", "best_threshold", "false_episodes", "lead_s"]

_REMEMBERED_S = 3_600
"""An alarm that ended no longer ago is still a warning."""
_HERALD_S = 86_400
"""An alarm of which nothing came within this time was a false one."""
_DIGITS = 3
_MOST_ALARM_SHARE = 0.9


def lead_s(evaluation: Evaluation, trouble: Trouble) -> int | None:
    """Seconds from the alarm to the trouble's begin, below 0 where it came later; None where it did not fire.

    A later alarm counts while the trouble lasts, and an earlier one that has ended counts for an hour.
    """
    before = [one for one in evaluation.episodes if one.from_s <= trouble.from_s
              and (one.until_s is None or one.until_s > trouble.from_s - _REMEMBERED_S)]
    if before:
        return trouble.from_s - before[-1].from_s
    # A state is told at the end of its minute, so a trouble of one minute is told as it ends.
    later = [one for one in evaluation.episodes if trouble.from_s < one.from_s <= trouble.until_s]
    return trouble.from_s - later[0].from_s if later else None


def false_episodes(evaluation: Evaluation, troubles: Sequence[Trouble]) -> int:
    """Stretches in ALARM in which no trouble was under way, and none began within a day."""
    return sum(not any(trouble.until_s >= one.from_s and trouble.from_s <= one.from_s + _HERALD_S
                       for trouble in troubles) for one in evaluation.episodes)


@dataclass(frozen=True, slots=True)
class BestThreshold:
    """The least sensitive threshold that warns of every trouble so early."""

    lead_s: int
    threshold: float
    episodes: int
    false_episodes: int
    alarm_share: float
    """Of all evaluations, in ALARM."""

    def as_json(self) -> dict[str, Any]:
        return {"lead_s": self.lead_s, "threshold": self.threshold, "episodes": self.episodes,
                "false_episodes": self.false_episodes, "alarm_percent": round(100.0 * self.alarm_share, 2)}


def best_threshold(alarm: Alarm, points: Points, troubles: Sequence[Trouble],
                   lead_s: int) -> BestThreshold | None:
    """None without a trouble, without data that long before one, or where only a threshold that is always
    crossed would do.

    An alarm is in ALARM while the M-th most breaching of its last N data points breaches. So the threshold is
    the least extreme of those over the moments `lead_s` before each trouble, rounded to three digits to the
    sensitive side.
    """
    if not troubles:
        return None
    values = data_points(alarm, points)
    tick_s = 60 if alarm.period_s >= 60 else 10
    reached = [_reached(alarm, values, (one.from_s - lead_s - points.start_s) // tick_s - 1, tick_s)
               for one in troubles]
    if any(one is None for one in reached):
        return None
    known = [one for one in reached if one is not None]
    threshold = _rounded(min(known), up=False) if alarm.is_above else _rounded(max(known), up=True)
    evaluation = evaluate(alarm.at(threshold), points)
    share = float(evaluation.in_alarm.mean())
    if share > _MOST_ALARM_SHARE:
        return None
    return BestThreshold(lead_s, threshold, len(evaluation.episodes), false_episodes(evaluation, troubles),
                         share)


def _reached(alarm: Alarm, values: Floats, place: int, tick_s: int) -> float | None:
    """What M of the last N data points reach at that evaluation; None without that many."""
    span = alarm.period_s // tick_s
    places = place - span * np.arange(alarm.evaluation_periods)
    window = values[places[(places >= 0) & (places < values.size)]]
    ordered = np.sort(window[~np.isnan(window)])
    if ordered.size < alarm.datapoints_to_alarm:
        return None
    return float(ordered[-alarm.datapoints_to_alarm] if alarm.is_above
                 else ordered[alarm.datapoints_to_alarm - 1])


def _rounded(value: float, *, up: bool) -> float:
    """To three digits beyond the value, so that it breaches."""
    if value == 0.0:
        return 1e-9 if up else -1e-9
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - _DIGITS + 1)
    steps = value / unit
    rounded = math.ceil(steps) if up else math.floor(steps)
    if abs(rounded - steps) < 1e-9:  # a strict comparison has to be passed
        rounded += 1 if up else -1
    return float(f"{rounded * unit:.{_DIGITS}g}")
