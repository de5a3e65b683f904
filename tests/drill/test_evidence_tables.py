"""Failed and delayed operations, the cache's refill, the reconnect storm and the timeline, made up."""

from __future__ import annotations

import pandas as pd
import pytest
from histories import played

from amply_capacity.drill.counts import counts_of
from amply_capacity.drill.observer import Sample
from amply_capacity.drill.refill import refill_of
from amply_capacity.drill.storm import storm_of
from amply_capacity.drill.timeline import timeline_of

_BEGAN, _FAULT, _ENDED = 100.2, 110.5, 130.4


def _rows(counts: dict[int, int], outcome: str = "hit", bucket_us: int = 500, clock: str = "response",
          ) -> pd.DataFrame:
    return pd.DataFrame([{"second": second, "use_case": "cache", "operation": "cached_read", "command": "",
                          "outcome": outcome, "clock": clock, "bucket_us": bucket_us, "count": count}
                         for second, count in counts.items()])


def _every(count: int, first: int = 100, last: int = 130) -> dict[int, int]:
    return dict.fromkeys(range(first, last + 1), count)


def test_failed_and_delayed_operations_are_counted_from_the_second_of_the_fault_on() -> None:
    requests = pd.concat([
        _rows(_every(100)), _rows({105: 3, 110: 7, 111: 20}, "unreachable"), _rows({112: 5}, "timeout"),
        _rows({112: 40}, bucket_us=400_000), _rows({100: 1}, bucket_us=900_000)])
    found = counts_of(requests, _BEGAN, _FAULT)
    assert (found.failed, found.failed_by_outcome) == (32, {"timeout": 5, "unreachable": 27})
    assert (found.delayed, found.delayed_from_ms) == (40, 10.0)
    assert found.operations == 21 * 100 + 32 + 40
    assert counts_of(_rows(_every(9, first=111)), _BEGAN, _FAULT).delayed is None


def _cache(misses: dict[int, int], hits: int = 60) -> pd.DataFrame:
    return pd.concat([_rows(_every(hits), clock="service"), _rows(misses, "miss", clock="service")])


def test_the_cache_is_warm_again_when_misses_are_at_their_usual_level() -> None:
    found = refill_of(_cache({**_every(2), 111: 40, 112: 25, 113: 10}), _FAULT, _BEGAN, _ENDED)
    assert found is not None
    assert found.usual_misses_per_second == 2.0
    assert (found.peak_misses_per_second, found.extra_misses) == (40, 38 + 23 + 8)
    assert found.refill_seconds == pytest.approx(114 - _FAULT)
    assert found.as_json()["refill_seconds"] == 3.5


def test_a_cache_that_lost_nothing_has_nothing_to_refill() -> None:
    found = refill_of(_cache(_every(2)), _FAULT, _BEGAN, _ENDED)
    assert found is not None
    assert (found.refill_seconds, found.extra_misses) == (0.0, 0)


def test_a_refill_that_the_load_did_not_see_the_end_of_is_not_told() -> None:
    found = refill_of(_cache({**_every(2), **_every(30, first=111)}), _FAULT, _BEGAN, _ENDED)
    assert found is not None
    assert found.refill_seconds is None
    assert found.why_unknown is not None
    assert "when the load ended" in found.why_unknown
    assert found.extra_misses == 28 * 19


def test_a_load_without_cached_reads_has_no_cache() -> None:
    assert refill_of(_rows(_every(5)).assign(operation="validate"), _FAULT, _BEGAN, _ENDED) is None
    assert refill_of(_cache({111: 3}), 101.5, _BEGAN, _ENDED) is None, "nothing to compare with"


def _sample(time_s: float, node: str, received: int, run_id: str = "one") -> Sample:
    return Sample(time_s, node, run_id, "master", received, 0, 0)


def test_a_storm_is_what_all_servers_received_and_its_worst_second() -> None:
    samples = [_sample(100.0, "a", 50), _sample(110.0, "a", 60), _sample(110.6, "a", 61),
               _sample(100.0, "b", 5), _sample(110.0, "b", 5), _sample(111.0, "b", 30),
               _sample(111.4, "b", 45), _sample(111.3, "a", 8, "two"), _sample(113.0, "b", 46)]
    found = storm_of(samples, _FAULT)
    assert found.connections == 1 + 8 + 25 + 15 + 1
    assert found.peak_per_second == 1 + 8 + 25 + 15
    assert found.usual_per_second == pytest.approx(10 / 0.5)
    assert storm_of([], _FAULT).as_json() == {"connections": 0, "peak_per_second": 0, "usual_per_second": 0.0}


def test_the_timeline_counts_by_use_case_in_bins_that_stay_few() -> None:
    operations = [played(0.1), played(0.2, is_ok=False), played(0.3, use_case="cache"), played(0.9)]
    found = timeline_of(operations, 0.0, 1.0)
    assert found.bin_seconds == 0.25
    assert found.succeeded == {"cache": [0, 1, 0, 0], "sessions": [1, 0, 0, 1]}
    assert found.failed == {"cache": [0, 0, 0, 0], "sessions": [1, 0, 0, 0]}
    assert len(timeline_of(operations, 0.0, 900.0).as_json()["succeeded"]["cache"]) <= 400
