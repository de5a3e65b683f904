"""The figures of `predict throughput` say what the answer says, and nothing that it withholds."""

from __future__ import annotations

import copy
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import pytest

from amply_capacity.errors import BadInput
from amply_capacity.report import throughput_figure
from amply_capacity.report.look import Picture
from amply_capacity.report.throughput_figure import binding, command_cost, load_curve, silent_throttling


def quantile(mid: float | None, withheld: str | None = None, high: float | None = None) -> dict[str, Any]:
    return {"low_ms": None if mid is None else 0.9 * mid, "mid_ms": mid,
            "high_ms": high if high is not None or mid is None else 1.2 * mid, "withheld": withheld}


def point(rate: float, p99: float) -> dict[str, Any]:
    return {"operations_per_second": rate, "busy_percent": rate / 100.0, "p50": quantile(0.2),
            "p99": quantile(p99), "p99.9": quantile(2.0 * p99)}


def month(node_type: str, number: int, mid: float, low: float, binds: str = "memory") -> dict[str, Any]:
    return {"node_type": node_type, "month": f"2027-{number + 1:02d}", "binding": binds, "headroom_mid": mid,
            "headroom_low": low, "headroom_high": 99.0, "unknown": []}


def silent(node_type: str, *, alarm: bool = False, advised: bool = False) -> dict[str, Any]:
    return {"node_type": node_type, "silent_throttling": {
        "node_type": node_type, "ops_per_second": 6_188.5, "highest_cpu_percent": 20.7,
        "alarm_percent": 80.0, "alarm_fires": alarm, "advised_alarm_percent": 45.0,
        "advised_alarm_fires": advised}}


@pytest.fixture
def answer() -> dict[str, Any]:
    """As `throughput_of` gives it, as far as figures look at it."""
    cost = {"low": 6.0, "mid": 8.0, "high": 10.0, "at_the_run_us": 30.0}
    return {
        "operations_per_second": 8_123.0, "low": 7_012.0, "high": 9_987.0,
        "p99_ms": {"cache": 5.0, "sessions": 5.0}, "gives_out_first": "rate_limit", "measured_knee": None,
        "runs": ["run-a"],
        "curve": [point(1_000.0, 1.0), point(5_000.0, 1.2), point(7_000.0, 2.0)],
        "cpu_us_per_command": [{"command": "get", "per_second": 100.0, **cost},
                               {"command": "smembers", "per_second": 300.0, **cost}],
        "nodes": [{"node_type": "cache.m7g.large", "silent_throttling": None}, silent("cache.t3.micro"),
                  silent("cache.t3.small")],
        "months": [*(month("cache.t3.micro", number, 60.0 - 10.0 * number, 30.0 - 10.0 * number)
                     for number in range(12)),
                   *(month("cache.t3.small", number, 80.0, 70.0, "cpu_credits") for number in range(12))],
    }


def words(picture: Picture) -> str:
    """The words drawn: matplotlib writes each line above its glyphs as a comment."""
    return " ".join(" ".join(re.findall(r"<!-- (.*?) -->", picture.svg, re.DOTALL)).split())


@pytest.mark.parametrize("draw", [load_curve, command_cost, binding])
def test_a_figure_is_whole_names_its_run_and_changes_nothing(draw: Callable, answer: dict[str, Any]) -> None:
    before = copy.deepcopy(answer)
    picture = draw(answer)
    root = ET.fromstring(picture.svg)
    assert root.get("aria-label") == picture.claim
    assert "run run-a" in words(picture)
    assert draw(answer) == picture
    assert answer == before
    answer["runs"] = ["run-a", "run-b", "run-c"]
    assert "run run-a and 2 more" in words(draw(answer))


def test_the_curve_claims_the_highest_rate_its_interval_and_who_gives_out(answer: dict[str, Any]) -> None:
    picture = load_curve(answer)
    assert picture.claim == ("8,100 operations a second (7,000 to 10,000) hold the p99; "
                             "rate limit gives out first")
    assert "p99 objective: 5 ms" in words(picture)
    assert "measured" not in words(picture)


def test_objectives_that_differ_are_drawn_apart_with_their_use_cases(answer: dict[str, Any]) -> None:
    answer["p99_ms"] = {"cache": 5.0, "rate_limit": 3.0, "sessions": 5.0}
    drawn = words(load_curve(answer))
    assert "p99 objective for cache, sessions: 5 ms" in drawn
    assert "p99 objective for rate limit: 3 ms" in drawn


def test_a_measured_knee_is_drawn_beside_the_prediction(answer: dict[str, Any]) -> None:
    answer["measured_knee"] = {"low": 7_500.0, "mid": 7_800.0, "high": 12_000.0}
    picture = load_curve(answer)
    assert picture.claim.endswith("Measured: 7,800")
    assert "measured 7,800" in words(picture)
    assert "12,000" in words(picture), "the axis reaches its upper bound"


@pytest.mark.parametrize(("low", "high", "expected"), [
    (1_000.0, 2_000.0, (2_000.0, 6.0, "left")), (6_000.0, 9_900.0, (6_000.0, -6.0, "right"))])
def test_words_beside_a_mark_go_where_there_is_room(
        low: float, high: float, expected: tuple[float, float, str]) -> None:
    assert throughput_figure._beside(low, high, 10_000.0) == expected


def test_what_is_withheld_is_not_drawn_but_said(answer: dict[str, Any]) -> None:
    assert "p99.9, predicted" in words(load_curve(answer))
    for one in answer["curve"]:
        one["p99.9"] = quantile(None, "the host was too noisy")
    answer["curve"][0]["p99"] = quantile(None, "too few")
    drawn = words(load_curve(answer))
    assert "p99.9, predicted" not in drawn
    assert "withheld: p99, p99.9" in drawn


def test_a_bound_without_an_end_is_drawn_to_the_top(answer: dict[str, Any]) -> None:
    answer["curve"][-1]["p99"]["high_ms"] = None
    ET.fromstring(load_curve(answer).svg)


def test_the_command_that_takes_most_of_the_core_is_first(answer: dict[str, Any]) -> None:
    picture = command_cost(answer)
    assert picture.claim == ("SMEMBERS takes 75 % of the core at the highest rate: 8 µs each, "
                             "30 µs at the run's rate")
    assert words(picture).index("SMEMBERS") < words(picture).index("GET")
    answer["cpu_us_per_command"] = []
    with pytest.raises(BadInput, match="no command's CPU"):
        command_cost(answer)


def test_binding_says_when_todays_type_runs_out_of_what_and_which_lasts(answer: dict[str, Any]) -> None:
    picture = binding(answer, "cache.t3.micro")
    assert picture.claim == ("cache.t3.micro may run out of memory in May 2027, in the median world in "
                             "August 2027; cache.t3.small lasts 11 months in 19 of 20 worlds")
    drawn = words(picture)
    for cell in ("memory 60 %", "memory 0 %", "memory −50 %", "CPU credits 80 %", "in 6 months",
                 "in 11 months"):
        assert cell in drawn
    assert binding(answer, "cache.t3.small").claim == "cache.t3.small lasts 11 months in 19 of 20 worlds"
    assert binding(answer, "cache.m4.large").claim == picture.claim, "without today's: of the first"


def test_binding_says_when_no_type_lasts(answer: dict[str, Any]) -> None:
    answer["months"] = [month("cache.t3.micro", number, 10.0, -5.0, "network") for number in range(3)]
    assert binding(answer).claim == ("cache.t3.micro may run out of network in January 2027; "
                                     "none of these lasts 2 months")
    answer["months"] = [month("cache.t3.micro", 0, 10.0, 5.0)]
    assert binding(answer).claim == "cache.t3.micro lasts the month in 19 of 20 worlds"


def test_a_triangle_marks_what_runs_out_in_the_worlds_of_most_need_alone(answer: dict[str, Any]) -> None:
    calm = [month("cache.t3.micro", 0, 50.0, 10.0)]
    tight = [calm[0] | {"headroom_low": -1.0}]
    without, with_it = (binding(answer | {"months": months}).svg for months in (calm, tight))
    assert "#d55e00" not in without
    assert with_it.count("#d55e00") == 1


def test_a_type_that_is_out_in_the_median_world_needs_no_triangle(answer: dict[str, Any]) -> None:
    row = month("cache.t3.micro", 0, -1.0, -60.0, "network_burst")
    picture = binding(answer | {"months": [row]})
    assert picture.claim.startswith("cache.t3.micro may run out of network burst in January 2027")
    assert picture.svg.count("stroke: #d55e00") == 1, "its cell"
    assert picture.svg.count("fill: #d55e00") == 1


def test_a_limit_that_nobody_knows_is_starred(answer: dict[str, Any]) -> None:
    assert "*" not in words(binding(answer))
    for row in answer["months"][:12]:
        row["unknown"] = ["network"]
    drawn = words(binding(answer))
    assert "t3.micro *" in drawn
    assert "t3.small *" not in drawn
    assert "a limit of it is not known" in drawn


def test_a_long_horizon_and_many_types_still_fit(answer: dict[str, Any]) -> None:
    answer["months"] = [month(f"cache.t3.{number}", 0, 50.0, 10.0) | {"month": f"{2027 + place // 12}-01"}
                        for number in range(30) for place in range(61)]
    drawn = words(binding(answer))
    assert drawn.count("in 24 months") == 1
    assert "in 6 months" not in drawn
    assert "in 12 months" not in drawn
    assert "in 60 months" in drawn
    assert "t3.11 " in drawn
    assert "t3.12 " not in drawn


def test_an_answer_without_a_demand_has_no_months_to_draw(answer: dict[str, Any]) -> None:
    del answer["months"]
    with pytest.raises(BadInput, match="no months"):
        binding(answer)


def test_silent_throttling_names_todays_type_its_load_and_both_alarms(answer: dict[str, Any]) -> None:
    assert silent_throttling(answer, "cache.t3.small") == (
        "A cache.t3.small is throttled from a mean of 6,200 operations a second on, while CPUUtilization "
        "never shows more than 21 %: the specification's CPU alarm (80 %) stays silent and the one that AWS "
        "advises (45 %) stays silent.")
    assert silent_throttling(answer, "cache.m7g.large").startswith("A cache.t3.micro is throttled")
    answer["nodes"] = [silent("cache.t3.micro", alarm=True)]
    assert "alarm (80 %) fires and" in silent_throttling(answer)
    answer["nodes"] = [{"node_type": "cache.m7g.large", "silent_throttling": None}]
    assert silent_throttling(answer).startswith("None of these node types can be throttled")
