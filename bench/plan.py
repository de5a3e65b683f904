"""How long a plan takes and how much memory: one demand against everything that is sold, and a fleet of them.

Each in a process of its own on one core, but for the fleet, which uses all.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from amply_capacity.files import EXAMPLE_RUN, ROOT
from amply_capacity.plan.allowed import Allowed, Application
from amply_capacity.plan.demand import Demand, load_demand
from bench.apart import apart

__all__ = ["table"]

_EXAMPLE = ROOT / "data" / "demand.example.toml"
_REPEATS = 5
_CLUSTERS = 1_000
_LONGEST_SECONDS = 300.0
_TERMS = ["on_demand", "1yr_no", "1yr_partial", "1yr_all", "3yr_no", "3yr_partial", "3yr_all"]
_CASES = {"Amply as it is": 1.0, "a hundred times Amply": 100.0}


def table() -> str:
    """Median, least and most seconds of each, and the largest resident set."""
    lines = ["10,000 worlds x 36 months, both engines, up to 6 shards and 3 replicas, all terms, serverless",
             f"{'':<30} {'seconds':>24} {'allowed':>8} {'resident':>10} {'allowed':>8}  options, chosen"]
    for name in _CASES:
        runs = [_one(name) for _ in range(_REPEATS)]
        seconds = [run["seconds"] for run in runs]
        spread = f"{statistics.median(seconds):.2f} ({min(seconds):.2f}-{max(seconds):.2f})"
        most = max(run["resident_mb"] for run in runs)
        lines.append(f"{name:<30} {spread:>24} {'3':>8} {most:>7,.0f} MB {'1,000':>8}  {runs[0]['answer']}")
    lines += ["", f"a fleet of {_CLUSTERS:,} clusters on {os.cpu_count()} cores: {_fleet():.1f} s "
                  "(60 allowed)"]
    return "\n".join(lines)


def _one(case: str) -> dict[str, Any]:
    taken = apart("-m", "bench.plan", case, longest_seconds=_LONGEST_SECONDS,
                  preexec_fn=lambda: os.sched_setaffinity(0, {0}))
    return {**json.loads(taken.output), "resident_mb": taken.resident_mb}


def _fleet() -> float:
    with tempfile.TemporaryDirectory() as scratch:
        rows = ["cluster,demand,run"]
        text = _EXAMPLE.read_text()
        for number in range(_CLUSTERS):
            demand = Path(scratch) / f"{number}.toml"
            users = 2_000 * (number % 200 + 1)
            demand.write_text(text.replace("registered = 25_000", f"registered = {users}"))
            rows.append(f"cluster-{number},{demand.name},{EXAMPLE_RUN}")
        table = Path(scratch) / "fleet.csv"
        table.write_text("\n".join(rows) + "\n")
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "amply_capacity.cli", "plan", "--fleet", str(table), "--json"],
                       stdout=subprocess.DEVNULL, check=True, timeout=_LONGEST_SECONDS)
        return time.perf_counter() - began


def _everything(factor: float) -> Demand:
    demand = load_demand(_EXAMPLE)
    return replace(
        demand, users=replace(demand.users, registered=demand.users.registered.scaled(factor)),
        connections=replace(demand.connections, tasks=demand.connections.tasks.scaled(factor**0.5)),
        allowed=Allowed(engines=["redis", "valkey"], terms=list(_TERMS)),  # type: ignore[arg-type]
        application=Application(cluster_mode=True), plan=replace(demand.plan, horizon_months=36))


def _timed(case: str) -> None:
    """The search alone: what it imports and reads is there before."""
    from amply_capacity.model.digest import digest
    from amply_capacity.plan.decision import make_plan
    from amply_capacity.run.reader import read_run

    evidence, demand = digest(read_run(EXAMPLE_RUN)), _everything(_CASES[case])
    from datetime import date

    began = time.perf_counter()
    made = make_plan([evidence], demand, start=date(2026, 11, 28))
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds,
                      "answer": f"{len(made.ranked)} scored, {made.chosen.option.nodes} x "
                                f"{made.chosen.option.node.name} {made.chosen.option.engine} "
                                f"{made.chosen.option.term}"}))


if __name__ == "__main__":
    _timed(sys.argv[1])
