"""Writes and operations as a journal tells of them, made by hand."""

from __future__ import annotations

from amply_capacity.drill.journal_file import Played, Write

__all__ = ["asked", "played", "wrote"]

_ROUND_TRIP_SECONDS = 0.001


def wrote(command: str, key: str, argument: str | int | None, sent_s: float, *, answered: bool = True,
          ttl_s: float | None = None) -> Write:
    """A write that took a millisecond, or was never answered."""
    return Write(command, key, argument, ttl_s, sent_s, sent_s + _ROUND_TRIP_SECONDS if answered else None)


def asked(key: str, count: int, sent_s: float) -> Write:
    """An INCR that answered with that count."""
    return wrote("INCR", key, count, sent_s)


def played(ended_s: float, *, is_ok: bool = True, use_case: str = "sessions", key: str | None = "session:a",
           ) -> Played:
    """An operation that ended then."""
    return Played(ended_s - _ROUND_TRIP_SECONDS, ended_s, use_case, "validate", is_ok, key)
