"""Names of events of a master's workers: apart, since who records them reads no table."""

from __future__ import annotations

__all__ = ["LOST", "REJOINED"]

LOST, REJOINED = "worker lost", "worker back"
"""Of a worker that stopped reporting, and of one that reports again."""
