"""The plots of the drills: what is set up before the load, done under it, and then waited for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from amply_capacity.drill import crash, partition
from amply_capacity.drill.failover import failover
from amply_capacity.drill.restart import keep_append_only_file, restart, take_snapshot
from amply_capacity.drill.scale_up import scale_up
from amply_capacity.drill.slow_replica import slow_replica
from amply_capacity.drill.stage import Stage

__all__ = ["PLOTS", "Plot"]


def _nothing(_stage: Stage) -> None:
    pass


@contextlib.contextmanager
def _before_a_crash(stage: Stage) -> Iterator[None]:
    with keep_append_only_file(stage), crash.staged(stage):
        yield


@contextlib.contextmanager
def _as_it_is(_stage: Stage) -> Iterator[None]:
    yield


@dataclass(frozen=True, slots=True)
class Plot:
    """One kind of drill."""

    act: Callable[[Stage], None]
    """What breaks, and what is done about it; returns when all is served again, or raises Unfinished."""
    staged: Callable[[Stage], contextlib.AbstractContextManager[None]] = _as_it_is
    """Around the load."""
    before: Callable[[Stage], None] = _nothing
    """Half-way to the fault."""


PLOTS: dict[str, Plot] = {
    "crash": Plot(crash.crash, _before_a_crash, take_snapshot),
    "restart": Plot(restart, keep_append_only_file, take_snapshot),
    "failover": Plot(failover),
    "partition": Plot(partition.partition, partition.staged),
    "slow-replica": Plot(slow_replica),
    "scale-up": Plot(scale_up),
}

