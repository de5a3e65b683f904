"""The recording process: writes the run and samples the server, so that the generator does neither.

Started by `recording.Recording` as `python -m amply_capacity.load.scribe`. It reads pickled messages from its
stdin, each after its length, and answers in JSON lines on stdout. When stdin ends without a `Close`, the
generator has been killed: the run is finished with what has arrived.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from datetime import UTC, datetime
from typing import Any

from amply_capacity.catalog.nodes import NodeType, node_type
from amply_capacity.errors import AmplyError
from amply_capacity.load.tally import access_rows, console_rows, error_events, histogram_rows
from amply_capacity.load.verdict import judge
from amply_capacity.load.wire import Begin, Close, Event, Open, RawBatch, Sync, read_message
from amply_capacity.run.writer import RunWriter
from amply_capacity.target.endpoint import connect, explained
from amply_capacity.target.info import InfoSample, command_deltas, sample, server_row

__all__ = ["main"]


class _Sampler(threading.Thread):
    """Samples INFO at every whole second, on a connection of its own."""

    def __init__(self, opened: Open, scribe: _Scribe) -> None:
        super().__init__(daemon=True)
        self._opened, self._scribe = opened, scribe
        name = opened.emulated_node_type
        self._node_type: NodeType | None = node_type(name) if name else None
        self._stopping = threading.Event()
        self._client: Any = connect(opened.endpoint)
        with explained(opened.endpoint):
            if opened.is_ours:
                self._client.config_resetstat()
            self._first = self._last = sample(self._client, opened.node)

    def run(self) -> None:
        while not self._stopping.wait(1.0 - time.time() % 1.0):
            now = self._sample()
            if now is not None:
                self._scribe.append("server", [server_row(self._last, now, self._node_type)])
                self._last = now

    def finish(self) -> None:
        """Stop, and write what the commands did since the phase began."""
        self._stopping.set()
        self.join()
        now = self._sample()
        if now is not None:
            self._scribe.append("commands", command_deltas(self._first, now))
        self._client.close()

    def _sample(self) -> InfoSample | None:
        try:
            return sample(self._client, self._opened.node)
        except Exception as error:  # the target is away: the run shows the gap, and why
            self._scribe.note("error", f"INFO failed: {error}", {})
            return None


class _Scribe:
    """The run being written; shared by the reader of messages and the sampler's thread."""

    def __init__(self, opened: Open) -> None:
        self.writer = RunWriter(opened.directory, opened.manifest)
        self._opened = opened
        self._lock = threading.Lock()
        self._sampler: _Sampler | None = None
        self.failure: AmplyError | None = None

    def handle(self, message: Any) -> None:
        match message:
            case RawBatch():
                self._take(message)
            case Sync():
                _answer(synced=message.number)
            case Event():
                self.note(message.kind, message.name, message.detail, message.time_s)
            case Begin():
                if self._sampler is None:
                    self._sampler = _Sampler(self._opened, self)
                    self._sampler.start()
                self.note("phase", "measured", {"users": message.users}, message.time_s)

    def close(self, end: Close) -> None:
        if self._sampler is not None:
            self._sampler.finish()
        self.writer.close(ended_at=end.ended_at)
        verdict, reason = "partial", end.broken_off or (self.failure.what if self.failure else "")
        if not reason:
            verdict, reason = judge(self.writer.directory, self.writer.manifest["arrivals"])
        self.writer.amend(verdict=verdict, verdict_reason=reason)
        _answer(closed={"verdict": verdict, "reason": reason})

    def append(self, table: str, rows: Any) -> None:
        try:
            with self._lock:
                self.writer.append(table, rows)
        except AmplyError as error:
            self.fail(error)

    def note(self, kind: str, name: str, detail: dict[str, Any], time_s: float | None = None) -> None:
        when_s = time.time() if time_s is None else time_s
        self.append("events", [{"time_s": when_s, "kind": kind, "name": name, "detail": json.dumps(detail)}])

    def fail(self, error: AmplyError) -> None:
        """Tell the generator once; what was written stays."""
        if self.failure is None:
            self.failure = error
            _answer(failure={"what": error.what, "got": error.got, "do": error.do})

    def _take(self, batch: RawBatch) -> None:
        requests = histogram_rows(batch)
        _answer(console=console_rows(requests), errors=batch.errors)
        self.append("requests", requests)
        self.append("accesses", access_rows(batch))
        self.append("events", batch.events + error_events(batch, time.time()))


def _answer(**content: Any) -> None:
    try:
        print(json.dumps(content), flush=True)
    except BrokenPipeError:  # the generator is gone; its data stay our business
        sys.stdout = open("/dev/null", "w")  # noqa: SIM115


def main() -> int:
    """Serve one run."""
    pipe = sys.stdin.buffer
    opened = read_message(pipe)
    if not isinstance(opened, Open):
        return 2
    try:
        scribe = _Scribe(opened)
    except AmplyError as error:
        _answer(failure={"what": error.what, "got": error.got, "do": error.do})
        return 2
    _answer(opened=True)
    while (message := read_message(pipe)) is not None and not isinstance(message, Close):
        try:
            scribe.handle(message)
        except AmplyError as error:
            scribe.fail(error)
    if message is None:
        message = Close(datetime.now(UTC).isoformat(timespec="milliseconds"), "the generator was killed")
    try:
        scribe.close(message)
    except AmplyError as error:  # the parts stay for `runs recover`
        scribe.fail(error)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
