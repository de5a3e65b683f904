"""A primary is restarted in order, with nothing, a snapshot, or its append-only file kept."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from amply_capacity.drill.stage import Stage

__all__ = ["keep_append_only_file", "restart", "take_snapshot"]


@contextlib.contextmanager
def keep_append_only_file(stage: Stage) -> Iterator[None]:
    """Within: with --persistence aof the primary keeps one, every second on the disk, as Redis advises."""
    if stage.request.persistence != "aof":
        yield
        return
    node = stage.primary()
    with stage.control(node) as client:
        client.config_set("appendonly", "yes")
        stage.wait_until(lambda: _is_rewritten(client.info("persistence")), "a first append-only file")
    try:
        yield
    finally:
        # Where it was restarted it has no such line in its file: what is left goes with the next restart.
        with contextlib.suppress(Exception), stage.control(node) as client:
            client.config_set("appendonly", "no")


def take_snapshot(stage: Stage) -> None:
    """With --persistence snapshot: one now, as the provider takes one a day; what comes later is in none."""
    if stage.request.persistence != "snapshot":
        return
    with stage.control(stage.primary()) as client:
        client.bgsave()
        stage.snapshot_s = stage.note("snapshot taken")
        stage.wait_until(lambda: not int(client.info("persistence")["rdb_bgsave_in_progress"]),
                         "the snapshot written")


def restart(stage: Stage) -> None:
    """Restart the primary; it comes back as fast as it can, before anybody may think that it is lost."""
    node = stage.primary()
    stage.fault("restart", server=node.name, keeps=stage.request.persistence)
    stage.end(node)
    stage.bring_back(node)
    stage.wait_until(stage.serves, "a primary for every key")
    stage.note("a primary for every key", server=stage.primary().name)


def _is_rewritten(said: dict[str, object]) -> bool:
    return said["aof_enabled"] == 1 and said["aof_rewrite_in_progress"] == 0 and (
        said["aof_rewrite_scheduled"] == 0)
