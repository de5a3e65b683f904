"""Backup and maintenance windows: minutes of a week, in UTC, Monday's midnight first."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amply_capacity.model.day import DAY_MINUTES, SHARPEST, WEEK_MINUTES, week_weights
from amply_capacity.ops.circumstances import Circumstances
from amply_capacity.traffic.arrivals import BUSIEST

__all__ = ["SHORTEST_MINUTES", "Window", "busyness", "daily_window", "quietest_hour", "weekly_window"]

SHORTEST_MINUTES = 60
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = r"([01]\d|2[0-3]):([0-5]\d)"
_DAILY = re.compile(rf"{_TIME}-{_TIME}")
_WEEKLY = re.compile(rf"({'|'.join(_DAYS)}):{_TIME}-({'|'.join(_DAYS)}):{_TIME}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Window:
    """A time range that comes again every day or week."""

    first_minute: int
    """Of the week; of a daily one, of the day."""
    minutes: int
    is_daily: bool

    def of_week(self) -> NDArray[np.bool_]:
        """Which of a week's 10,080 minutes lie in it."""
        inside = np.zeros(WEEK_MINUTES, dtype=np.bool_)
        for day in range(WEEK_MINUTES // DAY_MINUTES if self.is_daily else 1):
            first = self.first_minute + day * DAY_MINUTES
            inside[np.arange(first, first + self.minutes) % WEEK_MINUTES] = True
        return inside

    def __str__(self) -> str:
        """As AWS writes it."""
        ends = (self.first_minute, self.first_minute + self.minutes)
        days = ["" if self.is_daily else f"{_DAYS[end // DAY_MINUTES % len(_DAYS)]}:" for end in ends]
        return "-".join(f"{day}{end % DAY_MINUTES // 60:02}:{end % 60:02}"
                        for day, end in zip(days, ends, strict=True))


def daily_window(text: str) -> Window | None:
    """Of `04:00-05:00`; None for another form. One that ends before it begins goes on after midnight."""
    found = _DAILY.fullmatch(text.strip())
    if found is None:
        return None
    first, last = _minute(found[1], found[2]), _minute(found[3], found[4])
    return Window(first, (last - first) % DAY_MINUTES, True)


def weekly_window(text: str) -> Window | None:
    """Of `sun:05:00-sun:06:00`; None for another form."""
    found = _WEEKLY.fullmatch(text.strip())
    if found is None:
        return None
    first = _DAYS.index(found[1].lower()) * DAY_MINUTES + _minute(found[2], found[3])
    last = _DAYS.index(found[4].lower()) * DAY_MINUTES + _minute(found[5], found[6])
    return Window(first, (last - first) % WEEK_MINUTES, False)


def busyness(circumstances: Circumstances) -> NDArray[np.float64]:
    """The load in each minute of the week, UTC, over the week's mean."""
    moved = round(60.0 * circumstances.busiest_hour_utc - DAY_MINUTES * BUSIEST)
    weights = week_weights(min(circumstances.peak_to_mean, SHARPEST), circumstances.weekend_to_weekday)
    return np.roll(weights, moved)


def quietest_hour(busy: NDArray[np.float64], avoid: NDArray[np.bool_], *, is_daily: bool) -> Window:
    """The full hour with the least load in its busiest minute, of the day or the week, that has none of the
    week's minutes to avoid."""
    days = WEEK_MINUTES // DAY_MINUTES
    by_hour = np.where(avoid, np.inf, busy).reshape(days, 24, 60).max(axis=2)
    hour = int((by_hour.max(axis=0) if is_daily else by_hour.ravel()).argmin())
    return Window(60 * hour, 60, is_daily)


def _minute(hours: str, minutes: str) -> int:
    return 60 * int(hours) + int(minutes)
