"""used_memory of a server as `amply-capacity profile` predicts it from a fiftieth of its keys."""

from __future__ import annotations

import atexit
import contextlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from amply_capacity.interval import Interval
from bench.claim import Claim, Experiment
from bench.memory import classes_of, load
from bench.server import Wire, bare_server

__all__ = ["experiments"]

_SHARE = 0.02
_CASES = ((24_000, 20_271), (31_000, 20_272))
"""Users, and the seed of their keyspace."""


def experiments() -> list[Experiment]:
    return [_experiment(users, seed) for users, seed in _CASES]


def _experiment(users: int, seed: int) -> Experiment:
    """The server has to be there to be profiled, and stays until it is measured."""
    standing = contextlib.ExitStack()
    atexit.register(standing.close)
    port = standing.enter_context(bare_server(maxmemory="4gb", maxmemory_policy="volatile-lru"))
    classes = classes_of(users, seed)
    load(port, classes)
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(
            [sys.executable, "-m", "amply_capacity.cli", "profile", f"redis://127.0.0.1:{port}", "--sample",
             str(_SHARE), "--commands-per-second", "50000", "--json", "--out",
             str(Path(scratch) / "keyspace.csv")], check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)["check"]
    predicted = Interval(found["low"], found["predicted"], found["high"])
    count = sum(one.count for one in classes)
    claim = Claim("used_memory from a 2 % profile", f"{count:,} keys of five kinds", "B", predicted, 0.02)

    def measured() -> list[float]:
        with standing, Wire(port) as wire:
            return [float(wire.info()["used_memory"])]

    return Experiment([claim], measured, {"users": users, "seed": seed})
