from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.load.stopping import Second, Stopping, StopRules
from amply_capacity.run.histogram import bucket_upper_us


def second(failed: int = 0, operations: int = 100, slow: int = 0, slow_us: int = 80_000) -> Second:
    """A second whose operations took 1 ms, but for the slow ones."""
    return Second(operations, failed, ((1_000, operations - slow), (slow_us, slow)))


def reasons(rules: StopRules, seconds: list[Second]) -> list[str | None]:
    stopping = Stopping(rules)
    return [stopping.feed(one) for one in seconds]


def test_errors_stop_a_run_only_after_the_whole_window_is_above_the_limit() -> None:
    found = reasons(StopRules(error_rate=0.05, over_seconds=3), [second(failed=6)] * 3)
    assert found[:2] == [None, None]
    assert found[2] == "more than 5 % of the operations failed in each of 3 s in a row: 18 of 300, 6.0 %"


def test_one_good_second_begins_the_window_anew() -> None:
    seconds = [second(failed=50), second(failed=50), second(failed=5), second(failed=50), second(failed=50)]
    assert reasons(StopRules(error_rate=0.05, over_seconds=3), seconds) == [None] * 5


def test_the_limit_itself_is_kept_and_one_failure_exceeds_a_limit_of_none() -> None:
    assert reasons(StopRules(error_rate=0.05, over_seconds=1), [second(failed=5)]) == [None]
    assert reasons(StopRules(error_rate=0.0, over_seconds=1), [second(failed=0)]) == [None]
    assert reasons(StopRules(error_rate=0.0, over_seconds=1), [second(failed=1)]) != [None]


def test_a_slow_p99_stops_a_run_and_the_sentence_says_what_was_seen() -> None:
    seconds = [second(slow=2, slow_us=61_000), second(slow=2, slow_us=140_000)]
    found = reasons(StopRules(p99_ms=50.0, over_seconds=2), seconds)
    assert found == [None, "the p99 of the response time was above 50 ms in each of 2 s in a row: "
                           "from 61.0 to 140.0 ms"]
    assert reasons(StopRules(p99_ms=50.0, over_seconds=1), [second(slow=1)]) == [None]  # the slowest of 100


def test_seconds_with_few_operations_are_judged_together() -> None:
    rules = StopRules(error_rate=0.05, over_seconds=2, least_operations=20)
    found = reasons(rules, [Second(8, 8)] * 6)  # 8, 16, 24 and again
    assert found[:5] == [None] * 5
    assert found[5] == "more than 5 % of the operations failed in each of 2 s in a row: 48 of 48, 100.0 %"
    assert reasons(rules, [Second(0, 0)] * 50) == [None] * 50


def test_slow_operations_of_thin_seconds_are_judged_together() -> None:
    rules = StopRules(p99_ms=5.0, over_seconds=1, least_operations=4)
    thin = Second(2, 0, ((9_000, 1), (500, 1)))
    assert reasons(rules, [thin, thin]) == [
        None, "the p99 of the response time was above 5 ms in each of 1 s in a row: from 9.0 to 9.0 ms"]


def test_a_thin_second_makes_the_next_no_better_than_they_are_together() -> None:
    rules = StopRules(error_rate=0.05, over_seconds=2, least_operations=20)
    found = reasons(rules, [second(failed=9), Second(19, 0), second(failed=9)])
    assert found[:2] == [None] * 2
    assert found[2] is not None


def test_a_second_without_a_response_time_is_not_judged_by_it() -> None:
    assert Second(100, 100).p99_ms is None
    assert reasons(StopRules(p99_ms=0.001, over_seconds=1), [Second(100, 100)]) == [None]
    assert Second(100, 0, ((5_000, 0),)).p99_ms is None


def test_without_limits_nothing_stops_a_run() -> None:
    assert reasons(StopRules(), [second(failed=100, slow=100)] * 30) == [None] * 30


def test_errors_are_named_before_the_slowness_that_they_cause() -> None:
    (found,) = reasons(StopRules(0.05, 50.0, over_seconds=1), [second(failed=50, slow=50)])
    assert found is not None
    assert "failed" in found


@given(st.lists(st.integers(1, 10_000_000), min_size=1, max_size=300))
def test_the_p99_of_a_second_is_the_histograms(times_us: list[int]) -> None:
    buckets, counts = np.unique(bucket_upper_us(np.array(times_us)), return_counts=True)
    p99_ms = Second(len(times_us), 0, tuple(zip(buckets.tolist(), counts.tolist(), strict=True))).p99_ms
    exact_us = sorted(times_us)[int(np.ceil(0.99 * len(times_us))) - 1]
    assert p99_ms is not None
    assert exact_us <= round(p99_ms * 1000.0) <= exact_us * (1 + 1 / 16)


@given(st.lists(st.integers(0, 20), max_size=40), st.integers(1, 6))
def test_a_run_stops_exactly_where_the_last_seconds_are_all_above(failed: list[int], window: int) -> None:
    found = reasons(StopRules(error_rate=0.1, over_seconds=window), [second(failed=one) for one in failed])
    for end, reason in enumerate(found, 1):
        assert (reason is not None) == (end >= window and min(failed[end - window:end]) > 10)


def test_all_faults_of_the_rules_are_told_at_once() -> None:
    with pytest.raises(ValueError, match="error_rate must be") as caught:
        StopRules(error_rate=1.0, p99_ms=0.0, over_seconds=0, least_operations=0)
    for name in ("p99_ms must be", "over_seconds must be", "least_operations must be"):
        assert name in str(caught.value)
    with pytest.raises(ValueError, match="p99_ms must be"):
        StopRules(p99_ms=float("nan"))
