"""What a drill's run says of failures: of the drills that ship, and of made-up ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from amply_capacity.files import DATA_DIR, EXAMPLE_RUN
from amply_capacity.model.digest import digest
from amply_capacity.model.drilled import Drilled, drilled
from amply_capacity.run.reader import Run, read_run

BEGAN = 1000.0


def found(drill: dict[str, Any], moments: list[tuple[float, str, str]] | None = None,
          kind: str = "local cluster") -> Drilled:
    """Of a crash at 10 s that lasted until 13 s, with what is to be different."""
    manifest = {
        "run": "mine", "target": {"kind": kind}, "population": {"organisations": 10},
        "drill": {"drill": "crash", "topology": "single", "completed": True, "reason": None,
                  "unavailable_seconds": 3.0, "is_available_again": True,
                  "unavailable": [{"at_seconds": 10.0, "seconds": 3.0}], "lost_writes": 70,
                  "lost_sessions": 5, "fault_at_seconds": 10.0, "predicted": {}, "unknown": {},
                  "timeline": {"began_s": BEGAN}, "seconds": 20.0,
                  "cache": {"refill_seconds": 9.0, "extra_misses": 40}} | drill}
    run = Run(Path("none"), manifest)
    rows = moments if moments is not None else [(BEGAN + 12.5, "drill", "server is back")]
    vars(run)["events"] = pd.DataFrame([(*row, {}) for row in rows],
                                       columns=["time_s", "kind", "name", "detail"])
    vars(run)["requests"] = pd.DataFrame(
        [(int(BEGAN) + second, "cached_read", "", "service", outcome, 10) for second in range(20)
         for outcome in ("hit", "miss")],
        columns=["second", "operation", "command", "clock", "outcome", "count"])
    result = drilled(run)
    assert result is not None
    return result


def test_clients_are_back_so_long_after_a_server_is() -> None:
    assert found({}).reconnect_seconds == pytest.approx(0.5)


def test_what_no_drill_can_tell_from_nothing_is_50_ms() -> None:
    assert found({}, [(BEGAN + 13.0, "drill", "server is back")]).reconnect_seconds == 0.05


def test_under_sentinel_it_counts_from_the_new_address_and_noticing_does_not() -> None:
    drill = found({"topology": "replicated"}, [
        (BEGAN + 9.0, "failover", "+switch-master"), (BEGAN + 10.9, "failover", "+sdown"),
        (BEGAN + 11.0, "failover", "+odown"),
        (BEGAN + 12.0, "failover", "+switch-master"), (BEGAN + 13.5, "drill", "a primary for every key")])
    assert drill.reconnect_seconds == pytest.approx(1.0)
    assert drill.noticed_seconds == pytest.approx(1.0)


def test_shards_have_noticed_when_a_majority_marks_the_primary_as_failing() -> None:
    drill = found({"topology": "sharded"}, [
        (BEGAN + 10.8, "failover", "Marking node 3f as failing (quorum reached)."),
        (BEGAN + 10.9, "failover", "FAIL message received from 5d () about 3f ()"),
        (BEGAN + 12.2, "failover", "Failover election won: I'm the new master.")])
    assert drill.noticed_seconds == pytest.approx(0.8)
    assert drill.reconnect_seconds == pytest.approx(0.8)


def test_the_refill_counts_from_when_clients_were_served_and_by_reads_of_a_key() -> None:
    drill = found({})
    assert drill.refill_seconds == pytest.approx(6.0)
    assert drill.reads_per_key_second == pytest.approx(2.0), "20 a second of 10 keys"


@pytest.mark.parametrize(("changed", "name", "why"), [
    ({"completed": False, "reason": "NOQUORUM"}, "reconnect_seconds", "NOQUORUM"),
    ({"drill": "failover"}, "reconnect_seconds", "does not break every connection"),
    ({"is_available_again": False}, "reconnect_seconds", "were not seen to be back"),
    ({"seconds": 12.4}, "reconnect_seconds", "the load had ended"),
    ({"unavailable_seconds": 0.0, "unavailable": []}, "reconnect_seconds", "saw no outage"),
    ({"cache": None}, "refill_seconds", "no cached reads"),
    ({"cache": None, "unknown": {"cache.refill_seconds": "nothing to compare with"}}, "refill_seconds",
     "nothing to compare with"),
    ({"fault_at_seconds": None}, "refill_seconds", "nothing was broken"),
    ({"cache": {"refill_seconds": None, "extra_misses": 9}, "unknown": {"cache.refill_seconds": "too short"}},
     "refill_seconds", "too short"),
    ({"cache": {"refill_seconds": 0.0, "extra_misses": 0}}, "refill_seconds", "was not emptied"),
])
def test_what_it_does_not_tell_is_absent_with_its_reason(changed: dict[str, Any], name: str,
                                                         why: str) -> None:
    drill = found(changed)
    assert getattr(drill, name) is None
    assert why in drill.why_not[name]
    assert name not in drill.figures


def test_a_real_failover_of_elasticache_is_taken_as_a_whole() -> None:
    drill = found({"drill": "failover", "topology": "replicated"}, [], kind="endpoint")
    assert drill.is_on_elasticache
    assert drill.figures == ("failover_seconds", "refill_seconds", "lost_writes")


def test_a_run_of_no_drill_says_nothing() -> None:
    assert drilled(Run(Path("none"), {"run": "mine"})) is None
    assert digest(read_run(EXAMPLE_RUN)).drill is None


def test_the_drills_that_ship_show_a_crash_with_and_without_a_replica() -> None:
    single, replicated = (digest(read_run(DATA_DIR / "examples" / f"drill-{name}"))
                          for name in ("single", "replicated"))
    assert single.drill is not None
    assert replicated.drill is not None
    assert single.drill.lost_sessions is not None
    assert single.drill.lost_sessions > 1_000
    assert replicated.drill.lost_sessions == 0
    assert replicated.drill.lost_writes == pytest.approx(replicated.drill.lost_by_law, abs=3.0)
    assert single.drill.refill_seconds is not None
    assert replicated.drill.refill_seconds is None
    for one in (single.drill, replicated.drill):
        assert one.reconnect_seconds is not None
        assert 0.0 < one.reconnect_seconds < 5.0
    for one in (single, replicated):
        assert not [warning for warning in one.warnings if "failed" in warning]
