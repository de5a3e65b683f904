"""A live server's keyspace from a random sample of its keys: read only, never KEYS, at a bounded rate.

SCAN goes through the names, all of them up to a limit: counts by prefix are then exact but for what changes
meanwhile. SCAN follows the hash of the names, so that where it ends early it has seen a random sample, and
counts are scaled to DBSIZE. What keys are is asked of a share of them, chosen by a hash of the name, while
the names come in, so that few have expired when their turn comes; a few of each rare prefix at the end.

On a primary SCAN removes what has expired and was not yet reclaimed, as any look at such a key does. Each of
`sampled_key.COMMANDS` that was never called before costs the server a latency histogram (25 KB).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from amply_capacity.errors import BadInput, TargetError
from amply_capacity.interval import Interval
from amply_capacity.progress import progress
from amply_capacity.run.keyspace import Shape
from amply_capacity.target.allocator import allocator_of_keys
from amply_capacity.target.endpoint import Endpoint, connect, explained
from amply_capacity.target.estimates import share_of
from amply_capacity.target.extent import Extent
from amply_capacity.target.finding import Finding, lost_ttls, remarks
from amply_capacity.target.key_group import KeyGroup, groups_of, shapes_of
from amply_capacity.target.name_sample import NameSample
from amply_capacity.target.pace import Pace
from amply_capacity.target.sampled_key import KeyReader, not_permitted
from amply_capacity.target.server_facts import ServerFacts, server_facts

__all__ = ["Profile", "take_profile"]

_SCAN_NAMES = 250  # blocks the server for half a millisecond: 1.7 to 2.8 µs a name, measured on redis 7.0.15
_SCAN_COMMANDS = 50.0
_NO_TOUCH_SINCE = (7, 2)
_OLDEST = (6, 2)  # HRANDFIELD and ZRANDMEMBER


@dataclass(frozen=True, slots=True)
class Profile:
    """What was found."""

    server: ServerFacts
    """After the profile."""
    keys: int
    """DBSIZE after the profile, which counts keys that have expired and still take memory."""
    scanned: int
    """Names read."""
    is_whole: bool
    """Whether those were all."""
    vanished: int
    """Keys that were gone when they were to be looked at."""
    groups: tuple[KeyGroup, ...]
    """Those that take most first."""
    findings: tuple[Finding, ...]

    @property
    def sampled(self) -> int:
        return sum(len(group.keys) for group in self.groups)

    def shapes(self) -> list[Shape]:
        """The rows of `keyspace.csv`."""
        return list(shapes_of(self.groups))

    def as_json(self, *, shows_names: bool = False) -> dict[str, Any]:
        return {"keys": self.keys, "scanned": self.scanned, "all_scanned": self.is_whole,
                "sampled": self.sampled, "vanished": self.vanished,
                "prefixes": [group.as_json() for group in self.groups],
                "findings": [finding.as_json(shows_names=shows_names) for finding in self.findings],
                "server": self.server.as_json()}


def take_profile(endpoint: Endpoint, extent: Extent | None = None) -> Profile:
    """Profile the database that the endpoint names, on a primary or a replica; of a cluster that shard.

    Raises BadInput for an empty database or an extent that is none; TargetError where the user may not read,
    the server is older than 6.2 or is loading its data; and what `connect` raises.
    """
    extent = extent or Extent()
    extent.check()
    with connect(endpoint) as client, explained(endpoint), _permitted(endpoint):
        before = server_facts(client, endpoint)
        keys = client.dbsize()
        _check(before, keys)
        _prepare(client, before)
        pace = Pace(extent.commands_per_second)
        sample = NameSample(KeyReader(client, endpoint, pace), extent.share_of_names(keys), extent.seed)
        is_whole = _scan(client, pace, sample, keys, extent.names)
        sample.complete()
        after, keys = server_facts(client, endpoint), client.dbsize()
    return _profile(after, keys, is_whole, sample, is_untouched=before.number >= _NO_TOUCH_SINCE)


def _scan(client: Any, pace: Pace, sample: NameSample, keys: int, most: int) -> bool:
    """Show the sample every name, or so many; whether it were all."""
    cursor = 0
    with progress("profile    names", min(keys, most)) as advance:
        while True:
            pace.ask(_SCAN_COMMANDS)
            cursor, names = client.scan(cursor, count=_SCAN_NAMES)
            sample.add(names)
            advance(len(names))
            if cursor == 0 or sample.scanned >= most:
                return bool(cursor == 0)


def _profile(server: ServerFacts, keys: int, is_whole: bool, sample: NameSample, *,
             is_untouched: bool) -> Profile:
    if not sample.scanned:
        raise _empty(server)
    reader = sample.reader
    if server.allocator is None:
        server = replace(server, allocator=allocator_of_keys(
            (key for _, key in sample.sampled()), str(server.info.get("mem_allocator")),
            is_cluster=server.is_cluster))
    counts = {prefix: Interval.exact(number) if is_whole else
              share_of(number, sample.scanned, keys).scaled(keys) for prefix, number in sample.counts.items()}
    groups = groups_of(counts, sample.sampled(), quantum_bytes=server.quantum_bytes,
                       is_cluster=server.is_cluster)
    if not groups:
        kinds = ", ".join(f"{number:,} of type {kind}" for kind, number in reader.unknown_types.items())
        raise TargetError(
            f"no key of {server.endpoint.url} could be described",
            got=f"{reader.vanished:,} of those looked at were gone" + (f", {kinds}" if kinds else ""),
            do="try again with a higher --commands-per-second, or name another database")
    described = {group.prefix for group in groups}
    unread = {prefix: number for prefix, number in sample.counts.items() if prefix not in described}
    expired = keys - sample.scanned if is_whole and server.role == "replica" else 0
    told = remarks(server, groups, keys=keys, expired=expired, unread=unread,
                   unknown_types=reader.unknown_types, is_untouched=is_untouched)
    return Profile(server, keys, sample.scanned, is_whole, reader.vanished, tuple(groups),
                   (*lost_ttls(groups), *told))


def _check(server: ServerFacts, keys: int) -> None:
    if server.number < _OLDEST:
        raise TargetError(f"{server.endpoint.url} is too old for a profile",
                          got=f"{server.engine} {server.version}", do="profile a server of 6.2 or later")
    if not keys:
        raise _empty(server)


def _empty(server: ServerFacts) -> BadInput:
    others = ", ".join(f"{server.databases[name]['keys']:,} in {name}" for name in server.other_databases)
    return BadInput(f"{server.endpoint.url} holds no keys to profile",
                    got=f"none in {server.database}" + (f", but {others}" if others else ""),
                    do="name the database that has keys at the end of the URL (redis://host:6379/1)" if others
                       else "name a server that is in use, or fill this one first")


def _prepare(client: Any, server: ServerFacts) -> None:
    """Say on this connection that reading is no use of a key, and that a cluster's replica may answer."""
    from redis import exceptions

    if server.is_cluster and server.role == "replica":
        client.execute_command("READONLY")
    if server.number >= _NO_TOUCH_SINCE:
        with contextlib.suppress(exceptions.ResponseError):  # a user who may not gets a profile all the same
            client.execute_command("CLIENT NO-TOUCH", "ON")


@contextlib.contextmanager
def _permitted(endpoint: Endpoint) -> Iterator[None]:
    from redis import exceptions

    try:
        yield
    except exceptions.NoPermissionError as error:
        raise not_permitted(endpoint, str(error)) from error
