"""The drill of a failover on ElastiCache: a marked replication group is loaded, and AWS asked meanwhile."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from amply_capacity.drill import elasticache as aws
from amply_capacity.drill.analysis import Evidence, result_of
from amply_capacity.drill.interrupts import undisturbed
from amply_capacity.drill.journal_file import read_journal
from amply_capacity.drill.known_sessions import filled_in_sessions
from amply_capacity.drill.moment import DRILL, Moment
from amply_capacity.drill.observer import Observer
from amply_capacity.drill.request import DrillRequest
from amply_capacity.drill.result import DrillResult
from amply_capacity.drill.run_record import record
from amply_capacity.drill.running_load import RunningLoad
from amply_capacity.drill.standing import open_windows
from amply_capacity.drill.writes import check_writes
from amply_capacity.errors import AmplyError, BadInput
from amply_capacity.progress import say
from amply_capacity.run.reader import recover
from amply_capacity.target import guard, process

__all__ = ["hold_test_failover"]

_LOOK_SECONDS = 5.0
_LAST_SECONDS = 1.0


@dataclass(slots=True)
class _Seen:
    """What was seen of it; the servers are AWS', so that their clocks and roles stay theirs."""

    fault_s: float | None = None
    crash_s: float | None = None
    snapshot_s: float | None = None
    down_after_seconds: float | None = None
    info_ages_s: tuple[float, ...] = ()
    slots: tuple[tuple[int, int], ...] | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def hold_test_failover(request: DrillRequest, run: Path, elasticache: Any, *,
                       look_seconds: float = _LOOK_SECONDS) -> DrillResult:
    """Load the replication group's primary endpoint, have AWS fail it over, and look what is gone.

    `elasticache` is a boto3 client. Our keys are removed afterwards. Raises, before anything is loaded or
    changed: BadInput for a target that is a cluster of ours or no endpoint of the group, Refused where it is
    not marked for drills, or the group may not be failed over now.
    """
    assert request.target is not None
    assert request.replication_group is not None
    target = guard.resolve(request.target)
    if target.cluster is not None:
        raise BadInput(f"{request.replication_group} would be failed over, and a local cluster be loaded",
                       got=f"--target {request.target}, which is {target.cluster.name} on this machine",
                       do="name the rediss:// URL of the group's primary endpoint, or leave "
                          "--replication-group out")
    with guard.open_target(target) as primaries:
        guard.check_drills(target, primaries)
        guard.check(target, primaries)
        topology = "sharded" if primaries[0].slots is not None else "replicated"
        endpoints = [primary.endpoint for primary in primaries]
    group = aws.examine(elasticache, request.replication_group, request.node_group, target.endpoint)
    seen, moments, why_not = _Seen(), [], None
    with process.terminable(), tempfile.TemporaryDirectory(prefix="amply-drill-") as scratch:
        try:
            load = RunningLoad(request, target.endpoint.url, topology, run, Path(scratch))
            with load, Observer(endpoints) as observer:
                began_s = load.wait_until_it_loads()
                ends = time.monotonic() + request.seconds
                with guard.open_target(target) as primaries:
                    windows = open_windows(primaries)
                time.sleep(max(began_s + request.before - time.time(), 0.0))
                seen.fault_s = time.time()
                moments.append(Moment(seen.fault_s, DRILL, "failover requested", {
                    "replication_group": group.replication_group, "node_group": group.node_group}))
                say(f"drill       AWS is asked to fail {group.replication_group} over")
                try:
                    aws.ask_for_failover(elasticache, group)
                    told = _wait(elasticache, group, seen.fault_s, ends - _LAST_SECONDS, look_seconds)
                    moments += told
                    if not aws.is_done(told):
                        last = told[-1].name if told else "nothing"
                        why_not = f"AWS has not reported its end within the load's time; last it said: {last}"
                except AmplyError as error:
                    why_not = str(error)
                load.wait_until_it_ends(ends - time.monotonic())
                ended_s = time.time()
            evidence = Evidence(request, topology, run, began_s, ended_s, why_not, moments,
                                tuple(observer.samples), read_journal(load.journal), windows)
            found = recover(run)
            checked, why_unknown = None, None
            try:
                with guard.open_target(target) as primaries:
                    checked = check_writes(primaries, evidence.journal,
                                           filled_in_sessions(found.manifest, time.time()), windows,
                                           seen.fault_s)
            except AmplyError as error:
                why_unknown = f"the servers could not be asked afterwards: {error}"
            result = result_of(evidence, found, checked, why_unknown, seen)
            record(run, result.moments, result.as_json())
            return result
        finally:
            with undisturbed():
                _clean(target)


def _wait(elasticache: Any, group: aws.NodeGroup, since_s: float, deadline: float,
          look_seconds: float) -> list[Moment]:
    """What AWS reports, until it has reported the end or the time is over."""
    while True:
        told = aws.failover_moments(elasticache, group.replication_group, since_s - 1.0)
        left = deadline - time.monotonic()
        if aws.is_done(told) or left <= 0.0:
            return told
        time.sleep(min(look_seconds, left))


def _clean(target: guard.Target) -> None:
    try:
        with guard.open_target(target) as primaries:
            for primary in primaries:
                guard.clean(primary.client)
    except AmplyError as error:
        say(f"drill       our keys could not be removed: {error}; they go with the next load, or with "
            f"`amply-capacity target unmark {target.endpoint.url}`")
