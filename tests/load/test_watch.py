"""A real event loop that watches itself, in this process."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import gevent
import gevent.monkey
import pytest

from amply_capacity.load import cpu_wait
from amply_capacity.load.cpu_wait import StolenTime, run_queue_seconds
from amply_capacity.load.reactor import Reactor
from amply_capacity.load.recorder import Recorder
from amply_capacity.load.watch import Watch


class _Campaign:
    """What a watch wants of one."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.reactor = Reactor.of(gevent.get_hub())

    @property
    def awake_seconds(self) -> float:
        return self.reactor.awake_seconds


def _watched(work: Callable[[], None], campaign: Any = None) -> list[dict[str, Any]]:
    """What is noted in the first two seconds, while `work` is done at the start of each."""
    watched = campaign or _Campaign()
    recorder = watched.recorder
    noted: list[dict[str, Any]] = []
    watcher = gevent.spawn(Watch(lambda: watched, "alone").run)
    try:
        with gevent.Timeout(20.0):
            while len(noted) < 2:
                gevent.sleep(1.05 - time.time() % 1.0)
                work()
                noted += [json.loads(event["detail"]) for event in recorder.drain().events]
    finally:
        watcher.kill()
    return noted


def _use_cpu() -> None:
    until = time.thread_time() + 0.3
    while time.thread_time() < until:
        pass


def test_a_loop_that_is_blocked_shows_its_lag_without_cpu_and_one_that_computes_shows_both() -> None:
    sleep = gevent.monkey.get_original("time", "sleep")
    blocked, computing = _watched(lambda: sleep(0.3)), _watched(_use_cpu)
    for noted in (blocked, computing):
        assert max(one["lag_ms"] for one in noted) >= 200.0
        assert {one["role"] for one in noted} == {"alone"}
        assert all(one["seconds"] > 0.5 for one in noted)
    cpu_seconds = [sum(one["cpu_percent"] * one["seconds"] / 100.0 for one in noted)
                   for noted in (blocked, computing)]
    assert cpu_seconds[0] < 0.25 < cpu_seconds[1]


def test_a_loop_kept_awake_for_near_starts_is_no_work() -> None:
    campaign = _Campaign()

    def wait() -> None:
        while True:
            campaign.reactor.wait_until(perf_counter() + 100e-6)

    waiting = gevent.spawn(wait)
    noted = _watched(lambda: gevent.sleep(0.5), campaign)
    waiting.kill()
    assert max(one["awake_percent"] for one in noted) > 20.0
    assert all(one["cpu_percent"] + one["awake_percent"] < 110.0 for one in noted)
    assert max(one["cpu_percent"] for one in noted) < 80.0


@pytest.mark.skipif(run_queue_seconds() is None, reason="the kernel does not tell")
def test_the_wait_for_a_cpu_never_falls() -> None:
    before = run_queue_seconds()
    _use_cpu()
    after = run_queue_seconds()
    assert before is not None
    assert after is not None
    assert after >= before >= 0.0


def test_where_the_kernel_does_not_tell_nothing_is_noted(monkeypatch: pytest.MonkeyPatch,
                                                         tmp_path: Any) -> None:
    monkeypatch.setattr(cpu_wait, "_PROCESSES", tmp_path)
    assert run_queue_seconds() is None
    assert StolenTime().seconds() is None
    assert all(not {"wait_percent", "stolen_percent"} & noted.keys() for noted in _watched(lambda: None))


class TestStolenTime:
    @pytest.fixture
    def host(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
        """Writes what Linux tells of the core that runs this process and, in ticks, of what each lost."""
        monkeypatch.setattr(cpu_wait, "_PROCESSES", tmp_path)
        (tmp_path / "self").mkdir()

        def tell(core: int, *stolen: int) -> None:
            state = " ".join(["S", *["0"] * 35, str(core), "0", "0"])
            (tmp_path / "self" / "stat").write_text(f"7 (a (b) c) {state}\n")
            cores = [f"cpu{number} 9 9 9 9 9 9 9 {ticks} 0 0" for number, ticks in enumerate(stolen)]
            (tmp_path / "stat").write_text("\n".join(["cpu  9 9 9 9 9 9 9 999 0 0", *cores, "intr 5 0\n"]))

        return tell

    def test_it_is_that_of_the_core_on_which_the_process_runs(self, host: Callable[..., None]) -> None:
        host(1, 100, 200)
        stolen = StolenTime()
        host(1, 900, 250)
        assert stolen.seconds() == pytest.approx(50 / os.sysconf("SC_CLK_TCK"))
        assert stolen.seconds() == 0.0

    def test_where_it_changed_its_core_that_which_lost_more_counts(self, host: Callable[..., None]) -> None:
        host(0, 100, 200, 0)
        stolen = StolenTime()
        host(1, 130, 210, 500)
        assert stolen.seconds() == pytest.approx(30 / os.sysconf("SC_CLK_TCK"))

    @pytest.mark.skipif(StolenTime().seconds() is None, reason="the kernel does not tell")
    def test_of_this_machine_it_is_told_and_no_more_than_the_time_that_passed(self) -> None:
        began = perf_counter()
        stolen = StolenTime()
        _use_cpu()
        found = stolen.seconds()
        assert found is not None
        assert 0.0 <= found <= perf_counter() - began + 0.02
