"""What the load benchmarks share: a server on one core, generators on another, and what each of them used."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from amply_capacity.target import cluster as clusters
from amply_capacity.target.endpoint import Endpoint, connect
from amply_capacity.target.process import die_with

__all__ = ["GENERATOR_CORE", "LOCUSTFILES", "POPULATION", "SCENARIOS", "SERVER_CORE", "Reading", "Rig",
           "Throughput", "in_turns", "median_spread", "rig"]

GENERATOR_CORE, SERVER_CORE = 0, 1
POPULATION = 2000
LOCUSTFILES = Path(__file__).parent / "locustfiles"
SCENARIOS = Path(__file__).parents[1] / "loadtests"
_READING_SECONDS = 0.2
_IDLE_CALLS = 20  # what the readings themselves and INFO may make between two
_WARM_UP_SECONDS, _COOL_DOWN_SECONDS = 1.0, 0.5
_LONGEST_SECONDS = 200.0
_SETTLING_SECONDS = 0.15
_LAST_WORDS = 500


class _NoLoad(RuntimeError):
    """The generator did not do what was to be measured."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """What a generator got out of its core."""

    commands_per_second: float
    commands_per_cpu_second: float
    """CPU of all its processes: workers, master and the recording one."""


class Reading(NamedTuple):
    """What was made up to a moment, of the epoch."""

    time_s: float
    calls: int
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Rig:
    """The server under all contenders."""

    endpoint: Endpoint
    name: str
    control: Any

    def empty(self) -> None:
        self.control.flushall()

    def locust(self, file: Path, *options: str, seconds: float, run_dir: Path | None = None,
               env: dict[str, str] | None = None) -> Throughput:
        """Run a locustfile, pinned; what the server executed for it in the middle of the load."""
        readings = self.readings(file, *options, seconds=seconds, run_dir=run_dir, env=env)
        first, last = readings[0], readings[-1]
        calls = last.calls - first.calls
        return Throughput(calls / (last.time_s - first.time_s), calls / (last.cpu_s - first.cpu_s))

    def record(self, file: Path, *options: str, seconds: float, run_dir: Path,
               env: dict[str, str] | None = None) -> None:
        """Run a locustfile, pinned, and ask the server nothing beside it: what the run records is enough."""
        with self.generator(file, *options, seconds=seconds, run_dir=run_dir, env=env) as process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_LONGEST_SECONDS)
            if not (run_dir / "run.json").exists():
                raise _NoLoad("the generator recorded no run")

    def readings(self, file: Path, *options: str, seconds: float, run_dir: Path | None = None,
                 env: dict[str, str] | None = None) -> list[Reading]:
        """Run a locustfile, pinned; readings in the middle of the load."""
        with self.generator(file, *options, seconds=seconds, run_dir=run_dir, env=env) as process:
            return self._watch(process, run_dir)

    @contextlib.contextmanager
    def generator(self, file: Path, *options: str, seconds: float, run_dir: Path | None = None,
                  env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
        """A locustfile at work, pinned; ended with the block, or with us, though it stands still then."""
        command = [sys.executable, "-m", "locust", "-f", str(file), "--headless", "-t", f"{seconds:g}s",
                   "--only-summary", *options]
        if run_dir is not None:
            command += ["--target", self.name, "--population", str(POPULATION), "--run-dir", str(run_dir)]
        log = run_dir.with_suffix(".log") if run_dir is not None else Path(os.devnull)
        with open(log, "w") as words:
            process = subprocess.Popen(
                command, stdout=words, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})},
                preexec_fn=functools.partial(_pin, os.getpid()))
            try:
                yield process
            except _NoLoad as error:
                words.flush()
                raise RuntimeError(f"{error}: {log.read_text()[-_LAST_WORDS:]}") from None
            finally:
                if process.poll() is None:
                    process.terminate()
                process.wait(timeout=_LONGEST_SECONDS)

    def _watch(self, process: subprocess.Popen[bytes], run_dir: Path | None) -> list[Reading]:
        """After a warm-up, and without the last moments."""
        deadline = time.monotonic() + _LONGEST_SECONDS
        readings: list[Reading] = []
        while process.poll() is None and time.monotonic() < deadline:
            if self._is_under_load(run_dir):
                readings.append(self.reading(process))
            time.sleep(_READING_SECONDS)
        if len(readings) < 2:
            raise _NoLoad("the generator ended before it loaded the server")
        busy = [later for earlier, later in itertools.pairwise(readings)
                if later.calls - earlier.calls > _IDLE_CALLS]
        return [one for one in busy
                if busy[0].time_s + _WARM_UP_SECONDS < one.time_s < busy[-1].time_s - _COOL_DOWN_SECONDS]

    def await_load(self, run_dir: Path | None = None) -> None:
        """Until a generator records into `run_dir`, or has connected its clients. Raises RuntimeError."""
        deadline = time.monotonic() + _LONGEST_SECONDS
        while not self._is_under_load(run_dir):
            if time.monotonic() > deadline:
                raise _NoLoad("the generator connected no clients")
            time.sleep(_READING_SECONDS)

    def reading(self, process: subprocess.Popen[bytes], members: Sequence[int] = ()) -> Reading:
        """What that generator and all it started have got out of the server so far.

        Who they are may be said: the kernel's list of children misses one now and then.
        """
        return Reading(time.time(), self._calls(), _cpu_seconds(members or _family(process.pid)))

    def _is_under_load(self, run_dir: Path | None) -> bool:
        """For a scenario of ours: the run has begun. Else the server has many clients."""
        if run_dir is not None:
            return (run_dir / "parts" / "server.arrows").exists()
        return int(self.control.info("clients")["connected_clients"]) > 10

    def _calls(self) -> int:
        return int(self.control.info("stats")["total_commands_processed"])


@contextlib.contextmanager
def rig() -> Iterator[Rig]:
    """A server of ours on its core."""
    with clusters.throw_away(maxmemory_bytes=2 * 1024**3) as cluster, connect(cluster.endpoint) as control:
        os.sched_setaffinity(int(control.info("server")["process_id"]), {SERVER_CORE})
        yield Rig(cluster.endpoint, cluster.name, control)


def in_turns(contenders: Sequence[tuple[Rig, subprocess.Popen[bytes]]], turn_seconds: float,
             rounds: int) -> list[list[Throughput]]:
    """What each generator, at work with a server of its own, gets out of the one core in each of its turns.

    All others stand still meanwhile (SIGSTOP): so each has the core for itself, and whatever a shared host
    does, it does to all within seconds. Turns of all together are to be shorter than what a worker may be
    silent (3 s), and a command may take.
    """
    throughputs: list[list[Throughput]] = [[] for _ in contenders]
    members = [sorted({*_family(process.pid), *_family(process.pid)}) for _, process in contenders]
    order = list(range(len(contenders)))
    for each in members:
        _signal(each, signal.SIGSTOP)
    try:
        for number in range(rounds):
            for which in order if number % 2 == 0 else reversed(order):
                server, process = contenders[which]
                _signal(members[which], signal.SIGCONT)
                time.sleep(_SETTLING_SECONDS)
                first = server.reading(process, members[which])
                time.sleep(turn_seconds)
                last = server.reading(process, members[which])
                _signal(members[which], signal.SIGSTOP)
                calls = last.calls - first.calls
                if process.poll() is not None or calls < _IDLE_CALLS:
                    raise _NoLoad("a generator made no load in its turn: nothing was compared")
                throughputs[which].append(
                    Throughput(calls / (last.time_s - first.time_s), calls / (last.cpu_s - first.cpu_s)))
    finally:
        for each in members:
            _signal(each, signal.SIGCONT)
    return throughputs


def median_spread(values: Sequence[float], digits: int = 0) -> str:
    """`median (least–most)`, with so many digits after the point."""
    return (f"{statistics.median(values):>9,.{digits}f} "
            f"({min(values):,.{digits}f}–{max(values):,.{digits}f})")


def _pin(parent: int) -> None:
    """For a generator, before it begins."""
    os.sched_setaffinity(0, {GENERATOR_CORE})
    die_with(parent)


def _family(pid: int) -> list[int]:
    """A process and all it started that still run.

    Asked of the kernel, for this is read beside a load whose lateness counts: psutil looks through all
    processes of the machine for the children of one, which takes three times as long.
    """
    found = [pid]
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                found += _family(int(child))
    return found


def _cpu_seconds(members: Sequence[int]) -> float:
    """Of these processes, as the scheduler counts, in ns: /proc/PID/stat counts 10 ms."""
    total_ns = 0
    for one in members:
        with contextlib.suppress(OSError):
            for thread in Path(f"/proc/{one}/task").iterdir():
                total_ns += int((thread / "schedstat").read_text().split()[0])
    return total_ns / 1e9


def _signal(members: Sequence[int], number: signal.Signals) -> None:
    for one in members:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, number)
