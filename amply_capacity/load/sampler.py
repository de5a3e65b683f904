"""Samples the server's INFO every second of the measured phase, and tells when the server is away."""

from __future__ import annotations

import threading
import time
from typing import Any, Protocol

from amply_capacity.catalog.nodes import NodeType, node_type
from amply_capacity.load.cpu_wait import run_queue_seconds
from amply_capacity.load.precedence import PAUSE_SECONDS
from amply_capacity.load.wire import Open
from amply_capacity.target.endpoint import Endpoint, connect, explained
from amply_capacity.target.info import InfoSample, command_deltas, sample, server_row

__all__ = ["Sampler", "Sink"]

_ANSWER_SECONDS = 2.0
# A sample that is later than this is a gap that the run shows.
_GAP_SECONDS = 2.0
# Of the time between two samples: a server that was ready to run and had no CPU for longer was disturbed.
_STARVED_SHARE = 0.02
_ADDED = ("calls", "usec", "rejected_calls", "failed_calls")


class Sink(Protocol):
    """What takes the samples: rows of a table, events, and what the engineer must hear at once."""

    def append(self, table: str, rows: Any) -> None: ...

    def note(self, kind: str, name: str, detail: dict[str, Any]) -> None: ...

    def tell(self, words: str) -> None: ...


class Sampler(threading.Thread):
    """Samples INFO of one server at every whole second, on its own connection, from `start` to `finish`.

    A server that does not answer is told once, and again when it is back; the gap is an event. Raises
    TargetError when it does not answer at first.
    """

    def __init__(self, opened: Open, endpoint: Endpoint, sink: Sink) -> None:
        super().__init__(daemon=True)
        self._endpoint, self._sink = endpoint, sink
        self._node = f"{endpoint.host}:{endpoint.port}"
        name = opened.emulated_node_type
        self._node_type: NodeType | None = node_type(name) if name else None
        self._stopping = threading.Event()
        self._commands: dict[str, dict[str, Any]] = {}
        self._is_away = False
        self._is_here = opened.is_ours
        self._waited: tuple[float, float] | None = None
        self._client: Any = connect(endpoint, timeout_seconds=_ANSWER_SECONDS)
        with explained(endpoint):
            if opened.is_ours:
                self._client.config_resetstat()
            self._first = self._last = sample(self._client, self._node)

    def run(self) -> None:
        while not self._stopping.wait(1.0 - time.time() % 1.0):
            now = self._sample()
            if now is None:
                continue
            if _is_another_process(self._last, now):
                self._count_commands(self._last)  # what it did after its last sample is lost with it
                self._sink.note("error", "the server was restarted", {
                    "node": self._node, "last_sample_s": self._last.time_s})
                self._first = InfoSample(now.time_s, now.node, {})
            else:
                time.sleep(PAUSE_SECONDS)
                row = server_row(self._last, now, self._node_type)
                time.sleep(PAUSE_SECONDS)
                self._sink.append("server", [row])
                time.sleep(PAUSE_SECONDS)
                self._note_starvation(now)
            self._last = now

    def _note_starvation(self, now: InfoSample) -> None:
        """Say where another process kept a server of this host from its CPU: its times are not its own."""
        if not self._is_here:
            return
        waited, before = run_queue_seconds(int(now.info["process_id"])), self._waited
        self._waited = None if waited is None else (now.time_s, waited)
        if before is None or waited is None:
            return
        share = (waited - before[1]) / (now.time_s - before[0])
        if share > _STARVED_SHARE:
            self._sink.note("host", "server starved", {
                "node": self._node, "second": int(now.time_s) - 1, "wait_percent": round(100.0 * share, 1)})

    def finish(self) -> None:
        """Stop, and write what the commands did since the phase began, or until the server went away."""
        self._stopping.set()
        self.join()
        now = self._sample()
        if now is not None and _is_another_process(self._last, now):
            self._count_commands(self._last)
            self._first = InfoSample(now.time_s, now.node, {})
        self._count_commands(now or self._last)
        self._sink.append("commands", list(self._commands.values()))
        self._client.close()

    def _sample(self) -> InfoSample | None:
        try:
            now = sample(self._client, self._node)
        except Exception as error:  # the target is away: the run shows the gap, and why
            if not self._is_away:
                self._is_away = True
                self._sink.note("error", f"INFO failed: {error}", {"node": self._node})
                self._sink.tell(f"{self._endpoint.url} does not answer ({error}); the load goes on")
            return None
        gap_seconds = now.time_s - self._last.time_s
        if self._is_away or gap_seconds > _GAP_SECONDS:
            self._sink.note("error", "INFO gap", {"node": self._node, "from_s": self._last.time_s,
                                                  "seconds": round(gap_seconds, 3)})
        if self._is_away:
            self._is_away = False
            self._sink.tell(f"{self._endpoint.url} answers again, after {gap_seconds:.0f} s")
        return now

    def _count_commands(self, until: InfoSample) -> None:
        for row in command_deltas(self._first, until):
            known = self._commands.get(row["command"])
            if known is not None:
                row |= {name: row[name] + known[name] for name in _ADDED}
            self._commands[row["command"]] = row


def _is_another_process(before: InfoSample, after: InfoSample) -> bool:
    """Whether the server was restarted in between: its counts began anew."""
    return before.info.get("run_id") != after.info.get("run_id")
