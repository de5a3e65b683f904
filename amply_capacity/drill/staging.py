"""A stage set up and cleared: a cluster started for the drill, or one of ours that is given back whole."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator

from amply_capacity.catalog.nodes import node_type
from amply_capacity.drill.interrupts import undisturbed
from amply_capacity.drill.request import DrillRequest
from amply_capacity.drill.stage import Stage, Unfinished
from amply_capacity.errors import AmplyError, BadInput
from amply_capacity.plan.working_set import working_set
from amply_capacity.progress import say
from amply_capacity.target import cluster as clusters
from amply_capacity.target import guard
from amply_capacity.target.described import Cluster
from amply_capacity.target.launch import Launcher
from amply_capacity.target.lease import DRILL_LOCK, LeaseTaken, lock

__all__ = ["set_up"]

_WHOLE_SECONDS, _RESTORE_SECONDS = 15.0, 60.0


@contextlib.contextmanager
def set_up(request: DrillRequest) -> Iterator[Stage]:
    """Within: the stage. Afterwards nothing of the drill is left: a cluster started for it has gone, another
    one has all of its servers again.

    Raises Refused for a server that is not marked for drills, BadInput for one whose processes are not ours,
    or a cluster that is not whole, and what starting a cluster raises.
    """
    with _cluster(request) as cluster, contextlib.ExitStack() as undone:
        scratch = cluster.directory / f"drill-{os.getpid()}"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(mode=0o700)
        undone.callback(shutil.rmtree, scratch, ignore_errors=True)
        stage = Stage(request, Launcher.of(cluster), scratch)
        try:
            with stage.companions:
                if request.target is not None:
                    _check_whole(stage)
                yield stage
        finally:
            with undisturbed():
                if request.target is not None:
                    _give_back(stage)
                else:
                    clusters.stop(stage.cluster)


@contextlib.contextmanager
def _cluster(request: DrillRequest) -> Iterator[Cluster]:
    if request.target is None:
        wanted = working_set(request.demand)
        node = node_type(request.node_type or wanted.node_type)
        cluster = clusters.start(
            f"drill-{secrets.token_hex(3)}", topology=request.shape, node=node, tls=request.tls,
            with_password=request.auth, reserved_memory_percent=wanted.reserved_memory_percent,
            tell=lambda text: say(f"cluster     {text}"))
        try:
            with _held(cluster):
                yield cluster
        except BaseException:
            clusters.stop(cluster)  # once more costs nothing, where the stage did not come to it
            raise
        return
    with _ours(request) as cluster:
        yield cluster


@contextlib.contextmanager
def _ours(request: DrillRequest) -> Iterator[Cluster]:
    """A local cluster of that name or URL, which no other drill and no load has taken."""
    assert request.target is not None
    target = guard.resolve(request.target)
    with guard.open_target(target) as primaries:
        guard.check_drills(target, primaries)
        guard.check(target, primaries)
    cluster = target.cluster
    if cluster is None:
        raise BadInput(f"{request.kind} needs the server's process",
                       got=f"{target.endpoint.url}, which is none of this checkout's clusters",
                       do="drill a local cluster (`amply-capacity cluster up`), or on ElastiCache a failover "
                          "with --replication-group")
    faults = request.topology_faults(cluster.topology, cluster.name)
    if faults:
        raise BadInput("this drill cannot be held", got="; ".join(faults),
                       do="choose another drill or cluster")
    with contextlib.ExitStack() as holding:
        try:
            holding.enter_context(_held(cluster))
        except LeaseTaken as taken:
            raise guard.being_loaded(target, str(taken)) from None
        yield cluster


@contextlib.contextmanager
def _held(cluster: Cluster) -> Iterator[None]:
    """Within: no other drill may take the cluster, and no sweep takes it for dead while it has no server.

    Raises LeaseTaken.
    """
    path = cluster.directory / DRILL_LOCK
    with lock(path):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _check_whole(stage: Stage) -> None:
    """Raise BadInput unless all its servers serve: else the drill would find faults that it did not make."""
    stage.deadline = time.monotonic() + _WHOLE_SECONDS
    try:
        stage.wait_until(lambda: all(node.is_alive for node in stage.cluster.nodes) and stage.is_whole(),
                         "a whole cluster")
    except Unfinished:
        gone = [node.name for node in stage.cluster.nodes if not node.is_alive]
        raise BadInput(f"cluster {stage.cluster.name} is not whole",
                       got=f"{', '.join(gone)} not running" if gone else "a replica without its primary",
                       do="`amply-capacity cluster status` shows its servers; take it down and up "
                          "again") from None


def _give_back(stage: Stage) -> None:
    """All its servers up again and linked, and our keys removed."""
    try:
        stage.restore(_RESTORE_SECONDS)
        target = guard.resolve(stage.cluster.name)
        with guard.open_target(target) as primaries:
            for primary in primaries:
                guard.clean(primary.client)
    except (Unfinished, AmplyError) as error:
        stage.say(f"{stage.cluster.name} could not be made whole again: {error}; take it down with "
                  f"`amply-capacity cluster down {stage.cluster.name}`")

