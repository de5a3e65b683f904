"""Primary and replica lose sight of each other, while clients and Sentinels go on seeing both."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from amply_capacity.drill.crash import crash_primary
from amply_capacity.drill.link import through_proxy
from amply_capacity.drill.stage import Stage

__all__ = ["partition", "staged"]


@contextlib.contextmanager
def staged(stage: Stage) -> Iterator[None]:
    """The link goes through a proxy, which can be cut."""
    with through_proxy(stage, stage.request.delay_ms or 0.0):
        yield


def partition(stage: Stage) -> None:
    """Cut the link for a while, and heal it, or lose the primary while it is cut.

    The primary goes on acknowledging all the time: what it takes is on no other server until the link heals.
    """
    primary, (replica,) = stage.primary(), stage.replicas()
    assert stage.link is not None
    stage.fault("link cut", of=replica.name)
    stage.link.tell("hold")
    stage.pause(stage.request.cut_seconds)
    with stage.control(primary) as client:
        said = client.info("replication")
    behind = int(said["master_repl_offset"]) - min(
        (int(said[f"slave{number}"]["offset"]) for number in range(int(said["connected_slaves"]))), default=0)
    stage.facts["replica"] = {"behind_bytes": behind, "behind_seconds": stage.request.cut_seconds}
    if stage.request.then == "crash":
        stage.crash_s = stage.note("crash", server=primary.name, behind_bytes=behind)
        crash_primary(stage, primary)
        stage.wait_until(stage.serves, "a primary for every key")
        stage.note("a primary for every key", server=stage.primary().name)
        return
    stage.note("link healed", behind_bytes=behind)
    stage.link.tell("flow")
    stage.wait_until(stage.has_caught_up, "a replica that has caught up")
    stage.note("replica has caught up")
