"""Which servers may be loaded: a local cluster of ours, or one that its owner has marked. Nothing else.

The mark is a key without TTL, so that volatile-lru cannot evict it. A marked server has to be otherwise
empty: an application's own keys are named as the ones we write, so only what a run notes in the mark tells
them apart.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from amply_capacity.errors import AmplyError, BadInput, Refused
from amply_capacity.target.cluster import Cluster, all_clusters, find_cluster
from amply_capacity.target.endpoint import Endpoint, connect, explained, parse_endpoint

__all__ = ["MARK_KEY", "Target", "admit", "begin_load", "clean", "end_load", "mark", "resolve", "unmark"]

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
    if ":" not in target:
        cluster = find_cluster(target)
        return Target(cluster.endpoint, cluster)
    endpoint = parse_endpoint(target)
    for cluster in all_clusters():
        local = endpoint.host in {"127.0.0.1", "localhost"} and endpoint.port == cluster.port
        if local and cluster.is_alive and cluster.run_id:
            return Target(replace(cluster.endpoint, database=endpoint.database), cluster)
    return Target(endpoint, None)


def admit(target: Target) -> Any:
    """A control client of the target, if it may be loaded. Raises Refused with the reason and the way out."""
    client = connect(target.endpoint)
    try:
        with explained(target.endpoint):
            if target.cluster is None:
                _check_mark(target, client)
            elif client.info("server")["run_id"] != target.cluster.run_id:
                raise _refusal(target, "another server answers on this cluster's port")
    except BaseException:
        client.close()
        raise
    return client


def mark(url: str, owner: str, until: date, *, today: date) -> dict[str, Any]:
    """Mark an empty server as a test target until a day, or change the mark that it bears.

    Raises Refused when it holds keys or is not a lone primary, BadInput for a day that has passed.
    """
    if until < today:
        raise BadInput("the mark's last day has passed", got=f"--until {until}", do="give a day to come")
    target = resolve(url)
    with connect(target.endpoint) as client, explained(target.endpoint):
        _check_lone_primary(target, client)
        before = _mark_of(client) or {}
        _check_keys(target, client, before)
        content = {**before, "owner": owner, "until": until.isoformat()}
        client.set(MARK_KEY, json.dumps(content))
        return {"url": target.endpoint.url, "owner": owner, "until": content["until"]}


def unmark(url: str) -> bool:
    """Remove the mark, and the keys of a run of ours that was killed; whether there was a mark."""
    target = resolve(url)
    with connect(target.endpoint) as client, explained(target.endpoint):
        if (_mark_of(client) or {}).get("loading"):
            clean(client)
        return bool(client.delete(MARK_KEY))


def begin_load(client: Any) -> None:
    """Clean a marked server of what a killed run of ours left, and note in the mark that we write keys."""
    clean(client)
    client.set(MARK_KEY, json.dumps({**(_mark_of(client) or {}), "loading": True}))


def end_load(client: Any) -> int:
    """Remove our keys from a marked server and the note from its mark; the number of keys removed."""
    removed = clean(client)
    content = _mark_of(client)
    if content is not None:
        content.pop("loading", None)
        client.set(MARK_KEY, json.dumps(content))
    return removed


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


def _mark_of(client: Any) -> dict[str, Any] | None:
    """The mark's content, {} for one that cannot be read; None without a mark."""
    if not client.exists(MARK_KEY):
        return None
    try:
        content = json.loads(client.get(MARK_KEY)) if client.type(MARK_KEY) == "string" else {}
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _check_mark(target: Target, client: Any) -> None:
    _check_lone_primary(target, client)
    content = _mark_of(client)
    if content is None:
        raise _refusal(target, "it is not marked as a test target")
    try:
        until = date.fromisoformat(content["until"])
    except (ValueError, KeyError, TypeError):
        raise _refusal(target, "its mark cannot be read") from None
    if until < date.today():
        raise _refusal(target, f"its mark ended on {until}")
    _check_keys(target, client, content)


def _check_lone_primary(target: Target, client: Any) -> None:
    replication = client.info("replication")
    if replication.get("role") != "master":
        raise _refusal(target, "it is a replica of another server")
    if int(replication.get("connected_slaves", 0)):
        raise _refusal(target, "it replicates to other servers")


def _check_keys(target: Target, client: Any, content: Mapping[str, Any]) -> None:
    """Only the mark may be there, and our own keys while the mark notes a run."""
    ours = _OUR_PREFIXES if content.get("loading") else ()
    foreign = (key for key in client.scan_iter(count=1000) if key != MARK_KEY and not key.startswith(ours))
    found = [key.encode(errors="backslashreplace").decode()[:60] for key in itertools.islice(foreign, 3)]
    if found:
        raise _refusal(target, f"it holds keys that are not ours ({', '.join(found)}, …)")
    # Eviction does not stop at a database's border.
    other = [name for name in client.info("keyspace") if name != f"db{target.endpoint.database}"]
    if other:
        raise _refusal(target, f"it holds keys in {', '.join(other)}")


def _refusal(target: Target, reason: str) -> AmplyError:
    return Refused(
        f"{target.endpoint.url} will not be loaded", got=reason,
        do="use a local cluster (`amply-capacity cluster up`), or mark an empty test server with "
           f"`amply-capacity target mark {target.endpoint.url} --owner you@example.com`",
    )
