"""A drill from start to end: a stage, a load, what breaks, what comes back, and what is gone afterwards."""

from __future__ import annotations

import contextlib
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path

from amply_capacity.drill.analysis import Evidence, result_of
from amply_capacity.drill.interrupts import undisturbed
from amply_capacity.drill.journal_file import read_journal
from amply_capacity.drill.known_sessions import filled_in_sessions
from amply_capacity.drill.observer import Observer
from amply_capacity.drill.plot import PLOTS
from amply_capacity.drill.request import DrillRequest
from amply_capacity.drill.result import DrillResult
from amply_capacity.drill.run_record import record
from amply_capacity.drill.running_load import RunningLoad
from amply_capacity.drill.sentinels import SentinelListener
from amply_capacity.drill.server_log import log_moments, why_no_failover
from amply_capacity.drill.stage import Stage, Unfinished
from amply_capacity.drill.staging import set_up
from amply_capacity.drill.standing import open_windows
from amply_capacity.drill.writes import CheckedWrites, check_writes
from amply_capacity.errors import AmplyError
from amply_capacity.files import RUNS_DIR
from amply_capacity.run.reader import Run, recover
from amply_capacity.target import guard, process

__all__ = ["free_run_directory", "hold_drill"]

_STAGE_SECONDS = 60.0
_LAST_SECONDS = 1.0
"""Of the load, left undisturbed: what is not back by then is told as it is."""


def hold_drill(request: DrillRequest) -> DrillResult:
    """Hold the drill; its answer, which also stands in its run.

    The stage is cleared however it ends, also by Ctrl-C, SIGTERM or SIGHUP. Raises AmplyError where it
    cannot be held.
    """
    request.check()
    run = request.run_dir or free_run_directory(request.scenario)
    if request.replication_group is not None:
        from amply_capacity.drill.aws_failover import hold_test_failover
        from amply_capacity.drill.elasticache import elasticache_client

        return hold_test_failover(request, run, elasticache_client(request.region))
    with process.terminable(), set_up(request) as stage:
        try:
            stage.learn()
            evidence = _act(stage, run)
        except Unfinished as unfinished:
            raise AmplyError("the stage of the drill could not be set up", got=str(unfinished),
                             do="give the machine more CPU or memory, and try again") from unfinished
        with undisturbed():
            found = _look(stage, evidence)
            record(run, found.moments, found.as_json())
        stage.say(f"run {run}")
    return found


def free_run_directory(scenario: str) -> Path:
    """A new run's directory under `data/runs`."""
    return RUNS_DIR / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{scenario}-{secrets.token_hex(3)}"


def _act(stage: Stage, run: Path) -> Evidence:
    """The load, and what breaks under it."""
    request, plot, cluster = stage.request, PLOTS[stage.request.kind], stage.cluster
    stage.deadline = time.monotonic() + _STAGE_SECONDS
    sentinels = SentinelListener(cluster.sentinels)
    why_not: str | None = None
    with plot.staged(stage):
        stage.say(f"{request.scenario} at {request.rate:g} operations/s for {request.seconds} s, "
                  f"{request.users} connections, on {cluster.topology}: filling in the keys of "
                  f"{request.population:,} users first")
        load = RunningLoad(request, cluster.name, cluster.topology, run, stage.scratch)
        with load, Observer(cluster.data_nodes) as observer, sentinels:
            began_s = load.wait_until_it_loads()
            ends = time.monotonic() + request.seconds
            stage.deadline = ends - _LAST_SECONDS
            if cluster.topology == "replicated":
                stage.why = sentinels.why
            elif cluster.topology == "sharded":
                stage.why = lambda: why_no_failover(stage.data_nodes, began_s)
            stage.say("the load runs")
            with guard.open_target(guard.resolve(cluster.name)) as primaries:
                windows = open_windows(primaries)
            try:
                stage.pause(request.before / 2.0)
                plot.before(stage)
                stage.pause(began_s + request.before - time.time())
                plot.act(stage)
            except Unfinished as unfinished:
                why_not = str(unfinished)
                stage.note("not completed", reason=why_not)
            except AmplyError as error:  # a server that is asked does not answer, or does not come back
                why_not = str(error)
                stage.note("not completed", reason=why_not)
            if why_not is None:
                load.wait_until_it_ends(ends - time.monotonic())
                if time.monotonic() < ends - _LAST_SECONDS:
                    stage.note("load ended before its time")
            ended_s = time.time()
            load.stop()
        moments = [*stage.moments, *sentinels.moments]
        if cluster.topology == "sharded":
            moments += log_moments(stage.data_nodes, began_s)
        return Evidence(request, cluster.topology, run, began_s, ended_s, why_not,
                        sorted(moments, key=lambda one: one.time_s), tuple(observer.samples),
                        read_journal(load.journal), windows)


def _look(stage: Stage, evidence: Evidence) -> DrillResult:
    stage.say("looking at every write by its key")
    found = recover(evidence.run)
    checked, why_unknown = _checked(stage, evidence, found)
    return result_of(evidence, found, checked, why_unknown, stage)


def _checked(stage: Stage, evidence: Evidence, found: Run) -> tuple[CheckedWrites | None, str | None]:
    """What became of the writes; None, and why, where no server can be asked."""
    broke_s = stage.crash_s or stage.fault_s or evidence.ended_s
    try:
        with contextlib.ExitStack() as opened:
            primaries = opened.enter_context(guard.open_target(guard.resolve(stage.cluster.name)))
            filled_in = filled_in_sessions(found.manifest, time.time())
            return check_writes(primaries, evidence.journal, filled_in, evidence.windows,
                                broke_s), None
    except AmplyError as error:
        return None, f"the servers could not be asked afterwards: {error}"
