"""Whether the clocks can be believed: beside an independent probe, in a stall, and in their schedule."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from math import exp, sqrt
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import gevent
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from amply_capacity.load.pace import Pace
from amply_capacity.load.reactor import Reactor
from amply_capacity.run.histogram import quantiles_us
from amply_capacity.run.reader import read_run
from amply_capacity.traffic.arrivals import SteadyRate, positions
from bench.awake import awake
from bench.rig import GENERATOR_CORE, LOCUSTFILES, SCENARIOS, SERVER_CORE, Rig, median_spread, rig
from bench.theft import watched_cores

__all__ = ["table"]

_SECONDS = 15.0
_WITNESS_SECONDS = 8
_STALL_MS, _STALLS, _BETWEEN_STALLS_SECONDS = 300, 4, 1.7
_STALL_BOUND_US = 50_000
_STALL_RATE = 2000
_LIGHT_RATE = 2000
_CLOSED_SECONDS = 6.0
_FEW, _MANY = ("-u", "50", "-r", "50"), ("-u", "200", "-r", "200")
"""The maximum and shares of it are of as many clients; a stall needs clients enough to wait in it."""
_SHARES, _BEYOND = (0.1, 0.3, 0.6), 1.2
_IDEAL_SHARES = (0.6, 0.7, 0.8, 0.9)
_STARTS = 70_000
_CATCHING_UP_SECONDS = 4
"""What was due while a core was away is worked off meanwhile."""
_ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))


class _Traffic(NamedTuple):
    """What is asked of the server."""

    name: str
    file: Path
    options: tuple[str, ...] = ()


_GETS = _Traffic("GET", LOCUSTFILES / "get_only.py", ("--prefill", "0"))
_MIXED = _Traffic("the mixed scenario", SCENARIOS / "mixed.py")


def table() -> str:
    """The probe, the stall, and two loads' schedule at shares of their maximum, beyond it, and an ideal one.

    Beside the probe the server has a core that never halts: to wake one takes a command up to some ms of the
    hypervisor's, now of one client and now of the other. The schedule is kept without: what keeps the core
    awake took an eighth of the generator's, where the two share a physical one (at 48,000 GETs a second it
    was 94 % full instead of 85, in turns).
    """
    with rig() as server, tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        server.control.mset({f"session:ses_{number:024}": "x" * 500 for number in range(10_000)})
        with awake(SERVER_CORE):
            most = _most(server, folder, _GETS)
            lines = [f"clocks, the server's core kept awake: closed-loop maximum {most:,.0f} GETs a second"]
            lines += _probe(server, folder, most)
            lines += _stalls(server, folder, most)
        lines += _schedule(server, folder, _GETS)
        lines += _schedule(server, folder, _MIXED)
        probabilities = ", ".join(f"{_ks_probability(most, number + 1):.2f}" for number in range(_ROUNDS))
        lines.append("intended starts as 200 clients are given them, Kolmogorov–Smirnov, by seed: "
                     f"p = {probabilities}")
    return "\n".join(lines)


def _most(server: Rig, folder: Path, traffic: _Traffic) -> float:
    """Operations a second that few clients do in a closed loop, the median second."""
    directory = folder / f"{traffic.file.stem}-closed"
    server.locust(traffic.file, *_FEW, *traffic.options, seconds=_CLOSED_SECONDS, run_dir=directory)
    run = read_run(directory)
    first, last = run.measured_seconds
    whole = run.requests[(run.requests["command"] == "") & (run.requests["clock"] == "service")]
    return float(whole[whole["second"].between(first, last)].groupby("second")["count"].sum().median())


def _poisson(server: Rig, directory: Path, rate: float, seed: int = 1, traffic: _Traffic = _GETS,
             clients: tuple[str, ...] = _MANY) -> pd.DataFrame:
    """The requests of a Poisson load, but for its first and last second."""
    server.locust(traffic.file, *clients, *traffic.options, "--arrivals", "poisson",
                  "--rate", f"{rate:.0f}", "--seed", str(seed), seconds=_SECONDS, run_dir=directory)
    run = read_run(directory)
    first, last = run.measured_seconds
    return run.requests[run.requests["second"].between(first + 1, last - 1)]


def _probe(server: Rig, folder: Path, most: float) -> list[str]:
    """Round by round, and of all together: of a probe's thousand times few lie beyond their p99."""
    lines = ["", "service time of GET, µs: recorded, and as a blocking probe sees it at the same time (95 %)",
             f"{'rate/s':>7} {'generator CPU':>13} {'p50':>6} {'probe':>6} {'p99':>6} {'probe':>6}"]
    rates = (_LIGHT_RATE, 0.15 * most, 0.3 * most)
    pooled: dict[float, list[tuple[pd.DataFrame, NDArray[np.int64], float]]] = {rate: [] for rate in rates}
    for number in range(_ROUNDS):
        for rate in rates:
            directory = folder / f"probe-{number}-{rate:.0f}"
            found: list[tuple[float, float, str]] = []
            witness = threading.Timer(5.0, lambda found=found: found.append(_witness(server.endpoint.port)))
            witness.start()
            requests = _poisson(server, directory, rate, seed=number + 1)
            witness.join()
            began_s, ended_s, words = found[0]
            times = requests[(requests["command"] == "") & (requests["clock"] == "service")
                             & requests["second"].between(int(began_s) + 1, int(ended_s) - 1)]
            pooled[rate].append((times, np.array(words.split(), dtype=np.int64), _generator_cpu(directory)))
            lines.append(_beside(rate, pooled[rate][-1:]))
    return [*lines, "all rounds together", *(_beside(rate, each) for rate, each in pooled.items())]


def _beside(rate: float, runs: list[tuple[pd.DataFrame, NDArray[np.int64], float]]) -> str:
    times, seen = pd.concat([one[0] for one in runs]), np.concatenate([one[1] for one in runs])
    p50, p99 = quantiles_us(times["bucket_us"], times["count"], [0.5, 0.99])
    # Of the ranks of a binomial count, as if no two times had the same cause: what a stall makes is narrower.
    beyond = 1.96 * sqrt(0.99 * 0.01 / len(seen))
    least, most = np.quantile(seen, [0.99 - beyond, min(0.99 + beyond, 1.0)])
    return (f"{rate:>7,.0f} {np.mean([one[2] for one in runs]):>11.0f} % {p50:>6.0f} "
            f"{np.quantile(seen, 0.5):>6.0f} {p99:>6.0f} {np.quantile(seen, 0.99):>6.0f} "
            f"({least:,.0f}–{most:,.0f})")


def _witness(port: int) -> tuple[float, float, str]:
    """When it began and ended, Unix time, and what it saw.

    From the generator's core: on the server's own it would never have to wake that, as every client does.
    """
    began_s = time.time()
    words = subprocess.run([sys.executable, "-m", "bench.probe", str(port), str(_WITNESS_SECONDS)],
                           check=True, capture_output=True, text=True,
                           preexec_fn=lambda: os.sched_setaffinity(0, {GENERATOR_CORE})).stdout
    return began_s, time.time(), words


def _generator_cpu(directory: Path) -> float:
    """Percent of a core, the median second."""
    events = read_run(directory).events
    return float(np.median([one["cpu_percent"] for one in events.loc[events["name"] == "load", "detail"]]))


def _stalls(server: Rig, folder: Path, most: float) -> list[str]:
    """CLIENT PAUSE while a Poisson schedule runs: whoever was meant to start in it, ends after it."""
    lines = ["", f"{_STALLS} stalls of {_STALL_MS} ms (CLIENT PAUSE) in a run, Poisson arrivals, "
                 f"{_STALL_RATE:,} operations/s",
             f"{'round':>5} {'lasted':>7} {'delayed':>8} {'expected':>9} {'ratio':>6} "
             f"{'offered in those seconds':>24} {'in the others: mean ± s.d.':>27}"]
    for number in range(_ROUNDS):
        directory = folder / f"stall-{number}"
        stalled: list[tuple[float, float]] = []
        timer = threading.Timer(5.0, _pauses, (server, stalled))
        timer.start()
        requests = _poisson(server, directory, _STALL_RATE, seed=number + 1)
        timer.join()
        struck = {int(began) for began, _ in stalled}
        after = {second + 1 for second in struck}
        near = requests[requests["second"].isin(struck | after) & (requests["command"] == "")
                        & (requests["clock"] == "response")]
        delayed = int(near.loc[near["bucket_us"] > _STALL_BOUND_US, "count"].sum())
        expected = sum(_delayed(ended - began, most) for began, ended in stalled)
        offered = _offered(directory).iloc[1:-1]
        others = offered[~offered.index.isin(struck | after)]
        lasted_ms = 1000.0 * float(np.mean([ended - began for began, ended in stalled]))
        lines.append(f"{number + 1:>5} {lasted_ms:>4.0f} ms {delayed:>8,} {expected:>9,.0f} "
                     f"{delayed / expected:>6.3f} {offered[offered.index.isin(struck)].mean():>24,.0f} "
                     f"{others.mean():>19,.0f} ± {others.std():,.0f}")
    return lines


def _pauses(server: Rig, stalled: list[tuple[float, float]]) -> None:
    """Stall the server again and again; when each stall began and ended, Unix time."""
    for _ in range(_STALLS):
        began = time.time()
        server.control.execute_command("CLIENT", "PAUSE", _STALL_MS, "ALL")
        server.control.ping()  # answered when it is over: Redis looks for that ten times a second
        stalled.append((began, time.time()))
        time.sleep(_BETWEEN_STALLS_SECONDS)


def _delayed(lasted_s: float, most: float) -> float:
    """Operations that such a stall delays beyond the bound, as a queue that is filled and worked off.

    What is due `t` before the stall's end waits `t`, then for what was due before it in the stall, which is
    done as fast as the closed loop can: `t + share (lasted - t)`, where `share` is the rate over that.
    """
    share = _STALL_RATE / most
    latest = (_STALL_BOUND_US / 1e6 - share * lasted_s) / (1.0 - share)
    return _STALL_RATE * (lasted_s - max(latest, 0.0))


def _schedule(server: Rig, folder: Path, traffic: _Traffic) -> list[str]:
    """In rounds, each with a maximum of its own: the host's mood changes both by half within minutes."""
    found: dict[float, list[_Kept]] = {share: [] for share in (*_SHARES, _BEYOND)}
    ideal: dict[float, list[tuple[float, float]]] = {share: [] for share in _IDEAL_SHARES}
    with watched_cores() as stolen:
        for number in range(_ROUNDS):
            scratch = folder / f"{traffic.file.stem}-{number}"
            scratch.mkdir()
            most = _most(server, scratch, traffic)
            for share in _SHARES if number else (*_SHARES, _BEYOND):
                found[share].append(
                    _kept(server, scratch / f"{share}", round(share * most), traffic, number + 1, stolen))
            for share, late_ms in _ideal(number + 1).items():
                ideal[share].append(late_ms)
    lines = ["", f"Poisson arrivals, {traffic.name}: offered against asked, lateness, what the run says of "
                 "itself; median (range) of the rounds",
             f"{'share of maximum':>16} {'offered / asked':>24} {'late: p50 ms':>24} {'p99 ms':>28} "
             f"{'of the median second':>28} {'CPU %':>18}  {'p99 ms, host left both cores alone':>36}"
             "  verdicts"]
    for share, rounds in found.items():
        (offered, p50_ms, p99_ms, median_ms, cpu_percent, verdicts, _, alone,
         seconds) = zip(*rounds, strict=True)
        lines.append(f"{share:>16.0%} {median_spread(offered, 3):>24} {median_spread(p50_ms, 2):>24} "
                     f"{median_spread(p99_ms, 2):>28} {median_spread(median_ms, 2):>28} "
                     f"{median_spread(cpu_percent):>18}  "
                     f"{_p99_words(pd.concat(alone), sum(seconds)):>36}  "
                     + ", ".join(verdicts))
    lines += [f"beyond it: {found[_BEYOND][0].reason}",
              "the same core after each round, with nothing but equal pieces of work, as late"]
    for share, late in ideal.items():
        p99_ms, median_ms = zip(*late, strict=True)
        lines.append(f"{share:>16.0%} {'':>49} {median_spread(p99_ms, 2):>28} "
                     f"{median_spread(median_ms, 2):>28}")
    return lines


def _ideal(seed: int) -> dict[float, tuple[float, float]]:
    """What the generator's core lets anybody keep who fills such a share: lateness p99, ms, and the median
    second's."""
    words = subprocess.run(
        [sys.executable, "-m", "bench.ideal", str(seed), *map(str, _IDEAL_SHARES)],
        check=True, capture_output=True, text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {GENERATOR_CORE})).stdout
    found = [json.loads(line) for line in words.splitlines()]
    return {one["share"]: (one["p99_ms"], one["median_second_ms"]) for one in found}


def _p99_words(late: pd.DataFrame, seconds: int) -> str:
    """Of the seconds in which the hypervisor took nothing, all rounds together, and how many they were."""
    if late.empty:
        return f"none of {seconds} s"
    (p99_us,) = quantiles_us(late["bucket_us"], late["count"], [0.99])
    return f"{p99_us / 1000.0:.2f} in {late['second'].nunique()} of {seconds} s"


class _Kept(NamedTuple):
    """How a schedule was kept."""

    offered: float
    """Over what was asked for."""
    p50_ms: float
    p99_ms: float
    """Of all its operations; one bad second of twelve is 8 % of them."""
    median_second_p99_ms: float
    cpu_percent: float
    verdict: str
    reason: str
    alone: pd.DataFrame
    """Lateness in the seconds in which the hypervisor took nothing of either core, nor just before."""
    seconds: int


def _kept(server: Rig, directory: Path, rate: float, traffic: _Traffic, seed: int,
          stolen: Mapping[int, float]) -> _Kept:
    requests = _poisson(server, directory, rate, seed, traffic, _FEW)
    late = requests[(requests["command"] == "") & (requests["clock"] == "lateness")]
    p50, p99 = quantiles_us(late["bucket_us"], late["count"], [0.5, 0.99]) / 1000.0
    manifest: dict[str, Any] = json.loads((directory / "run.json").read_text())
    alone = [second for second in late["second"].unique()
             if all(stolen.get(second - ago) == 0.0 for ago in range(_CATCHING_UP_SECONDS))]
    by_second = [float(quantiles_us(each["bucket_us"], each["count"], [0.99])[0]) / 1000.0
                 for _, each in late.groupby("second")]
    return _Kept(_offered(directory).iloc[1:-1].mean() / rate, p50, p99, float(np.median(by_second)),
                 _generator_cpu(directory),
                 manifest["verdict"], manifest["verdict_reason"],
                 late[late["second"].isin(alone)], late["second"].nunique())


def _ks_probability(most: float, seed: int) -> float:
    """That a true Poisson process' gaps lie as far from the exponential law (Kolmogorov's limit, 1933)."""
    began = time.perf_counter()
    pace = Pace(SteadyRate(0.6 * most / 200, began), Reactor(gevent.get_hub()), 200)
    for client in range(200):
        pace.enter(positions("poisson", Random(f"{seed}/{client}")), began)
    starts = np.array([pace.next_start() for _ in range(_STARTS)])
    gaps = np.sort(np.diff(starts))
    law = 1.0 - np.exp(-0.6 * most * gaps)
    ranks = np.arange(len(gaps) + 1) / len(gaps)
    distance = max(np.max(ranks[1:] - law), np.max(law - ranks[:-1])) * sqrt(len(gaps))
    return float(min(2.0 * sum((-1) ** (k - 1) * exp(-2.0 * k * k * distance**2) for k in range(1, 50)), 1.0))


def _offered(directory: Path) -> pd.Series:
    events = read_run(directory).events
    rows = pd.DataFrame(events.loc[events["name"] == "offered", "detail"].tolist())
    return rows.groupby("second")["operations"].sum()
