"""The link of a replica to its primary, led through a proxy of ours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from amply_capacity.drill.amends import primary_port, set_sentinels
from amply_capacity.drill.companion import Companion
from amply_capacity.drill.stage import Stage
from amply_capacity.target.configuration import SERVICE_NAME
from amply_capacity.target.described import Node

__all__ = ["attentive_sentinels", "hasten_sentinels", "through_proxy"]

_TIMEOUT, _DOWN_AFTER = "failover-timeout", "down-after-milliseconds"
_PATIENT_MS = 3_600_000


@contextlib.contextmanager
def through_proxy(stage: Stage, delay_ms: float) -> Iterator[None]:
    """Within: the replica follows its primary through `stage.link`, and hears everything that much later.

    Afterwards it follows the primary itself again, where both still are what they were.
    """
    primary, (replica,) = stage.primary(), stage.replicas()
    with Companion("proxy", "--to", str(primary.port), directory=stage.scratch) as proxy, _patience(stage):
        port = int(proxy.read())
        with _amended(stage, "follow", replica.name, port, primary.port):
            try:
                _follow(stage, replica, port)
                # Not before it is linked: it need not wait for its first copy as well.
                proxy.tell(f"delay {delay_ms / 1000.0:.6f}")
                stage.link = proxy
                stage.note("link led through a proxy", delay_ms=delay_ms)
                yield
            finally:
                stage.link = None
                with contextlib.suppress(Exception):  # it may be anything by now: `restore` sees to it
                    if primary_port(stage.cluster.endpoint_of(replica)) == port:
                        _follow(stage, replica, primary.port)


@contextlib.contextmanager
def attentive_sentinels(stage: Stage, down_after_ms: float) -> Iterator[None]:
    """Within: Sentinels think a primary lost after that time without an answer."""
    usual_ms = int(_told(stage)[_DOWN_AFTER])
    with _amended(stage, "set", _DOWN_AFTER, usual_ms):
        try:
            set_sentinels(stage.cluster, _DOWN_AFTER, round(down_after_ms))
            stage.down_after_seconds = down_after_ms / 1000.0
            yield
        finally:
            set_sentinels(stage.cluster, _DOWN_AFTER, usual_ms)


def hasten_sentinels(stage: Stage) -> None:
    """Let Sentinels be as they were: what they are patient with is gone, and an attempt that fails (a split
    vote) is made again after twice this time."""
    if stage.usual_failover_timeout_ms is not None:
        set_sentinels(stage.cluster, _TIMEOUT, stage.usual_failover_timeout_ms)


@contextlib.contextmanager
def _amended(stage: Stage, *order: str | int) -> Iterator[None]:
    """Within: should we be killed, `amends` does that. Afterwards it has been done by us.

    A cluster that was started for the drill would end with us: nothing of it is to be put right.
    """
    if stage.request.target is None:
        yield
        return
    with Companion("amends", stage.cluster.name, *map(str, order), directory=stage.scratch) as amends:
        try:
            yield
        finally:
            amends.tell("done")


@contextlib.contextmanager
def _patience(stage: Stage) -> Iterator[None]:
    """Within: no Sentinel puts the replica right, which it does to one that follows a proxy (sentinel.c,
    `+fix-slave-config`, after `failover-timeout`)."""
    stage.usual_failover_timeout_ms = usual_ms = int(_told(stage)[_TIMEOUT])
    with _amended(stage, "set", _TIMEOUT, usual_ms):
        try:
            set_sentinels(stage.cluster, _TIMEOUT, _PATIENT_MS)
            yield
        finally:
            hasten_sentinels(stage)


def _told(stage: Stage) -> dict[str, Any]:
    with stage.control(stage.sentinels[0]) as client:
        told: dict[str, Any] = client.sentinel_master(SERVICE_NAME)
    return told


def _follow(stage: Stage, replica: Node, port: int) -> None:
    with stage.control(replica) as client:
        client.execute_command("REPLICAOF", "127.0.0.1", port)
        stage.wait_until(lambda: client.info("replication").get("master_link_status") == "up",
                         "the replica linked through the proxy")
