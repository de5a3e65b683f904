"""Whose keys a server holds: ours, which are known by their names alone, and those of others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from amply_capacity.target.mark import is_ours_to_keep
from amply_capacity.traffic.ownership import is_own

__all__ = ["clean", "foreign_keys", "has_volatile_foreign_key", "remove_keys"]

_BATCH_KEYS = 1000


def foreign_keys(client: Any) -> Iterator[str]:
    """The keys of the client's database that are neither our traffic's nor the guard's own.

    One may come twice. Bytes that are no UTF-8 come as surrogates, and go back unharmed.
    """
    return (key for key in client.scan_iter(count=_BATCH_KEYS) if not (is_own(key) or is_ours_to_keep(key)))


def has_volatile_foreign_key(client: Any) -> bool:
    """Whether a foreign key of the client's database has a TTL; looks until it finds one."""
    for batch in _batches(foreign_keys(client)):
        pipeline = client.pipeline(transaction=False)
        for key in batch:
            pipeline.pttl(key)
        if any(ttl_ms >= 0 for ttl_ms in pipeline.execute()):
            return True
    return False


def clean(client: Any, pulse: Callable[[], object] | None = None) -> int:
    """Remove exactly our traffic's keys from the client's server; the number removed."""
    return remove_keys(client, is_own, pulse)


def remove_keys(client: Any, is_meant: Callable[[str], bool],
                pulse: Callable[[], object] | None = None) -> int:
    """Remove the keys of the client's server whose name is meant, in batches; the number removed.

    One UNLINK a key, in pipelines: on Redis Cluster keys of several slots cannot go in one. `pulse` is called
    at every thousandth key seen: among many keys of others this takes a while.
    """

    def meant() -> Iterator[str]:
        for number, key in enumerate(client.scan_iter(count=_BATCH_KEYS)):
            if pulse is not None and number % _BATCH_KEYS == 0:
                pulse()
            if is_meant(key):
                yield key

    removed = 0
    for batch in _batches(meant()):
        pipeline = client.pipeline(transaction=False)
        for key in batch:
            pipeline.unlink(key)
        removed += sum(pipeline.execute())
    return removed


def _batches(keys: Iterator[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for key in keys:
        batch.append(key)
        if len(batch) == _BATCH_KEYS:
            yield batch
            batch = []
    if batch:
        yield batch
