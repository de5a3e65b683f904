"""A sampler against a real server that goes away, and comes back as another process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from killable_redis import PATIENCE_SECONDS, KillableRedis

from amply_capacity.errors import Unreachable
from amply_capacity.load.sampler import Sampler
from amply_capacity.load.wire import Open
from amply_capacity.target.endpoint import Endpoint


class _Sink:
    """What the sampler wrote, noted and told."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {"server": [], "commands": []}
        self.noted: list[tuple[str, dict[str, Any]]] = []
        self.told: list[str] = []
        self.starved: list[dict[str, Any]] = []
        self._changed = threading.Condition()

    def append(self, table: str, rows: Any) -> None:
        with self._changed:
            self.rows[table] += rows
            self._changed.notify_all()

    def note(self, kind: str, name: str, detail: dict[str, Any]) -> None:
        assert kind in {"error", "host"}
        if kind == "host":  # the machine may be busy with other things
            self.starved.append(detail)
            return
        self.noted.append((name, detail))

    def tell(self, words: str) -> None:
        with self._changed:
            self.told.append(words)
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[], object]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: bool(condition()), PATIENCE_SECONDS)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[KillableRedis]:
    started = KillableRedis(tmp_path)
    yield started
    started.process.send_signal(signal.SIGCONT)
    started.kill()


def _opened(server: KillableRedis) -> Open:
    return Open(Path("unused"), {}, (Endpoint("127.0.0.1", server.port),), None, True)


def _get(server: KillableRedis, times: int) -> None:
    """So many GETs."""
    with redis.Redis(port=server.port) as client, client.pipeline(transaction=False) as pipe:
        for _ in range(times):
            pipe.get("x")
        pipe.execute()


def test_a_server_that_is_killed_and_started_again_is_a_gap_told_once_and_no_negative_count(
    server: KillableRedis,
) -> None:
    sink = _Sink()
    sampler = Sampler(_opened(server), Endpoint("127.0.0.1", server.port), sink)
    sampler.start()
    _get(server, 500)
    sink.wait_for(lambda: len(sink.rows["server"]) >= 2)
    server.kill()
    sink.wait_for(lambda: len(sink.told) == 1)
    before = len(sink.rows["server"])
    server.start()
    sink.wait_for(lambda: len(sink.told) == 2)
    _get(server, 70)
    sink.wait_for(lambda: len(sink.rows["server"]) > before)
    sampler.finish()
    assert "does not answer" in sink.told[0]
    assert "answers again" in sink.told[1]
    names = [name for name, _ in sink.noted]
    assert sum(name.startswith("INFO failed") for name in names) == 1
    assert "the server was restarted" in names
    assert {row["command"]: row["calls"] for row in sink.rows["commands"]}["get"] == 570
    assert all(value >= 0 for row in sink.rows["server"] for name, value in row.items()
               if name not in {"node", "role"})


def test_a_server_that_is_still_for_seconds_is_a_gap_of_that_length(server: KillableRedis) -> None:
    sink = _Sink()
    sampler = Sampler(_opened(server), Endpoint("127.0.0.1", server.port), sink)
    sampler.start()
    sink.wait_for(lambda: sink.rows["server"])
    server.process.send_signal(signal.SIGSTOP)
    began = time.time()
    sink.wait_for(lambda: len(sink.told) == 1)
    server.process.send_signal(signal.SIGCONT)
    away_seconds = time.time() - began
    sink.wait_for(lambda: len(sink.told) == 2)
    sampler.finish()
    (gap,) = [detail for name, detail in sink.noted if name == "INFO gap"]
    assert gap["seconds"] >= away_seconds
    assert not any(name == "the server was restarted" for name, _ in sink.noted)


def test_a_server_that_is_gone_at_the_end_leaves_what_its_commands_did_before(server: KillableRedis) -> None:
    sink = _Sink()
    sampler = Sampler(_opened(server), Endpoint("127.0.0.1", server.port), sink)
    sampler.start()
    _get(server, 30)
    sink.wait_for(lambda: any(row["CacheMisses"] for row in sink.rows["server"]))
    server.kill()
    sink.wait_for(lambda: sink.told)
    sampler.finish()  # which asks once more, in vain
    assert len(sink.told) == 1
    assert {row["command"]: row["calls"] for row in sink.rows["commands"]}["get"] == 30


def test_a_server_that_is_away_from_the_start_cannot_be_sampled(server: KillableRedis) -> None:
    server.kill()
    with pytest.raises(Unreachable):
        Sampler(_opened(server), Endpoint("127.0.0.1", server.port), _Sink())


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs a system that places processes")
def test_a_server_that_is_kept_from_its_cpu_is_noted(server: KillableRedis) -> None:
    core = {max(os.sched_getaffinity(0))}
    os.sched_setaffinity(server.process.pid, core)
    rivals = [subprocess.Popen([sys.executable, "-c", "while True: pass"],
                               preexec_fn=lambda: os.sched_setaffinity(0, core)) for _ in range(2)]
    sink = _Sink()
    sampler = Sampler(_opened(server), Endpoint("127.0.0.1", server.port), sink)
    client = redis.Redis(port=server.port)
    try:
        sampler.start()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not sink.starved and time.monotonic() < deadline:
            client.eval("local n = 0; for i = 1, 3000000 do n = n + i end", 0)
    finally:
        for rival in rivals:
            rival.kill()
            rival.wait()
        sampler.finish()
        client.close()
    assert sink.starved[0]["wait_percent"] > 2.0
    assert sink.starved[0]["node"] == f"127.0.0.1:{server.port}"
