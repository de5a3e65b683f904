"""What a way to run Redis is expected to cost its users in a month: minutes without it, and what is lost.

Expected, not simulated: the rate of failures times what one failure costs. Arrays of any shapes that fit
together, worlds × months as a rule; the uncertainty is in what nobody knows, which is drawn by world. The
closed forms are held against simulated years in tests/model/test_availability.py.

Failures of nodes are independent, but for those that take the zone along. A shard of several fails as often
as a single node would and takes its part of the users with it: sums are the same for any number of shards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amply_capacity.model.failure_priors import SLA_PERCENT, Promise

__all__ = ["MINUTES_A_MONTH", "SETUPS", "Hazards", "Month", "Recovery", "Setup", "Stake", "all_lost_share",
           "expected_month", "setup_of"]

Floats = NDArray[np.float64]

MINUTES_A_MONTH = 730.0 * 60.0
_MONTHS, _MINUTES_A_YEAR = 12.0, 8_760.0 * 60.0


@dataclass(frozen=True, slots=True)
class Setup:
    """A way to run each shard."""

    name: str
    replicas: int
    is_multi_az: bool
    """Whether its nodes lie in several Availability Zones."""
    has_snapshots: bool = False
    """Whether the last one is restored when all is lost; of no use to a replica that takes over."""

    @property
    def nodes(self) -> int:
        return 1 + self.replicas

    @property
    def promise(self) -> Promise:
        """AWS' own, which says nothing of what is lost."""
        return SLA_PERCENT[self.is_multi_az]


SETUPS = (
    Setup("single node", 0, is_multi_az=False),
    Setup("single node, snapshots", 0, is_multi_az=False, has_snapshots=True),
    Setup("one replica, same zone", 1, is_multi_az=False),
    Setup("one replica, Multi-AZ", 1, is_multi_az=True),
    Setup("two replicas, Multi-AZ", 2, is_multi_az=True),
)
"""Those that are compared, the fewest nodes first."""


def setup_of(replicas: int) -> Setup:
    """That of a plan's option: with replicas it is Multi-AZ."""
    return Setup("", replicas, is_multi_az=replicas > 0)


@dataclass(frozen=True, slots=True)
class Hazards:
    """How often what happens to the primaries, a year."""

    failures_per_year: Floats
    zone_share: Floats
    """Of those, how many take all nodes of the zone."""
    maintenance_per_year: Floats


@dataclass(frozen=True, slots=True)
class Recovery:
    """How long what takes, until clients are served again."""

    single_minutes: Floats
    """Until there is a new, empty node in place of one without a replica; until one is replaced, too."""
    restore_minutes: Floats
    """Until it holds the last snapshot."""
    failover_minutes: Floats
    """Until a replica has taken over, and clients are back."""
    maintenance_minutes: Floats
    refill_minutes: Floats
    """From then on until an emptied cache is warm: slow, but served."""
    lag_seconds: Floats
    """By which a replica is behind its primary."""
    snapshot_age_seconds: Floats
    """Of the last snapshot when the node fails, mean."""


@dataclass(frozen=True, slots=True)
class Stake:
    """What there is to be lost."""

    sessions: Floats
    logins_per_second: Floats
    writes_per_second: Floats
    """That are acknowledged, of all use cases, each key's its own."""
    session_writes_per_second: Floats
    """Of those, that make or end sessions: what else there is has run out by the next day."""
    standing_writes: Floats
    """Those whose outcome still stands: one for each key, one for each member of a set."""
    short_lived_writes: Floats
    """Of those, that stand for an hour at most."""


@dataclass(frozen=True, slots=True)
class Month:
    """Expected in a month."""

    downtime_minutes: Floats
    slow_minutes: Floats
    lost_sessions: Floats
    lost_writes: Floats
    """Acknowledged ones whose outcome should still stand."""


def all_lost_share(setup: Setup, hazards: Hazards, recovery: Recovery) -> Floats:
    """Of the failures of a primary with replicas: those after which no node is left.

    A node that fails is away for the time of a single node's recovery, a share q of all time. Any of the
    1 + r may be the last one to fail while the others are away: (1 + r) λ q^r a year, of λ failures of the
    primary. Or the zone takes all of them along, where they lie in one.
    """
    away = np.minimum(hazards.failures_per_year * recovery.single_minutes / _MINUTES_A_YEAR, 1.0)
    alone = np.minimum(setup.nodes * away**setup.replicas, 1.0)
    if setup.is_multi_az:
        return np.asarray(alone)
    zone = np.minimum(hazards.zone_share, 1.0)  # a drawn one may lie beyond
    return np.asarray(zone + (1.0 - zone) * alone)


def expected_month(setup: Setup, hazards: Hazards, recovery: Recovery, stake: Stake) -> Month:
    """Of all shards together.

    A failure of a single node loses every session; with a snapshot, what was written after it; with a
    replica, what was acknowledged within its lag (rate × lag), and everything where it does not outlive the
    primary. Maintenance replaces every set-up's primary while it serves, and loses nothing.
    """
    failures = hazards.failures_per_year / _MONTHS
    maintenance = hazards.maintenance_per_year / _MONTHS * recovery.maintenance_minutes
    if setup.replicas:
        all_lost = all_lost_share(setup, hazards, recovery)
        behind = recovery.lag_seconds

        def each(with_replica: Floats, with_none: Floats) -> Floats:
            """Of all failures: the latter in those that leave no node, where it is more."""
            return np.asarray(failures * (with_replica
                                          + all_lost * np.maximum(with_none - with_replica, 0.0)))

        lost_sessions = np.minimum(stake.logins_per_second * behind, stake.sessions)
        lost_writes = np.minimum(stake.writes_per_second * behind, stake.standing_writes)
        return Month(
            each(recovery.failover_minutes, recovery.single_minutes) + maintenance,
            failures * all_lost * recovery.refill_minutes,
            each(lost_sessions, stake.sessions), each(lost_writes, stake.standing_writes))
    if setup.has_snapshots:
        age = recovery.snapshot_age_seconds
        lasting = stake.standing_writes - stake.short_lived_writes
        return Month(
            failures * recovery.restore_minutes + maintenance,
            failures * recovery.refill_minutes,
            failures * np.minimum(stake.logins_per_second * age, stake.sessions),
            failures * (stake.short_lived_writes
                        + np.minimum(stake.session_writes_per_second * age, lasting)))
    return Month(failures * recovery.single_minutes + maintenance, failures * recovery.refill_minutes,
                 failures * stake.sessions, failures * stake.standing_writes)
