"""Loads of the accuracy benchmark, recorded as runs on one server that ends with the process."""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

from amply_capacity.run.reader import Run, read_run
from amply_capacity.traffic.mix import format_mix
from bench.awake import awake
from bench.rig import SERVER_CORE, Rig
from bench.rig import rig as rig_of_a_server

__all__ = ["Load", "Recorder"]

_USERS = ("-u", "50", "-r", "50")
_NEXT_SEED = 1_000


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

    def _started(self) -> Rig:
        if self._rig is None:
            self._rig = self._stack.enter_context(rig_of_a_server())
            if self._keeps_awake:
                self._stack.enter_context(awake(SERVER_CORE))
            self._scratch = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
            atexit.register(self._stack.close)
        return self._rig
