"""How early an alarm warned, what was a false alarm, and which threshold would have warned early enough."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amply_capacity.ops.alarm import Alarm
from amply_capacity.ops.alarm_evaluation import Points, evaluate
from amply_capacity.ops.alarm_lead import best_threshold, false_episodes, lead_s
from amply_capacity.ops.alarm_troubles import Trouble

HOUR = 60
BEGIN_S = 1_000 * 3_600


def alarm(threshold: float, to_alarm: int = 1, periods: int = 1, **changes: Any) -> Alarm:
    return Alarm(**{
        "name": "test", "metric": "DatabaseMemoryUsagePercentage", "statistic": "Average", "period_s": 60,
        "threshold": threshold, "comparison": "GreaterThanThreshold", "evaluation_periods": periods,
        "datapoints_to_alarm": to_alarm, "why": "a test", "source": "a test"} | changes)


def trouble(minute: int, minutes: int = 10) -> Trouble:
    begin = BEGIN_S + 60 * minute
    return Trouble("memory full", "memory was full", "a", begin, begin + 60 * minutes)


def points(values: Any) -> Points:
    return Points(BEGIN_S, 60, np.asarray(values, dtype=np.float64))


RISING = points(np.minimum(np.arange(300) / 2.0, 100.0))
"""Half a percent a minute: full after 200 minutes."""


def test_an_alarm_before_the_trouble_is_early_by_the_time_between() -> None:
    found = evaluate(alarm(80.0), RISING)  # above 80 in minute 161, told at its end
    assert lead_s(found, trouble(200)) == (200 - 162) * 60


def test_an_alarm_after_the_trouble_began_is_late() -> None:
    assert lead_s(evaluate(alarm(80.0), RISING), trouble(155)) == -7 * 60
    assert lead_s(evaluate(alarm(80.0), RISING), trouble(100)) is None  # that came after its end


def test_an_alarm_that_ended_counts_for_an_hour() -> None:
    peak = np.zeros(300)
    peak[100:110] = 90.0
    found = evaluate(alarm(80.0), points(peak))
    assert lead_s(found, trouble(150)) == (150 - 101) * 60
    assert lead_s(found, trouble(180)) is None


def test_an_alarm_that_never_fired_warned_of_nothing() -> None:
    assert lead_s(evaluate(alarm(100.0), RISING), trouble(200)) is None


def test_an_alarm_is_false_where_no_trouble_is_near() -> None:
    peaks = np.zeros(3_000)
    peaks[[100, 2_000]] = 90.0
    found = evaluate(alarm(80.0), points(peaks))
    assert false_episodes(found, []) == 2
    assert false_episodes(found, [trouble(1_600)]) == 2  # more than a day after the first, before the second
    assert false_episodes(found, [trouble(1_500)]) == 1
    assert false_episodes(found, [trouble(1_990, minutes=20)]) == 1


@pytest.mark.parametrize("lead_minutes", [0, 30, 90])
def test_the_best_threshold_is_the_least_sensitive_that_is_early_enough(lead_minutes: int) -> None:
    best = best_threshold(alarm(50.0, 2, 3), RISING, [trouble(200)], 60 * lead_minutes)
    assert best is not None
    assert lead_s(evaluate(alarm(best.threshold, 2, 3), RISING), trouble(200)) >= 60 * lead_minutes  # type: ignore[operator]
    duller = evaluate(alarm(best.threshold + 1.0, 2, 3), RISING)
    assert lead_s(duller, trouble(200)) < 60 * lead_minutes  # type: ignore[operator]
    assert best.false_episodes == 0
    assert best.as_json()["lead_s"] == 60 * lead_minutes


def test_below_a_threshold_it_works_the_same() -> None:
    falling = points(100.0 - RISING.values)
    best = best_threshold(alarm(50.0, comparison="LessThanThreshold"), falling, [trouble(200)], 1_800)
    assert best is not None
    assert best.threshold == pytest.approx(100.0 - (200 - 30 - 1) / 2.0, abs=0.1)
    assert best.threshold > 100.0 - (200 - 30 - 1) / 2.0


def test_there_is_none_without_trouble_without_data_or_where_it_would_always_be_on() -> None:
    assert best_threshold(alarm(50.0), RISING, [], 60) is None
    assert best_threshold(alarm(50.0), RISING, [trouble(20)], 3_600) is None
    assert best_threshold(alarm(50.0), points(np.full(300, 7.0)), [trouble(200)], 60) is None
    assert best_threshold(alarm(50.0), points(np.zeros(300)), [trouble(200)], 60) is None
    assert best_threshold(alarm(50.0), points(np.full(300, math.nan)), [trouble(200)], 60) is None


def test_of_several_troubles_all_have_to_be_warned_of() -> None:
    values = np.concatenate([RISING.values[:220], RISING.values[:220] * 0.6 + 20.0])
    troubles = [trouble(200), trouble(420)]
    best = best_threshold(alarm(50.0), points(values), troubles, 600)
    assert best is not None
    found = evaluate(alarm(best.threshold), points(values))
    assert all((lead_s(found, one) or -1) >= 600 for one in troubles)


@settings(max_examples=100, deadline=None)
@given(values=st.lists(st.floats(0.01, 1e9), min_size=70, max_size=70), to_alarm=st.integers(1, 3),
       is_above=st.booleans())
def test_a_best_threshold_is_in_alarm_so_long_before(values: list[float], to_alarm: int,
                                                     is_above: bool) -> None:
    one = alarm(1.0, to_alarm, 3, comparison="GreaterThanThreshold" if is_above else "LessThanThreshold")
    best = best_threshold(one, points(values), [trouble(60)], 600)
    if best is not None:
        found = evaluate(one.at(best.threshold), points(values))
        assert found.in_alarm[50 - 1]
