"""What a profile shows that its owner would want to know."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from amply_capacity.interval import Interval
from amply_capacity.target.key_group import KeyGroup
from amply_capacity.target.prefixes import OTHERS, printable
from amply_capacity.target.server_facts import ServerFacts

__all__ = ["Finding", "lost_ttls", "remarks"]

_NEARLY_ALL = 0.9
_EXAMPLES = 3
_FEWEST_EXPIRED, _SHARE_EXPIRED = 100, 0.01


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence, and the keys that it is about, where it is about keys."""

    kind: str
    """`lost-ttl`, or one of those of `remarks`."""
    what: str
    group: KeyGroup | None = None
    names: tuple[str, ...] = ()
    """A few of the keys; names may tell whose they are."""

    def as_json(self, *, shows_names: bool = False) -> dict[str, Any]:
        """For people; names beyond their prefix are hidden unless wanted."""
        content: dict[str, Any] = {"kind": self.kind, "what": self.what}
        if self.group is not None:
            described = self.group.as_json()
            content |= {name: described[name] for name in
                        ("prefix", "type", "count", "count_low", "count_high", "bytes")}
            low, high = described["bytes_low"], described["bytes_high"]
            content |= {"bytes_low": None if low is None else round(low * self.group.count.low),
                        "bytes_high": None if high is None else round(high * self.group.count.high),
                        "examples": [printable(name) for name in self.names] if shows_names else
                        [f"{described['prefix']}…"]}
        return content


def lost_ttls(groups: Iterable[KeyGroup]) -> list[Finding]:
    """Keys without a TTL in a prefix where at least 90 % have one: their EXPIRE was probably lost.

    As when a client dies between the INCR and the EXPIRE of a rate limit: such a key stays for ever, and
    no volatile policy evicts it.
    """
    by_prefix: defaultdict[str, list[KeyGroup]] = defaultdict(list)
    for group in groups:
        by_prefix[group.prefix].append(group)
    found = []
    for prefix, same in by_prefix.items():
        volatile = sum(group.count.mid for group in same if group.is_volatile)
        whole = sum(group.count.mid for group in same)
        if prefix == OTHERS or volatile < _NEARLY_ALL * whole:
            continue
        found += [
            Finding("lost-ttl",
                    f"{_number(group.count)} keys of {printable(prefix)}* ({group.type}) have no TTL, while "
                    f"{100.0 * volatile / whole:.1f} % of this prefix have one: their EXPIRE was probably "
                    "lost, and they will never go by themselves",
                    group, tuple(sorted(key.name for key in group.keys)[:_EXAMPLES]))
            for group in same if not group.is_volatile]
    return found


def remarks(server: ServerFacts, groups: Sequence[KeyGroup], *, keys: int, expired: int,
            unread: Mapping[str, int], unknown_types: Mapping[str, int],
            is_untouched: bool) -> Iterator[Finding]:
    """What the keyspace file does not hold, and what the profile did: kinds `expired`, `unread`,
    `unknown-type`, `other-databases`, `one-shard` and `renewed`.

    `expired` is the number of keys that DBSIZE counts and SCAN does not show, `unread` that of keys of
    prefixes none of whose keys stayed until it was looked at, `is_untouched` whether reads left access times.
    """
    missing = "the keyspace file does not hold them"
    if expired > max(_FEWEST_EXPIRED, _SHARE_EXPIRED * keys):
        yield Finding("expired", f"about {expired:,} keys have expired and still take memory until the "
                                 f"primary reclaims them; {missing}")
    for prefix, number in sorted(unread.items()):
        yield Finding("unread", f"of {number:,} keys of {printable(prefix)}* none could be looked at; "
                                f"{missing}")
    for kind, number in sorted(unknown_types.items()):
        yield Finding("unknown-type", f"{number:,} sampled keys are of a module's type, {printable(kind)}; "
                                      f"{missing}")
    if server.other_databases:
        others = ", ".join(f"{server.databases[name]['keys']:,} in {name}" for name in server.other_databases)
        yield Finding("other-databases", f"used_memory is of all databases, the profile of {server.database} "
                                         f"alone: the keys elsewhere ({others}) are not in it")
    if server.is_cluster:
        yield Finding("one-shard", "this server holds one shard of a Redis Cluster, and the profile is of "
                                   "that shard alone; profile a server of each")
    policy = str(server.info.get("maxmemory_policy", ""))
    is_evicting = bool(server.info.get("maxmemory")) and policy.endswith(("lru", "lfu"))
    if server.role == "primary" and is_evicting and not is_untouched:
        sampled = sum(len(group.keys) for group in groups)
        yield Finding("renewed", f"under {policy} the {sampled:,} sampled keys "
                                 f"({100.0 * sampled / max(keys, 1):.1f} % of all) now look as if they had "
                                 "just been used; the profile of a replica leaves them alone")


def _number(count: Interval) -> str:
    if count.is_exact:
        return f"{count.mid:,.0f}"
    return f"about {count.mid:,.0f} ({count.low:,.0f} to {count.high:,.0f})"
