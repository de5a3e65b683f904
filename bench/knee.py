"""Whether the knee is where the search says: the server gives out first, and fixed rates beside it agree."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from amply_capacity.run.histogram import quantile_us
from amply_capacity.run.reader import read_run
from bench.rig import LOCUSTFILES, Rig, rig

__all__ = ["table"]

_SEARCHES = 3
_P99_MS = 20.0
_USERS = ("-u", "100", "-r", "100", "--prefill", "0")
_BESIDE = (0.9, 1.1)
_CHECK_SECONDS = 25.0


def table() -> str:
    """A search per seed, then a run at 0.9 and 1.1 of the middle of each interval, other seeds."""
    lines = [
        f"knee of a command that takes the server most of a ms, p99 of {_P99_MS:g} ms, 90 % confidence",
        f"{'seed':>4} {'low':>7} {'mid':>7} {'high':>7} {'± %':>5} {'load s':>7} "
        + " ".join(f"{f'p99 at {share:g} mid':>15}" for share in _BESIDE)
        + "  generator's share of a core",
    ]
    with rig() as server, tempfile.TemporaryDirectory() as scratch:
        for seed in range(1, _SEARCHES + 1):
            lines.append(_search(server, Path(scratch), seed))
    return "\n".join(lines)


def _search(server: Rig, scratch: Path, seed: int) -> str:
    directory = scratch / f"knee-{seed}"
    server.locust(
        LOCUSTFILES / "costly.py",
        *_USERS,
        "--knee",
        "--rate",
        "100",
        "--p99-ms",
        f"{_P99_MS:g}",
        "--seed",
        str(seed),
        seconds=115.0,
        run_dir=directory,
    )
    knee: dict[str, Any] = json.loads((directory / "run.json").read_text())["knee"]
    events = read_run(directory).events
    cpu = [detail["cpu_percent"] for detail in events.loc[events["name"] == "load", "detail"]]
    low, mid, high = knee["low"], knee["mid"], knee["high"]
    if low is None or high is None:
        return f"{seed:>4} not bounded: {knee['reason']}"
    beside = [
        _p99_ms(server, scratch / f"beside-{seed}-{share}", round(share * mid), seed + 100)
        for share in _BESIDE
    ]
    return (
        f"{seed:>4} {low:>7,.0f} {mid:>7,.0f} {high:>7,.0f} {50.0 * (high - low) / mid:>5.1f} "
        f"{knee['load_seconds']:>7} "
        + " ".join(f"{p99_ms:>12.1f} ms" for p99_ms in beside)
        + f"  {max(cpu):.0f} % at most"
    )


def _p99_ms(server: Rig, directory: Path, rate: int, seed: int) -> float:
    server.locust(
        LOCUSTFILES / "costly.py",
        *_USERS,
        "--arrivals",
        "poisson",
        "--rate",
        str(rate),
        "--seed",
        str(seed),
        seconds=_CHECK_SECONDS,
        run_dir=directory,
    )
    run = read_run(directory)
    first, last = run.measured_seconds
    times = run.requests[
        run.requests["second"].between(first + 1, last)
        & (run.requests["command"] == "")
        & (run.requests["clock"] == "response")
    ]
    return quantile_us(times["bucket_us"], times["count"], 0.99) / 1000.0
