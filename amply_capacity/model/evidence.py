"""What a run says about the application, in the form that a plan consumes.

A plan never reads a run: it reads this. Everything here was measured in the run named by `run_id`; a figure
that the run does not hold is None or missing from its mapping, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from amply_capacity.interval import Interval
from amply_capacity.model.cpu_samples import CpuSample
from amply_capacity.model.drilled import Drilled
from amply_capacity.model.trips import RoundTrips

__all__ = ["Evidence", "Footprint", "Latency", "OperationCost"]


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes of `used_memory` that the run's server spent, table buckets excluded (those are arithmetic)."""

    base_bytes: int
    """Server with an empty keyspace and no clients."""
    session_bytes: Interval | None
    """One session key with its TTL entry."""
    index_bytes: Interval | None
    """One user's `user_sessions:*` set, at the run's sessions per user."""
    index_members: float | None
    """Session ids in such an index, live and stale, mean; None where the run does not say."""
    counter_bytes: Interval | None
    """One `rate:api:*` key with its TTL entry."""
    cached_bytes: Interval | None
    """One `cache:org:stats:*` key with its TTL entry."""
    result_bytes: Interval | None
    """One `celery-task-meta-*` key with its TTL entry."""
    connection_bytes: Interval | None
    """One active client connection."""


@dataclass(frozen=True, slots=True)
class OperationCost:
    """What one operation (validate, touch, …) costs the server."""

    commands: float
    """Commands per operation, mean."""
    bytes_in: float
    """Request bytes per operation as the server counted them, mean."""
    bytes_out: float
    """Reply bytes per operation, mean."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Service and response time of a use case's operations in the measured phase, milliseconds."""

    operations: int
    service_p50_ms: float
    service_p99_ms: float
    response_p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """One run, digested. `operations` is keyed by operation name, `latency` by use case."""

    run_id: str
    recorded_at: str
    """Start of the run, ISO 8601 UTC."""
    scenario: str
    verdict: str
    server: str
    """Engine and version as the server named itself, e.g. `redis 7.0.15`."""
    allocator: str
    seconds: float
    """Seconds of the measured phase in which the generator kept up: all figures are theirs."""
    warnings: tuple[str, ...]
    """Reasons to read this evidence with care (partial run, libc allocator, …)."""
    footprint: Footprint
    cpu_us_per_command: Interval | None
    """Server process CPU per command on the recording host, over the run's seconds, at its rate."""
    commands_per_second: float
    """The rate at which `cpu_us_per_command` was measured."""
    operations: Mapping[str, OperationCost]
    latency: Mapping[str, Latency]
    hit_rate: float | None
    """The application's: cached reads that did not have to be filled."""
    evictions: int | None
    cpu_samples: tuple[CpuSample, ...] = ()
    """CPU of the server at the rates of the run: what a curve is fitted to."""
    execution_us: Mapping[str, float] = field(default_factory=dict)
    """Mean µs inside each command, by commandstats."""
    trips: Mapping[str, RoundTrips] = field(default_factory=dict)
    """Round trips of one operation, by its name."""
    drill: Drilled | None = None
    """What it says of failures, where something was broken in it: all else is then of a disturbed load."""
