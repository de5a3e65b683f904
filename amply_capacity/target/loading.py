"""A target while a run loads it: taken for this run alone, cleaned before and after, all else untouched."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

from amply_capacity.errors import Refused
from amply_capacity.target.endpoint import explained
from amply_capacity.target.guard import Target, being_loaded, check, lock_path, open_target
from amply_capacity.target.keyspace import clean
from amply_capacity.target.lease import LeaseTaken, drop_lease, keep_lease, lock, take_lease
from amply_capacity.target.primaries import Primary, lease_seat

__all__ = ["Load", "begin_load", "end_load", "renew"]

_PULSE_SECONDS = 1.0


@dataclass(slots=True)
class Load:
    """A target that this run holds: `begin_load` makes it, `renew` keeps it, `end_load` gives it back."""

    target: Target
    primaries: tuple[Primary, ...]
    opened: contextlib.ExitStack
    """Closes the primaries' clients, and the lock of a cluster of ours."""
    lease: str | None = None
    """The lease's content on a marked server; None on a cluster of ours, whose lock needs no renewal."""
    is_lost: bool = False
    """Another run has taken the target meanwhile: its keys are named as ours are, so nothing is removed."""


def begin_load(target: Target) -> Load:
    """Take a target for one run: checked as by `guard.admit`, held, cleaned of what a killed run left.

    A run that was killed holds a marked server for ten seconds more at most, a cluster of ours not at all.
    Raises Refused with the reason (who loads it, since when), and what `connect` raises.
    """
    opened = contextlib.ExitStack()
    try:
        primaries = opened.enter_context(open_target(target))
        check(target, primaries)
        load = Load(target, primaries, opened)
        with explained(target.endpoint), _refusing(load):
            if target.cluster is not None:
                opened.enter_context(lock(lock_path(target.cluster)))
            else:
                load.lease = take_lease(lease_seat(primaries).client)
                opened.callback(_drop, load)
        _clean(load)
        return load
    except BaseException:
        opened.close()
        raise


def renew(load: Load) -> None:
    """Keep the target for this run; to be called about once a second.

    Raises Refused when another run holds it, which can only be after this one was silent for ten seconds. A
    server that does not answer now is asked again the next time.
    """
    import redis

    with contextlib.suppress(redis.RedisError, OSError):
        _keep(load)


def end_load(load: Load, *, leaves_keys: bool = False) -> int:
    """Remove this run's keys from every primary, unless somebody is to look at them, and give the target
    back; the number of keys removed.

    0 where another run has taken the target. Raises TargetError when a server does not answer: what is left
    there goes with the next `begin_load`, or with `unmark`.
    """
    with load.opened:
        try:
            with explained(load.target.endpoint):
                _keep(load)
            return 0 if leaves_keys else _clean(load)
        except Refused:
            return 0


def _clean(load: Load) -> int:
    """Our keys removed from every primary, with the lease kept meanwhile."""
    last = time.monotonic()

    def pulse() -> None:
        nonlocal last
        if time.monotonic() - last > _PULSE_SECONDS:
            last = time.monotonic()
            _keep(load)

    removed = 0
    for primary in load.primaries:
        with explained(primary.endpoint):
            removed += clean(primary.client, pulse)
    return removed


def _keep(load: Load) -> None:
    """The lease renewed. Raises Refused when another run has it, also later on."""
    if load.lease is None:
        return
    with _refusing(load):
        if load.is_lost:
            raise LeaseTaken("another run")
        keep_lease(lease_seat(load.primaries).client, load.lease)


@contextlib.contextmanager
def _refusing(load: Load) -> Iterator[None]:
    """Within: a target that another run holds is a refusal that names it."""
    try:
        yield
    except LeaseTaken as taken:
        load.is_lost = True
        raise being_loaded(load.target, str(taken)) from None


def _drop(load: Load) -> None:
    import redis

    if load.lease is not None:
        with contextlib.suppress(redis.RedisError, OSError):  # it ends by itself
            drop_lease(lease_seat(load.primaries).client, load.lease)
