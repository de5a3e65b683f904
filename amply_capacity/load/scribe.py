"""The recording process: writes the run and samples the server, so that the generator does neither.

Started by `recording.Recording` as `python -m amply_capacity.load.scribe`. It reads pickled messages from its
stdin, each after its length, and answers in JSON lines on stdout. When stdin ends without a `Close`, the
generator has been killed: the run is finished with what has arrived.
"""

from __future__ import annotations

import io
import json
import select
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import IO, Any

import pandas as pd
import pyarrow as pa

from amply_capacity.errors import AmplyError
from amply_capacity.load.overseer import Order, Overseer
from amply_capacity.load.precedence import Precedence
from amply_capacity.load.sampler import Sampler
from amply_capacity.load.tally import access_rows, console_rows, error_events, histogram_rows, offered_events
from amply_capacity.load.time_slice import ask_for_long_slices
from amply_capacity.load.verdict import judge
from amply_capacity.load.wire import Batch, Begin, Close, Event, Open, Sync, received, unpacked
from amply_capacity.run.writer import RunWriter

__all__ = ["main"]

_CROSSSLOT_FIX = ("delete key by key (--multi-key per-key), or give a user's keys one slot "
                  "(--multi-key hash-tag)")


class _Scribe:
    """The run being written; shared by the reader of messages and the sampler's thread."""

    def __init__(self, opened: Open) -> None:
        self.writer = RunWriter(opened.directory, opened.manifest)
        self._opened = opened
        self._lock = threading.Lock()
        self._samplers: list[Sampler] = []
        self._overseer = Overseer(opened.search, opened.limits, opened.manifest["arrivals"],
                                  opened.has_workers)
        self._has_warned = False
        self._precedence = Precedence()
        self._knee: dict[str, Any] | None = None
        self.failure: AmplyError | None = None

    def serve(self, pipe: IO[bytes]) -> Close:
        """Handle what comes, to the message that ends the run; without one the generator was killed."""
        while True:
            is_behind = _has_more(pipe)
            body = received(pipe)
            if body is None:
                break
            with self._precedence.in_pieces(is_behind=is_behind):
                message = unpacked(body)
                if isinstance(message, Close):
                    return message
                try:
                    self._handle(message)
                    if not _has_more(pipe):  # else the rest of a second may be what waits
                        self._obey(self._overseer.look(time.time()))
                except AmplyError as error:
                    self.fail(error)
        return Close(datetime.now(UTC).isoformat(timespec="milliseconds"), "the generator was killed")

    def _handle(self, message: Any) -> None:
        match message:
            case Batch():
                self._take(message)
            case Sync():
                _answer(synced=message.number)
            case Event():
                self.note(message.kind, message.name, message.detail, message.time_s)
            case Begin():
                if not self._samplers:
                    self._samplers = [Sampler(self._opened, node, self) for node in self._opened.nodes]
                    for sampler in self._samplers:
                        sampler.start()
                began_s = time.time()  # the load waits for the samplers
                self.note("phase", "measured", {"users": message.users}, began_s)
                self._obey(self._overseer.begin(began_s))
                self._precedence.give_way(is_scheduled=self._opened.manifest["arrivals"] != "closed")

    def close(self, end: Close) -> None:
        """Write the run's files, and its verdict with them."""
        self._precedence.take_part()
        self._obey(self._overseer.end("the run ended"))
        for sampler in self._samplers:
            sampler.finish()
        broken_off = end.broken_off or (self.failure.what if self.failure else "")

        def verdict_of(tables: Mapping[str, pd.DataFrame], manifest: Mapping[str, Any]) -> dict[str, str]:
            verdict, reason = judge(tables, manifest, broken_off)
            return {"verdict": verdict, "verdict_reason": reason}

        found = {} if self._knee is None else {"knee": self._knee}
        final = self.writer.close(verdict_of, ended_at=end.ended_at, **found)
        _answer(closed={"verdict": final["verdict"], "reason": final["verdict_reason"]})

    def append(self, table: str, rows: Any) -> None:
        try:
            with self._lock:
                self.writer.append(table, rows)
        except AmplyError as error:
            self.fail(error)

    def note(self, kind: str, name: str, detail: dict[str, Any], time_s: float | None = None) -> None:
        when_s = time.time() if time_s is None else time_s
        self.append("events", [{"time_s": when_s, "kind": kind, "name": name, "detail": json.dumps(detail)}])

    def tell(self, words: str) -> None:
        """Have the generator say something at once."""
        _answer(notice=words)

    def fail(self, error: AmplyError) -> None:
        """Tell the generator once; what was written stays."""
        if self.failure is None:
            self.failure = error
            _answer(failure={"what": error.what, "got": error.got, "do": error.do})

    def _take(self, batch: Batch) -> None:
        requests = histogram_rows(batch)
        _answer(console=console_rows(requests), errors=batch.errors)
        self.append("requests", requests)
        self.append("accesses", access_rows(batch))
        self.append("events", batch.events + offered_events(batch) + error_events(batch, time.time()))
        self._warn(batch)
        if self._overseer.is_needed:
            loads = [json.loads(event["detail"]) for event in batch.events if event["name"] == "load"]
            self._overseer.take(batch, requests, loads)

    def _obey(self, orders: Iterable[Order]) -> None:
        """Note what the overseer decided, and pass it on to the generators."""
        for order in orders:
            if order.event is not None:
                name, detail = order.event
                self.note("knee", name, detail)
            if order.knee is not None:
                self._knee = order.knee
                _answer(knee=order.knee)
            if order.rate is not None:
                _answer(rate=order.rate)
            if order.stop is not None:
                self.note("phase", "stopped", {"reason": order.stop})
                _answer(stop=order.stop)

    def _warn(self, batch: Batch) -> None:
        """Once: several keys of one command that lie in several slots."""
        crossing = next((error for error in batch.errors if error[2].startswith("CROSSSLOT")), None)
        if crossing is not None and not self._has_warned:
            self._has_warned = True
            use_case, operation, text, _ = crossing
            self.note("finding", "a command over several slots", {
                "use_case": use_case, "operation": operation, "reply": text, "fix": _CROSSSLOT_FIX})
            self.tell(f"{operation} fails on a sharded cluster, its keys lie in several slots ({text}): "
                      f"{_CROSSSLOT_FIX}")


def _has_more(pipe: IO[bytes]) -> bool:
    """Whether something has come that was not read yet."""
    return bool(select.select([pipe], [], [], 0.0)[0])


def _answer(**content: Any) -> None:
    try:
        sys.stdout.write(json.dumps(content) + "\n")  # one call: the sampler's thread answers too
        sys.stdout.flush()
    except BrokenPipeError:  # the generator is gone; its data stay our business
        sys.stdout = open("/dev/null", "w")  # noqa: SIM115


def main() -> int:
    """Serve one run."""
    # The usual one gives memory back and asks anew: on a virtual machine now and then 10 ms in one call.
    pa.set_memory_pool(pa.system_memory_pool())
    pipe = io.BufferedReader(io.FileIO(0, closefd=False), 1)  # what it reads ahead, `select` would not see
    first = received(pipe)
    opened = None if first is None else unpacked(first)
    if not isinstance(opened, Open):
        return 2
    if opened.has_workers and opened.manifest["arrivals"] == "closed":
        ask_for_long_slices()
    try:
        scribe = _Scribe(opened)
    except AmplyError as error:
        _answer(failure={"what": error.what, "got": error.got, "do": error.do})
        return 2
    _answer(opened=True)
    end = scribe.serve(pipe)
    try:
        scribe.close(end)
    except AmplyError as error:  # the parts stay for `runs recover`
        scribe.fail(error)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
