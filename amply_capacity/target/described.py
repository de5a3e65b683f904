"""A local cluster as its `cluster.json` describes it: its servers, and where a client begins."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from amply_capacity.disk import replacing
from amply_capacity.files import CLUSTERS_DIR
from amply_capacity.target import process, roles
from amply_capacity.target.certificates import CertificateFiles
from amply_capacity.target.configuration import SERVICE_NAME
from amply_capacity.target.endpoint import Endpoint

__all__ = ["Cluster", "Node", "describe", "read_description"]

PRIMARY, REPLICA, SENTINEL = "primary", "replica", "sentinel"
_DESCRIPTION = "cluster.json"


@dataclass(frozen=True, slots=True)
class Node:
    """One server of a cluster, in the role that it was started in: a failover changes roles, not this."""

    name: str
    """Within its cluster, e.g. `shard-2-replica`; its directory is called so."""
    role: str
    """`primary`, `replica` or `sentinel`."""
    shard: int
    """From 1; 0 for a Sentinel, which holds no data."""
    host: str
    port: int
    pid: int
    run_id: str
    """The server's own: an endpoint is this node only if it answers with it. Empty until it has answered."""
    directory: Path

    @property
    def is_alive(self) -> bool:
        """Whether the server runs, judged by its working directory, which no other process has."""
        return process.works_in(self.pid, self.directory)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Local servers of ours that belong together, in one of the topologies."""

    name: str
    topology: str
    """`single`, `replicated` (a primary, a replica, three Sentinels) or `sharded` (three shards of two)."""
    nodes: tuple[Node, ...]
    """All servers; a primary is first."""
    tls: bool
    node_type: str | None
    maxmemory_bytes: int
    """Of each data server."""
    reserved_memory_percent: float
    program: str
    """Path of the server program."""
    engine: str
    version: str
    allocator: str
    is_up: bool
    """False while it is being started."""
    owner_pid: int | None
    """The process whose end also ends this cluster; None for one that was brought up to stay."""
    owner_began_ticks: int | None
    """With the pid: that process, and not a later one with its pid."""

    @property
    def directory(self) -> Path:
        return CLUSTERS_DIR / self.name

    @property
    def is_alive(self) -> bool:
        """Whether any data server runs; with one lost, the others may still serve."""
        return any(node.is_alive for node in self.nodes if node.role != SENTINEL)

    @property
    def has_owner(self) -> bool:
        """Whether whoever minds it lives; always, for one that was brought up to stay."""
        if self.owner_pid is None:
            return True
        return process.exists(self.owner_pid) and self.owner_began_ticks in {
            None, process.began_ticks(self.owner_pid)}

    # The first node's, by which a cluster of one server is known; absent values while there is none.
    @property
    def host(self) -> str:
        return self.nodes[0].host if self.nodes else "127.0.0.1"

    @property
    def port(self) -> int:
        return self.nodes[0].port if self.nodes else 0

    @property
    def pid(self) -> int:
        return self.nodes[0].pid if self.nodes else 0

    @property
    def run_id(self) -> str:
        return self.nodes[0].run_id if self.nodes and self.is_up else ""

    @property
    def ca_bundle(self) -> str | None:
        return str(CertificateFiles.below(self.directory).authority) if self.tls else None

    def endpoint_of(self, node: Node) -> Endpoint:
        """How to speak to that node; the password is read from its private file."""
        file = self.directory / "password"
        return Endpoint(node.host, node.port, tls=self.tls, ca_bundle=self.ca_bundle,
                        password=file.read_text() if file.exists() else None)

    @property
    def endpoint(self) -> Endpoint:
        """Where a client begins: the server; the primary that the Sentinels name now; a shard that lives.

        Where no Sentinel answers, the primary at the start.
        """
        first = self.endpoint_of(self.nodes[0])
        if self.topology == "replicated" and self.is_up:
            address = roles.address_from_sentinels(self.sentinels, SERVICE_NAME)
            return replace(first, host=address[0], port=address[1]) if address else first
        if self.topology == "sharded":
            alive = (node for node in self.nodes if node.is_alive)
            return self.endpoint_of(next(alive, self.nodes[0]))
        return first

    @property
    def data_nodes(self) -> tuple[Endpoint, ...]:
        """Every server that holds data, in the order of `nodes`, whatever its role is now."""
        return tuple(self.endpoint_of(node) for node in self.nodes if node.role != SENTINEL)

    @property
    def sentinels(self) -> tuple[Endpoint, ...]:
        return tuple(self.endpoint_of(node) for node in self.nodes if node.role == SENTINEL)

    def primaries(self) -> tuple[Endpoint, ...]:
        """The primary of each shard now, as the servers say; as started where none of them answers."""
        if self.topology == "sharded":
            known = roles.primaries_of_shards(
                self.endpoint_of(node) for node in self.nodes if node.is_alive)
            return known or tuple(self.endpoint_of(node) for node in self.nodes if node.role == PRIMARY)
        return (self.endpoint,)

    def node_at(self, host: str, port: int) -> Node | None:
        """The node with that address; None for an address that is not of this cluster."""
        is_here = host in {"127.0.0.1", "localhost"}
        return next((node for node in self.nodes if is_here and node.port == port), None)

    def role_now(self, node: Node) -> str | None:
        """The node's role as it says itself; None where it does not answer. A Sentinel stays one."""
        if not node.is_alive:
            return None
        return SENTINEL if node.role == SENTINEL else roles.role_of(self.endpoint_of(node))

    def as_json(self) -> dict[str, Any]:
        """For people: state and roles of this moment, without secrets."""
        nodes = [{"name": node.name, "role": node.role, "role_now": self.role_now(node), "shard": node.shard,
                  "url": self.endpoint_of(node).url, "pid": node.pid, "alive": node.is_alive}
                 for node in self.nodes]
        return {"name": self.name, "url": self.endpoint.url if self.nodes else None, "alive": self.is_alive,
                "starting": not self.is_up, "topology": self.topology, "tls": self.tls,
                "node_type": self.node_type, "maxmemory_bytes": self.maxmemory_bytes,
                "reserved_memory_percent": self.reserved_memory_percent, "engine": self.engine,
                "version": self.version, "allocator": self.allocator, "ca_bundle": self.ca_bundle,
                "owner_pid": self.owner_pid, "nodes": nodes}

    @classmethod
    def of_json(cls, content: dict[str, Any]) -> Self:
        """The cluster of a description. Raises ValueError, TypeError or KeyError for what is none."""
        nodes = tuple(Node(**{**node, "directory": Path(node["directory"])}) for node in content["nodes"])
        return cls(**{**content, "nodes": nodes})


def describe(cluster: Cluster, directory: Path | None = None) -> None:
    """Write the description into the cluster's directory, in one step; or into another that becomes it."""
    with replacing((directory or cluster.directory) / _DESCRIPTION) as path:
        path.write_text(json.dumps(asdict(cluster), indent=1, default=str))


def read_description(directory: Path) -> Cluster | None:
    """The cluster that a directory describes; None where it has no description that can be read."""
    try:
        return Cluster.of_json(json.loads((directory / _DESCRIPTION).read_text()))
    except (OSError, ValueError, TypeError, KeyError):
        return None
