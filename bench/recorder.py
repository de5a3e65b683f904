"""Loads of the accuracy benchmark, recorded as runs on one server that ends with the process."""

from __future__ import annotations

import atexit
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

from amply_capacity.run.reader import Run, read_run
from amply_capacity.traffic.mix import format_mix
from bench.awake import Core, awake
from bench.rig import SERVER_CORE, Rig
from bench.rig import rig as rig_of_a_server

__all__ = ["Load", "Recorder"]

_USERS = ("-u", "50", "-r", "50")
_NEXT_SEED = 1_000
# By how much of its logarithm a server's CPU follows the core's speed. On development recordings, 9 runs at
# each of four rates, it took the runs' deviation from 13, 9, 7 and 7 % to 6, 6, 4 and 5 %.
_FOLLOWS = 0.5


@dataclass(frozen=True, slots=True)
class Load:
    """One run to make."""

    name: str
    file: Path
    rate: int
    seed: int
    seconds: float
    mix: Mapping[str, int] = field(default_factory=dict)
    scripts: str = ""
    """What the scripts of `scripts.py` cost, as it takes them."""

    def again(self, number: int) -> Load:
        """The same with a seed of its own."""
        return replace(self, seed=self.seed + _NEXT_SEED * number)

    @property
    def inputs(self) -> dict[str, object]:
        """What the ledger keeps the hash of."""
        return {"name": self.name, "file": self.file.name, "rate": self.rate, "seed": self.seed,
                "seconds": self.seconds, "mix": dict(self.mix), "scripts": self.scripts,
                "package": version("amply-capacity")}


class Recorder:
    """Starts its server with the first run; keeps the server's core from halting, if asked to."""

    def __init__(self, *, keeps_awake: bool = False) -> None:
        self._keeps_awake = keeps_awake
        self._stack = ExitStack()
        self._rig: Rig | None = None
        self._core: Core | None = None
        self._usual_speed: float | None = None
        self._scratch = Path()
        self._count = 0

    def run(self, load: Load, *arrivals: str) -> Run:
        rig = self._started()
        rig.empty()
        self._count += 1
        directory = self._scratch / f"{self._count}"
        words = [*_USERS, *(arrivals or ("--arrivals", "poisson")), "--rate", str(load.rate), "--seed",
                 str(load.seed)]
        words += ["--mix", format_mix(load.mix)] if load.mix else []
        words += ["--prefill", "0"] if load.scripts else []
        rig.record(load.file, *words, seconds=load.seconds, run_dir=directory,
                   env={"AMPLY_BENCH_SCRIPTS": load.scripts})
        return read_run(directory)

    def windows(self, loads: Sequence[Load], width: int, count: int) -> Iterator[tuple[int, list[Run]]]:
        """Run the loads again and again. From the round on that has `width` behind it, itself among them,
        `count` times: its number, and the runs of the last `width`, for what is then predicted of the next
        minute.
        """
        runs: list[Run] = []
        for number in range(width - 1 + count):
            runs += [self.run(load.again(number)) for load in loads]
            runs = runs[-width * len(loads):]
            if number >= width - 1:
                yield number, runs

    def at_usual_speed(self, run: Run) -> float:
        """What the CPU of a run on the core that is kept awake is multiplied by, to be that of a core as fast
        as it was in the first run asked for."""
        if self._core is None:
            raise RuntimeError("how fast the core was is known where it is kept awake only")
        first, last = run.measured_seconds
        speed = self._core.speed(first, last + 1)
        self._usual_speed = self._usual_speed or speed
        return math.pow(speed / self._usual_speed, _FOLLOWS)

    def _started(self) -> Rig:
        if self._rig is None:
            self._rig = self._stack.enter_context(rig_of_a_server())
            if self._keeps_awake:
                self._core = self._stack.enter_context(awake(SERVER_CORE))
            self._scratch = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
            atexit.register(self._stack.close)
        return self._rig
