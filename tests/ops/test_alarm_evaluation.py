"""Alarm states equal to CloudWatch's documented ones: its tables, its examples, and a second reading."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amply_capacity.errors import BadInput
from amply_capacity.ops.alarm import ALARM, INSUFFICIENT_DATA, MISSING_TREATMENTS, OK, Alarm
from amply_capacity.ops.alarm_evaluation import (
    EXTRA_POINTS,
    Episode,
    Evaluation,
    Points,
    data_points,
    evaluate,
    state_of,
)

KEPT = "retain current state"
NAN = math.nan


def alarm(to_alarm: int = 3, periods: int = 3, **changes: Any) -> Alarm:
    """Above 1: a data point of 0 is fine, one of 2 breaches."""
    return Alarm(**{
        "name": "test", "metric": "CPUUtilization", "statistic": "Average", "period_s": 60, "threshold": 1.0,
        "comparison": "GreaterThanThreshold", "evaluation_periods": periods, "datapoints_to_alarm": to_alarm,
        "why": "a test", "source": "a test"} | changes)


def window(text: str) -> list[float]:
    return [{"0": 0.0, "X": 2.0, "-": NAN}[each] for each in text.split()]


@dataclass(frozen=True)
class Row:
    """Of a table: data points, oldest first, and the states, in the order of MISSING_TREATMENTS."""

    data: str
    to_alarm: int
    states: tuple[str, str, str, str]
    source: str


FIRST, SECOND = "first table: 3 of 3", "second table: 2 of 3"
TEXT = "avoiding premature transitions"
ROWS = (
    Row("0 - X - X", 3, (OK, OK, OK, OK), FIRST),
    Row("0 - - - -", 3, (OK, OK, OK, OK), FIRST),
    Row("- - - - -", 3, (INSUFFICIENT_DATA, KEPT, ALARM, OK), FIRST),
    Row("0 X X - X", 3, (ALARM, ALARM, ALARM, ALARM), FIRST),
    Row("- - X - -", 3, (ALARM, KEPT, ALARM, OK), FIRST),
    Row("0 - X - X", 2, (ALARM, ALARM, ALARM, ALARM), SECOND),
    Row("0 0 X 0 X", 2, (ALARM, ALARM, ALARM, ALARM), SECOND),
    Row("0 - X - -", 2, (OK, OK, ALARM, OK), SECOND),
    Row("- - - - 0", 2, (OK, OK, ALARM, OK), SECOND),
    Row("- - - X -", 2, (ALARM, KEPT, ALARM, OK), SECOND),
    # "Does not go immediately into ALARM": that the state stays is our reading (see the module).
    Row("- - - - X", 3, (KEPT, KEPT, ALARM, OK), TEXT),
    Row("- - - X -", 3, (KEPT, KEPT, ALARM, OK), TEXT),
    Row("- - - X 0", 3, (OK, OK, OK, OK), TEXT),
    Row("- - X - 0", 3, (OK, OK, OK, OK), TEXT),
    Row("- X X - -", 3, (ALARM, KEPT, ALARM, OK), TEXT),
    # What no data point of the range says is not needed where enough others are real.
    Row("X X 0 0 0", 3, (OK, OK, OK, OK), "the most recent data points"),
    Row("0 0 X X X", 3, (ALARM, ALARM, ALARM, ALARM), "the most recent data points"),
    Row("X - 0 - X", 2, (ALARM, ALARM, ALARM, ALARM), "real data points from farther back"),
    Row("X - - - X", 2, (ALARM, ALARM, ALARM, ALARM), "all real data points are included"),
)
CASES = [(row, treatment, expected) for row in ROWS
         for treatment, expected in zip(MISSING_TREATMENTS, row.states, strict=True)]


def test_the_table_has_at_least_thirty_cases() -> None:
    assert len(CASES) >= 30
    assert sum(row.source in {FIRST, SECOND} for row, _, _ in CASES) == 40  # CloudWatch's own


@pytest.mark.parametrize("current", [OK, ALARM, INSUFFICIENT_DATA])
@pytest.mark.parametrize(("row", "treatment", "expected"), CASES,
                         ids=[f"{row.data} {row.to_alarm} of 3 {treatment}" for row, treatment, _ in CASES])
def test_a_row_of_the_documented_tables(row: Row, treatment: str, expected: str, current: str) -> None:
    assert len(window(row.data)) == 3 + EXTRA_POINTS
    found = state_of(alarm(row.to_alarm, missing=treatment), window(row.data), current)
    assert found == (current if expected == KEPT else expected)


def states(one: Alarm, values: list[float], **options: Any) -> list[str]:
    return evaluate(one, Points(0, 60, np.array(values)), **options).states


def test_the_figure_of_the_documentation_fires_at_its_third_breach_in_a_row_only() -> None:
    breaching = [False, False, True, True, True, False, False, False, True, False]
    values = [4.0 if one else 2.0 for one in breaching]
    assert states(alarm(threshold=3.0), values) == [OK, OK, OK, OK, ALARM, OK, OK, OK, OK, OK]


def test_an_alarm_without_data_yet_has_none() -> None:
    assert states(alarm(), [NAN, NAN]) == [INSUFFICIENT_DATA, INSUFFICIENT_DATA]
    assert states(alarm(), []) == []
    assert evaluate(alarm(), Points(0, 60, np.array([]))).end_state == INSUFFICIENT_DATA


def test_when_the_data_end_an_alarm_looks_back_as_far_as_its_range_and_then_has_insufficient_data() -> None:
    assert states(alarm(1, 1), [0.0, 2.0, NAN, NAN, NAN, NAN]) == [
        OK, ALARM, ALARM, ALARM, INSUFFICIENT_DATA, INSUFFICIENT_DATA]


def test_missing_data_that_breach_fire_once_the_last_good_data_point_has_left_the_range() -> None:
    assert states(alarm(missing="breaching"), [0.0, NAN, NAN, NAN, NAN, NAN]) == [
        OK, OK, OK, OK, OK, ALARM]


def test_a_period_of_five_minutes_slides_by_a_minute() -> None:
    one = alarm(1, 1, period_s=300, statistic="Sum", threshold=9.0)
    points = Points(0, 60, np.array([0.0, 0.0, 0.0, 0.0, 5.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0]))
    # The end of minute 6 is evaluated on the minutes 2 to 6.
    assert data_points(one, points).tolist() == [0, 0, 0, 0, 5, 10, 10, 10, 10, 5, 0]
    assert evaluate(one, points).episodes == (Episode(360, 600),)


@pytest.mark.parametrize(("statistic", "expected"), [
    ("Average", 3.0), ("Sum", 6.0), ("Minimum", 2.0), ("Maximum", 4.0), ("SampleCount", 2.0), ("p50", 3.0),
    ("p100", 4.0)])
def test_a_period_is_told_by_the_part_of_it_that_has_values(statistic: str, expected: float) -> None:
    one = alarm(1, 1, period_s=300, statistic=statistic)
    points = Points(0, 60, np.array([NAN, 2.0, NAN, 4.0, NAN]))
    assert data_points(one, points)[-1] == expected


def test_a_period_without_any_value_has_no_data_point() -> None:
    for statistic in ("Average", "Sum", "Maximum", "SampleCount", "p99"):
        one = alarm(1, 1, period_s=120, statistic=statistic)
        assert np.isnan(data_points(one, Points(0, 60, np.array([1.0, NAN, NAN])))[-1]), statistic


def test_a_metric_published_every_five_minutes_is_missing_in_most_periods_of_a_minute() -> None:
    credits = Points(0, 300, np.array([0.0, 0.0]))
    sparse = alarm(1, 1, comparison="LessThanThreshold")
    assert evaluate(sparse, credits).states == 2 * [ALARM, ALARM, ALARM, INSUFFICIENT_DATA, INSUFFICIENT_DATA]
    whole = alarm(1, 1, comparison="LessThanThreshold", period_s=300)
    assert set(evaluate(whole, credits).states) == {ALARM}


def test_a_period_of_ten_seconds_is_evaluated_every_ten_seconds_and_mostly_lacks_data() -> None:
    found = evaluate(alarm(1, 1, period_s=10), Points(0, 60, np.array([0.0])))
    assert (found.tick_s, found.states) == (10, 3 * [OK] + 3 * [INSUFFICIENT_DATA])


def test_more_than_a_day_is_evaluated_once_an_hour() -> None:
    one = alarm(1, 2, period_s=86_400, statistic="Maximum")
    values = np.zeros(4 * 60)
    values[62] = 2.0  # at 1:02; it is seen at 2:00
    found = evaluate(one, Points(0, 60, values))
    assert found.episodes == (Episode(2 * 3_600, None),)
    assert found.states[58] == INSUFFICIENT_DATA  # nothing was evaluated before 1:00
    assert found.states[59] == OK


def test_up_to_a_day_is_evaluated_every_minute() -> None:
    one = alarm(1, 24, period_s=3_600, statistic="Maximum")
    values = np.zeros(120)
    values[62] = 2.0
    assert evaluate(one, Points(0, 60, values)).episodes == (Episode(63 * 60, None),)


@pytest.mark.parametrize(("comparison", "fires"), [
    ("GreaterThanThreshold", (False, False, True)), ("GreaterThanOrEqualToThreshold", (False, True, True)),
    ("LessThanThreshold", (True, False, False)), ("LessThanOrEqualToThreshold", (True, True, False))])
def test_the_threshold_itself_belongs_to_the_comparison(comparison: str, fires: tuple[bool, ...]) -> None:
    one = alarm(1, 1, comparison=comparison)
    assert tuple(state_of(one, [value]) == ALARM for value in (0.0, 1.0, 2.0)) == fires


def test_a_kept_state_is_the_last_that_was_decided() -> None:
    values = [0.0, 2.0, 2.0, 2.0, *[NAN] * 12]
    assert states(alarm(missing="ignore"), values)[-1] == ALARM
    assert states(alarm(missing="ignore"), [NAN, NAN], initial=OK) == [OK, OK]


def test_episodes_have_their_ends_and_the_last_none_while_it_lasts() -> None:
    values = [2.0, 0.0, 2.0, 2.0]
    found = evaluate(alarm(1, 1), Points(600, 60, np.array(values)))
    assert found.episodes == (Episode(660, 720), Episode(780, None))
    assert len(found) == 4


def test_the_difference_of_two_metrics_is_missing_where_one_is() -> None:
    first, second = Points(0, 60, np.array([5.0, NAN, 1.0])), Points(0, 60, np.array([1.0, 1.0, NAN]))
    np.testing.assert_array_equal(first.minus(second).values, [4.0, NAN, NAN])
    with pytest.raises(BadInput, match="different times"):
        first.minus(Points(60, 60, np.array([1.0, 1.0, 1.0])))


def test_data_points_between_minutes_are_refused() -> None:
    for step_s in (1, 90):
        with pytest.raises(BadInput, match="cannot be evaluated"):
            evaluate(alarm(), Points(0, step_s, np.zeros(10)))


def plainly(one: Alarm, values: list[float]) -> list[str]:
    """The documentation once more, evaluation by evaluation, without arrays."""
    span, found, current = one.period_s // 60, [], INSUFFICIENT_DATA
    for end in range(1, len(values) + 1):
        slots = []
        for back in range(one.evaluation_periods + EXTRA_POINTS):
            part = [value for value in values[max(end - (back + 1) * span, 0):max(end - back * span, 0)]
                    if not math.isnan(value)]
            slots.append(max(part) if part else None)
        real = [(age, value > 1.0) for age, value in enumerate(slots, 1) if value is not None]
        real = real[:one.evaluation_periods]
        lacking = one.evaluation_periods - len(real)
        bad = sum(breaches for _, breaches in real)
        if bad >= one.datapoints_to_alarm or (
                one.missing == "breaching" and bad + lacking >= one.datapoints_to_alarm):
            current = ALARM
        elif not lacking or one.missing in {"breaching", "notBreaching"} or bad < len(real):
            current = OK
        elif one.missing == "missing" and not real:
            current = INSUFFICIENT_DATA
        elif one.missing == "missing" and real[-1][0] >= one.datapoints_to_alarm:
            current = ALARM
        found.append(current)
    return found


@settings(max_examples=300, deadline=None)
@given(values=st.lists(st.sampled_from([0.0, 2.0, NAN]), max_size=40), periods=st.integers(1, 5),
       to_alarm=st.integers(1, 5), minutes=st.integers(1, 3), missing=st.sampled_from(MISSING_TREATMENTS))
def test_weeks_at_once_are_evaluated_as_one_by_one(values: list[float], periods: int, to_alarm: int,
                                                   minutes: int, missing: str) -> None:
    one = alarm(min(to_alarm, periods), periods, period_s=60 * minutes, missing=missing, statistic="Maximum")
    assert states(one, values) == plainly(one, values)


def test_two_weeks_of_minutes_are_evaluated_in_pieces_without_a_seam() -> None:
    values = np.random.default_rng(1).choice([0.0, 2.0, NAN], 20_160)
    one = alarm(2, 3, missing="ignore")
    found: Evaluation = evaluate(one, Points(0, 60, values))
    assert found.states == plainly(one, values.tolist())
