"""The mark by which its owner says that a server may be loaded: a key without TTL on each of its primaries.

volatile-lru evicts no key without a TTL. On a primary of a Redis Cluster the key has to lie in one of the
primary's slots, so there its name ends in a hash tag that does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

__all__ = ["LEASE_KEY", "MARK_KEY", "Mark", "UnreadableMark", "is_ours_to_keep", "mark_key", "read_mark",
           "write_mark"]

MARK_KEY = "amply-capacity:target"
LEASE_KEY = "amply-capacity:lease"
_KEPT = re.compile(r"amply-capacity:(?:target(?::\{\d+\})?|lease)")
_MOST_TAGS = 1_000_000  # a primary with a single slot of the 16,384 is missed by all of them once in e^61


class UnreadableMark(Exception):
    """A key of the mark's name that holds none."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Who answers for a test server, until when, and what the owner allows beside loading it."""

    owner: str
    until: date
    """The last day, included."""
    allow_shared_keys: bool = False
    """Keys of others may be there; only our own are ever removed."""
    allow_replicas: bool = False
    """It may be a primary with replicas: a replication group."""
    allow_eviction: bool = False
    """The load may push keys of others out of memory."""
    allow_drills: bool = False
    """It may be failed over, or broken in other ways: what it holds may be lost."""

    def as_json(self) -> dict[str, Any]:
        return {"owner": self.owner, "until": self.until.isoformat(),
                "allow_shared_keys": self.allow_shared_keys, "allow_replicas": self.allow_replicas,
                "allow_eviction": self.allow_eviction, "allow_drills": self.allow_drills}


def mark_key(slots: Sequence[tuple[int, int]] | None) -> str:
    """The mark's key on a server that serves these slots (first and last, included), None for all keys."""
    if slots is None:
        return MARK_KEY
    from redis.crc import key_slot

    for number in range(_MOST_TAGS):
        slot = key_slot(str(number).encode())
        if any(first <= slot <= last for first, last in slots):
            return f"{MARK_KEY}:{{{number}}}"
    raise ValueError(f"no number's slot lies in {slots}")


def read_mark(client: Any, key: str) -> Mark | None:
    """The mark that the key holds; None where there is no key. Raises UnreadableMark for anything else."""
    kind = client.type(key)
    if kind == "none":
        return None
    try:
        content = json.loads(client.get(key)) if kind == "string" else {}
        return Mark(str(content.get("owner", "")), date.fromisoformat(content["until"]),
                    *(content.get(name) is True
                      for name in ("allow_shared_keys", "allow_replicas", "allow_eviction", "allow_drills")))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UnreadableMark(key) from None


def write_mark(client: Any, key: str, mark: Mark) -> None:
    """Put the mark there, without a TTL."""
    client.set(key, json.dumps(mark.as_json()))


def is_ours_to_keep(key: str) -> bool:
    """Whether it is a mark's key or the lease's: no traffic of ours, and nobody else's either."""
    return _KEPT.fullmatch(key) is not None
