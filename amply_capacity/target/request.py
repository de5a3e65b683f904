"""A local cluster as the command line asks for it, checked as a whole, and as it is shown there."""

from __future__ import annotations

from typing import Any

from amply_capacity.catalog.faults import refuse
from amply_capacity.errors import BadInput
from amply_capacity.target.cluster import Cluster, node_or_none, parse_bytes
from amply_capacity.target.topology import check_topology

__all__ = ["status_text", "up_options", "up_text"]


def up_options(topology: str, node_type: str | None, maxmemory: str | None,
               port: int | None) -> dict[str, Any]:
    """Options of `cluster.start`. Raises BadInput with all faults at once."""
    faults: list[BadInput] = []
    node, maxmemory_bytes = None, None
    try:
        check_topology(topology)
    except BadInput as error:
        faults.append(error)
    if port is not None and not 0 < port < 65536:
        faults.append(BadInput("no usable port", got=f"--port {port}", do="give one from 1 to 65535"))
    try:
        node = node_or_none(node_type)
    except BadInput as error:
        faults.append(error)
    try:
        maxmemory_bytes = parse_bytes(maxmemory) if maxmemory is not None else None
    except ValueError as error:
        faults.append(BadInput("no usable --maxmemory", got=str(error), do="give one such as 64mb"))
    refuse(faults)
    return {"topology": topology, "node": node, "maxmemory_bytes": maxmemory_bytes, "port": port}


def up_text(started: Cluster, url: str) -> str:
    """What a person wants to know of a cluster that just came up: how to load it, how to be rid of it."""
    locust = f"locust -f loadtests/mixed.py --headless -u 50 -r 50 -t 60s --target {started.name}"
    trusted = f"\nits CA is      {started.ca_bundle}" if started.ca_bundle else ""
    return (f"{started.name} is up: {started.engine} {started.version}, {_shape(started.topology)}, at {url}"
            f"{trusted}\nload it with   {locust}\nremove it with amply-capacity cluster down {started.name}")


def status_text(clusters: list[dict[str, Any]]) -> str:
    """A paragraph for each cluster, from its `as_json`: a line for itself and one for each of its servers."""
    return "\n".join(line for one in clusters for line in _lines(one)) or "no cluster is up"


def _lines(one: dict[str, Any]) -> list[str]:
    state = "starting" if one["starting"] else "up" if one["alive"] else "down"
    lines = [f"{one['name']:<20} {state:<8} {one['url'] or ''}  {_shape(one['topology'])}  {one['engine']} "
             f"{one['version']}  {one['node_type'] or ''}".rstrip()]
    for node in one["nodes"]:
        role = node["role_now"] or ("does not answer" if node["alive"] else "gone")
        lines.append(f"  {node['name']:<18} {role:<15} {node['url']}  pid {node['pid']}")
    return lines


def _shape(topology: str) -> str:
    return {"replicated": "a primary, a replica and 3 Sentinels",
            "sharded": "3 shards of a primary and a replica"}.get(topology, "a single server")
