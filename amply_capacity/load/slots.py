"""Which primary of a Redis Cluster owns which slot: one map for all connections of a process."""

from __future__ import annotations

import time
from binascii import crc_hqx
from collections.abc import Callable
from dataclasses import replace

from amply_capacity.load.client import Connection
from amply_capacity.load.replies import ReplyError
from amply_capacity.target.endpoint import Endpoint
from amply_capacity.traffic.operation import Command

__all__ = ["SLOTS", "SlotMap", "key_of", "slot_of"]

SLOTS = 16384
_REFRESH_SECONDS = 1.0
_KEYLESS = frozenset({
    "ACL", "ASKING", "AUTH", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "DBSIZE", "DISCARD", "ECHO", "EXEC",
    "FUNCTION", "HELLO", "INFO", "KEYS", "LATENCY", "MULTI", "PING", "PSUBSCRIBE", "PUBLISH", "PUBSUB",
    "RANDOMKEY", "READONLY", "READWRITE", "ROLE", "SCAN", "SCRIPT", "SELECT", "SLOWLOG", "SUBSCRIBE", "TIME",
    "UNWATCH", "WAIT"})
_KEY_POSITION = {"BITOP": 2, "EVAL": 3, "EVALSHA": 3, "FCALL": 3, "MEMORY": 2, "OBJECT": 2, "XGROUP": 2,
                 "XINFO": 2}


def key_of(command: Command) -> bytes | None:
    """The command's first key; None for a command that has none and may go to any node."""
    name = str(command[0]).upper()
    position = _KEY_POSITION.get(name, 1)
    if name in _KEYLESS or len(command) <= position:
        return None
    if position == 3 and str(command[2]) == "0":  # a script may say that it has no keys
        return None
    key = command[position]
    return key if isinstance(key, bytes) else str(key).encode()


def slot_of(key: bytes) -> int:
    """CRC-16 (XMODEM) of the key, or of what stands within its first braces, modulo 16384.

    Source: the Redis Cluster specification, "Key distribution model" and "Hash tags".
    """
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1:end]
    return crc_hqx(key, 0) % SLOTS


class SlotMap:
    """Shared by all connections of a process; learns from redirects, and from CLUSTER SLOTS.

    It begins at the seed and asks, at most once a second, any node that it has heard of: so it outlives the
    seed. Nothing is asked before the first question.
    """

    def __init__(self, seed: Endpoint, timeout_seconds: float = 5.0, *,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._seed = seed
        # Several may have to be asked: a node that is stuck must not cost its whole time-out each second.
        self._timeout_seconds = min(timeout_seconds, 1.0)
        self._clock = clock
        self._owners: list[Endpoint | None] = [None] * SLOTS
        self._known: dict[Endpoint, None] = {seed: None}
        """Every node heard of, as an ordered set."""
        self._refreshed_at: float | None = None
        self._is_suspect = True
        self._is_refreshing = False
        self.refreshes = 0
        """How often CLUSTER SLOTS was answered."""

    def primary_of(self, slot: int | None) -> Endpoint:
        """The slot's owner as far as is known; for no slot, any primary.

        Asks the cluster first where the map is empty or suspect. Raises OSError where it never was told.
        """
        if self._is_suspect:
            self.refresh()
        owner = self._owners[slot or 0]
        if owner is None:  # no such owner is known: whoever is asked redirects, or says CLUSTERDOWN
            owner = next((one for one in self._owners if one is not None), None)
        if owner is None:
            raise ConnectionError("no node of the cluster has told who owns the slots")
        return owner

    def primaries(self) -> list[Endpoint]:
        """The owners of slots, each once; asked for as by `primary_of`. Raises OSError where none is known.
        """
        return list(dict.fromkeys([self.primary_of(None), *(one for one in self._owners if one is not None)]))

    def at(self, address: str, asked: Endpoint) -> Endpoint:
        """The node of a redirect's `host:port`, as `asked` gave it; without a host it is `asked`'s."""
        host, _, port = address.rpartition(":")
        return replace(self._seed, host=host or asked.host, port=int(port))

    def move(self, slot: int, owner: Endpoint) -> None:
        """A slot has moved, says its former owner; others may have: the map is suspect."""
        self._owners[slot] = owner
        self._known[owner] = None
        self._is_suspect = True

    def suspect(self) -> None:
        """A node did not answer as it should: ask before the next command, if it is a second since."""
        self._is_suspect = True

    def refresh(self) -> None:
        """Ask any known node, if none was asked within the last second and nobody else is asking.

        Raises OSError or ReplyError where the map is empty and no node answers.
        """
        now = self._clock()
        is_due = self._refreshed_at is None or now - self._refreshed_at >= _REFRESH_SECONDS
        is_empty = self.refreshes == 0
        # While the map is empty there is nothing to go by: everybody asks.
        if not is_empty and (self._is_refreshing or not is_due):
            return
        self._refreshed_at = now
        self._is_refreshing = True
        failure: OSError | ReplyError | None = None
        try:
            for node in list(self._known):
                try:
                    self._ask(node)
                    return
                except (OSError, ReplyError) as error:
                    failure = error
        finally:
            self._is_refreshing = False
        if is_empty and failure is not None:
            raise failure

    def _ask(self, node: Endpoint) -> None:
        connection = Connection(node, self._timeout_seconds)
        try:
            shards = connection.call(("CLUSTER", "SLOTS"))
        finally:
            connection.close()
        if isinstance(shards, ReplyError):
            raise shards
        if not shards:
            raise ConnectionError(f"{node.url} knows no owner of any slot")
        owners: list[Endpoint | None] = [None] * SLOTS
        known: dict[Endpoint, None] = {}
        for first, last, *servers in shards:
            here = [self.at(f"{server[0] or ''}:{server[1]}", node) for server in servers]
            known |= dict.fromkeys(here)
            owners[first:last + 1] = [here[0]] * (last - first + 1)
        self._owners = owners
        self._known = {**known, self._seed: None}
        self._is_suspect = False
        self.refreshes += 1
