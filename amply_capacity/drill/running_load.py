"""The load that runs while something breaks: a scenario of ours, played by Locust in a process of its own."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from amply_capacity.drill.interrupts import undisturbed
from amply_capacity.drill.request import DrillRequest, scenario_file
from amply_capacity.errors import AmplyError
from amply_capacity.run.writer import is_being_written
from amply_capacity.target import process

__all__ = ["RunningLoad"]

_LOOK_SECONDS = 0.02
_BEGIN_SECONDS = 300.0  # a large population is filled in first
_CLOSE_SECONDS = 90.0
_LAST_WORDS = 400


class RunningLoad:
    """Within: operations come as the request says, and are recorded; it ends with the block, or with us.

    Its keys stay on the target, to be looked at; `journal` holds what was done to each.
    """

    def __init__(self, request: DrillRequest, target: str, topology: str, run: Path, scratch: Path) -> None:
        self.run, self.journal = run, scratch / "journal"
        self.journal.mkdir(mode=0o700)
        self._log = scratch / "locust.log"
        self._request = request
        command = [
            sys.executable, "-m", "locust", "-f", str(scenario_file(request.scenario)), "--headless",
            "--only-summary", "--loglevel", "WARNING", "--exit-code-on-error", "0",
            "-u", str(request.users), "-r", str(request.users), "-t", f"{request.seconds}s",
            "--arrivals", request.arrivals, "--rate", f"{request.rate:g}", "--seed", str(request.seed),
            "--population", str(request.population), "--prefill", f"{request.prefill:g}",
            "--demand", str(request.demand), "--timeout-ms", f"{request.timeout_ms:g}",
            "--target", target, "--run-dir", str(run),
            "--share-cores", "--journal", str(self.journal), "--leave-keys",
        ]
        if request.mix is not None:
            command += ["--mix", request.mix]
        if topology == "sharded":  # else ending all of a user's sessions fails, with every server in health
            command += ["--multi-key", "per-key"]
        with self._log.open("wb") as words:
            # A session of its own: Ctrl-C is for the drill, which ends the load in order.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=words, stderr=subprocess.STDOUT,
                start_new_session=True, preexec_fn=functools.partial(process.die_with, os.getpid()))

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait_until_it_loads(self) -> float:
        """Wait for the first operation; now. Raises AmplyError with Locust's words where none comes."""
        limit = time.monotonic() + _BEGIN_SECONDS
        while not any(file.stat().st_size for file in self.journal.iterdir()):
            if not self.is_running or time.monotonic() > limit:
                raise self._failure()
            time.sleep(_LOOK_SECONDS)
        return time.time()

    def wait_until_it_ends(self, seconds: float) -> None:
        """Wait for the end of the load's time, and until its run is whole."""
        limit = time.monotonic() + seconds + _CLOSE_SECONDS
        while self.is_running and time.monotonic() < limit:
            time.sleep(_LOOK_SECONDS)
        self.stop()

    def stop(self) -> None:
        """End it now, and wait until its run is whole."""
        if self.is_running:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_CLOSE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
        # Its recording process has a session of its own, and finishes the run also when Locust was killed.
        limit = time.monotonic() + _CLOSE_SECONDS
        while is_being_written(self.run) and time.monotonic() < limit:
            time.sleep(_LOOK_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with undisturbed():
            self.stop()

    def _failure(self) -> AmplyError:
        words = self._log.read_text(errors="replace").strip().splitlines()
        said = next((line for line in words if line.startswith("locust: ")), None)
        return AmplyError("the load under which to drill did not begin",
                          got=(said or " / ".join(words[-2:]) or "no word of Locust's")[-_LAST_WORDS:],
                          do="correct that, then drill again")
