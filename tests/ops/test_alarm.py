"""An alarm's definition: what CloudWatch takes, and all that it would refuse, at once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from amply_capacity.errors import BadInput
from amply_capacity.ops.alarm import Alarm

SOUND: dict[str, Any] = {
    "name": "cpu", "metric": "CPUUtilization", "statistic": "Average", "period_s": 60, "threshold": 80.0,
    "comparison": "GreaterThanThreshold", "evaluation_periods": 3, "datapoints_to_alarm": 3, "why": "a test",
    "source": "a test"}


@pytest.mark.parametrize("changes", [
    {"statistic": "p99"}, {"statistic": "p99.9"}, {"statistic": "p100"}, {"statistic": "SampleCount"},
    {"period_s": 10}, {"period_s": 86_400, "evaluation_periods": 7},
    {"period_s": 60, "evaluation_periods": 1_440}, {"threshold": -1.5}, {"missing": "notBreaching"},
    {"datapoints_to_alarm": 1}])
def test_what_cloudwatch_takes_is_an_alarm(changes: dict[str, Any]) -> None:
    assert Alarm(**SOUND | changes).window_s > 0


@pytest.mark.parametrize(("changes", "word"), [
    ({"name": ""}, "no name"), ({"statistic": "Mean"}, "'Mean'"), ({"statistic": "p101"}, "'p101'"),
    ({"comparison": ">"}, "'>'"), ({"missing": "zero"}, "'zero'"), ({"threshold": math.nan}, "threshold nan"),
    ({"period_s": 90}, "period 90 s"), ({"period_s": 0}, "period 0 s"),
    ({"datapoints_to_alarm": 4}, "4 of 3 data points"), ({"datapoints_to_alarm": 0}, "0 of 3"),
    ({"evaluation_periods": 0, "datapoints_to_alarm": 0}, "0 of 0"),
    ({"evaluation_periods": 1_441}, "86,400 s at most"),
    ({"period_s": 86_400, "evaluation_periods": 8}, "604,800 s at most")])
def test_what_cloudwatch_refuses_is_none(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(BadInput, match=word):
        Alarm(**SOUND | changes)


def test_all_faults_are_said_at_once() -> None:
    with pytest.raises(BadInput) as caught:
        Alarm(**SOUND | {"statistic": "Mean", "missing": "zero", "period_s": 7})
    for word in ("'Mean'", "'zero'", "period 7 s"):
        assert word in str(caught.value)


def test_it_reads_as_a_person_says_it() -> None:
    assert Alarm(**SOUND).words == "CPUUtilization Average > 80, 3 of 3 periods of 60 s"
    difference = Alarm(**SOUND | {"metric": "SwapUsage", "less_metric": "FreeableMemory", "threshold": 0.0})
    assert difference.words.startswith("SwapUsage - FreeableMemory Average > 0")
    assert difference.as_json()["metric"] == "SwapUsage - FreeableMemory"


def test_a_missing_value_does_not_breach() -> None:
    assert Alarm(**SOUND).breaches(np.array([math.nan, 81.0])).tolist() == [False, True]


def test_it_is_the_same_at_another_threshold() -> None:
    assert Alarm(**SOUND).at(45.0) == Alarm(**SOUND | {"threshold": 45.0})
