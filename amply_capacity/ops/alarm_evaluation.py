"""Alarms evaluated as CloudWatch documents it, over weeks of data points at once.

Source: CloudWatch User Guide, "Alarm evaluation", "Configuring how CloudWatch alarms treat missing data" and
"Alarm evaluation window", 2026 (sliding windows, the default). With a period of a minute or longer an alarm
is evaluated every minute, below that every 10 s; where all periods together exceed a day, once an hour, on
data up to the full hour. Each evaluation looks at more data points than it needs, in case some are missing.
CloudWatch does not say how many more; its examples have two for three periods, which is taken here. What a
data point's way into CloudWatch takes (a minute or two) is left out.

Where the documentation is silent, one case is read as this: all real data points breach, they are fewer than
M and the oldest is younger than M periods, and missing data stays missing. It "does not go immediately into
ALARM state", and nothing says OK, so the state stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from amply_capacity.errors import BadInput
from amply_capacity.ops.alarm import ALARM, INSUFFICIENT_DATA, OK, Alarm, Bools, Floats

__all__ = ["EXTRA_POINTS", "Episode", "Evaluation", "Points", "data_points", "evaluate", "state_of"]

EXTRA_POINTS = 2
"""Data points that an evaluation looks at beyond the alarm's evaluation periods."""
_STATES = (OK, ALARM, INSUFFICIENT_DATA)
_OK, _ALARM, _INSUFFICIENT, _KEEP = range(4)
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400
_SHORT_TICK_S = 10
_CHUNK_ROWS = 8_192

Codes = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Points:
    """A metric as CloudWatch holds it: one value every `step_s`, NaN where there is none."""

    start_s: int
    """Unix second in which the first one's time begins."""
    step_s: int
    values: Floats

    def minus(self, other: Points) -> Points:
        """The difference where both have a value. Raises BadInput for points of other times."""
        if (self.start_s, self.step_s, self.values.size) != (other.start_s, other.step_s, other.values.size):
            raise BadInput("two metrics of one alarm lie at different times",
                           got=f"{self.values.size} points of {self.step_s} s and {other.values.size} of "
                               f"{other.step_s} s", do="evaluate metrics of one import or run")
        return Points(self.start_s, self.step_s, self.values - other.values)


@dataclass(frozen=True, slots=True)
class Episode:
    """A stretch in ALARM, Unix seconds; `until_s` is None where the data ended in it."""

    from_s: int
    until_s: int | None


@dataclass(frozen=True)
class Evaluation:
    """The state of an alarm after each of its evaluations."""

    first_s: int
    """Unix second of the first evaluation."""
    tick_s: int
    """Between two evaluations."""
    codes: Codes

    def __len__(self) -> int:
        return self.codes.size

    @property
    def states(self) -> list[str]:
        return [_STATES[code] for code in self.codes]

    @property
    def in_alarm(self) -> Bools:
        found: Bools = self.codes == _ALARM
        return found

    @property
    def end_state(self) -> str:
        return _STATES[self.codes[-1]] if self.codes.size else INSUFFICIENT_DATA

    @cached_property
    def episodes(self) -> tuple[Episode, ...]:
        """The stretches in ALARM, in order."""
        return tuple(self._episodes())

    def _episodes(self) -> Iterator[Episode]:
        edges = np.flatnonzero(np.diff(np.concatenate([[False], self.in_alarm, [False]])))
        for begin, end in zip(edges[::2], edges[1::2], strict=True):
            until = None if end == self.codes.size else self._time(end)
            yield Episode(self._time(begin), until)

    def _time(self, place: np.intp) -> int:
        return self.first_s + self.tick_s * int(place)


def evaluate(alarm: Alarm, points: Points, *, extra_points: int = EXTRA_POINTS,
             initial: str = INSUFFICIENT_DATA) -> Evaluation:
    """The alarm's state at each evaluation from the first data point to the last; before it there is no data.

    `initial` is the state before, which a new alarm begins with. Raises BadInput for data points that are not
    a multiple of a minute apart.
    """
    tick_s = _MINUTE_S if alarm.period_s >= _MINUTE_S else _SHORT_TICK_S
    values = data_points(alarm, points)
    width = alarm.evaluation_periods + extra_points
    span = alarm.period_s // tick_s
    codes = np.empty(values.size, np.int8)
    back = span * np.arange(width)
    for first in range(0, values.size, _CHUNK_ROWS):
        places = np.arange(first, min(first + _CHUNK_ROWS, values.size))[:, None] - back
        window = np.where(places >= 0, values[np.maximum(places, 0)], np.nan)
        codes[first:first + _CHUNK_ROWS] = _decide(alarm, window)
    first_s = points.start_s + tick_s
    if alarm.window_s > _DAY_S:
        times = first_s + tick_s * np.arange(codes.size)
        codes[times // _HOUR_S == (times - tick_s) // _HOUR_S] = _KEEP
    return Evaluation(first_s, tick_s, _kept(codes, _STATES.index(initial)))


def state_of(alarm: Alarm, window: Sequence[float], current: str = INSUFFICIENT_DATA) -> str:
    """The state after one evaluation of these data points, newest last, NaN where one is missing.

    All of them are looked at: give as many as the evaluation range has, `EXTRA_POINTS` more than N.

    Example: for 3 of 3 above 1, `state_of(alarm, [0, nan, 2, nan, 2])` is `OK`.
    """
    code = _decide(alarm, np.array(window, dtype=np.float64)[None, ::-1])[0]
    return current if code == _KEEP else _STATES[code]


def _decide(alarm: Alarm, window: Floats) -> Codes:
    """Of shape (evaluations,) for windows of shape (evaluations, range), newest data point first."""
    needed, to_alarm = alarm.evaluation_periods, alarm.datapoints_to_alarm
    is_real = ~np.isnan(window)
    is_used = is_real & (is_real.cumsum(axis=1) <= needed)
    breaching = alarm.breaches(window) & is_used
    count, real = breaching.sum(axis=1), is_used.sum(axis=1)
    fires = count >= to_alarm
    codes = np.where(fires, _ALARM, _OK).astype(np.int8)
    is_short = real < needed
    if alarm.missing == "breaching":
        codes[is_short & (count + needed - real >= to_alarm)] = _ALARM
    elif alarm.missing in {"ignore", "missing"}:
        undecided = is_short & ~fires & (count == real)  # no real data point says that all is well
        codes[undecided] = _KEEP
        if alarm.missing == "missing":
            ages = np.where(breaching, np.arange(1, window.shape[1] + 1), 0).max(axis=1)
            codes[undecided & (ages >= to_alarm)] = _ALARM
            codes[real == 0] = _INSUFFICIENT
    return codes


def _kept(codes: Codes, initial: int) -> Codes:
    """With the last decided state where an evaluation keeps it."""
    decided = np.where(codes != _KEEP, np.arange(1, codes.size + 1), 0)
    return np.concatenate([np.array([initial], np.int8), codes])[np.maximum.accumulate(decided)]


def data_points(alarm: Alarm, points: Points) -> Floats:
    """The alarm's data point that ends with each evaluation: its statistic over a period, NaN without values.

    A period of which only a part has values is told by that part, as CloudWatch tells it.
    """
    tick_s = _MINUTE_S if alarm.period_s >= _MINUTE_S else _SHORT_TICK_S
    if points.step_s % tick_s or points.step_s < _MINUTE_S:
        raise BadInput(f"data points of {points.step_s} s cannot be evaluated",
                       got=f"CloudWatch keeps ElastiCache's metrics at {_MINUTE_S} s",
                       do=f"give data points of a multiple of {_MINUTE_S} s")
    thin = np.full(points.values.size * (points.step_s // tick_s), np.nan)
    thin[::points.step_s // tick_s] = points.values
    span = alarm.period_s // tick_s
    if span == 1 and alarm.statistic != "SampleCount":
        return thin
    rolled = pd.Series(thin).rolling(span, min_periods=1)
    if alarm.statistic.startswith("p"):
        return rolled.quantile(float(alarm.statistic[1:]) / 100.0).to_numpy()
    if alarm.statistic == "SampleCount":
        counts = rolled.count().to_numpy()
        return np.where(counts > 0, counts, np.nan)
    name = {"Average": "mean", "Sum": "sum", "Minimum": "min", "Maximum": "max"}[alarm.statistic]
    result: Floats = getattr(rolled, name)().to_numpy()
    return result
