"""Which servers may be loaded: a local cluster of ours, or one that its owner has marked. Nothing else.

Our keys are known by their names alone (`traffic.ownership`), so that a marked server may hold keys of others
where its owner allows it. Without being allowed, the load shares a server with nobody: what is refused says
with which option of `target mark` its owner may allow it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from amply_capacity.errors import BadInput, Refused
from amply_capacity.target.cluster import Cluster, all_clusters, find_cluster
from amply_capacity.target.deny_list import production_word, read_deny_list
from amply_capacity.target.endpoint import Endpoint, connect, explained, parse_endpoint
from amply_capacity.target.keyspace import clean, foreign_keys, has_volatile_foreign_key, remove_keys
from amply_capacity.target.lease import DRILL_LOCK, lease_holder, lock_holder
from amply_capacity.target.mark import (
    MARK_KEY,
    Mark,
    UnreadableMark,
    is_ours_to_keep,
    mark_key,
    read_mark,
    write_mark,
)
from amply_capacity.target.primaries import Primary, lease_seat, open_primaries
from amply_capacity.target.refusal import refusal

__all__ = ["MARK_KEY", "Target", "admit", "being_loaded", "check", "check_drills", "clean", "lock_path",
           "mark", "open_target", "resolve", "unmark"]


@dataclass(frozen=True, slots=True)
class Target:
    """A server that was named as a target, and the cluster of ours that it is, if it is one."""

    endpoint: Endpoint
    cluster: Cluster | None


def resolve(target: str) -> Target:
    """The target of a URL or of a local cluster's name; a URL may be that of a cluster of ours.

    Raises BadInput or UnknownName.
    """
    if ":" not in target:
        cluster = find_cluster(target)
        return Target(cluster.endpoint, cluster)
    endpoint = parse_endpoint(target)
    for cluster in all_clusters():
        node = cluster.node_at(endpoint.host, endpoint.port)
        if node is not None and cluster.is_up and node.is_alive:
            # Who names a Sentinel means the primary that it watches.
            begin = cluster.endpoint if node.role == "sentinel" else cluster.endpoint_of(node)
            return Target(replace(begin, database=endpoint.database), cluster)
    return Target(endpoint, None)


def admit(target: Target) -> Any:
    """A control client of the target, if all its primaries may be loaded and nobody loads them now.

    Raises Refused with the reason and the way out, before any connection for a server on the deny list;
    BadInput for a deny list that cannot be read; and what `connect` raises.
    """
    with open_target(target) as primaries:
        check(target, primaries)
    return connect(target.endpoint)


def mark(url: str, owner: str, until: date, *, today: date, allow_shared_keys: bool = False,
         allow_replicas: bool = False, allow_eviction: bool = False,
         allow_drills: bool = False) -> dict[str, Any]:
    """Mark every primary of a server as a test target until a day, or change the mark that it bears.

    Raises Refused for what is there and not allowed (keys of others, replicas, their eviction), BadInput for
    a day that has passed.
    """
    if until < today:
        raise BadInput("the mark's last day has passed", got=f"--until {until}", do="give a day to come")
    target = resolve(url)
    wanted = Mark(owner, until, allow_shared_keys, allow_replicas, allow_eviction, allow_drills)
    with open_target(target) as primaries:
        for primary in primaries:
            _check_server(primary, wanted)
        for primary in primaries:
            with explained(primary.endpoint):
                write_mark(primary.client, mark_key(primary.slots), wanted)
        return {"url": target.endpoint.url, **wanted.as_json(), "servers": len(primaries)}


def unmark(url: str) -> bool:
    """Remove the mark from every primary; whether there was one. What a killed run of ours left goes along.

    Raises Refused while a run loads it.
    """
    target = resolve(url)
    with open_target(target) as primaries, explained(target.endpoint):
        # A mark moves with its slot when a cluster is resharded, so that it is looked for, not worked out.
        marked = [one.client for one in primaries if any(map(is_ours_to_keep, one.client.scan_iter(
            f"{MARK_KEY}*", count=1000)))]
        if not marked:
            return False
        _check_nobody_loads(target, primaries)
        for client in marked:
            clean(client)
            remove_keys(client, is_ours_to_keep)
        return True


def open_target(target: Target) -> contextlib.AbstractContextManager[tuple[Primary, ...]]:
    """Within: the target's primaries, connected to. Raises as `open_primaries` and `read_deny_list` do."""
    return open_primaries(target.endpoint, read_deny_list(), is_ours=target.cluster is not None)


def check(target: Target, primaries: Iterable[Primary]) -> None:
    """Raise Refused unless these primaries of the target may be loaded now."""
    servers = tuple(primaries)
    run_ids = {node.run_id for node in target.cluster.nodes} if target.cluster else set()
    for primary in servers:
        with explained(primary.endpoint):
            if target.cluster is None:
                _check_mark(primary)
            elif primary.client.info("server")["run_id"] not in run_ids:
                raise refusal(primary.endpoint, "another server answers on this cluster's port")
    with explained(target.endpoint):
        _check_nobody_loads(target, servers)


def check_drills(target: Target, primaries: Iterable[Primary]) -> None:
    """Raise Refused unless these primaries may be broken: a cluster of ours, or their mark allows it."""
    if target.cluster is not None:
        return
    for primary in primaries:
        with explained(primary.endpoint):
            _check_mark(primary)
            found = read_mark(primary.client, mark_key(primary.slots))
        if found is None or not found.allow_drills:
            raise refusal(primary.endpoint, "it is not marked for drills",
                          _allowing(primary.endpoint, "drills"))


def being_loaded(target: Target, holder: str) -> Refused:
    """The refusal of a target that a run holds."""
    return refusal(target.endpoint, f"it is being loaded by {holder}",
                   "wait until that run ends (one that was killed gives the server back within ten seconds), "
                   "or use another server")


def lock_path(cluster: Cluster) -> Path:
    """The file by which a run holds a cluster of ours."""
    return cluster.directory / "load.lock"


def _check_nobody_loads(target: Target, primaries: tuple[Primary, ...]) -> None:
    cluster = target.cluster
    if cluster is None:
        holder = lease_holder(lease_seat(primaries).client)
    else:  # a drill loads what it holds itself, with a load test that it starts
        holder = lock_holder(lock_path(cluster)) or lock_holder(
            cluster.directory / DRILL_LOCK, besides=(os.getpid(), os.getppid()))
    if holder:
        raise being_loaded(target, holder)


def _check_mark(primary: Primary) -> None:
    endpoint = primary.endpoint
    try:
        found = read_mark(primary.client, mark_key(primary.slots))
    except UnreadableMark:
        raise refusal(endpoint, "its mark cannot be read") from None
    if found is None:
        word = production_word(endpoint.host)
        if word:
            raise refusal(
                endpoint,
                f"it is not marked as a test target, and {word!r} in its name looks like production",
                "load another server; if this one really is for tests, its owner may mark it with "
                f"`amply-capacity target mark {endpoint.url} --owner you@example.com`",
            )
        raise refusal(endpoint, "it is not marked as a test target")
    if found.until < date.today():
        raise refusal(endpoint, f"its mark ended on {found.until}")
    _check_server(primary, found)


def _check_server(primary: Primary, allowed: Mark) -> None:
    """Raise Refused for replicas, keys of others, or their possible eviction, unless the mark allows it."""
    endpoint, client = primary.endpoint, primary.client
    with explained(endpoint):
        if int(client.info("replication").get("connected_slaves", 0)) and not allowed.allow_replicas:
            raise refusal(endpoint, "it replicates to other servers", _allowing(endpoint, "replicas"))
        found = [key.encode(errors="backslashreplace").decode()[:60]
                 for key in itertools.islice(foreign_keys(client), 3)]
        # Eviction does not stop at a database's border.
        others = {name: counts for name, counts in client.info("keyspace").items()
                  if name != f"db{endpoint.database}"}
        if not allowed.allow_shared_keys:
            if found:
                raise refusal(endpoint, f"it holds keys that are not ours ({', '.join(found)}, …)",
                              _allowing(endpoint, "shared-keys"))
            if others:
                raise refusal(endpoint, f"it holds keys in {', '.join(others)}",
                              _allowing(endpoint, "shared-keys"))
        if (found or others) and not allowed.allow_eviction:
            _check_eviction(primary, any(int(counts["expires"]) for counts in others.values()))


def _check_eviction(primary: Primary, other_databases_expire: bool) -> None:
    """Raise Refused where a full memory would make the server drop keys of others to make room for ours."""
    memory = primary.client.info("memory")
    policy = str(memory.get("maxmemory_policy", "unknown"))
    if not int(memory.get("maxmemory", 0)) or policy == "noeviction":
        return
    if policy.startswith("volatile-"):
        if not (other_databases_expire or has_volatile_foreign_key(primary.client)):
            return
        whose = "keys of others with a TTL"
    else:
        whose = "keys of others"
    raise refusal(
        primary.endpoint, f"its maxmemory-policy is {policy}, under which our load could evict {whose}",
        "use a server without them, set maxmemory-policy noeviction, or "
        + _allowing(primary.endpoint, "eviction"))


def _allowing(endpoint: Endpoint, permission: str) -> str:
    effect = {"replicas": "they then receive the load too", "eviction": "they may then be lost",
              "shared-keys": "only our own are ever removed",
              "drills": "it is then failed over, and what it holds may be lost"}[permission]
    return ("have its owner allow it with `amply-capacity target mark "
            f"{endpoint.url} --owner you@example.com --allow-{permission}` ({effect})")
