"""How much of everything there is: what a demand asks a load test to put into the keyspace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["WorkingSet"]


@dataclass(frozen=True, slots=True)
class WorkingSet:
    """Counts at one moment of a steady operation, and the node that carries them today."""

    users: int
    organisations: int
    api_keys: int
    sessions_per_user: float
    stale_share: float
    """Share of index entries whose session has expired."""
    counters: int
    """Rate-limit windows open at once."""
    cached: int
    """Organisations whose statistics are cached at once."""
    results: int
    """Celery results not yet expired."""
    node_type: str
    reserved_memory_percent: float
    peak_to_mean: float = 1.0
    """The busiest hour's rate over the day's mean."""
    p99_ms: Mapping[str, float] = field(default_factory=dict)
    """By use case: what the p99 of its operations' response times may be."""

    def scaled_to(self, users: int) -> WorkingSet:
        """The same proportions for another number of users; at least one of what there has to be."""
        factor = users / self.users
        return WorkingSet(
            users=users,
            organisations=max(round(self.organisations * factor), 1),
            api_keys=max(round(self.api_keys * factor), 1),
            sessions_per_user=self.sessions_per_user,
            stale_share=self.stale_share,
            counters=round(self.counters * factor),
            cached=round(self.cached * factor),
            results=round(self.results * factor),
            node_type=self.node_type,
            reserved_memory_percent=self.reserved_memory_percent,
            peak_to_mean=self.peak_to_mean,
            p99_ms=self.p99_ms,
        )
