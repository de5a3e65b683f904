"""The generator's end of the recording process."""

from __future__ import annotations

import contextlib
import fcntl
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import gevent
from gevent.lock import Semaphore

from amply_capacity.errors import AmplyError
from amply_capacity.load.wire import Close, Open, Sync, packed
from amply_capacity.progress import say

__all__ = ["Recording"]

_CLOSE_SECONDS = 120.0
_SETTLE_SECONDS = 20.0
_BREATH_SECONDS = 1e-3  # 0 would not let the event loop go round
_PIPE_BYTES = 1024**2  # what Linux allows everybody (pipe(7))
_ORDERS = frozenset({"rate", "knee", "stop"})


class Recording:
    """A run being recorded by a process of its own; messages go out, Locust's figures and failures come back.

    The process has its own group, so that Ctrl-C does not reach it, but not its own session, to which Linux
    gives a share of a core whatever runs there (sched(7), autogroup). It ends when told to, or when this
    process is gone. Raises AmplyError when it cannot open the run.
    """

    def __init__(self, opened: Open, on_console: Callable[[dict[str, Any]], None],
                 on_order: Callable[[dict[str, Any]], None],
                 on_failure: Callable[[AmplyError], None]) -> None:
        self.directory = opened.directory
        self._on_console, self._on_order = on_console, on_order
        self._on_failure = on_failure
        self._closed: dict[str, Any] | None = None
        self._failure: AmplyError | None = None
        self._lock = Semaphore()
        self._syncs = self._synced = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "amply_capacity.load.scribe"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0)
        with contextlib.suppress(OSError):  # it has ended already: it answers nothing either
            _widen(self._pipe)
            self._write(packed(opened))
        first = self._answer(self._process.stdout.readline() if self._process.stdout else b"")
        if "opened" not in first:
            self._process.wait()
            raise self._failure or AmplyError("the recording process did not start", got="it ended at once",
                                              do="see its words above")
        self._reader = gevent.spawn(self._read)

    def send(self, message: Any) -> None:
        """Hand a message over; a recording process that has died is a failure, told once."""
        try:
            with self._lock:
                # Clients first: draining held them up, and so do packing and writing.
                gevent.sleep(_BREATH_SECONDS)
                body = packed(message)
                gevent.sleep(_BREATH_SECONDS)
                self._write(body)
        except OSError:
            self._fail(AmplyError("the recording process has died", got=f"exit code {self._process.poll()}",
                                  do=f"`amply-capacity runs recover {self.directory}` keeps what it wrote"))

    def settle(self) -> None:
        """Wait until everything sent so far has come back in `on_console`."""
        self._syncs += 1
        self.send(Sync(self._syncs))
        with gevent.Timeout(_SETTLE_SECONDS, False):
            while self._synced < self._syncs and self._failure is None:
                gevent.sleep(0.01)

    def close(self, message: Close) -> dict[str, Any]:
        """End the recording; its verdict and reason. Empty when it has failed."""
        self.send(message)
        with contextlib.suppress(OSError):  # it has died, which `send` has said
            self._pipe.close()
        self._reader.join(timeout=_CLOSE_SECONDS)
        self._process.wait(timeout=_CLOSE_SECONDS)
        return self._closed or {}

    @property
    def _pipe(self) -> Any:
        return self._process.stdin

    def _write(self, body: bytes) -> None:
        self._pipe.write(body)
        self._pipe.flush()

    def _read(self) -> None:
        if self._process.stdout is not None:
            for line in self._process.stdout:
                self._answer(line)

    def _answer(self, line: bytes) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(line) if line.strip() else {}
        if "console" in answer:
            self._on_console(answer)
        if _ORDERS & answer.keys():
            self._on_order(answer)
        if "notice" in answer:
            say(f"locust: {answer['notice']}")
        self._synced = answer.get("synced", self._synced)
        if "closed" in answer:
            self._closed = answer["closed"]
        if "failure" in answer:
            self._fail(_error(answer["failure"]))
        return answer

    def _fail(self, error: AmplyError) -> None:
        if self._failure is None:
            self._failure = error
            self._on_failure(error)


def _widen(pipe: Any) -> None:
    """Room for a second of a fast load, which then is written at once, not in pieces of the usual 64 KiB."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):  # as an administrator may limit it
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _error(failure: dict[str, Any]) -> AmplyError:
    return AmplyError(failure["what"], got=failure["got"], do=failure["do"])
