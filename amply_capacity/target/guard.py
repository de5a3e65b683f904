"""Which servers may be loaded: a local cluster of ours, or one that its owner has marked. Nothing else.

The mark is a key without TTL, so that volatile-lru cannot evict it. A marked server has to be otherwise empty, so that
what is removed after a run can only be ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from amply_capacity.errors import AmplyError, BadInput, Refused
from amply_capacity.target.cluster import Cluster, all_clusters, find_cluster
from amply_capacity.target.endpoint import Endpoint, connect, parse_endpoint

__all__ = ["MARK_KEY", "Target", "admit", "clean", "mark", "resolve", "unmark"]

MARK_KEY = "amply-capacity:target"
_OUR_PREFIXES = ("session:ses_", "user_sessions:usr_", "rate:api:", "cache:org:stats:", "celery-task-meta-")


@dataclass(frozen=True, slots=True)
class Target:
    """A server that was named as a target, and the cluster of ours that it is, if it is one."""

    endpoint: Endpoint
    cluster: Cluster | None


def resolve(target: str) -> Target:
    """The target of a URL or of a local cluster's name; a URL may be that of a cluster of ours.

    Raises BadInput or UnknownName.
    """
    if "://" not in target:
        cluster = find_cluster(target)
        return Target(cluster.endpoint, cluster)
    endpoint = parse_endpoint(target)
    for cluster in all_clusters():
        if cluster.port == endpoint.port and endpoint.host in {"127.0.0.1", "localhost"} and cluster.is_alive:
            return Target(cluster.endpoint, cluster)
    return Target(endpoint, None)


def admit(target: Target) -> Any:
    """A control client of the target, if it may be loaded. Raises Refused with the reason and the way out."""
    client = connect(target.endpoint)
    try:
        if target.cluster is not None:
            if client.info("server")["run_id"] != target.cluster.run_id:
                raise _refusal(target, "another server answers on this cluster's port")
            return client
        _check_mark(target, client)
    except BaseException:
        client.close()
        raise
    return client


def mark(url: str, owner: str, until: date, *, today: date) -> dict[str, Any]:
    """Mark an empty server as a test target until a day. Raises Refused when it is not empty or not a lone primary."""
    if until < today:
        raise BadInput("the mark's last day has passed", got=until.isoformat(), do="give --until a day to come")
    target = resolve(url)
    with connect(target.endpoint) as client:
        _check_lone_primary(target, client)
        foreign = _foreign_keys(client)
        if foreign:
            raise _refusal(target, f"it holds keys that are not ours ({', '.join(foreign[:3])}, …)")
        content = {"owner": owner, "until": until.isoformat()}
        client.set(MARK_KEY, json.dumps(content))
        return {"url": target.endpoint.url, **content}


def unmark(url: str) -> bool:
    """Remove the mark; whether there was one."""
    with connect(resolve(url).endpoint) as client:
        return bool(client.delete(MARK_KEY))


def clean(client: Any) -> int:
    """Remove our keys from a marked server, in batches; the number removed. Keys of any other name stay."""
    removed = 0
    batch: list[str] = []
    for key in client.scan_iter(count=1000):
        if key.startswith(_OUR_PREFIXES):
            batch.append(key)
        if len(batch) == 1000:
            removed += client.unlink(*batch)
            batch.clear()
    return removed + (client.unlink(*batch) if batch else 0)


def _check_mark(target: Target, client: Any) -> None:
    _check_lone_primary(target, client)
    content = client.get(MARK_KEY)
    if content is None:
        raise _refusal(target, "it is not marked as a test target")
    try:
        until = date.fromisoformat(json.loads(content)["until"])
    except (ValueError, KeyError, TypeError):
        raise _refusal(target, f"its mark cannot be read: {content[:60]!r}") from None
    if until < date.today():
        raise _refusal(target, f"its mark ended on {until}")
    foreign = _foreign_keys(client)
    if foreign:
        raise _refusal(target, f"it holds keys that are not ours ({', '.join(foreign[:3])}, …)")


def _check_lone_primary(target: Target, client: Any) -> None:
    replication = client.info("replication")
    if replication.get("role") != "master":
        raise _refusal(target, "it is a replica of another server")
    if int(replication.get("connected_slaves", 0)):
        raise _refusal(target, "it replicates to other servers")


def _foreign_keys(client: Any, limit: int = 3) -> list[str]:
    found: list[str] = []
    for key in _keys(client):
        if key != MARK_KEY and not key.startswith(_OUR_PREFIXES):
            found.append(key)
            if len(found) == limit:
                break
    return found


def _keys(client: Any) -> Iterator[str]:
    yield from client.scan_iter(count=1000)


def _refusal(target: Target, reason: str) -> AmplyError:
    return Refused(
        f"{target.endpoint.url} will not be loaded", got=reason,
        do="use a local cluster (`amply-capacity cluster up`), or mark an empty test server with "
           f"`amply-capacity target mark {target.endpoint.url} --owner you@example.com`",
    )
