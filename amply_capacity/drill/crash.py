"""A primary ends from one moment to the next, as its machine does, and what was under way ends with it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from amply_capacity.drill.link import attentive_sentinels, hasten_sentinels, through_proxy
from amply_capacity.drill.prediction import failover_seconds
from amply_capacity.drill.stage import Stage
from amply_capacity.target.described import Node

__all__ = ["BACK_AFTER_SECONDS", "crash", "crash_primary", "staged"]

BACK_AFTER_SECONDS = 2.0
"""A replaced server takes minutes on ElastiCache; what a drill shows is what comes with it and after it."""


@contextlib.contextmanager
def staged(stage: Stage) -> Iterator[None]:
    """With --delay-ms, the replica is as far away as that; with --down-after-ms, Sentinels wait that long."""
    request = stage.request
    with contextlib.ExitStack() as set_up:
        if request.down_after_ms is not None:
            set_up.enter_context(attentive_sentinels(stage, request.down_after_ms))
        if request.delay_ms is not None:
            set_up.enter_context(through_proxy(stage, request.delay_ms))
        yield


def crash(stage: Stage) -> None:
    """Kill the primary; a single one is replaced after a while, others have a replica that takes over."""
    node = stage.primary()
    if stage.down_after_seconds is not None:
        stage.look_at_sentinels()
        foretold = failover_seconds(stage.down_after_seconds, stage.request.users, stage.info_ages_s)
        stage.note("failover predicted", seconds=round(foretold.mid, 3))
    stage.fault("crash", server=node.name)
    crash_primary(stage, node)
    if stage.cluster.topology == "single":
        after = stage.request.back_after
        stage.pause(BACK_AFTER_SECONDS if after is None else after)
        stage.bring_back(node)
    stage.wait_until(stage.serves, "a primary for every key")
    stage.note("a primary for every key", server=stage.primary().name)


def crash_primary(stage: Stage, node: Node) -> None:
    """The end of the server, and of the link that leads from it."""
    has_link = stage.link is not None
    stage.kill(node)
    if has_link:
        hasten_sentinels(stage)
