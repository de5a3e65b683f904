"""Drills predicted, then held on real servers: writes lost, Sentinel's failover, unavailability for clients.

Predictions are made before the first server is started; of a failover also just before the crash, when the
Sentinels can be asked how old their knowledge of the replica is. Developed on a replica 150 ms away, and on
Sentinels that wait one to three seconds, on other seeds.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from amply_capacity.drill.conduct import hold_drill
from amply_capacity.drill.journal_file import read_journal
from amply_capacity.drill.outage import outage_of
from amply_capacity.drill.prediction import failover_seconds, lost_writes
from amply_capacity.drill.request import DrillRequest
from amply_capacity.drill.running_load import RunningLoad
from amply_capacity.files import CLUSTERS_DIR
from amply_capacity.interval import Interval
from amply_capacity.progress import progress, say
from amply_capacity.run.reader import read_run
from amply_capacity.target import cluster as clusters
from amply_capacity.target.process import is_free
from bench.claim import Claim, Experiment

__all__ = ["experiments", "table"]

_WRITES_PER_LOG_IN = 2  # SETEX and SADD, each of a key of its own
_LOSSES = tuple((rate, delay_ms) for rate in (100, 200, 300) for delay_ms in (100.0, 200.0, 400.0))
_PER_CLIENT = 20
"""Log-ins a second of each: constant arrivals are so in whole rounds of all clients, 50 ms each."""
_DOWN_AFTER_MS = (1000.0, 1500.0, 2000.0, 2500.0, 3000.0)
_OUTAGES_SECONDS = (0.4, 1.0, 2.3, 4.0)
_LEAST_LOST, _LOSS_SHARE, _FAILOVER_SECONDS, _OUTAGE_SECONDS = 3.0, 0.03, 0.5, 0.05
_WATCHED_SECONDS = 2.0
"""After the server runs again: longer, and more of what the host does would be counted."""
_SEED = 9_400
_IN_A_ROW = (
    DrillRequest("crash", seconds=6), DrillRequest("restart", persistence="snapshot", seconds=6),
    DrillRequest("crash", topology="replicated", seconds=8),
    DrillRequest("restart", persistence="aof", seconds=6),
    DrillRequest("failover", topology="replicated", seconds=8), DrillRequest("scale-up", seconds=8),
    DrillRequest("partition", seconds=8), DrillRequest("failover", topology="sharded", seconds=8),
    DrillRequest("slow-replica", seconds=8), DrillRequest("restart", topology="replicated", seconds=6))
_ROUNDS = 2


def experiments() -> list[Experiment]:
    return [*_losses(), *(_failover(request) for request in _failovers()), *_outages()]


def table() -> str:
    """A row a prediction, then what a row of drills left behind, and a drill whose generator was killed."""
    made = [(one.claims[0], partial(_of_experiment, one)) for one in (*_losses(), *_outages())]
    made += [(_failover(request).claims[0], partial(_of_failover, request)) for request in _failovers()]
    lines = [f"{'':<32} {'':<44} {'predicted':>12} {'measured':>12} {'apart':>9} {'allowed':>9}"]
    with progress("measuring", len(made)) as advance:
        for claim, measured in made:
            try:
                lines.append(_line(*measured()))
            except Exception as error:  # of one drill: it counts among those that are not as near
                say(f"not measured: {claim.case}: {str(error) or type(error).__name__}")
                lines.append(f"{claim.quantity:<32} {claim.case:<44} {'not measured':>25}")
            advance()
    return "\n".join([*lines, *_judged(lines[1:]), "", _in_a_row(), _killed()])


def _of_experiment(experiment: Experiment) -> tuple[Claim, float]:
    return experiment.claims[0], experiment.measure()[0]


def _of_failover(request: DrillRequest) -> tuple[Claim, float]:
    """Against what the drill foretold just before the crash, as its events show."""
    answer = _answer(request)
    foretold = next(event for event in answer["events"] if event["name"] == "failover predicted")
    predicted = Interval.exact(1000.0 * foretold["detail"]["seconds"])
    return _failover_claim(request, predicted), _unavailable_ms(answer)


def _line(claim: Claim, value: float) -> str:
    mid = claim.predicted.mid
    allowed = (claim.allowed or 0.0) * mid
    unit = f"{claim.unit:<2}"
    return (f"{claim.quantity:<32} {claim.case:<44} {mid:>9,.0f} {unit} {value:>9,.0f} {unit} "
            f"{value - mid:>+9,.0f} {allowed:>9,.0f}  {'yes' if abs(value - mid) <= allowed else 'NO'}")


def _judged(lines: list[str]) -> list[str]:
    quantities = dict.fromkeys(line[:32].strip() for line in lines)
    return [f"{name}: {sum(line.endswith('yes') for line in rows)} of {len(rows)} as near as they have to be"
            for name in quantities for rows in [[line for line in lines if line.startswith(name)]]]


def _losses() -> list[Experiment]:
    return [_loss(rate, delay_ms, _SEED + number) for number, (rate, delay_ms) in enumerate(_LOSSES)]


def _failovers() -> list[DrillRequest]:
    return [DrillRequest("crash", topology="replicated", seconds=14, down_after_ms=down_after_ms,
                         population=200, prefill=0.0, seed=_SEED + 20 + number)
            for number, down_after_ms in enumerate(_DOWN_AFTER_MS)]


def _outages() -> list[Experiment]:
    return [_outage(seconds, _SEED + 30 + number) for number, seconds in enumerate(_OUTAGES_SECONDS)]


def _loss(rate: int, delay_ms: float, seed: int) -> Experiment:
    predicted = lost_writes(rate * _WRITES_PER_LOG_IN, delay_ms / 1000.0)
    request = DrillRequest("crash", topology="replicated", seconds=9, delay_ms=delay_ms, mix="create=1",
                           rate=float(rate), users=rate // _PER_CLIENT, prefill=0.0, seed=seed)
    claim = Claim("acknowledged writes lost", f"{rate:,} log-ins/s, replica {delay_ms:g} ms away", "",
                  predicted, max(_LEAST_LOST / predicted.mid, _LOSS_SHARE))
    return Experiment([claim], partial(_held, request, lambda answer: answer["lost_writes"]),
                      _inputs(request))


def _failover(request: DrillRequest) -> Experiment:
    predicted = failover_seconds((request.down_after_ms or 0.0) / 1000.0, request.users).scaled(1000.0)
    return Experiment([_failover_claim(request, predicted)], partial(_held, request, _unavailable_ms),
                      _inputs(request))


def _failover_claim(request: DrillRequest, predicted: Interval) -> Claim:
    return Claim("Sentinel failover, for clients", f"down-after {request.down_after_ms:g} ms", "ms",
                 predicted, 1000.0 * _FAILOVER_SECONDS / predicted.mid)


def _unavailable_ms(answer: dict[str, Any]) -> float:
    return 1000.0 * float(answer["unavailable_seconds"])


def _outage(seconds: float, seed: int) -> Experiment:
    """The server stands still for exactly so long: that is the truth."""
    predicted = Interval(seconds - _OUTAGE_SECONDS, seconds, seconds + _OUTAGE_SECONDS).scaled(1000.0)
    claim = Claim("unavailability, from the client", f"a server that stands still for {seconds:g} s", "ms",
                  predicted, _OUTAGE_SECONDS / seconds)
    request = DrillRequest("crash", seconds=10, users=50, rate=500.0, population=200, prefill=0.0, seed=seed)
    return Experiment([claim], partial(_stood_still, request, seconds), _inputs(request))


def _held(request: DrillRequest, value_of: Callable[[dict[str, Any]], float]) -> list[float]:
    return [float(value_of(_answer(request)))]


def _answer(request: DrillRequest) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        answer = hold_drill(replace(request, run_dir=Path(scratch) / "run")).as_json()
    if not answer["completed"] or "unavailable_seconds" in answer["unknown"] or (
            "lost_writes" in answer["unknown"]):
        raise RuntimeError(f"{request.kind}: {answer['reason'] or answer['unknown']}")
    return answer


def _stood_still(request: DrillRequest, seconds: float) -> list[float]:
    with tempfile.TemporaryDirectory() as scratch, clusters.throw_away(maxmemory_bytes=2**28) as cluster:
        place = Path(scratch)
        with RunningLoad(request, cluster.name, "single", place / "run", place) as load:
            load.wait_until_it_loads()
            time.sleep(request.before)
            os.kill(cluster.pid, signal.SIGSTOP)
            began_s = time.time()
            try:
                time.sleep(max(began_s + seconds - time.time(), 0.0))
            finally:
                os.kill(cluster.pid, signal.SIGCONT)
            load.wait_until_it_ends(float(request.seconds))
        operations = read_journal(load.journal).operations
    watched_s = began_s + seconds + _WATCHED_SECONDS
    unavailable = outage_of([one for one in operations if one.ended_s < watched_s], began_s,
                            watched_s).unavailable_seconds
    if unavailable is None:
        raise RuntimeError("too few operations before the server stood still")
    return [1000.0 * unavailable]


def _in_a_row() -> str:
    """Twenty drills, and what there is afterwards that was not there before."""
    processes, files = _processes(), _files()
    left: list[str] = []
    requests = [replace(one, population=50, seed=_SEED + number)
                for number, one in enumerate(_ROUNDS * _IN_A_ROW)]
    completed = 0
    with progress("drills in a row", len(requests)) as advance:
        for request in requests:
            with tempfile.TemporaryDirectory() as scratch:
                answer = hold_drill(replace(request, run_dir=Path(scratch) / "run")).as_json()
                nodes = read_run(Path(scratch) / "run").server["node"].unique()
            completed += bool(answer["completed"])
            left += [f"port {node}" for node in nodes if not is_free(int(str(node).rpartition(":")[2]))]
            advance()
    left += [f"process {name}" for name in _processes() - processes]
    left += [f"file {name}" for name in _files() - files]
    return (f"{len(requests)} drills in a row, {completed} completed, left behind: "
            f"{', '.join(left) or 'no process, port, key or file'}")


def _killed() -> str:
    """A drill whose generator is killed in the middle: its run, and its answer."""
    threading.Thread(target=_kill_the_generator, daemon=True).start()
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "run"
        answer = hold_drill(DrillRequest("crash", seconds=10, population=50, run_dir=run)).as_json()
        recorded = read_run(run)
        seconds = recorded.requests["second"].nunique()
    end = "completed" if answer["completed"] else "not completed"
    return (f"a drill whose generator was killed: {end}, its run is {recorded.verdict} and holds {seconds} "
            f"seconds ({recorded.manifest['verdict_reason']})")


def _kill_the_generator() -> None:
    limit = time.monotonic() + 60.0
    while time.monotonic() < limit:
        for child in psutil.Process().children():
            words = child.cmdline()
            if "locust" in words and (Path(words[words.index("--run-dir") + 1]) / "parts" /
                                      "requests.arrows").exists():
                time.sleep(4.0)
                child.kill()
                return
        time.sleep(0.1)


def _processes() -> set[str]:
    """Our children, and whatever works below the directory of clusters."""
    found = {f"{one.pid} {one.name()}" for one in psutil.Process().children(recursive=True)}
    for one in psutil.process_iter():
        try:
            if Path(one.cwd()).is_relative_to(CLUSTERS_DIR):
                found.add(f"{one.pid} {one.name()}")
        except (psutil.Error, OSError):
            continue
    return found


def _files() -> set[str]:
    """What lies in the state directory: keys lie in servers, and those have gone with their directories."""
    return {str(path) for path in CLUSTERS_DIR.parent.rglob("*")} if CLUSTERS_DIR.parent.exists() else set()


def _inputs(request: DrillRequest) -> dict[str, object]:
    return {"kind": request.kind, "rate": request.rate, "users": request.users, "seed": request.seed,
            "delay_ms": request.delay_ms, "down_after_ms": request.down_after_ms}
