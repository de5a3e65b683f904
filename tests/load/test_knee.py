"""The knee search against simulated queues whose knee is known exactly."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from simulated_queue import Service, SimulatedServer, drive

from amply_capacity.load.knee import Knee, KneeSearch
from amply_capacity.load.knee_step import Step, StepSecond

pytestmark = pytest.mark.xdist_group("knee")

LIMIT_MS = 5.0
SEEDS = 16
QUEUES = {
    "M/M/1": Service(1 / 4000),
    "M/D/1": Service(1 / 4000, is_constant=True),
    "1 % take ten times as long": Service(1 / 4400, long_share=0.01, long_s=10 / 4400),
    "ten stalls a second": Service(1 / 4000, stalls_per_second=10.0, stall_s=0.001),
}
SIMPLE = QUEUES["M/M/1"]
FAST, FAST_LIMIT_MS = Service(1 / 40_000), 1.0


def searched(service: Service, seed: int = 1, *, server: dict[str, Any] | None = None,
             objectives_ms: dict[str, float] | None = None, start_rate: float = 500.0,
             **options: Any) -> Knee:
    search = KneeSearch(objectives_ms or {"sessions": LIMIT_MS}, start_rate, **options)
    drive(search, SimulatedServer(service, np.random.default_rng(seed), **(server or {})))
    return search.result


def seconds_of(service: Service, rate: float, count: int, seed: int = 1, **server: Any) -> list[StepSecond]:
    """Seconds at one rate, after five to settle."""
    queue = SimulatedServer(service, np.random.default_rng(seed), **server)
    return [queue.second(rate) for _ in range(count + 5)][5:]


def holds(knee: Knee, rate: float) -> bool:
    return (knee.low or 0.0) <= rate <= (knee.high or math.inf)


def half_width(knee: Knee) -> float:
    return math.inf if knee.mid is None or not knee.low or not knee.high else (
        (knee.high - knee.low) / 2 / knee.mid)


@pytest.fixture(scope="module")
def knees() -> dict[str, list[Knee]]:
    """A search per queue and seed."""
    return {name: [searched(service, seed) for seed in range(SEEDS)] for name, service in QUEUES.items()}


def test_the_known_knees_are_right() -> None:
    assert SIMPLE.knee(LIMIT_MS) == pytest.approx(4000 - math.log(100) / 0.005)
    for name, service in QUEUES.items():
        beyond = total = 0
        for second in seconds_of(service, service.knee(LIMIT_MS), 300):
            buckets, counts = second.times["sessions"]
            beyond += counts[buckets > 5000].sum()
            total += counts.sum()
        assert beyond / total == pytest.approx(0.01, rel=0.25), name


@pytest.mark.parametrize("name", QUEUES)
def test_the_interval_holds_the_known_knee_as_often_as_it_says(
        name: str, knees: dict[str, list[Knee]]) -> None:
    rate = QUEUES[name].knee(LIMIT_MS)
    assert sum(holds(knee, rate) for knee in knees[name]) >= 0.85 * SEEDS
    found = [knee.mid for knee in knees[name] if knee.mid is not None]
    assert len(found) >= 0.9 * SEEDS
    typical = np.median([half_width(knee) for knee in knees[name]])
    assert np.median(found) == pytest.approx(rate, rel=0.6 * float(typical))


def test_all_queues_together_hold_nine_of_ten(knees: dict[str, list[Knee]]) -> None:
    every = [holds(knee, QUEUES[name].knee(LIMIT_MS)) for name in QUEUES for knee in knees[name]]
    assert np.mean(every) >= 0.9


@pytest.mark.parametrize("name", ["M/M/1", "M/D/1", "ten stalls a second"])
def test_a_minute_of_load_tells_the_knee_to_five_percent(name: str, knees: dict[str, list[Knee]]) -> None:
    assert np.median([half_width(knee) for knee in knees[name]]) <= 0.05
    assert np.median([knee.load_seconds for knee in knees[name]]) <= 75
    assert {knee.use_case for knee in knees[name]} == {"sessions"}
    for knee in knees[name]:
        assert (knee.reason == "the interval is narrow enough") == (half_width(knee) <= 0.05)


def test_what_five_percent_would_take_longer_for_is_told_wide(knees: dict[str, list[Knee]]) -> None:
    """Where the p99 hardly rises with the rate, a minute cannot tell where it crosses the objective."""
    for knee in knees["1 % take ten times as long"]:
        assert half_width(knee) > 0.05
        assert "seconds of load were used" in knee.reason
        assert 90 <= knee.load_seconds <= 97


def test_the_same_seconds_give_the_same_knee() -> None:
    first, again, other = searched(SIMPLE, 3), searched(SIMPLE, 3), searched(SIMPLE, 4)
    assert first.as_json() == again.as_json() != other.as_json()


def test_the_knee_is_that_of_the_use_case_that_gives_out_first() -> None:
    found = searched(SIMPLE, objectives_ms={"sessions": 50.0, "cache": 5.0, "celery_results": 400.0},
                     server={"shares": {"sessions": 0.6, "cache": 0.3, "rate_limit": 0.1}})
    assert found.use_case == "cache"
    assert holds(found, SIMPLE.knee(5.0))
    assert not holds(found, SIMPLE.knee(50.0))
    assert set(found.steps[0].counts) == {"sessions", "cache"}, "without objective or operation: not judged"


def test_a_step_that_holds_or_fails_clearly_takes_two_seconds() -> None:
    search = KneeSearch({"sessions": FAST_LIMIT_MS}, 2000.0)
    low, high = seconds_of(FAST, 2000.0, 4), seconds_of(Service(1 / 3900), 4000.0, 4)
    assert search.observe(low[0]) is None, "the first is for settling"
    assert search.observe(low[1]) is None
    step = search.observe(low[2])
    assert step is not None
    assert (step.verdict, step.seconds) == ("held", (low[1].second, low[2].second))
    assert search.rate == 4000.0
    assert search.observe(low[3]) is None
    assert search.rate == 4000.0, "a second at another rate is not the step's"
    ended = [step for one in high for step in [search.observe(one)] if step is not None]
    assert [step.verdict for step in ended] in (["failed"], ["behind"])


def test_a_server_that_falls_behind_fails_at_once_and_is_let_to_catch_up() -> None:
    search = KneeSearch({"sessions": LIMIT_MS}, 3000.0, growth=3.0)
    rates, ended = [], []

    def watch(second: StepSecond, step: Step | None) -> None:
        rates.append(second.rate_per_second)
        if step is not None:
            ended.append((len(rates), step, search.rate))

    drive(search, SimulatedServer(SIMPLE, np.random.default_rng(1)), watch)
    at, behind, next_rate = next(one for one in ended if one[1].verdict == "behind")
    assert behind.rate_per_second == 9000.0
    assert len(behind.seconds) == 1
    assert next_rate <= 1500.0
    after = [rate for rate in rates[at:] if rate is not None]
    following = next(step for number, step, _ in ended if number > at)
    assert after.count(next_rate) >= 1
    assert after.index(following.rate_per_second) > after.index(next_rate)
    assert holds(search.result, SIMPLE.knee(LIMIT_MS))


def test_a_generator_that_gives_out_first_leaves_the_knee_open() -> None:
    found = searched(SIMPLE, server={"capacity_of_generator": 1900.0})
    assert [step.verdict for step in found.steps] == ["held", "held", "generator-bound", "generator-bound"]
    assert (found.mid, found.high, found.use_case) == (None, None, None)
    assert found.low is not None
    assert 900.0 < found.low <= 1000.0
    assert "the generator was the bottleneck at 2,000 operations a second: the knee is above" in found.reason
    assert found.steps[-1].counts == {}, "what the generator delayed is no evidence on the server"
    assert found.steps[-1].lateness_p99_ms is not None
    assert found.steps[-1].lateness_p99_ms > LIMIT_MS


def test_seconds_of_a_busy_generator_are_left_out_of_a_step() -> None:
    search = KneeSearch({"sessions": FAST_LIMIT_MS}, 2000.0)
    good = seconds_of(FAST, 2000.0, 4)
    late = seconds_of(FAST, 2000.0, 4, capacity_of_generator=1990.0)[0]
    for second in (good[0], good[1]):
        assert search.observe(second) is None
    assert search.observe(late) is None
    step = search.observe(good[2])
    assert step is not None
    assert (step.verdict, len(step.seconds)) == ("held", 2)


def test_failed_operations_are_beyond_every_objective() -> None:
    def verdict(failed: int) -> str:
        search = KneeSearch({"sessions": FAST_LIMIT_MS}, 2000.0)
        for one in seconds_of(FAST, 2000.0, 9):
            step = search.observe(replace(one, failed={"sessions": failed}))
            if step is not None:
                return step.verdict
        raise AssertionError

    assert verdict(0) == "held"
    assert verdict(200) == "failed"


def test_where_no_rate_holds_only_an_upper_bound_is_told() -> None:
    found = searched(SIMPLE, objectives_ms={"sessions": 0.2}, start_rate=2000.0)
    assert (found.low, found.mid) == (None, None)
    assert found.reason == "no rate held"
    assert found.high is not None
    assert found.high < 50.0


def test_where_every_rate_holds_only_a_lower_bound_is_told() -> None:
    found = searched(SIMPLE, most_rate=2000.0)
    assert (found.mid, found.high, found.use_case) == (None, None, None)
    assert found.low is not None
    assert 1500.0 < found.low <= 2000.0
    assert found.reason.startswith("the highest rate that was allowed held: the knee is above")


def test_a_search_that_is_stopped_keeps_what_it_knows() -> None:
    search = KneeSearch({"sessions": LIMIT_MS}, 500.0)
    with pytest.raises(ValueError, match="not done"):
        _ = search.result
    search.stop("it was interrupted")
    search.stop("twice")
    assert (search.done, search.rate) == (True, 0.0)
    assert search.result.as_json() == {
        "low": None, "mid": None, "high": None, "confidence": 0.9, "use_case": None,
        "reason": "it was interrupted", "load_seconds": 0, "steps": 0}


def test_a_search_ends_even_when_nothing_is_ever_answered() -> None:
    search = KneeSearch({"sessions": LIMIT_MS}, 100.0)
    for second in range(300):
        search.observe(StepSecond(second, search.rate, int(search.rate), 0, {}))
        if search.done:
            break
    assert search.done
    assert search.result.mid is None


@pytest.mark.parametrize(("objectives", "start", "options"), [
    ({}, 1.0, {}), ({"cache": 0.0}, 1.0, {}), ({"cache": 5.0}, 0.0, {}),
    ({"cache": 5.0}, 10.0, {"most_rate": 5.0}),
    ({"cache": 5.0}, 1.0, {"confidence": 1.0}), ({"cache": 5.0}, 1.0, {"growth": 1.0}),
    ({"cache": 5.0}, 1.0, {"half_width": 0.0}),
])
def test_numbers_out_of_range_are_refused(objectives: dict[str, float], start: float,
                                          options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"positive|out of range"):
        KneeSearch(objectives, start, **options)
