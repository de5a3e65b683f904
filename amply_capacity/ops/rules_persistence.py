"""What survives a failure, and what is only said to."""

from __future__ import annotations

import re
from collections.abc import Iterator

from amply_capacity.ops import sources
from amply_capacity.ops.circumstances import Circumstances
from amply_capacity.ops.configuration import Configuration, Place, Resource
from amply_capacity.ops.finding import Hit, Rule

__all__ = ["RULES"]

_DAY_S = 86_400.0
_MOST_RETENTION_DAYS = 35
_NO_LOSS = re.compile(r"\b(?:no|zero|without(?: any)?)\s+(?:data|session|write)s?[\s-]+loss\b", re.IGNORECASE)


def _append_only(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    for group in configuration.parameter_groups:
        said = {name: setting for name, setting in group.get("Parameters").entries.items()
                if name in {"appendonly", "appendfsync"}}
        if said:
            first = next(iter(said))
            yield Hit(
                f"{group.name} sets {' and '.join(said)}, but ElastiCache has no append-only file for Redis "
                "after 2.8.22, nor for Valkey: the parameter group is refused, and no session would be "
                "recovered from it",
                "delete " + " and ".join(f"`{name}: {setting.text}`" for name, setting in said.items())
                + "; what ElastiCache has against loss are replicas (`NumCacheClusters: 2`) and snapshots",
                Place(said[first].line, f"{group.name}.Parameters.{first}"))


def _one_node(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    lasting = _longest_lived(configuration)
    if lasting is None:
        return
    pattern, seconds = lasting
    for cache in configuration.caches:
        if cache.is_sketch or cache.replicas != 0:
            continue
        node_key = "NumCacheNodes" if cache.has("NumCacheNodes") else "NumCacheClusters"
        yield Hit(
            f"{cache.name} has no replica, and {pattern} lives {seconds / _DAY_S:g} days: a failure of the "
            f"node loses all of it, for an empty node takes its place; {_restored(cache, seconds)}",
            "write a replication group with `NumCacheClusters: 2`, `AutomaticFailoverEnabled: true` and "
            "`MultiAZEnabled: true`; `amply-capacity plan` says whether that is worth its price",
            cache.place(node_key if cache.has(node_key) else None))


def _restored(cache: Resource, seconds: float) -> str:
    if not cache.number("SnapshotRetentionLimit"):
        return "there are no snapshots to restore"
    return ("a restored snapshot, taken once a day, lacks what was written since, up to "
            f"{100.0 * _DAY_S / seconds:.0f} % of the keys at a steady rate, and brings back those that were "
            "deleted since, such as ended sessions")


def _longest_lived(configuration: Configuration) -> tuple[str, float] | None:
    """The keys that outlive the daily snapshots, as the code writes them, with their seconds."""
    found: list[tuple[float, str]] = []
    for function, command in configuration.code.commands():
        seconds = configuration.code.number(command.ttl, function)
        pattern = configuration.code.pattern(command.argument(0, "name"), function)
        if seconds is None or pattern is None:
            continue
        is_milliseconds = command.name == "psetex" or any(one.arg == "px" for one in command.node.keywords)
        found.append((seconds / 1000.0 if is_milliseconds else seconds, pattern))
    longest = max(found, default=(0.0, ""))
    return (longest[1], longest[0]) if longest[0] > _DAY_S else None


def _no_loss(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    if any((cache.text("Durability") or "").lower() == "sync" for cache in configuration.caches):
        return
    for line in configuration.sentences:
        if said := _NO_LOSS.search(line.text):
            yield Hit(
                f"“{said[0]}” is promised, but replication is asynchronous: a primary that fails takes with "
                "it what it had acknowledged and not yet sent on, and a primary that is rebooted comes back "
                "empty, its replicas after it",
                "write: a failover may lose the last moments' writes; watch ReplicationLag for how much",
                Place(line.number, f"“{said[0]}”"))


def _snapshots(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    for cache in configuration.caches:
        key = "SnapshotRetentionLimit"
        days = cache.number(key)
        if cache.is_sketch or (cache.has(key) and days is None):
            continue
        if not days:
            said = "0" if cache.has(key) else "not said, so 0"
            yield Hit(f"{cache.name} keeps no snapshots (`{key}` is {said}): what a failure or a mistake "
                      "deletes is gone",
                      f"write `{key}: 1`; the newest snapshot of an active cluster costs nothing",
                      cache.place(key))
        elif days > _MOST_RETENTION_DAYS:
            yield Hit(f"{cache.name} asks for {days:g} days of snapshots, and ElastiCache keeps at most "
                      f"{_MOST_RETENTION_DAYS}: the request is refused",
                      f"write `{key}: {_MOST_RETENTION_DAYS}`", cache.place(key), "error")


RULES = (
    Rule("append-only-unsupported", "error", sources.PARAMETERS, _append_only),
    Rule("sessions-on-one-node", "warning", sources.MULTI_AZ, _one_node),
    Rule("no-data-loss-promised", "warning", sources.MULTI_AZ, _no_loss),
    Rule("snapshot-retention", "warning", sources.BACKUPS, _snapshots),
)
