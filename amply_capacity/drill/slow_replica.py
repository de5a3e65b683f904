"""A replica that gets only a share of its time, as on a host that is throttled or has a neighbour."""

from __future__ import annotations

from amply_capacity.drill.companion import Companion
from amply_capacity.drill.stage import Stage, Unfinished

__all__ = ["slow_replica"]


def slow_replica(stage: Stage) -> None:
    """Slow the replica down for a while: what its clients, the primary's memory and its lag feel of it."""
    primary, replicas = stage.primary(), stage.replicas()
    if not replicas:
        raise Unfinished(f"{primary.name} has no replica")
    replica, speed = replicas[0], stage.request.replica_speed
    full_before = _full_copies(stage)
    stage.fault("replica slowed down", server=replica.name, to_percent=round(100.0 * speed))
    with Companion("throttle", str(replica.pid), str(speed), directory=stage.scratch):
        stage.pause(stage.request.cut_seconds)
        with stage.control(primary) as client:
            said, memory = client.info("replication"), client.info("memory")
    offsets = [int(said[f"slave{number}"]["offset"]) for number in range(int(said["connected_slaves"]))]
    began_s = stage.note("replica runs freely again")
    stage.wait_until(stage.has_caught_up, "a replica that has caught up")
    ended_s = stage.note("replica has caught up")
    stage.facts["replica"] = {
        "behind_bytes": int(said["master_repl_offset"]) - min(offsets) if offsets else None,
        "buffered_bytes": int(memory["mem_clients_slaves"]),
        "caught_up_after_seconds": round(ended_s - began_s, 3),
        "full_copies": _full_copies(stage) - full_before}


def _full_copies(stage: Stage) -> int:
    """How often the primary has sent all of its data to a replica."""
    with stage.control(stage.primary()) as client:
        return int(client.info("stats")["sync_full"])
