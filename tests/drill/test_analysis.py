"""From what a drill recorded to its answer: predictions, the shard that was hit, evictions, standstills."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from histories import played, wrote
from redis.crc import key_slot

from amply_capacity.drill.analysis import Evidence, result_of
from amply_capacity.drill.journal_file import Journal, Played
from amply_capacity.drill.observer import Sample
from amply_capacity.drill.request import DrillRequest
from amply_capacity.drill.result import DrillResult
from amply_capacity.model.drilled import drilled
from amply_capacity.run.reader import Run

_FAULT = 10.0


@dataclass
class _Seen:
    fault_s: float | None = _FAULT
    crash_s: float | None = None
    snapshot_s: float | None = None
    down_after_seconds: float | None = None
    info_ages_s: tuple[float, ...] = ()
    slots: tuple[tuple[int, int], ...] | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def _run(events: list[tuple[float, str, str, dict[str, Any]]], bound: tuple[int, ...] = (),
         operation: str = "validate", clock: str = "response") -> Run:
    run = Run(Path("none"), {"generator_bound_seconds": list(bound)})
    requests = pd.DataFrame([{"second": second, "use_case": "sessions", "operation": operation,
                              "command": "", "outcome": "hit", "clock": clock, "bucket_us": 300,
                              "count": 100} for second in range(20)])
    told = pd.DataFrame(events, columns=["time_s", "kind", "name", "detail"])
    vars(run).update(events=told, requests=requests)
    return run


_HEALTHY = tuple(played(0.01 * number) for number in range(2000))
_WRITES = tuple(wrote("SETEX", f"session:{number}", number, 0.01 * number) for number in range(2000))


def _result(kind: str, seen: _Seen, *, topology: str = "single", operations: tuple[Played, ...] = _HEALTHY,
            run: Run | None = None, samples: tuple[Sample, ...] = (), why_not: str | None = None,
            **options: Any) -> DrillResult:
    evidence = Evidence(DrillRequest(kind, **options), topology, Path("run"), 0.0, 20.0, why_not, [], samples,
                        Journal(operations, _WRITES), {})
    return result_of(evidence, run or _run([(20.0, "phase", "ended", {})]), None, "nobody answered", seen)


@pytest.mark.parametrize(("kind", "seen", "options", "behind"), [
    ("restart", _Seen(snapshot_s=8.0), {"persistence": "snapshot"}, 2.0),
    ("crash", _Seen(), {"persistence": "aof"}, 0.0),
    ("crash", _Seen(), {"delay_ms": 50.0, "topology": "replicated"}, 0.05),
    ("partition", _Seen(crash_s=13.0), {"then": "crash", "topology": "replicated", "delay_ms": 100.0}, 3.1),
])
def test_the_loss_is_predicted_from_how_far_behind_what_takes_over_is(
        kind: str, seen: _Seen, options: dict[str, Any], behind: float) -> None:
    found = _result(kind, seen, **options).as_json()["predicted"]["lost_writes"]
    assert found["writes_per_second"] == pytest.approx(100.0, rel=0.01)
    assert found["mid"] == pytest.approx(100.0 * behind, rel=0.02, abs=0.01)
    assert found["measured"] is None


@pytest.mark.parametrize(("kind", "options"), [("crash", {}), ("failover", {"topology": "replicated"}),
                                               ("partition", {"topology": "replicated"})])
def test_where_nothing_says_how_far_that_is_no_loss_is_predicted(kind: str, options: dict[str, Any]) -> None:
    assert "lost_writes" not in _result(kind, _Seen(), **options).predicted


def test_what_did_not_complete_is_not_compared_and_what_was_not_asked_is_not_known() -> None:
    found = _result("crash", _Seen(down_after_seconds=1.0), topology="replicated",
                    why_not="no quorum").as_json()
    assert (found["completed"], found["reason"], found["predicted"]) == (False, "no quorum", {})
    assert (found["lost_writes"], found["unknown"]["lost_writes"]) == (None, "nobody answered")
    nothing = _result("crash", _Seen(fault_s=None), why_not="it did not begin").as_json()
    assert nothing["unavailable_seconds"] is None
    assert "it did not begin" in nothing["unknown"]["unavailable_seconds"]


def test_on_shards_the_outage_is_that_of_the_shard_that_was_hit() -> None:
    here, there = "session:a", "session:b"
    slot = key_slot(here.encode())
    operations = tuple(sorted(
        [played(0.01 * number, key=here, is_ok=not 1000 <= number < 1300) for number in range(2000)]
        + [played(0.01 * number + 0.005, key=there) for number in range(2000)]
        + [played(10.5, key=None, is_ok=False)], key=lambda one: one.ended_s))
    hit = _result("crash", _Seen(slots=((slot, slot),)), topology="sharded", operations=operations)
    assert hit.as_json()["unavailable_seconds"] == pytest.approx(3.0, abs=0.05)
    assert _result("crash", _Seen(), operations=operations).as_json()["unavailable_seconds"] == 0.0


def test_evictions_and_a_generator_that_stood_still_are_said() -> None:
    samples = tuple(Sample(time_s, "a", "one", "master", 1, evicted, 0)
                    for time_s, evicted in ((1.0, 5), (9.0, 5), (15.0, 47)))
    failing = tuple(played(0.01 * number, is_ok=not 1000 <= number < 1200) for number in range(2000))
    load = {"second": 10, "seconds": 2.0, "lag_ms": 1200.0}
    run = _run([(20.0, "phase", "ended", {}), (11.0, "generator", "load", load)], bound=(10, 11))
    found = _result("crash", _Seen(), operations=failing, samples=samples, run=run).as_json()
    assert found["unknown"]["lost_sessions.cause"].startswith("42 keys were evicted")
    assert "held up in 2 of the seconds" in found["unknown"]["unavailable_seconds.cause"]
    assert found["unavailable_seconds"] == pytest.approx(2.0, abs=0.05), "operations failed in it: it is real"


def test_a_load_that_was_killed_ends_with_its_last_operation() -> None:
    cut = tuple(one for one in _HEALTHY if one.ended_s < 15.0)
    found = _result("crash", _Seen(), operations=cut, run=_run([])).as_json()
    assert found["seconds"] == pytest.approx(15.0, abs=0.05)
    assert found["is_available_again"] is True


def test_a_refill_with_nothing_before_the_fault_to_compare_with_is_unknown_and_not_without_reads() -> None:
    reading = _run([(20.0, "phase", "ended", {})], operation="cached_read", clock="service")
    for fault_s, words in ((1.9, "two whole seconds before the fault"), (_FAULT, None)):
        found = _result("crash", _Seen(fault_s=fault_s), run=reading).as_json()
        assert (found["cache"] is None) == (words is not None)
        assert (words or "") in found["unknown"].get("cache.refill_seconds", "")
    without = _result("crash", _Seen(fault_s=1.9)).as_json()
    assert without["cache"] is None
    assert "cache.refill_seconds" not in without["unknown"]


def test_a_generator_that_was_killed_before_the_server_was_back_tells_nothing_of_clients() -> None:
    """Nobody saw an outage: that is no sign that there was none."""
    killed = tuple(one for one in _HEALTHY if one.ended_s < _FAULT + 0.02)
    answer = _result("crash", _Seen(), operations=killed, run=_run([])).as_json()
    assert answer["unavailable"] == []
    run = _run([(12.0, "drill", "server is back", {})])
    run.manifest.update(target={"kind": "local cluster"}, population=None, drill=answer)
    told = drilled(run)
    assert told is not None
    assert told.reconnect_seconds is None
    assert "the load had ended before a server could be found" in told.why_not["reconnect_seconds"]
