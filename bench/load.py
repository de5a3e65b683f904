"""How much traffic a generator core makes: ours, plain Locust, and the C tools; what recording costs.

Generator and server have a core each, of which the server's never halts (`awake`). The contenders take turns,
so that all meet the same machine.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from amply_capacity.target.process import free_port
from bench.awake import awake
from bench.rig import (
    GENERATOR_CORE,
    LOCUSTFILES,
    POPULATION,
    SCENARIOS,
    SERVER_CORE,
    Reading,
    Rig,
    Throughput,
    in_turns,
    median_spread,
    rig,
)

__all__ = ["table"]

_ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
_SECONDS = 7.0
_HEAD_START_SECONDS = 4.0  # ours fills in the keys first
_USERS = ("-u", "50", "-r", "50")
_SIZE_RATES = (1000, 10_000)
_SIZE_SECONDS = 20.0
_PROCESS_COUNTS = (1, 2, 4)
_PROCESS_USERS = ("-u", "200", "-r", "200")  # of the four, each then has the fifty of the other contests
_SHORT_TURN_SECONDS, _SHORT_TURNS = 0.8, 8  # of which there are so many a round
_TURN_SECONDS = 3.0
_SETTLING_SECONDS = 1.2  # what a turn recorded is summed up by then
_TURNS = 16 * _ROUNDS // 2
_MIXED = "mixed, ours"
_PLAIN, _PLAIN_HIREDIS = "mixed, plain Locust + redis-py", "the same, redis-py with hiredis"
_GET_SETEX, _REDIS_BENCHMARK, _MEMTIER = "GET/SETEX, ours", "GET/SETEX, redis-benchmark", "GET/SETEX, memtier"


def table() -> str:
    """Commands a second per generator core, their ratios, and the size of what is recorded."""
    with awake(SERVER_CORE), rig() as server, tempfile.TemporaryDirectory() as scratch:
        measured = _throughputs(server, Path(scratch))
        at_once = _at_once(server, Path(scratch))
        alternating = _alternating(server, Path(scratch))
        recording = _recording(server, Path(scratch))
        processes = _processes(Path(scratch))
        sizes = [_bytes_per_minute(server, Path(scratch), rate) for rate in _SIZE_RATES]
    lines = [
        f"load, {_ROUNDS} rounds in turns of {_SECONDS:g} s, a core each for generator and server, the "
        "server's kept from halting",
        f"{'':<32} {'commands/s: median (range)':>34} {'per CPU second of all generator processes':>44}",
    ]
    for name, each in measured.items():
        lines.append(
            f"{name:<32} {median_spread([one.commands_per_second for one in each]):>34} "
            f"{median_spread([one.commands_per_cpu_second for one in each]):>44}"
        )
    lines += ["", "ratios, round by round: median (range)"]
    pairs = [
        (_MIXED, _PLAIN, "at least 7, aim 9"),
        (_MIXED, _PLAIN_HIREDIS, ""),
        (_MIXED, _REDIS_BENCHMARK, ""),
        (_REDIS_BENCHMARK, _PLAIN, "what a client in C makes of this host"),
        (_GET_SETEX, _REDIS_BENCHMARK, "at least 0.6, aim 0.8"),
        (_GET_SETEX, _MEMTIER, ""),
    ]
    for ours, theirs, wanted in pairs:
        if ours in measured and theirs in measured:
            lines.append(f"{ours} / {theirs:<32} {_ratios(measured[ours], measured[theirs])}  {wanted}")
    lines += ["", at_once, alternating]
    low, high = sizes
    lines += [
        "",
        f"bytes of a run a minute at {_SIZE_RATES[0]:,} operations/s: {low:,.0f}; "
        f"at {_SIZE_RATES[1]:,}: {high:,.0f} ({100.0 * (high / low - 1.0):+.0f} %, "
        "less than +20 % wanted)",
    ]
    return "\n".join([*lines, recording, *processes])


def _throughputs(server: Rig, scratch: Path) -> dict[str, list[Throughput]]:
    contenders: dict[str, Callable[[Path], Throughput]] = {
        _MIXED: lambda run: server.locust(SCENARIOS / "mixed.py", *_USERS, seconds=_SECONDS, run_dir=run),
        _PLAIN: lambda run: _plain(server, hiredis=False),
        _PLAIN_HIREDIS: lambda run: _plain(server, hiredis=True),
        _GET_SETEX: lambda run: server.locust(
            LOCUSTFILES / "get_setex.py", *_USERS, "--prefill", "0", seconds=_SECONDS, run_dir=run
        ),
    }
    if shutil.which("redis-benchmark"):  # an embedded server brings none
        contenders[_REDIS_BENCHMARK] = lambda run: _redis_benchmark(server)
    if shutil.which("memtier_benchmark"):
        contenders[_MEMTIER] = lambda run: _memtier(server)
    measured: dict[str, list[Throughput]] = defaultdict(list)
    for number in range(_ROUNDS):
        for place, (name, measure) in enumerate(contenders.items()):
            measured[name].append(measure(scratch / f"run-{number}-{place}"))
    return measured


def _plain(server: Rig, *, hiredis: bool) -> Throughput:
    return server.locust(LOCUSTFILES / "plain.py", *_USERS, seconds=_SECONDS,
                         env=_plain_environment(server, hiredis=hiredis))


def _plain_environment(server: Rig, *, hiredis: bool) -> dict[str, str]:
    return {"BENCH_PORT": str(server.endpoint.port), "BENCH_POPULATION": str(POPULATION),
            "BENCH_HIREDIS": "1" if hiredis else ""}


def _at_once(server: Rig, scratch: Path) -> str:
    """Ours and plain Locust on the generator's core at the same time, a server each on the other.

    Whatever a shared host does then, it does to both: in turns their ratio differs by half.
    """
    ratios = []
    with rig() as other:
        for number in range(_ROUNDS):
            directory = scratch / f"at-once-{number}"
            with server.generator(SCENARIOS / "mixed.py", *_USERS, run_dir=directory,
                                  seconds=_SECONDS + 3.0 * _HEAD_START_SECONDS) as ours:
                time.sleep(_HEAD_START_SECONDS)
                with other.generator(LOCUSTFILES / "plain.py", *_USERS,
                                     seconds=_SECONDS + _HEAD_START_SECONDS,
                                     env=_plain_environment(other, hiredis=False)) as plain:
                    other.await_load()
                    time.sleep(_SETTLING_SECONDS)
                    before = server.reading(ours), other.reading(plain)
                    time.sleep(_SECONDS - _SETTLING_SECONDS - 1.0)
                    after = server.reading(ours), other.reading(plain)
                    if ours.poll() is not None or plain.poll() is not None:
                        raise RuntimeError("a generator had ended before it was read: nothing was compared")
            rates = [(last.calls - first.calls) / (last.cpu_s - first.cpu_s)
                     for first, last in zip(before, after, strict=True)]
            ratios.append(rates[0] / rates[1])
    return ("mixed, ours / plain Locust + redis-py, both on the one core at once, commands a CPU second: "
            f"{median_spread(ratios, 2).strip()}  at least 7, aim 9")


def _alternating(server: Rig, scratch: Path) -> str:
    """Ours and plain Locust in short turns, in which each has the generator's core for itself."""
    rounds = _SHORT_TURNS * _ROUNDS
    seconds = round(4.0 * _HEAD_START_SECONDS + 4.0 * rounds * _SHORT_TURN_SECONDS)
    directory = scratch / "alternating"
    with rig() as other, server.generator(SCENARIOS / "mixed.py", *_USERS, run_dir=directory,
                                          seconds=seconds) as ours:
        server.await_load(directory)
        with other.generator(LOCUSTFILES / "plain.py", *_USERS, seconds=seconds,
                             env=_plain_environment(other, hiredis=False)) as plain:
            other.await_load()
            time.sleep(_SETTLING_SECONDS)
            each = in_turns([(server, ours), (other, plain)], _SHORT_TURN_SECONDS, rounds)
    ratios = [one.commands_per_cpu_second / theirs.commands_per_cpu_second
              for one, theirs in zip(*each, strict=True)]
    return (f"the same, each alone on the core in {rounds} turns of {_SHORT_TURN_SECONDS:g} s, and the 95 % "
            f"of the median: {_median_interval(ratios)}  at least 7, aim 9")


def _redis_benchmark(server: Rig) -> Throughput:
    """GET and SETEX one after the other, weighted eight to two by the time that each takes."""
    seconds = 0.0
    cpu = 0.0
    count = 150_000
    for share, command in (
        (0.8, ["GET", "session:ses___rand_int__"]),
        (0.2, ["SETEX", "session:ses___rand_int__", "300", "x" * 250]),
    ):
        began = os.times()
        words = subprocess.run(
            [
                "redis-benchmark",
                "-p",
                str(server.endpoint.port),
                "-c",
                "50",
                "-n",
                str(count),
                "-r",
                "10000",
                "--csv",
                *command,
            ],
            check=True,
            capture_output=True,
            text=True,
            preexec_fn=_on_generator_core,
        ).stdout
        ended = os.times()
        rate = float(words.strip().splitlines()[-1].split('","')[1])
        seconds += share / rate
        used = ended.children_user + ended.children_system - began.children_user - began.children_system
        cpu += share * used / count
    return Throughput(1.0 / seconds, 1.0 / cpu)


def _memtier(server: Rig) -> Throughput:
    began = os.times()
    words = subprocess.run(
        [
            "memtier_benchmark",
            "-p",
            str(server.endpoint.port),
            "-c",
            "50",
            "-t",
            "1",
            "--ratio",
            "1:4",
            "-d",
            "250",
            "--key-maximum",
            "10000",
            "--expiry-range",
            "300-301",
            "--test-time",
            "5",
            "--hide-histogram",
        ],
        check=True,
        capture_output=True,
        text=True,
        preexec_fn=_on_generator_core,
    ).stdout
    ended = os.times()
    totals = re.search(r"^Totals\s+([\d.]+)", words, re.MULTILINE)
    assert totals is not None, words
    rate = float(totals[1])
    used = ended.children_user + ended.children_system - began.children_user - began.children_system
    return Throughput(rate, rate * 5.0 / used)


def _recording(server: Rig, scratch: Path) -> str:
    """Throughput with recording on against off, in turns within one run, so on one machine."""
    readings = server.readings(LOCUSTFILES / "half_recorded.py", *_USERS, seconds=_TURNS * _TURN_SECONDS,
                               run_dir=scratch / "recording", env={"BENCH_TURN_SECONDS": str(_TURN_SECONDS)})
    ratios = _on_over_off(readings)
    return (f"recording on / off, in {len(ratios)} pairs of turns of {_TURN_SECONDS:g} s within one run, and "
            f"the 95 % of the median: {_median_interval(ratios)}, at least 0.95 wanted")


def _on_over_off(readings: Sequence[Reading]) -> list[float]:
    """Of each turn with recording, which are the even ones, and the one after it.

    None is in two ratios, which would err together: from such ones the median looks better known than it is.
    """
    rates: dict[int, list[float]] = defaultdict(list)
    for earlier, later in itertools.pairwise(readings):
        turn, into = divmod(earlier.time_s, _TURN_SECONDS)
        if into > _SETTLING_SECONDS and later.time_s < (turn + 1) * _TURN_SECONDS:
            rates[int(turn)].append((later.calls - earlier.calls) / (later.time_s - earlier.time_s))
    return [statistics.fmean(rates[turn]) / statistics.fmean(rates[turn + 1])
            for turn in sorted(rates) if turn % 2 == 0 and turn + 1 in rates]


def _bytes_per_minute(server: Rig, scratch: Path, rate: int) -> float:
    """Of a finished run of the mixed scenario at that rate."""
    directory = scratch / f"size-{rate}"
    server.locust(
        SCENARIOS / "mixed.py",
        *_USERS,
        "--arrivals",
        "poisson",
        "--rate",
        str(rate),
        seconds=_SIZE_SECONDS,
        run_dir=directory,
    )
    return sum(path.stat().st_size for path in directory.iterdir()) * 60.0 / _SIZE_SECONDS


def _ratios(ours: list[Throughput], theirs: list[Throughput]) -> str:
    pairs = [
        one.commands_per_second / other.commands_per_second for one, other in zip(ours, theirs, strict=True)
    ]
    return f"{statistics.median(pairs):.2f} ({min(pairs):.2f}–{max(pairs):.2f})"


def _on_generator_core() -> None:
    os.sched_setaffinity(0, {GENERATOR_CORE})


def _processes(scratch: Path) -> list[str]:
    """CPU seconds per command of all generator processes together, which share one core."""
    rounds = _SHORT_TURNS * _ROUNDS
    seconds = round(10.0 * _HEAD_START_SECONDS + 2.0 * rounds * len(_PROCESS_COUNTS) * _SHORT_TURN_SECONDS)
    with contextlib.ExitStack() as stack:
        contenders = []
        for count in _PROCESS_COUNTS:
            own, port = stack.enter_context(rig()), str(free_port())
            more = () if count == 1 else (
                "--processes", str(count), "--master-bind-port", port, "--master-port", port)
            directory = scratch / f"processes-{count}"
            contenders.append((own, stack.enter_context(own.generator(
                SCENARIOS / "mixed.py", *_PROCESS_USERS, *more, seconds=seconds, run_dir=directory))))
            own.await_load(directory)
        time.sleep(_SETTLING_SECONDS)
        measured = in_turns(contenders, _SHORT_TURN_SECONDS, rounds)
    lines = ["", "CPU of all generator processes per command, 200 clients, on the one core, in "
                 f"{rounds} turns of {_SHORT_TURN_SECONDS:g} s each; against one: median, its 95 %"]
    for count, each in zip(_PROCESS_COUNTS, measured, strict=True):
        cpu_us = [1e6 / one.commands_per_cpu_second for one in each]
        ratios = [one.commands_per_cpu_second / other.commands_per_cpu_second
                  for one, other in zip(measured[0], each, strict=True)]
        lines.append(f"--processes {count}  {median_spread(cpu_us, 1)} µs   {_median_interval(ratios)}, "
                     "at most 1.1 wanted")
    return lines


def _median_interval(values: list[float]) -> str:
    """The median and its 95 % interval, from ranks: a shared host makes outliers, not normal errors."""
    ordered = sorted(values)
    below = max(int(len(values) / 2 - 0.98 * len(values) ** 0.5), 0)  # of a binomial count's normal limits
    return f"{statistics.median(values):.3f} ({ordered[below]:.3f}–{ordered[-1 - below]:.3f})"
