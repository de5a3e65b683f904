"""Whole drills: a real load, something that breaks, and nothing left behind but the run."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from locust_process import cluster_directories, servers_of_ours

from amply_capacity.drill.conduct import hold_drill
from amply_capacity.drill.request import DrillRequest
from amply_capacity.drill.text import drill_text
from amply_capacity.errors import AmplyError
from amply_capacity.run.reader import read_run
from amply_capacity.run.schema import FAILED_OUTCOMES

_PATIENCE_SECONDS = 60.0


def _generator() -> psutil.Process | None:
    """The load's process, once it has begun to record."""
    for child in psutil.Process().children():
        words = child.cmdline()
        if "locust" in words:
            run = Path(words[words.index("--run-dir") + 1])
            return child if (run / "parts" / "requests.arrows").exists() else None
    return None


def _while_loading(act: Callable[[psutil.Process], object], after_seconds: float) -> threading.Thread:
    """Do something to the load's process so long after it began."""
    def wait() -> None:
        limit = time.monotonic() + _PATIENCE_SECONDS
        while (process := _generator()) is None and time.monotonic() < limit:
            time.sleep(0.05)
        if process is not None:
            time.sleep(after_seconds)
            act(process)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def _children() -> list[str]:
    """Names of the processes that this one has, those included that have ended and that nobody waited for."""
    return sorted(child.name() for child in psutil.Process().children(recursive=True))


def _check_record(run: Path, answer: dict[str, Any]) -> None:
    """The run is an ordinary one that tells of the drill."""
    recorded = read_run(run)
    events = recorded.events
    mine = events[events["kind"] == "drill"]["name"].tolist()
    assert mine == [event["name"] for event in answer["events"] if event["kind"] == "drill"]
    assert events["time_s"].is_monotonic_increasing
    assert recorded.manifest["drill"]["lost_writes"] == answer["lost_writes"]
    for name, digest in recorded.manifest["files"].items():
        assert hashlib.sha256((run / name).read_bytes()).hexdigest() == digest


def test_a_crash_far_from_its_replica_loses_what_was_on_its_way_and_shows_when(tmp_path: Path) -> None:
    servers, directories, children = servers_of_ours(), cluster_directories(), _children()
    run = tmp_path / "run"
    found = hold_drill(DrillRequest(
        "crash", topology="replicated", seconds=8, delay_ms=150.0,
        mix="create=6,store_result=2,check=1,cached_read=1", rate=200.0, users=20, prefill=0.0, run_dir=run))
    assert (servers_of_ours(), cluster_directories(), _children()) == (servers, directories, children)
    answer = json.loads(json.dumps(found.as_json()))
    assert answer["completed"] is True
    # By Sentinel's clock 2.1 to 2.5 s, and what a busy machine adds.
    assert 1.5 < answer["unavailable_seconds"] < 8.0
    assert answer["failed_operations"] > 20
    predicted = answer["predicted"]["lost_writes"]
    assert predicted["mid"] == pytest.approx(predicted["writes_per_second"] * 0.15, rel=0.01)
    assert answer["lost_writes"] == pytest.approx(predicted["mid"], abs=max(15.0, 0.3 * predicted["mid"]))
    assert 5 <= answer["lost_sessions"] <= answer["writes"]["by_class"]["sessions"]["lost"]
    assert answer["celery_results"]["lost"] > 0
    assert answer["sessions"]["intact"] + answer["sessions"]["lost"] == answer["sessions"]["checked"]
    assert answer["connections"]["peak_per_second"] >= 20
    assert {event["name"] for event in answer["events"] if event["kind"] == "failover"} >= {
        "+sdown", "+odown", "+elected-leader", "+switch-master"}
    _check_record(run, answer)
    recorded = read_run(run).requests.query("command == '' and clock == 'response'")
    failed = recorded[recorded["outcome"].isin(FAILED_OUTCOMES)]["count"].sum()
    assert answer["failed_operations"] == failed
    text = drill_text(answer)
    assert "crash on replicated: away for" in text
    assert "×" in text
    assert "+switch-master" in text
    assert f"{answer['lost_sessions']:,} sessions are gone" in text


def test_a_generator_that_is_killed_leaves_a_drill_and_a_run_that_can_be_read(tmp_path: Path) -> None:
    servers, directories, children = servers_of_ours(), cluster_directories(), _children()
    thread = _while_loading(lambda process: process.kill(), after_seconds=2.5)
    found = hold_drill(DrillRequest("crash", seconds=6, population=20, back_after=0.2,
                                    run_dir=tmp_path / "run"))
    thread.join()
    answer = json.loads(json.dumps(found.as_json()))
    assert answer["completed"] is True
    assert "load ended before its time" in {event["name"] for event in answer["events"]}
    run = read_run(tmp_path / "run")
    assert run.verdict == "partial"
    assert "the generator was killed" in run.manifest["verdict_reason"]
    _check_record(tmp_path / "run", answer)
    # All sessions that were filled in are gone with a server that kept nothing.
    assert answer["lost_sessions"] >= 20
    assert answer["limits"]["reset"] == answer["limits"]["followed"]
    assert (servers_of_ours(), cluster_directories(), _children()) == (servers, directories, children)


@pytest.mark.parametrize(("number", "ends_with"), [(signal.SIGINT, KeyboardInterrupt),
                                                   (signal.SIGHUP, SystemExit)])
def test_ctrl_c_and_a_closed_terminal_clear_the_stage_and_leave_the_run(
        tmp_path: Path, number: signal.Signals, ends_with: type[BaseException]) -> None:
    servers, directories, children = servers_of_ours(), cluster_directories(), _children()
    thread = _while_loading(lambda _: os.kill(os.getpid(), number), after_seconds=0.3)
    with pytest.raises(ends_with):
        hold_drill(DrillRequest("crash", seconds=60, prefill=0.0, run_dir=tmp_path / "run"))
    thread.join()
    assert (servers_of_ours(), cluster_directories(), _children()) == (servers, directories, children)
    assert read_run(tmp_path / "run").verdict == "partial"


def test_a_load_that_does_not_begin_is_said_in_locusts_words(tmp_path: Path) -> None:
    servers, directories, children = servers_of_ours(), cluster_directories(), _children()
    with pytest.raises(AmplyError, match="did not begin") as refused:
        hold_drill(DrillRequest("crash", seconds=5, mix="dance=1", run_dir=tmp_path / "run"))
    assert "there is no operation 'dance'" in str(refused.value)
    assert (servers_of_ours(), cluster_directories(), _children()) == (servers, directories, children)
